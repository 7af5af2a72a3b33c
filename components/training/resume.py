"""The state of an unfinished run: written whole beside the outputs, removed when the run is done."""

from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from components.errors import InputError
from components.training.lit_model import LitGPT


@dataclass(frozen=True)
class TrainingState:
    """All that the next step depends on, and the rows of the curve so far."""

    steps_done: int
    model: dict[str, torch.Tensor]
    optimizer: dict[str, Any]
    torch_rng: torch.Tensor
    rows: list[dict[str, float]]


def save_state(path: Path, module: LitGPT, rows: list[dict[str, float]]) -> None:
    """Write the state so that a crash at any moment leaves the older one or the newer one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".partial")
    optimizer = module.trainer.optimizers[0].state_dict()
    state = TrainingState(module.steps_done, module.model.state_dict(), optimizer, torch.get_rng_state(), rows)
    with scratch.open("wb") as file:  # given a path, torch would not say that the disk is full
        torch.save(state.__dict__, file)
    scratch.replace(path)


def load_state(path: Path) -> TrainingState | None:
    """The state at ``path``, or None where there is none; a damaged file is an InputError. No code in the file is ever run."""
    if not path.exists():
        return None
    try:
        return TrainingState(**torch.load(path, map_location="cpu", weights_only=True))
    except (RuntimeError, UnpicklingError, TypeError, EOFError) as error:
        raise InputError(f"{path}: damaged ({str(error).splitlines()[0]}); delete it to train from the start") from None
