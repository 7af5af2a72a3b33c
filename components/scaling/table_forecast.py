"""One forecast from a table of runs, with an interval, and beside it what every other way to fit a law says."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from components.errors import InputError
from components.scaling.approach3 import bootstrap_approach3, fit_approach3
from components.scaling.config import ExtrapolationConfig
from components.scaling.estimate import METHOD, Interval, SurfaceFit, estimate_surface, surface_is_told, with_scatter
from components.scaling.fits import Fit
from components.scaling.frontier import budgets, fit_approach1, fit_approach2, fit_compute_law
from components.scaling.kaplan import fit_kaplan_data, fit_kaplan_steps
from components.scaling.ladder import LadderRun
from components.scaling.screening import screen
from components.scaling.surface import Surface
from components.scaling.table import RunTable
from components.scaling.uncertainty import MIN_RUNGS, fit_ladder
from components.scaling.uncertainty import Fit as LadderFit

COMPUTE_METHOD = "L(C) = E + A C^-b"
LEAST_SAID_PERCENT = 0.05
FARTHEST = 1e9  # times the largest run's compute; who asks for more has a unit wrong


@dataclass(frozen=True)
class Point:
    """Where a loss is asked for. N and D are None for the ones of least loss (both), or where the table has none."""

    flops: float
    n_params: float | None = None
    n_tokens: float | None = None


@dataclass(frozen=True)
class TableForecast:
    """The loss at a point. ``interval`` is the law's own, ``run_interval`` that of one new run, which scatters about the law."""

    method: str
    flops: float
    n_params: float | None
    n_tokens: float | None
    loss_nats: float
    interval: Interval
    run_interval: Interval
    n_params_interval: Interval | None
    n_tokens_interval: Interval | None
    compute_ratio: float
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Study:
    """A table, screened and fitted by the default method; ask it for forecasts."""

    table: RunTable
    flops_per_param_token: float
    surface: SurfaceFit | None
    compute: LadderFit | None
    confidence: float
    config: ExtrapolationConfig
    warnings: tuple[str, ...]

    def forecast(self, point: Point) -> TableForecast:
        """The loss at a point.

        Raises:
            InputError: N or D is given and the table tells no L(N, D); the runs scatter so much that no loss is excluded.
        """
        ratio = point.flops / float(self.table.flops_P.max())
        if ratio > FARTHEST:
            raise InputError(f"{point.flops:.3g} FLOP are {ratio:.3g} times the largest run's: no forecast; check the units of N, D and C")
        if self.surface is None:
            return self._from_compute(point)
        surface, factor = self.surface, self.flops_per_param_token
        n_params, n_tokens = point.n_params, point.n_tokens
        sizes: Interval | None = None
        tokens: Interval | None = None
        if n_params is None or n_tokens is None:
            n_params, n_tokens = surface.best.surface.optimum(point.flops, factor)
            if not (0 < n_params < math.inf and 0 < n_tokens < math.inf):
                raise InputError(
                    "the table does not tell N and D of least loss (loss falls with one of them only); give --n-params and --n-tokens"
                )
            bounds = surface.optimum_intervals(point.flops, factor)
            interval, sizes, tokens = bounds["loss_nats"], bounds["n_params"], bounds["n_tokens"]
        else:
            interval = surface.loss_interval(n_params, n_tokens)
        loss = surface.loss_nats(n_params, n_tokens)
        run = self._with_drift(surface.run_interval(interval, n_params, n_tokens), loss, ratio)
        off = 100 * surface.off_the_law(n_params, n_tokens)[0]
        near = [f"the forecast lies {off:+.2f} % off the law, as near runs do"] if abs(off) > LEAST_SAID_PERCENT else []
        said = (*self.warnings, *surface.fit.warnings, *near, *self._distance(point.flops, n_params, n_tokens))
        return TableForecast(METHOD, point.flops, n_params, n_tokens, loss, interval, run, sizes, tokens, ratio, said)

    def _from_compute(self, point: Point) -> TableForecast:
        assert self.compute is not None, "one of both laws is there"
        if point.n_params is not None:
            raise InputError(f"the table tells no L(N, D) ({self.warnings[-1]}); ask with --at-flops alone")
        n_params, n_tokens = self._along_the_runs(point.flops)
        loss = self.compute.law.loss_nats(point.flops)
        said = (*self.table.warnings, *self.warnings, *self._distance(point.flops, None, None), *_about_compute(self.compute))
        interval, ratio = self.compute.interval(point.flops, new_run=False), point.flops / float(self.table.flops_P.max())
        run = self._with_drift(self.compute.interval(point.flops), loss, ratio)
        return TableForecast(COMPUTE_METHOD, point.flops, n_params, n_tokens, loss, interval, run, None, None, ratio, said)

    def _with_drift(self, interval: Interval, loss: float, ratio: float) -> Interval:
        """The interval of a run, and what laws miss larger runs by."""
        decades = math.log10(max(ratio, 1.0))
        quantile = NormalDist().inv_cdf((1 + self.confidence) / 2)
        return with_scatter(interval, loss, quantile * self.config.surface.drift_per_decade * decades)

    def _along_the_runs(self, flops: float) -> tuple[float | None, float | None]:
        """N and D that go on as the runs of the table do: a line in logarithms."""
        if self.table.n_params_P is None or len(np.unique(self.table.n_params_P)) < 2:
            return None, None
        slope, start = np.polyfit(np.log(self.table.flops_P), np.log(self.table.n_params_P), 1)
        n_params = math.exp(start + slope * math.log(flops))
        return n_params, flops / self.flops_per_param_token / n_params

    def _distance(self, flops: float, n_params: float | None, n_tokens: float | None) -> list[str]:
        """How far from the runs the point lies."""
        said, largest = [], float(self.table.flops_P.max())
        ratio, limit = flops / largest, self.config.surface.warn_compute_ratio
        span = largest / float(self.table.flops_P.min())
        if ratio > limit:
            worst = "; no published forecast went beyond 10,000 times (GPT-4 report)" if ratio > 1e4 else ""
            drift = f"laws miss larger runs by {100 * self.config.surface.drift_per_decade:.2g} % a tenfold: a run's interval allows for it"
            said.append(f"looks {ratio:.3g} times beyond the largest run, whose compute is {span:.3g} times the smallest's{worst}; {drift}")
        if flops * limit < self.table.flops_P.min():
            said.append(f"looks {self.table.flops_P.min() / flops:.3g} times below the smallest run")
        if n_params is not None and n_tokens is not None and self.table.n_params_P is not None and self.table.n_tokens_P is not None:
            ratios = self.table.n_tokens_P / self.table.n_params_P
            if not ratios.min() <= n_tokens / n_params <= ratios.max():
                said.append(f"{n_tokens / n_params:.3g} tokens per parameter, the runs have {ratios.min():.3g} to {ratios.max():.3g}")
        return said


