"""On one GPU: FSDP2 trains what a single device trains, in bfloat16, and each goes on from the other's state."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.numerics.test_devices import ROOT, curve, environment
from tests.tiny_tokens import write_tiny_tokens

pytestmark = [pytest.mark.gpu, pytest.mark.slow, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")]


def test_fsdp_of_one_gpu_trains_what_a_single_device_trains(tmp_path: Path) -> None:
    write_tiny_tokens(tmp_path / "tokens")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "1", "-m", "tests.two_devices"]
    subprocess.run([*command, str(tmp_path)], cwd=ROOT, env=environment(), check=True, timeout=280)
    expected = curve(tmp_path / "single")
    for name in ("fsdp", "fsdp-on", "single-on"):
        assert curve(tmp_path / name)["loss_nats"] == pytest.approx(expected["loss_nats"], rel=1e-3)
