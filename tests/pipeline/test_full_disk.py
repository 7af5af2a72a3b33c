"""A disk that is full while an output is written: /dev/full, which takes nothing and says why, or a small file system of its own."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors import SafetensorError

from components.tokenization.shards import StreamDocument, write_stream
from components.training.resume import StateFile, TrainingState
from components.transformer import checkpoint
from tests.configs import ONE_CPU
from tests.tiny_tokens import write_tiny_tokens
from tests.two_devices import MODEL, TRAINING

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


IN_OWN_MOUNTS = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]


def can_mount(folder: Path) -> bool:
    command = [*IN_OWN_MOUNTS, 'mount -t tmpfs -o size=16k none "$0"', str(folder)]
    try:
        return subprocess.run(command, capture_output=True, timeout=60).returncode == 0
    except FileNotFoundError:
        return False


def test_a_run_whose_checkpoint_has_no_room_says_so_and_is_not_lost(tmp_path: Path) -> None:
    """The stage on a file system of 16 KiB, less than its weights; then again where there is room."""
    (tmp_path / "small").mkdir()
    if not can_mount(tmp_path / "small"):
        pytest.skip("this system lets no user mount a tmpfs")
    write_tiny_tokens(tmp_path / "tokens")
    sections = {"model": MODEL.model_dump(), "training": TRAINING.model_dump(), "compute": ONE_CPU.model_dump()}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(sections))
    stage = f"{sys.executable} -m flows.stages.pretrain_model --tokens tokens --metrics metrics.json --out"
    script = f'mount -t tmpfs -o size=16k none small && {stage} small/out; status=$?; echo "left: $(ls -A small)"; exit $status'
    options = {"cwd": tmp_path, "env": {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}}
    full = subprocess.run([*IN_OWN_MOUNTS, script], capture_output=True, text=True, timeout=200, **options)  # type: ignore[call-overload]
    assert full.returncode == 1, full.stderr
    line = full.stderr.splitlines()[-1]
    assert line == "error: no space left on the device while writing small/.out.partial/model.safetensors; free some and run again"
    assert full.stdout == "left: \n"
    again = subprocess.run([*stage.split(), "out"], capture_output=True, text=True, timeout=200, check=True, **options)  # type: ignore[call-overload]
    assert again.stdout.startswith("going on from pretrain_model-")  # from its last step: nothing is trained again
    assert (tmp_path / "out" / "model.safetensors").exists()