def study(table: RunTable, config: ExtrapolationConfig, confidence: float, where: str) -> Study:
    """Screen the table and fit the default law.

    Raises:
        InputError: too few runs or sizes for any law, or the loss does not fall.
    """
    table, factor = screen(table, config.surface, where)
    why = surface_is_told(table)
    if not why:
        surface = estimate_surface(table, config, confidence, where)
        return Study(surface.table, factor, surface, None, confidence, config, ())
    if table.n_params_P is not None and len(np.unique(table.n_params_P)) == 1:
        raise InputError(
            f"{where}: all runs have one size, N = {table.n_params_P[0]:.4g}; no forecast for other sizes follows, add runs of others"
        )
    runs = _rungs(table)
    if len(runs) < MIN_RUNGS:
        few = f"{len(runs)} amounts of compute are too few for L(C), which needs {MIN_RUNGS}"
        raise InputError(f"{where}: {why}, and {few}; add runs")
    compute = fit_ladder(runs, config.model_copy(update={"confidence": confidence}), irreducible=True)
    if compute.law.coefficient <= 0:
        raise InputError(f"{where}: the loss does not fall with compute; check the columns and their units")
    return Study(table, factor, None, compute, confidence, config, (f"forecast by {COMPUTE_METHOD}, for {why}",))


def _rungs(table: RunTable) -> list[LadderRun]:
    """The best run of each budget: L(C) is a law of runs that spend their compute well."""
    best = [min(group, key=lambda index: table.losses_P[index]) for group in budgets(table.flops_P)]
    return [LadderRun(str(number), 0, float(table.flops_P[i]), float(table.losses_P[i])) for number, i in enumerate(best)]


