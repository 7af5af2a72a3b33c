"""What each process does that tests/numerics/test_devices.py starts, and torchrun for tests/gpu/test_devices.py:

``torchrun --nproc-per-node 1 -m tests.two_devices FOLDER``
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from components.artifacts import TokenShards
from components.training.config import ComputeConfig
from components.training.pretrain import PretrainConfig, pretrain
from components.training.resume import StateFile, TrainingState
from tests.configs import ONE_CPU, model_config, training_config

SAVED_STEP = 8
# Three micro-batches of two sequences, one for each device; the batch grows from 2 to 6 sequences over six steps.
TRAINING = training_config(
    train_tokens=1600,
    batch_tokens=96,
    ramp_start_batch_tokens=32,
    ramp_tokens=256,
    shuffle_block_windows=13,
    micro_batch_sequences=2,
    learning_rate=0.01,
)
MODEL = model_config(num_layers=2)
GPU = ONE_CPU.model_copy(update={"accelerator": "gpu", "precision": "bf16-mixed"})
TWO = {name: ONE_CPU.model_copy(update={"devices": 2, "strategy": name}) for name in ("ddp", "fsdp")}


@dataclass(frozen=True)
class FirstState(StateFile):
    """Keeps the state of step 8, as if the run had been killed after it."""

    def save(self, state: TrainingState) -> None:
        """That one and no other."""
        if state.steps_done == SAVED_STEP:
            super().save(state)

    def discard(self) -> None:
        """Another run goes on from it."""


def train(folder: Path, name: str, compute: ComputeConfig, state: str, dropout: float = 0.0, fingerprint: str = "") -> list[float]:
    """Train into ``folder/name`` from ``folder/state`` if it is there, and leave the state of step 8 in it; the steps that were told."""
    told = list[float]()
    config = PretrainConfig(MODEL.model_copy(update={"dropout": dropout}), TRAINING, compute)
    kept = FirstState(folder / state, {"run": fingerprint}, every_steps=SAVED_STEP)
    pretrain(TokenShards(folder / "tokens"), config, 0, folder / name, kept, lambda row: told.append(row["step"]))
    return told


def on_cpu(folder: Path) -> None:
    """Runs of two processes: whole, on from the state of one process, and on from their own."""
    for name, compute in TWO.items():
        train(folder, name, compute, f"{name}.state")
        train(folder, f"{name}-on", compute, "one.state")
        train(folder, f"{name}-dropout", compute, f"{name}-dropout.state", dropout=0.1)
        train(folder, f"{name}-dropout-on", compute, f"{name}-dropout.state", dropout=0.1)


def on_gpu(folder: Path) -> None:
    """One GPU, with and without FSDP2, and on from one another's state."""
    for name, compute, state in (("single", GPU, "single.state"), ("fsdp", GPU.model_copy(update={"strategy": "fsdp"}), "fsdp.state")):
        train(folder, name, compute, state)
    train(folder, "single-on", GPU, "fsdp.state")
    train(folder, "fsdp-on", GPU.model_copy(update={"strategy": "fsdp"}), "single.state")


if __name__ == "__main__":
    on_gpu(Path(sys.argv[1]))
