"""Two processes train what one trains, by DDP and by FSDP2, and each goes on from the other's state."""

import csv
import math
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from components.artifacts import read_json, sha256_file
from components.errors import InputError
from tests import two_devices
from tests.configs import ONE_CPU
from tests.tiny_tokens import write_tiny_tokens
from tests.two_devices import MODEL, SAVED_STEP, TRAINING, TWO, train

ROOT = Path(__file__).parents[2]
# Sums over two processes are rounded otherwise: over 20 steps the losses were 2e-7 apart, noise scales 7e-7, both relative.
TOLERANCE = {"loss_nats": 1e-6, "val_loss_nats": 1e-6, "grad_norm": 1e-5, "noise_scale_tokens": 1e-5, "learning_rate": 0.0, "tokens": 0.0}


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def as_rank(rank: int, port: int, folder: Path) -> None:
    """What torchrun sets for each process, and what it starts."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "NODE_RANK": "0", "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    two_devices.on_cpu(folder)


def two_processes(folder: Path) -> None:
    """Forked from one that has imported torch and Lightning: two that import them take longer to start than to train."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["components.training.pretrain"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [context.Process(target=as_rank, args=(rank, port, folder), daemon=True) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(280)
    assert [process.exitcode for process in processes] == [0, 0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every run of one process and of two."""
    folder = tmp_path_factory.mktemp("runs")
    write_tiny_tokens(folder / "tokens")
    train(folder, "one", ONE_CPU, "one.state")
    two_processes(folder)
    return folder


def curve(path: Path) -> dict[str, list[float]]:
    rows = list(csv.DictReader((path / "curve.csv").read_text().splitlines()))
    return {name: [float(row[name] or "nan") for row in rows] for name in rows[0]}


def assert_same_curve(found: Path, expected: Path) -> None:
    ours, theirs = curve(found), curve(expected)
    assert ours["step"] == theirs["step"] == list(range(1, TRAINING.num_steps + 1))
    assert not all(math.isnan(noise) for noise in theirs["noise_scale_tokens"])
    for name, tolerance in TOLERANCE.items():
        assert ours[name] == pytest.approx(theirs[name], rel=tolerance, abs=0, nan_ok=True), name


@pytest.mark.slow
@pytest.mark.parametrize("strategy", list(TWO))
class TestTwoProcesses:
    def test_the_curve_is_that_of_one(self, folder: Path, strategy: str) -> None:
        assert_same_curve(folder / strategy, folder / "one")

    def test_a_state_of_one_goes_on_on_two(self, folder: Path, strategy: str) -> None:
        assert_same_curve(folder / f"{strategy}-on", folder / "one")

    def test_a_state_of_two_goes_on_on_one(self, folder: Path, strategy: str) -> None:
        told = train(folder, f"one-from-{strategy}", ONE_CPU, f"{strategy}.state")
        assert told[0] == SAVED_STEP + 1
        assert_same_curve(folder / f"one-from-{strategy}", folder / "one")

    def test_with_dropout_each_draws_its_own_masks_and_a_run_goes_on_bit_for_bit(self, folder: Path, strategy: str) -> None:
        whole, on = folder / f"{strategy}-dropout", folder / f"{strategy}-dropout-on"
        first, second = torch.load(folder / f"{strategy}-dropout.state", weights_only=True)["rng"]["cpu"]
        assert not torch.equal(first, second)
        for name in ("model.safetensors", "curve.csv"):
            assert sha256_file(whole / name) == sha256_file(on / name)
        assert curve(whole)["loss_nats"] != curve(folder / strategy)["loss_nats"]


@pytest.mark.parametrize(
    ("devices", "changes", "message"),
    [
        (3, {}, r"training\.ramp_start_batch_tokens 32 is 2 sequences, which 3 devices cannot share evenly"),
        (3, {"ramp_tokens": 0, "batch_tokens": 64}, r"training\.batch_tokens 64 is 4 sequences, which 3 devices cannot share evenly"),
        (2, {"micro_batch_sequences": 3}, r"training\.micro_batch_sequences 3 is 3 sequences, which 2 devices cannot share evenly"),
    ],
)
def test_a_batch_that_the_devices_cannot_share_is_refused_before_any_process_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, devices: int, changes: dict[str, int], message: str
) -> None:
    write_tiny_tokens(tmp_path / "tokens")
    monkeypatch.setattr(two_devices, "TRAINING", TRAINING.model_copy(update=changes))
    with pytest.raises(InputError, match=message):
        train(tmp_path, "out", TWO["ddp"].model_copy(update={"devices": devices}), "run.state")
    assert [path.name for path in tmp_path.iterdir()] == ["tokens"]


def test_gpus_that_are_not_there_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match=r"accelerator is gpu and compute\.devices 2, but torch sees 1 GPUs on this machine"):
        train(tmp_path, "out", two_devices.GPU.model_copy(update={"devices": 2, "strategy": "ddp"}), "run.state")


@pytest.mark.slow
def test_the_stage_starts_its_processes_ends_them_when_it_is_ended_and_goes_on(tmp_path: Path) -> None:
    """First by Lightning's launcher, then by torchrun, with the imports of a stage."""
    write_tiny_tokens(tmp_path / "tokens", num_documents=400)
    training = TRAINING.model_dump() | {"train_tokens": 12_000}
    sections = {"model": MODEL.model_dump(), "training": training, "compute": TWO["fsdp"].model_dump()}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(sections))
    stage = ["-m", "flows.stages.pretrain_model", "--tokens", "tokens", "--out", "out", "--metrics", "metrics.json"]
    options = {"cwd": tmp_path, "env": environment(), "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, *stage], start_new_session=True, **options)  # type: ignore[call-overload]
    while process.poll() is None and not list(tmp_path.glob("scratch/*.state")):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)  # to the first process alone
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert errors.endswith("error: interrupted; nothing half-written is left, run the same command again to go on\n")
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # no process is left
    assert not (tmp_path / "out").exists()
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*torchrun, *stage], check=True, timeout=240, **options)  # type: ignore[call-overload]
    assert done.stdout.count("going on from pretrain_model-") == done.stdout.count("held-out loss") == 1
    assert curve(tmp_path / "out")["step"] == list(range(1, len(curve(tmp_path / "out")["step"]) + 1))
    assert read_json(tmp_path / "metrics.json")["loss_nats"] < 2
    assert not list(tmp_path.glob("scratch/*"))
