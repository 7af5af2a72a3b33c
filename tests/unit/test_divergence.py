"""A run stops where its loss is not finite, its gradient overflows or, on request, its loss jumps; and says on which documents."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from components.training.divergence import divergence
from components.training.lit_model import LitGPT
from components.training.pretrain import pretrain
from components.training.resume import StateFile
from components.transformer.checkpoint import load_checkpoint
from flows import step
from tests.configs import training_config
from tests.numerics.test_pretraining import config
from tests.tiny_tokens import write_tiny_tokens

CONFIG, SPIKY = training_config(), training_config(max_loss_spike_nats=1.0, spike_median_steps=3)
BEFORE = [{"loss_nats": nats} for nats in (9.0, 2.0, 9.0, 2.0, 2.1)]


@pytest.mark.parametrize(
    ("loss_nats", "grad_norm", "settings", "reason"),
    [
        (math.nan, 1.0, CONFIG, "the loss is nan"),
        (math.inf, 1.0, CONFIG, "the loss is inf"),
        (2.0, math.inf, CONFIG, "the gradient norm is inf while the loss is 2.0000"),
        (99.0, 1.0, CONFIG, None),
        (3.0, 1.0, SPIKY, None),
        (3.2, 1.0, SPIKY, "the loss is 3.2000, 1.1000 above the median of the 3 steps before it"),
    ],
)
def test_reasons(loss_nats: float, grad_norm: float, settings: Any, reason: str | None) -> None:
    assert divergence({"loss_nats": loss_nats, "grad_norm": grad_norm}, BEFORE, settings) == reason


def test_a_spike_is_judged_only_after_enough_steps() -> None:
    assert divergence({"loss_nats": 99.0, "grad_norm": 1.0}, BEFORE[:2], SPIKY) is None


def test_an_overflow_ends_the_run_with_its_step_its_documents_and_the_weights_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = LitGPT.manual_backward

    def overflow(self: LitGPT, loss: torch.Tensor) -> None:
        original(self, loss)
        if self.steps_done == 2:
            self.model.token_embedding.weight.grad[0, 0] = torch.inf  # type: ignore[index]

    monkeypatch.setattr(LitGPT, "manual_backward", overflow)
    tokens = write_tiny_tokens(tmp_path / "tokens")
    metrics = pretrain(tokens, config(), 0, tmp_path / "out", StateFile(tmp_path / "s.state", {}, 5), lambda row: None)
    assert (metrics["diverged"], metrics["diverged_step"], metrics["loss_nats"]) == (True, 3, None)
    assert "the gradient norm is inf" in metrics["diverged_reason"]
    assert all(bool(torch.isfinite(tensor).all()) for tensor in load_checkpoint(tmp_path / "out").state_dict().values())
    assert step.main([str(tmp_path / "out"), "--step", "3", "--tokens", str(tmp_path / "tokens")]) == 0
    shown = capsys.readouterr().out
    assert metrics["diverged_documents"] and all(document in shown for document in metrics["diverged_documents"])
