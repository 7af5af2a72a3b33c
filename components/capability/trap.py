"""A task on which a better memory misleads: does a model, asked to copy, say what it remembers instead? (Inverse Scaling, Memo Trap)"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.capability.pass_rates import answer_logprobs
from components.capability.problems import Problem
from components.evaluation.intervals import clopper_pearson
from components.transformer.model import GPT

TASK = "memo_trap"


@dataclass(frozen=True)
class Trapped:
    """One model on the traps: share of them where the right answer is likelier than the remembered one, and mean log-probabilities."""

    name: str
    train_flops: float
    share_right: float
    low: float
    high: float
    right_nats: float
    lure_nats: float


def measure_trap(name: str, train_flops: float, model: GPT, problems: Sequence[Problem], confidence: float) -> Trapped:
    """Score every trap by likelihood, a choice between two answers."""
    traps = [problem for problem in problems if problem.task == TASK]
    right, lure = (
        np.array([logprobs.sum() for logprobs in answer_logprobs(model, traps, answers)])
        for answers in ([trap.answer for trap in traps], [trap.lure for trap in traps])
    )
    wins = int((right > lure).sum())
    low, high = clopper_pearson(wins, len(traps), confidence)
    return Trapped(name, train_flops, wins / len(traps), low, high, float(right.mean()), float(lure.mean()))


def describe_curve(rows: Sequence[Trapped]) -> str:
    """What the curve over sizes shows beyond its intervals: falls, rises, falls and then rises, or neither."""
    lowest = min(rows, key=lambda row: row.share_right)
    fell, rose = lowest.high < rows[0].low, lowest.high < rows[-1].low
    if fell and rose:
        return "falls with size, then rises (U-shaped)"
    if rows[-1].high < rows[0].low:
        return "falls with size (inverse scaling)"
    if rows[-1].low > rows[0].high:
        return "rises with size"
    return "no change with size is shown"


def trap_record(rows: Sequence[Trapped]) -> dict[str, Any]:
    """The curve by rising compute, as JSON values."""
    ordered = sorted(rows, key=lambda row: row.train_flops)
    return {"task": TASK, "models": [vars(row) for row in ordered], "shows": describe_curve(ordered)}
