"""A disk that is full while an output is written. /dev/full stands for it: it takes nothing and says why."""

import errno
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from components.tokenization.shards import StreamDocument, write_stream
from components.training.resume import save_state
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
    state = tmp_path / "state"
    state.with_suffix(".partial").symlink_to(FULL)
    module: Any = Mock(steps_done=1)
    module.model.state_dict.return_value = {"w": torch.zeros(100_000)}
    module.trainer.optimizers = [Mock(state_dict=dict)]
    with pytest.raises(OSError) as error:
        save_state(state, module, [])
    assert_full(error)
    assert not state.exists()


def test_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """safetensors renames, so /dev/full cannot stand for the disk: this is what it said on a full one."""

    def on_a_full_disk(*_: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoint, "save_file", on_a_full_disk)
    with pytest.raises(OSError) as error:
        checkpoint.save_weights(tmp_path / "model.safetensors", {"w": torch.zeros(4)})
    assert_full(error)