def _about_compute(fit: LadderFit) -> list[str]:
    if fit.law.irreducible_nats <= 0:
        return ["the fit has E = 0: the table does not show an irreducible loss"]
    if fit.law.exponent > 0.99 * fit.config.exponent_max or fit.law.exponent < 1.01 * fit.config.exponent_min:
        return [f"exponent b = {fit.law.exponent:.3g} is at its bound: the table does not tell it"]
    return []


@dataclass(frozen=True)
class Beside:
    """What another method says: its fit and loss, N and D at the point; or why it says nothing."""

    method: str
    fit: Fit | None
    loss_nats: float
    n_params: float
    n_tokens: float
    note: str


def side_by_side(study_: Study, point: Point, batch_tokens: float | None) -> list[Beside]:
    """Every other method on the same runs, each at its own optimum or at the N and D of the point."""
    table, factor, config = study_.table, study_.flops_per_param_token, study_.config
    found: list[tuple[str, Fit | str]] = [
        ("L(C)", fit_compute_law(table, factor, config)),
        ("approach 1", fit_approach1(table, factor, config)),
        ("approach 2", fit_approach2(table, factor, config)),
    ]
    why = surface_is_told(table)
    found += [
        ("approach 3", why or fit_approach3(table, config.surface)),
        ("Kaplan L(N, D)", why or fit_kaplan_data(table)),
        ("Kaplan L(N, S)", why or fit_kaplan_steps(table, batch_tokens)),
    ]
    return [_beside(name, fit, point, factor) for name, fit in found]


def bootstrap(study_: Study, draws: int, seed: int) -> dict[str, Interval] | str:
    """Percentile intervals of approach 3's constants over bootstrap draws; or why there are none."""
    if why := surface_is_told(study_.table):
        return why
    law = fit_approach3(study_.table, study_.config.surface).law
    assert isinstance(law, Surface), "approach 3 fits a surface"
    found = [drawn.parameters() for drawn in bootstrap_approach3(study_.table, law, study_.config.surface, draws, seed)]
    tail = (1 - study_.confidence) / 2
    ends = {name: np.quantile([drawn[name] for drawn in found], [tail, 1 - tail]) for name in law.parameters()}
    return {name: (float(low), float(high)) for name, (low, high) in ends.items()}


def _beside(method: str, fit: Fit | str, point: Point, factor: float) -> Beside:
    if isinstance(fit, str):
        return Beside(method, None, math.nan, math.nan, math.nan, fit)
    n_params, n_tokens = point.n_params, point.n_tokens
    if n_params is None or n_tokens is None:
        n_params, n_tokens = fit.law.optimum(point.flops, factor)
        if math.isnan(n_params):  # a law of compute alone
            return Beside(method, fit, float(fit.predict(point.flops / factor, 1.0)), n_params, n_tokens, "; ".join(fit.warnings))
    failed = [f"{fit.failed} of {fit.starts} searches did not converge"] if fit.failed else []
    return Beside(method, fit, float(fit.predict(n_params, n_tokens)), n_params, n_tokens, "; ".join([*fit.warnings, *failed]))


def exponents(study_: Study) -> Mapping[str, tuple[float, Interval]]:
    """alpha, beta, and a, b of N ~ C^a, D ~ C^b, with their intervals; empty without a surface."""
    if study_.surface is None:
        return {}
    law = study_.surface.best.surface
    total = law.alpha + law.beta
    values = {"alpha": law.alpha, "beta": law.beta, "a": law.beta / total, "b": law.alpha / total}
    intervals = study_.surface.exponent_intervals()
    return {name: (value, intervals[name]) for name, value in values.items()}


def record(forecast: TableForecast, interval: Interval, table: RunTable) -> dict[str, Any]:
    """The forecast for scripts; ``warnings`` name the lines that were left out too."""
    return {
        "loss_nats": forecast.loss_nats,
        "low": interval[0],
        "high": interval[1],
        "method": forecast.method,
        "n_params": forecast.n_params,
        "n_tokens": forecast.n_tokens,
        "warnings": [*forecast.warnings, *left_out_lines(table)],
    }


def left_out_lines(table: RunTable, shown: int = 10) -> Sequence[str]:
    """What was left out, a line each, and how many more."""
    lines = [f"line {run.line} left out: {run.reason}" for run in table.left_out[:shown]]
    more = len(table.left_out) - shown
    return [*lines, f"{more} more lines left out"] if more > 0 else lines
