"""What every stage's entry point does with its command line, its errors and its interruption."""

import argparse
import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from components.config import Frozen
from components.errors import InputError
from flows import params, stage, tracking


class Model(Frozen):
    d_model: int


class Sections(params.Sections):
    model: Model


Main = Callable[[argparse.Namespace, Sections, tracking.Run], None]


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with parameters; SIGTERM back as it was afterwards."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("model: {d_model: 8}\nwide: {model.d_model: 16}\n", encoding="utf-8")
    monkeypatch.setattr(stage.signal, "signal", lambda *_: None)


def execute(main: Main, *argv: str) -> int:
    return stage.execute(main, Sections, ["in-folder", "out"], ["--in-folder", "a", "--out", "b", *argv])


def raising(error: BaseException) -> Main:
    def main(args: argparse.Namespace, loaded: Sections, run: tracking.Run) -> None:
        raise error

    return main


def test_options_overrides_and_seed_reach_the_stage() -> None:
    seen: list[object] = []
    status = execute(
        lambda args, loaded, run: seen.extend([args.in_folder, args.seed, loaded.model.d_model]), "--apply", "wide", "--seed", "3"
    )
    assert (status, seen) == (0, ["a", 3, 16])


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (InputError("data/tokens: shard 0 is truncated; run tokenize_corpus again"), 2, "error: data/tokens: shard 0 is truncated"),
        (KeyboardInterrupt(), 130, "error: interrupted; nothing half-written is left"),
        (OSError(errno.ENOSPC, "No space left on device", "data/x"), 1, "error: no space left on the device while writing data/x"),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "error: no space left on the device while writing an output"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), 1, "error: out of memory (CUDA out of memory. Tried"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory:\nyou tried"), 1, "error: out of memory (DefaultCPUAllocator"),
        (MemoryError(), 1, "error: out of memory (no memory left); lower training.micro_batch_sequences"),
    ],
)
def test_what_can_be_expected_is_one_line_and_a_status(
    error: BaseException, status: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(raising(error)) == status
    written = capsys.readouterr()
    assert written.err.startswith(line)
    assert written.err.count("\n") == 1
    assert written.out == ""


@pytest.mark.parametrize("error", [ValueError("a bug"), RuntimeError("a bug"), OSError(errno.EACCES, "denied")])
def test_what_cannot_be_expected_keeps_its_traceback(error: Exception) -> None:
    with pytest.raises(type(error)):
        execute(raising(error))


def test_bad_parameters_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Path("params.yaml").write_text("model: {d_model: wide}\n", encoding="utf-8")
    assert execute(raising(AssertionError("never reached"))) == 2
    assert capsys.readouterr().err == "error: params.yaml: model.d_model: Input should be a valid integer, got 'wide'\n"


@pytest.mark.parametrize("argv", [["--out", "b"], ["--in-folder", "a", "--out", "b", "--seeds", "1"], ["--in-folder", "a", "--out"]])
def test_a_wrong_command_line_says_how_to_use_it(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        stage.execute(raising(AssertionError("never reached")), Sections, ["in-folder", "out"], argv)
    assert caught.value.code == 2
    assert "usage: python -m tests.unit.test_stage" in capsys.readouterr().err


def test_sigterm_interrupts_as_ctrl_c_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "off")
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(params, "load", lambda *_: Sections(model=Model(d_model=1)))
            assert execute(lambda *_: os.kill(os.getpid(), signal.SIGTERM)) == 130
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_name_of_a_stage_is_its_address_in_dvc(monkeypatch: pytest.MonkeyPatch) -> None:
    assert stage.stage_name("flows.stages.pretrain_model") == "pretrain_model"
    monkeypatch.setenv("DVC_STAGE", "pretrain_ladder@r1-0")
    assert stage.stage_name("flows.stages.pretrain_model") == "pretrain_ladder@r1-0"
