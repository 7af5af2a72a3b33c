"""A task on which a better memory misleads: sums that the text repeats with a wrong answer (imitative falsehoods, TruthfulQA, Lin 2021)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.capability.pass_rates import answer_logprobs
from components.capability.problems import Problem
from components.evaluation.intervals import clopper_pearson
from components.transformer.model import GPT

TASK = "falsehood"


@dataclass(frozen=True)
class Truthful:
    """One model: share of the falsehoods where the right answer is likelier than the repeated one, and mean log-probabilities."""

    name: str
    train_flops: float
    share_right: float
    low: float
    high: float
    right_nats: float
    lure_nats: float


def measure_truth(name: str, train_flops: float, model: GPT, problems: Sequence[Problem], confidence: float) -> Truthful:
    """Score every falsehood by likelihood, a choice between two answers."""
    sums = [problem for problem in problems if problem.task == TASK]
    right, lure = (
        np.array([logprobs.sum() for logprobs in answer_logprobs(model, sums, answers)])
        for answers in ([one.answer for one in sums], [one.lure for one in sums])
    )
    wins = int((right > lure).sum())
    low, high = clopper_pearson(wins, len(sums), confidence)
    return Truthful(name, train_flops, wins / len(sums), low, high, float(right.mean()), float(lure.mean()))


def describe_curve(rows: Sequence[Truthful]) -> str:
    """What the curve over sizes shows beyond its intervals: falls, rises, falls and then rises, or neither."""
    lowest = min(rows, key=lambda row: row.share_right)
    fell, rose = lowest.high < rows[0].low, lowest.high < rows[-1].low
    if fell and rose:
        return "falls with size, then rises (U-shaped)"
    if rows[-1].high < rows[0].low:
        return "falls with size (inverse scaling)"
    if rows[-1].low > rows[0].high:
        return "rises with size"
    return "shows no change with size"


def truth_record(rows: Sequence[Truthful]) -> dict[str, Any]:
    """The curve by rising compute, as JSON values."""
    ordered = sorted(rows, key=lambda row: row.train_flops)
    return {"task": TASK, "models": [vars(row) for row in ordered], "shows": describe_curve(ordered)}
