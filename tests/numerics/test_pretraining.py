"""A run learns, is the same twice, is the same when cut into micro-batches, and goes on bit for bit after a kill."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch

from components.artifacts import TokenShards
from components.training.held_out import layer_gradient_norms
from components.training.pretrain import PretrainConfig, Recorder, pretrain
from components.training.resume import StateFile
from components.transformer.checkpoint import load_checkpoint, weights_sha256
from components.transformer.config import TransformerConfig
from components.transformer.model import GPT
from tests.configs import ONE_CPU, model_config, training_config
from tests.tiny_tokens import write_tiny_tokens

MODEL = model_config(num_layers=2, dropout=0.1)
RUN = {"train_tokens": 1920, "batch_tokens": 64, "micro_batch_sequences": 2, "learning_rate": 0.01}


def config(dropout: float = 0.1, **training: Any) -> PretrainConfig:
    return PretrainConfig(MODEL.model_copy(update={"dropout": dropout}), training_config(**RUN | training), ONE_CPU)


@pytest.fixture
def tokens(tmp_path: Path) -> TokenShards:
    return write_tiny_tokens(tmp_path / "tokens")


def run(
    tokens: TokenShards, folder: Path, settings: PretrainConfig, seed: int = 0, on_row: Any = lambda row: None
) -> tuple[dict[str, Any], str]:
    state = StateFile(folder.with_suffix(".state"), {"seed": str(seed)}, every_steps=5)
    metrics = pretrain(tokens, settings, seed, folder, state, on_row)
    return metrics, weights_sha256(load_checkpoint(folder))


def test_learns_and_is_the_same_twice_and_another_seed_is_another_model(tokens: TokenShards, tmp_path: Path) -> None:
    metrics, weights = run(tokens, tmp_path / "one", config())
    assert metrics["loss_nats"] < 2.5  # ln 32 = 3.47
    assert metrics["bits_per_byte"] == pytest.approx(metrics["loss_nats"] / 0.693147 * 239 / (4 * 59 * 3), rel=1e-3)
    assert (metrics, weights) == run(tokens, tmp_path / "two", config())
    assert run(tokens, tmp_path / "three", config(), seed=1)[1] != weights
    curve = list(csv.DictReader((tmp_path / "one" / "curve.csv").read_text().splitlines()))
    assert len(curve) == 30
    assert [row["step"] for row in curve if row["val_loss_nats"]] == ["15", "30"]
    assert metrics["noise_scale_tokens"] == pytest.approx(float(curve[-1]["noise_scale_tokens"]))
    norms = metrics["layer_grad_norms"]
    assert len(norms["initial"]) == len(norms["final"]) == MODEL.num_layers
    torch.manual_seed(0)
    start = GPT(TransformerConfig(**MODEL.model_dump(), vocab_size=tokens.vocab_size)).eval()
    assert norms["initial"] == layer_gradient_norms(start, tokens.stream("held_out"))


def test_micro_batches_add_up_to_the_batch(tokens: TokenShards, tmp_path: Path) -> None:
    run(tokens, tmp_path / "whole", config(dropout=0.0, micro_batch_sequences=4, train_tokens=320))
    run(tokens, tmp_path / "parts", config(dropout=0.0, micro_batch_sequences=1, train_tokens=320))
    whole, parts = (load_checkpoint(tmp_path / name).state_dict() for name in ("whole", "parts"))
    for name, tensor in whole.items():
        torch.testing.assert_close(parts[name], tensor, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("last_step", [10, 17])
def test_an_interrupted_run_goes_on_bit_for_bit(tokens: TokenShards, tmp_path: Path, last_step: int) -> None:
    uninterrupted = run(tokens, tmp_path / "whole", config())

    def interrupt(row: dict[str, float]) -> None:
        if row["step"] == last_step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tokens, tmp_path / "cut", config(), on_row=interrupt)
    assert not (tmp_path / "cut").exists()
    assert (tmp_path / "cut.state").exists()
    steps: list[float] = []
    assert run(tokens, tmp_path / "cut", config(), on_row=lambda row: steps.append(row["step"])) == uninterrupted
    assert steps[0] == (last_step - 1) // 5 * 5 + 1  # the row is told before the state of its step is saved
    assert (tmp_path / "cut" / "curve.csv").read_bytes() == (tmp_path / "whole" / "curve.csv").read_bytes()
    assert not (tmp_path / "cut.state").exists()


def test_divergence_is_an_outcome(tokens: TokenShards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Recorder.on_step

    def poison(self: Recorder, module: Any) -> None:
        if module.steps_done == 3:
            module.last_row["loss_nats"] = float("nan")
        original(self, module)

    monkeypatch.setattr(Recorder, "on_step", poison)
    metrics, _ = run(tokens, tmp_path / "out", config())
    assert metrics["diverged"]
    assert metrics["loss_nats"] is None
