"""The runs of the ladder, read by name; the runs that cannot be used are kept beside the others with the reason."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from components.artifacts import read_json
from components.errors import InputError
from components.scaling.config import LadderConfig
from components.scaling.table import LeftOut, RunTable


@dataclass(frozen=True)
class LadderRun:
    """One finished run: training operations [FLOP] and held-out loss [nats per token]."""

    rung: str
    seed: int
    train_flops: float
    loss_nats: float


@dataclass(frozen=True)
class ExcludedRun:
    """A run that the fit leaves out, and why."""

    rung: str
    seed: int
    reason: str


def read_ladder(folder: Path, ladder: LadderConfig) -> tuple[list[LadderRun], list[ExcludedRun]]:
    """Read ``RUNG-SEED.json`` of every rung and seed that the parameters name: never a glob, for files of removed rungs stay on disk.

    Raises:
        InputError: a file is missing, damaged, or lacks ``train_flops`` or ``loss_nats``.
    """
    found = [_read_run(folder / f"{rung}-{seed}.json", rung, seed) for rung in ladder.rungs for seed in ladder.seeds]
    return [run for run in found if isinstance(run, LadderRun)], [run for run in found if isinstance(run, ExcludedRun)]


def ladder_table(folder: Path, ladder: LadderConfig, size: Literal["parameters", "parameters_non_embedding"]) -> RunTable:
    """The ladder as a table whose N is ``size``; a rung's seeds are runs of their own.

    Raises:
        InputError: as ``read_ladder``; or no run has a finite loss.
    """
    runs, excluded = read_ladder(folder, ladder)
    if not runs:
        raise InputError(f"{folder}: no run of the ladder has a finite loss; mend the ladder")
    records = [read_json(folder / f"{run.rung}-{run.seed}.json") for run in runs]
    columns = [np.array([float(record[key]) for record in records]) for key in ("train_flops", "loss_nats", size, "train_tokens")]
    left_out = tuple(LeftOut(0, f"{run.rung}-{run.seed}: {run.reason}") for run in excluded)
    return RunTable(columns[0], columns[1], np.arange(1, len(runs) + 1), columns[2], columns[3], left_out)


def _read_run(path: Path, rung: str, seed: int) -> LadderRun | ExcludedRun:
    record = read_json(path)
    for key in ("train_flops", "loss_nats"):
        if not isinstance(record, dict) or key not in record:
            raise InputError(f"{path}: {key} is missing; delete the file and run dvc repro")
    reason = _reason_to_exclude(record)
    if reason:
        return ExcludedRun(rung, seed, reason)
    return LadderRun(rung, seed, float(record["train_flops"]), float(record["loss_nats"]))


def _reason_to_exclude(record: dict[str, Any]) -> str:
    if record.get("diverged"):
        return "diverged"
    for key in ("train_flops", "loss_nats"):
        value = record[key]
        if not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
            return f"{key} is {value}, not a positive number"
    return ""
