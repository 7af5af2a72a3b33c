"""A run that is killed with SIGKILL at any moment goes on bit for bit: weights, optimiser, generators, curve and token order."""

import io
import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from components.artifacts import TokenShards, write_manifest
from components.tokenization.shards import StreamDocument, write_stream
from components.training import lit_model, pretrain, resume
from components.training.data_order import DataOrder
from components.training.documents import DocumentIndex, documents_of_step
from flows.certify_resume import Run, certify
from tests.configs import ONE_CPU, model_config
from tests.two_devices import TRAINING

STEPS, EPOCH_STEP = 20, 13
# TRAINING has up to three micro-batches, a batch that grows from 2 to 6 windows over six steps, blocks of windows that end inside the run.
MODEL = model_config(dropout=0.1)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stream that holds its documents twice, in another order the second time."""
    folder = tmp_path_factory.mktemp("tokens")
    generator = torch.Generator().manual_seed(0)
    texts = [[0, *torch.randint(1, 32, (15,), generator=generator).tolist()] for _ in range(52)]
    documents = [StreamDocument(f"s:{i}", "s", 0, 45, text) for i, text in enumerate(texts)]
    again = [StreamDocument(f"s:{i}", "s", 1, 45, text) for i, text in reversed(list(enumerate(texts)))]
    splits = {
        "train": write_stream(folder / "train", documents + again, 500),
        "held_out": write_stream(folder / "held_out", again[:4], 500),
    }
    write_manifest(folder, "token_shards", vocab_size=32, splits=splits)
    return folder


def new_run(tokens: Path, folder: Path, **compute: int) -> Run:
    settings = pretrain.PretrainConfig(MODEL, TRAINING, ONE_CPU.model_copy(update=compute))
    return Run(tokens, settings, 0, folder / "run", every_steps=4)


@pytest.fixture(scope="module")
def whole(tokens: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the run leaves that nothing interrupts."""
    run = new_run(tokens, tmp_path_factory.mktemp("whole"))
    run.train(lambda row: None)
    return run.results()


def test_the_run_has_the_moments_that_it_is_killed_at(tokens: Path) -> None:
    stream = TokenShards(tokens).stream("train")
    order = DataOrder(stream.num_tokens, 16, TRAINING)
    read = [documents_of_step(DocumentIndex(stream), order, step) for step in range(1, STEPS + 1)]
    epochs = [{part.epoch for part in parts if part.stop - part.start > 1} for parts in read]  # but for a window's last target
    assert epochs == [{0}] * (EPOCH_STEP - 1) + [{1}] * (STEPS + 1 - EPOCH_STEP)
    sizes = [TRAINING.tokens_after(s) - TRAINING.tokens_after(s - 1) for s in range(1, STEPS + 1)]
    assert sizes == [32] * 4 + [64] * 2 + [96] * 14


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def between_micro_batches_of_the_ramp() -> None:
    """In the second half of step 6, with a gradient half made."""
    original, calls = lit_model.next_token_loss, []

    def counted(model: Any, batch: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 4 + 2 * 2:
            die()
        return original(model, batch)

    lit_model.next_token_loss = counted


def at_the_epoch_boundary() -> None:
    original = lit_model.LitGPT.take_step

    def watched(self: lit_model.LitGPT, batch: torch.Tensor) -> None:
        if self.steps_done == EPOCH_STEP - 1:
            die()
        original(self, batch)

    lit_model.LitGPT.take_step = watched  # type: ignore[method-assign]


def on_call(owner: Any, name: str, number: int, act: Callable[..., None]) -> None:
    original, calls = getattr(owner, name), []

    def counted(*arguments: Any) -> Any:
        calls.append(1)
        return act(*arguments) if len(calls) == number else original(*arguments)

    setattr(owner, name, counted)


def in_the_middle_of_a_write() -> None:
    original = torch.save

    def half(content: Any, file: Any) -> None:
        buffer = io.BytesIO()
        original(content, buffer)
        file.write(buffer.getvalue()[: buffer.tell() // 2])
        file.flush()
        die()

    on_call(torch, "save", 3, half)


def before_the_new_state_takes_its_place() -> None:
    on_call(os, "fsync", 5, lambda descriptor: die())  # two for each state: file and folder


def after_the_new_state_took_its_place() -> None:
    on_call(resume, "_sync_folder", 3, lambda folder: die())


def child(moment: Callable[[], None], run: Run) -> None:
    moment()
    run.train(lambda row: None)


@pytest.mark.parametrize(
    ("moment", "state_step"),
    [
        (between_micro_batches_of_the_ramp, 4),
        (at_the_epoch_boundary, 12),
        (in_the_middle_of_a_write, 8),
        (before_the_new_state_takes_its_place, 8),
        (after_the_new_state_took_its_place, 12),
    ],
)
def test_a_run_killed_at_a_chosen_moment(
    tokens: Path, whole: dict[str, str], tmp_path: Path, moment: Callable[[], None], state_step: int
) -> None:
    run = new_run(tokens, tmp_path)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["components.training.pretrain"])
    process = context.Process(target=child, args=(moment, run))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not run.out.exists()
    told: list[float] = []
    run.train(lambda row: told.append(row["step"]))
    assert told[0] == state_step + 1
    assert run.results() == whole


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_killed_at_random_moments(tokens: Path, whole: dict[str, str], tmp_path: Path, workers: int) -> None:
    run = new_run(tokens, tmp_path, loader_workers=workers)
    kills, equal = certify(replace(run, every_steps=1), kills=2, kill_seed=os.getpid())
    assert len(kills) == 2 and all(kill["exit_status"] == -signal.SIGKILL for kill in kills)
    assert all(equal.values()), equal
    assert run.results() == whole  # and the workers made no difference


def test_one_number_too_many_from_the_generator_is_seen(
    tokens: Path, whole: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_too_many(states: dict[str, torch.Tensor]) -> None:
        resume.set_rng_states(states)
        torch.rand(1)

    def interrupt(row: dict[str, float]) -> None:
        if row["step"] == 10:
            raise KeyboardInterrupt

    monkeypatch.setattr(pretrain, "set_rng_states", one_too_many)
    run = new_run(tokens, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run.train(interrupt)
    run.train(lambda row: None)
    differing = {name for name, digest in run.results().items() if digest != whole[name]}
    assert differing == {
        "model.safetensors",
        "curve.csv",
        *(f"state.{part}" for part in ("model", "optimizer", "rng", "noise_scale", "rows")),
    }
