"""A cell's training curve, read from its file."""

import csv
from dataclasses import dataclass
from pathlib import Path

from components.errors import InputError


@dataclass(frozen=True)
class Curve:
    """Loss over training: ``tokens`` and ``loss_nats`` of every step, and the points where the held-out loss was taken."""

    tokens: list[int]
    loss_nats: list[float]
    held_out_tokens: list[int]
    held_out_loss_nats: list[float]


def read_curve(path: Path) -> Curve:
    """Read a cell's ``curve.csv``; ``val_loss_nats`` is empty at most steps.

    Raises:
        InputError: the file is missing, or a row is not what the training writes.
    """
    curve = Curve([], [], [], [])
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                _add_row(curve, row)
    except FileNotFoundError:
        raise InputError(f"{path}: not there; run the stage that makes it (dvc repro)") from None
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: row {len(curve.tokens) + 2} is damaged ({error}); delete its folder and run dvc repro") from None
    return curve


def _add_row(curve: Curve, row: dict[str, str]) -> None:
    tokens, loss, held_out = int(row["tokens"]), float(row["loss_nats"]), row["val_loss_nats"]
    if held_out:
        curve.held_out_loss_nats.append(float(held_out))
        curve.held_out_tokens.append(tokens)
    curve.loss_nats.append(loss)
    curve.tokens.append(tokens)
