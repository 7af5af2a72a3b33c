"""Intervals and tests by resampling items, for scores that have no exact form, and paired tests of two models on the same items."""

# Shapes: N items, S resamplings.

from collections.abc import Callable, Sequence

import numpy as np

ScoreOf = Callable[[np.ndarray], float]
"""Numbers of items -> their score."""


def bootstrap_interval(score_of: ScoreOf, num_items: int, samples: int, confidence: float, seed: int) -> tuple[float, float]:
    """Percentile interval of a score over items drawn with replacement (Efron 1979)."""
    draw = np.random.default_rng(seed)
    scores_S = [score_of(draw.integers(num_items, size=num_items)) for _ in range(samples)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(scores_S, [tail, 1 - tail])
    return float(low), float(high)


def mcnemar_p(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Exact two-sided p of "both are right as often", from the items where one alone is right (McNemar 1947); 1 if there are none."""
    from scipy.stats import binomtest

    only_first = sum(a and not b for a, b in zip(first, second, strict=True))
    only_second = sum(b and not a for a, b in zip(first, second, strict=True))
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second, 0.5).pvalue)


def swap_p(difference_of: Callable[[np.ndarray], float], num_items: int, samples: int, seed: int) -> float:
    """Two-sided p of a paired randomisation test: which model gave which answer is swapped at random, item by item (Noreen 1989).

    Args:
        difference_of: the difference of the two scores where the models are swapped on the marked items, bool N.
    """
    draw = np.random.default_rng(seed)
    observed = abs(difference_of(np.zeros(num_items, np.bool_)))
    as_large = sum(abs(difference_of(draw.random(num_items) < 0.5)) >= observed - 1e-12 for _ in range(samples))
    return (1 + as_large) / (1 + samples)
