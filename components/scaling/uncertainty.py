"""How far one new run of the target may lie from the forecast: a prediction interval by inverting the fit.

A loss y of the target belongs to the interval if some law fits the ladder and the point (target, y) nearly as well as the
best law fits the ladder alone: the rise of the squared error stays below an F quantile. For a linear model this is exactly
Student's prediction interval; here it searches every shape that the ladder allows, so that a weakly known E widens it as it
should, and the plain power law (E = 0) is inside whenever the ladder does not refute it.

Why no bootstrap over runs: with five rungs of two seeds, resampling rungs loses an end of the ladder in most draws, and
resampling two seeds halves their variance. A bootstrap of residuals (200 draws, 80 ladders a case) held 81 to 98 % of planted
targets at nominal 95 % where only seeds scatter, and 66 to 76 % where rungs do too, for the seeds of a rung share its misfit.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from components.errors import InputError
from components.scaling.config import ExtrapolationConfig
from components.scaling.ladder import LadderRun
from components.scaling.power_law import Points, PowerLaw, fit_power_law

MIN_RUNGS = 4  # three unknowns, and one rung to tell whether the law fits at all
BISECTIONS = 12  # each bound to 1 / 4096 of the last doubling
NAILED = 1e4  # weight of a point that the law must pass, in weights of all runs
MAX_LOG_DISTANCE = math.log(10)  # a target ten times off: the ladder says nothing


@dataclass(frozen=True)
class Scatter:
    """How losses scatter about a law, in relative terms.

    ``variance``: of a rung's mean times the rung's number of seeds, which is the unit of the fit's sum of squares;
    ``new_run_variance``: of one new run at a new rung. ``unit``: whether runs or rungs count as independent evidence.
    """

    variance: float
    new_run_variance: float
    seed_variance: float
    degrees_of_freedom: int
    unit: Literal["runs", "rungs"]


@dataclass(frozen=True)
class Fit:
    """One form of the law fitted to a ladder, with what an interval needs."""

    law: PowerLaw
    points: Points
    squares: float
    scatter: Scatter
    irreducible: bool
    config: ExtrapolationConfig

    def interval(self, train_flops: float, new_run: bool = True) -> tuple[float, float]:
        """Prediction interval [nats] for the loss of one new run of ``train_flops`` operations, or the law's own without its scatter.

        Raises:
            InputError: the ladder scatters so much that it excludes no loss.
        """
        return self._bound(train_flops, -1, new_run), self._bound(train_flops, +1, new_run)

    def _bound(self, train_flops: float, side: int, new_run: bool) -> float:
        from scipy.stats import f

        limit = self.squares + self.scatter.variance * float(f.ppf(self.config.confidence, 1, self.scatter.degrees_of_freedom))
        centre = self.law.loss_nats(train_flops)
        inside, outside = 0.0, max(math.sqrt(self.scatter.new_run_variance), 1e-9)
        while self._squares_with(train_flops, centre * math.exp(side * outside), new_run) <= limit:
            inside, outside = outside, 2 * outside
            if outside > MAX_LOG_DISTANCE:
                raise InputError("metrics/ladder: the runs scatter too much for any forecast; add rungs or seeds to ladder in params.yaml")
        for _ in range(BISECTIONS):
            middle = (inside + outside) / 2
            kept = self._squares_with(train_flops, centre * math.exp(side * middle), new_run) <= limit
            inside, outside = (middle, outside) if kept else (inside, middle)
        return centre * math.exp(side * outside)

    def _squares_with(self, train_flops: float, loss_nats: float, new_run: bool) -> float:
        weight = self.scatter.variance / self.scatter.new_run_variance if self.scatter.new_run_variance else 1.0
        weight = weight if new_run else NAILED * float(self.points.weights_P.sum())
        joint = self.points.with_point(train_flops, loss_nats, weight)
        return fit_power_law(joint, self.config, self.irreducible)[1]


def fit_ladder(runs: list[LadderRun], config: ExtrapolationConfig, irreducible: bool) -> Fit:
    """Fit one form of the law to the rungs' mean losses, each weighted by its number of seeds.

    Raises:
        InputError: fewer than four rungs are left.
    """
    by_rung: dict[str, list[LadderRun]] = {}
    for run in runs:
        by_rung.setdefault(run.rung, []).append(run)
    if len(by_rung) < MIN_RUNGS:
        raise InputError(
            f"params.yaml: ladder has {len(by_rung)} rungs with a finite loss, a forecast needs {MIN_RUNGS}; add rungs or mend them"
        )
    counts_P = np.array([len(rung) for rung in by_rung.values()], dtype=float)
    means_P = np.array([np.mean([run.loss_nats for run in rung]) for rung in by_rung.values()])
    flops_P = np.array([np.mean([run.train_flops for run in rung]) for rung in by_rung.values()])
    within = sum((run.loss_nats / mean - 1) ** 2 for mean, rung in zip(means_P, by_rung.values(), strict=True) for run in rung)
    points = Points(flops_P, means_P, counts_P)
    law, squares = fit_power_law(points, config, irreducible)
    return Fit(law, points, squares, _scatter(squares, within, counts_P, 3 if irreducible else 2, config), irreducible, config)


def _scatter(squares: float, within: float, counts_P: np.ndarray, unknowns: int, config: ExtrapolationConfig) -> Scatter:
    """Seeds of a rung share whatever the law gets wrong there, so they are independent evidence only if the law fits.

    Where rungs miss the law by more than their seeds explain, the misfit is a second source of scatter, which the target,
    itself a new rung, meets anew.
    """
    from scipy.stats import f

    misfit_freedom = len(counts_P) - unknowns
    seed_freedom = int(counts_P.sum()) - len(counts_P)
    misfit = squares / misfit_freedom
    seed_variance = within / seed_freedom if seed_freedom else 0.0
    if seed_freedom and misfit <= seed_variance * float(f.ppf(1 - config.pooling_level, misfit_freedom, seed_freedom)):
        pooled = (squares + within) / (misfit_freedom + seed_freedom)
        return Scatter(pooled, pooled, seed_variance, misfit_freedom + seed_freedom, "runs")
    seeds_per_rung = len(counts_P) / float((1 / counts_P).sum())
    new_run = max(0.0, misfit - seed_variance) / seeds_per_rung + seed_variance
    return Scatter(misfit, new_run, seed_variance, misfit_freedom, "rungs")
