"""A quantity of one run (time, memory, disk) from past runs, with an 80 % interval.

Runs are alike when their key is (same work, same parameters); their logarithms scatter about their mean, and this scatter is
pooled over all keys, for few are run often. A run whose key is new is predicted from its work: a sum of terms such as
a + b operations + c steps with coefficients that are not negative, fitted to the means of the known keys in relative terms; how
far it may be off is what leaving out each key in turn gives. Intervals are Student's on the logarithm.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.8
# What is believed before there is evidence, worth one degree of freedom: after a single run, the interval is a factor of 1.5 up
# and down for the same again, 2.5 for another of its kind; a few repeats outweigh it.
PRIOR_FREEDOM = 1.0
PRIOR_REPEAT_SD = 0.1
PRIOR_LAW_SD = 0.3
# What a cell takes over what a probe of it says: mean and standard deviation of the logarithm. Of 17 cells of the default run, two at
# once, the mean was 0.31; of five by themselves 0.13 (flows/README.md).
PROBE_LOG_RATIO, PROBE_SD, PROBE_FREEDOM = 0.22, 0.17, 12.0


@dataclass(frozen=True)
class Past:
    """One past run: what it was (``key``), the terms of its work, and what it took (> 0)."""

    key: Hashable
    work: tuple[float, ...]
    taken: float


@dataclass(frozen=True)
class Estimate:
    """What a run will take, and the interval that holds it in 80 of 100 cases."""

    low: float
    middle: float
    high: float
    basis: str
    """In words, for the reader."""


class Estimator:
    """Predicts from the past runs of one kind of stage."""

    def __init__(self, past: Sequence[Past], repeat_sd: tuple[float, float]) -> None:
        """``repeat_sd``: standard deviation of the logarithm of runs alike, and its degrees of freedom (``repeat_scatter``)."""
        self._by_key = _by_key(past)
        self._repeat_sd = repeat_sd

    def estimate(self, key: Hashable, work: tuple[float, ...]) -> Estimate | None:
        """For a run of that key and work; None where nothing like it was ever run."""
        if not self._by_key:
            return None
        if (own := self._by_key.get(key)) is not None:
            sd, freedom = self._repeat_sd
            middle = float(np.mean([math.log(run.taken) for run in own]))
            return _interval(middle, sd * math.sqrt(1 + 1 / len(own)), freedom, f"{len(own)} of the same")
        sd, freedom = self._law_scatter()
        predicted = _predict(list(self._by_key.values()), work)
        return _interval(math.log(predicted), sd, freedom, f"{len(self._by_key)} of its kind")

    def _law_scatter(self) -> tuple[float, float]:
        groups = list(self._by_key.values())
        errors = [
            _log_mean(group) - math.log(_predict(groups[:number] + groups[number + 1 :], group[0].work))
            for number, group in enumerate(groups)
            if len(groups) > 1
        ]
        # Of one run, not of a mean of several; a prediction from all keys is no worse than from all but one.
        return _pooled(errors, max(0, len(errors) - 1), PRIOR_LAW_SD)


def repeat_scatter(kinds: Sequence[Sequence[Past]]) -> tuple[float, float]:
    """Standard deviation of the logarithm of runs alike, pooled over all keys of all kinds, and its degrees of freedom."""
    groups = [group for past in kinds for group in _by_key(past).values()]
    errors = [math.log(run.taken) - _log_mean(group) for group in groups for run in group if len(group) > 1]
    return _pooled(errors, sum(len(group) - 1 for group in groups), PRIOR_REPEAT_SD)


def of_probe(predicted: float) -> Estimate:
    """Of memory or disk as a few steps of the run have it: believed like a single other run of its kind, a factor of 2.5."""
    return _interval(math.log(predicted), PRIOR_LAW_SD, PRIOR_FREEDOM, "a probe")


def of_probed_seconds(predicted: float) -> Estimate:
    """Of the time that was worked out from a few steps, which ran alone and warm."""
    return _interval(math.log(predicted) + PROBE_LOG_RATIO, PROBE_SD, PROBE_FREEDOM, "a probe")


def _by_key(past: Sequence[Past]) -> dict[Hashable, list[Past]]:
    groups: defaultdict[Hashable, list[Past]] = defaultdict(list)
    for run in past:
        groups[run.key].append(run)
    return dict(groups)


def _log_mean(group: Sequence[Past]) -> float:
    return float(np.mean([math.log(run.taken) for run in group]))


def _pooled(errors: Sequence[float], freedom: float, prior_sd: float) -> tuple[float, float]:
    squares = PRIOR_FREEDOM * prior_sd**2 + sum(error**2 for error in errors)
    return math.sqrt(squares / (PRIOR_FREEDOM + freedom)), PRIOR_FREEDOM + freedom


def _predict(groups: Sequence[Sequence[Past]], work: tuple[float, ...]) -> float:
    """The law fitted to the groups, at that work: least squares of relative errors, no coefficient negative."""
    from scipy.optimize import nnls

    taken = np.exp([_log_mean(group) for group in groups])
    terms = np.array([group[0].work for group in groups], dtype=float)
    scale = np.maximum(terms.max(axis=0), 1e-300)
    coefficients, _ = nnls(terms / scale / taken[:, None], np.ones(len(groups)))
    predicted = float(coefficients @ (np.array(work) / scale))
    return predicted if predicted > 0 else float(np.exp(np.mean(np.log(taken))))


def _interval(log_middle: float, sd: float, freedom: float, basis: str) -> Estimate:
    from scipy.stats import t

    reach = sd * float(t.ppf((1 + CONFIDENCE) / 2, freedom))
    return Estimate(math.exp(log_middle - reach), math.exp(log_middle), math.exp(log_middle + reach), basis)
