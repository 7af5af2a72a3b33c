"""The outcomes of a task -> its score with an interval and the chance level, calibration, and a paired comparison of two models."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from components.errors import InputError
from components.evaluation.calibration import reliability
from components.evaluation.config import ProtocolConfig
from components.evaluation.intervals import clopper_pearson
from components.evaluation.metrics import score
from components.evaluation.protocols import Outcome
from components.evaluation.resampling import ScoreOf, bootstrap_interval, mcnemar_p, swap_p
from components.evaluation.task_file import TaskFile


def score_of(task: TaskFile, outcomes: Sequence[Outcome]) -> ScoreOf:
    """The task's metric on some of the items."""

    def of(numbers: np.ndarray) -> float:
        return score(task, [outcomes[number] for number in numbers])

    return of


def summary(task: TaskFile, outcomes: Sequence[Outcome], config: ProtocolConfig) -> dict[str, Any]:
    """score, low, high, chance (None where guessing has no level), items, shots and cuts; what more its kind has."""
    low, high = interval(task, outcomes, config)
    facts: dict[str, Any] = {
        "metric": task.metric,
        "score": score(task, outcomes),
        "low": low,
        "high": high,
        "chance": chance(task, outcomes),
        "items": len(outcomes),
        "shots": task.shots,
        "mean_shots_used": mean_shots_used(outcomes),
        "items_cut": sum(one.cut_tokens > 0 for one in outcomes),
        "tokens_cut": sum(one.cut_tokens for one in outcomes),
    }
    if task.kind == "multiple_choice":
        chosen = [max(one.probabilities) for one in outcomes]
        facts["calibration"] = reliability(chosen, [one.value == 1 for one in outcomes], config.calibration_bins, config.confidence)
    if task.kind == "completion":
        facts["perplexity"] = math.exp(-float(np.mean([one.log_likelihood for one in outcomes])))
    return facts


def mean_shots_used(outcomes: Sequence[Outcome]) -> float:
    """Demonstrations that fitted the context, of those asked for."""
    return float(np.mean([one.shots_used for one in outcomes]))


def interval(task: TaskFile, outcomes: Sequence[Outcome], config: ProtocolConfig) -> tuple[float, float]:
    """Exact where the score is a share of right items (Clopper and Pearson), else by bootstrap over items."""
    if task.metric in ("accuracy", "exact_match"):
        return clopper_pearson(int(sum(one.value for one in outcomes)), len(outcomes), config.confidence)
    return bootstrap_interval(score_of(task, outcomes), len(outcomes), config.bootstrap_samples, config.confidence, config.seed)


def chance(task: TaskFile, outcomes: Sequence[Outcome]) -> float | None:
    """What guessing among the candidates reaches: a share, 0 for Matthews; None where there is nothing to guess among."""
    if task.kind != "multiple_choice":
        return None
    if task.metric == "accuracy":
        return float(np.mean([1 / len(one.probabilities) for one in outcomes]))
    if task.metric == "matthews":
        return 0.0
    return None


def compare(task: TaskFile, first: Sequence[Outcome], second: Sequence[Outcome], config: ProtocolConfig) -> dict[str, Any]:
    """Second less first on the same items: difference with a paired bootstrap interval, p, and a verdict.

    p is McNemar's exact one for shares of right items, else that of a paired randomisation test.

    Raises:
        InputError: the two were not measured on the same items.
    """
    if [one.text for one in first] != [one.text for one in second]:
        raise InputError(
            f"task {task.name}: the two were measured on different items; run both with the same task file, seed and max_items"
        )
    both = (first, second)

    def difference(numbers: np.ndarray) -> float:
        return score_of(task, second)(numbers) - score_of(task, first)(numbers)

    def swapped(mask: np.ndarray) -> float:
        mixed = [[both[int(swap) ^ side][number] for number, swap in enumerate(mask)] for side in (0, 1)]
        return score(task, mixed[1]) - score(task, mixed[0])

    low, high = bootstrap_interval(difference, len(first), config.bootstrap_samples, config.confidence, config.seed)
    if task.metric in ("accuracy", "exact_match"):
        p = mcnemar_p([one.value == 1 for one in first], [one.value == 1 for one in second])
    else:
        p = swap_p(swapped, len(first), config.bootstrap_samples, config.seed)
    verdict = "no difference shown" if p > 1 - config.confidence else "differ"
    return {"difference": difference(np.arange(len(first))), "low": low, "high": high, "p": p, "verdict": verdict}
