"""A disk that is full while an output is written. /dev/full stands for it: it takes nothing and says why."""

import errno
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from components.tokenization.shards import StreamDocument, write_stream
from components.training.resume import StateFile, TrainingState
from components.transformer import checkpoint

FULL = Path("/dev/full")
pytestmark = [pytest.mark.pipeline, pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this system")]


def assert_full(error: pytest.ExceptionInfo[OSError]) -> None:
    """What flows/stage.py turns into one line."""
    assert error.value.errno == errno.ENOSPC


def test_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bytes = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda _, content: write_bytes(FULL, content))
    document = StreamDocument("a", "docs", 0, 1, np.arange(4, dtype=np.uint16).tolist())
    with pytest.raises(OSError) as error:
        write_stream(tmp_path / "train", [document], 1000)
    assert_full(error)


def test_state_to_resume_from(tmp_path: Path) -> None:
    """The older state survives, and nothing half-written is left beside it."""
    state, older = tmp_path / "run.state", b"the older one"
    state.write_bytes(older)
    state.with_suffix(".partial").symlink_to(FULL)
    with pytest.raises(OSError) as error:
        StateFile(state, {}, 1).save(TrainingState(1, {"w": torch.zeros(100_000)}, {}, {}, [0.0, 0.0], []))
    assert_full(error)
    assert error.value.filename == str(state)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"run.state": older}


def test_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """safetensors renames, so /dev/full cannot stand for the disk: this is what it said on a full one."""

    def on_a_full_disk(*_: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoint, "save_file", on_a_full_disk)
    with pytest.raises(OSError) as error:
        checkpoint.save_weights(tmp_path / "model.safetensors", {"w": torch.zeros(4)})
    assert_full(error)
