"""The default way from a table of runs to one forecast: the surface L(N, D) where the table tells N from D, else L(C).

The surface is fitted by variable projection (surface.py) to the runs that are no outliers of a first, robust fit; its interval is
a profile likelihood (profile.py). Errors that runs share, and scatter that is not the same for all, are looked for (scatter.py).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from components.errors import InputError
from components.scaling import profile
from components.scaling.config import ExtrapolationConfig, SurfaceConfig
from components.scaling.fits import Fit
from components.scaling.misfit import Misfit, estimate_misfit
from components.scaling.profile import Region, confidence_region
from components.scaling.scatter import MAX_RUNS, Scatter, clipped, estimate_scatter
from components.scaling.screening import drop
from components.scaling.surface import PARAMETERS, Best, Problem, Surface, fit_surface, fitted, jacobian, problem, search
from components.scaling.table import LeftOut, RunTable

METHOD = "variable projection"
ROBUST_ROUNDS = 6
MAD_TO_SD = 1.4826  # of a normal distribution
MIN_RUNS_FOR_OUTLIERS = 12  # of fewer, five parameters follow any outlier
MIN_SIZES = 3
MIN_FREEDOM = 3  # with less, quantiles of Student are so large that the interval says nothing
DIFFERENCE = 1e-5  # relative step of the differences
MAX_LOG = 700.0  # of a float
FLAT = 1e-9  # a fitted loss that falls by less over the whole table does not fall
LEAST_SPREAD = 2.0  # of tokens per parameter, greatest by least: an optimum far outside of it would be told by noise
MAX_COLLINEARITY = 0.995  # correlation of log N and log D beyond which the two exponents are one

Interval = tuple[float, float]


@dataclass(frozen=True)
class SurfaceFit:
    """The surface, the runs it rests on and their scatter about it, and all other surfaces that fit them as well."""

    fit: Fit
    best: Best
    region: Region
    scatter: Scatter
    misfit: Misfit | None
    table: RunTable
    confidence: float

    def loss_nats(self, n_params: float, n_tokens: float) -> float:
        """Loss [nats] expected at N and D: the law's, off it as near runs are."""
        return float(self.best.surface.loss_nats(n_params, n_tokens)) * (1 + self.off_the_law(n_params, n_tokens)[0])

    def off_the_law(self, n_params: float, n_tokens: float) -> tuple[float, float]:
        """Relative error of the law expected at N and D, and the share of the variance of errors shared by near runs that is left."""
        if self.misfit is None:
            return 0.0, 1.0
        return self.misfit.at(math.log(n_params / self.region.reference_n), math.log(n_tokens / self.region.reference_d))

    def exponent_intervals(self) -> dict[str, Interval]:
        """Of alpha, beta, and of a and b in N ~ C^a, D ~ C^b."""
        low = self.region.exponent_min
        values: dict[str, Functional] = {
            "alpha": lambda law: law.alpha,
            "beta": lambda law: law.beta,
            "a": lambda law: law.beta / (law.alpha + law.beta),
            "b": lambda law: law.alpha / (law.alpha + law.beta),
        }
        intervals = profile.exponent_intervals(self.region)
        widened = {name: self._widened(intervals[name], value) for name, value in values.items()}
        return {name: (max(ends[0], low), min(ends[1], 1 - low) if name in "ab" else ends[1]) for name, ends in widened.items()}

    def loss_interval(self, n_params: float, n_tokens: float) -> Interval:
        """Of the loss [nats] at N and D, on average over runs there: the law's, and the errors that near runs share."""
        interval = profile.loss_interval(self.region, n_params, n_tokens)
        return self._with_shared(self._widened(interval, lambda law: float(law.loss_nats(n_params, n_tokens))), n_params, n_tokens)

    def optimum_intervals(self, flops: float, flops_per_param_token: float) -> dict[str, Interval]:
        """Of the least loss that ``flops`` reach (``loss_nats``) and of N and D there (``n_params``, ``n_tokens``)."""

        def best(law: Surface) -> tuple[float, float]:
            return law.optimum(flops, flops_per_param_token)

        found = profile.optimum_intervals(self.region, flops, flops_per_param_token)
        losses = self._widened(found["loss_nats"], lambda law: float(law.loss_nats(*best(law))))
        low, high = (math.log(end) if end > 0 else -math.inf for end in found["n_params"])
        low, high = self._widened((low, high), lambda law: math.log(best(law)[0]))
        sizes = math.exp(low), math.exp(min(high, MAX_LOG))
        product = flops / flops_per_param_token
        tokens = product / sizes[1], product / sizes[0] if sizes[0] else math.inf
        return {"loss_nats": self._with_shared(losses, *best(self.best.surface)), "n_params": sizes, "n_tokens": tokens}

    def run_interval(self, interval: Interval, n_params: float, n_tokens: float) -> Interval:
        """Of one new run at N and D, whose own scatter comes on top."""
        logs = math.log(n_params / self.region.reference_n), math.log(n_tokens / self.region.reference_d)
        own = self.scatter.spread_at(*logs) * math.sqrt(self.region.critical * self.region.variance)
        return with_scatter(interval, self.loss_nats(n_params, n_tokens), own)

    def _with_shared(self, interval: Interval, n_params: float, n_tokens: float) -> Interval:
        error, left = self.off_the_law(n_params, n_tokens)
        sd = math.sqrt(self.region.variance * self.scatter.own_share * self.scatter.shared_ratio * left)
        shared = sd * self.scatter.target_quantile(self.confidence) if sd else 0.0
        moved = interval[0] * (1 + error), interval[1] * (1 + error)
        return with_scatter(moved, self.loss_nats(n_params, n_tokens), shared)

    def _widened(self, interval: Interval, value: "Functional") -> Interval:
        """The profile interval, its ends as much further from the estimate as the scatter asks."""
        law, middle = self.best.surface, value(self.best.surface)
        factor = self.scatter.widening(_gradient(law, value), self.confidence)
        return middle - factor * max(0.0, middle - interval[0]), middle + factor * max(0.0, interval[1] - middle)


Functional = Callable[[Surface], float]


def _gradient(law: Surface, value: Functional) -> np.ndarray:
    """By central differences, for each of E, A, B, alpha and beta."""
    slopes = []
    for name in ("irreducible_nats", "n_coefficient", "d_coefficient", "alpha", "beta"):
        at = getattr(law, name)
        step = DIFFERENCE * (at or law.irreducible_nats or 1.0)
        ends = [value(replace(law, **{name: max(at + side * step, 0.0)})) for side in (-1, 1)]
        slopes.append((ends[1] - ends[0]) / (step + min(step, at)))
    return np.asarray(np.nan_to_num(np.array(slopes), posinf=0.0, neginf=0.0))


def with_scatter(interval: Interval, loss: float, scatter: float) -> Interval:
    """The interval about the loss with independent scatter, a half-width as a share of the loss; no loss is negative."""
    low, high = max(0.0, loss - interval[0]), max(0.0, interval[1] - loss)
    return max(0.0, loss - math.hypot(low, scatter * loss)), loss + math.hypot(high, scatter * loss)


def surface_is_told(table: RunTable) -> str:
    """Why the table cannot tell the surface L(N, D); empty if it can."""
    if table.n_params_P is None or table.n_tokens_P is None:
        return "the table has no N and D"
    if table.num_runs < PARAMETERS + MIN_FREEDOM:
        return f"{table.num_runs} runs are too few for the {PARAMETERS} parameters of L(N, D) and an interval"
    sizes, horizons = len(np.unique(table.n_params_P)), len(np.unique(table.n_tokens_P))
    if sizes < MIN_SIZES or horizons < MIN_SIZES:
        return f"{sizes} sizes and {horizons} numbers of tokens cannot tell the exponents of L(N, D), which needs {MIN_SIZES} of either"
    ratios_P = table.n_tokens_P / table.n_params_P
    correlation = abs(np.corrcoef(np.log(table.n_params_P), np.log(table.n_tokens_P))[0, 1])
    if correlation > MAX_COLLINEARITY or ratios_P.max() < LEAST_SPREAD * ratios_P.min():
        return "D is tied to N in the table, so that it cannot tell the two exponents of L(N, D)"
    return ""


def estimate_surface(table: RunTable, config: ExtrapolationConfig, confidence: float, where: str) -> SurfaceFit:
    """Fit the surface and its interval.

    Raises:
        InputError: the surface is flat: loss falls neither with N nor with D.
    """
    surface = config.surface
    table = without_outliers(table, surface)
    best, scatter, misfit = _with_scatter(table, surface)
    law = best.surface
    if float(np.ptp(fitted(law, best.problem))) < FLAT * law.loss_nats(law.reference_n, law.reference_d):
        raise InputError(f"{where}: the loss falls neither with N nor with D; check the columns and their units")
    region = confidence_region(best.problem, law, best.squares, confidence, surface)
    noise = _about_scatter(scatter, math.sqrt(region.variance * scatter.own_share), table.num_runs)
    warnings = [*table.warnings, *noise, *_about(best, region, surface)]
    errors = np.log(table.losses_P) - np.log(law.loss_nats(table.n_params_P, table.n_tokens_P))
    fit = Fit(METHOD, law, errors, 1, int(not best.converged), table.left_out, tuple(warnings))
    return SurfaceFit(fit, best, region, scatter, misfit, table, confidence)


def without_outliers(table: RunTable, config: SurfaceConfig) -> RunTable:
    """Leave out the runs that lie far off a fit in which large residuals count less (Huber's weights, iterated)."""
    if table.num_runs < MIN_RUNS_FOR_OUTLIERS:
        return table
    runs = _problem(table)
    best = search(runs, config)
    for _ in range(ROBUST_ROUNDS):
        errors_P, sd = _scaled_errors(best, runs)
        trust_P = np.minimum(1, config.huber_sd * sd / np.maximum(np.abs(errors_P), 1e-300))
        best = search(replace(runs, trust_P=trust_P), config, best.surface)
    errors_P, sd = _scaled_errors(best, runs)
    far = np.flatnonzero(np.abs(errors_P) > config.outlier_sd * sd)
    reasons = [
        (
            int(i),
            LeftOut(
                int(table.lines_P[i]), f"loss {table.losses_P[i]:.4g} lies {abs(errors_P[i]) / sd:.0f} standard deviations off the rest"
            ),
        )
        for i in far
    ]
    return drop(table, reasons, config, "lie far off any surface")


def _problem(table: RunTable) -> Problem:
    assert table.n_params_P is not None and table.n_tokens_P is not None, "surface_is_told"
    return problem(table.n_params_P, table.n_tokens_P, table.losses_P)


def _scaled_errors(best: Best, runs: Problem) -> tuple[np.ndarray, float]:
    """Relative residuals [P] and their robust standard deviation."""
    errors_P = np.log(runs.losses_P / fitted(best.surface, runs))
    correction = math.sqrt(runs.num_runs / (runs.num_runs - PARAMETERS))
    return errors_P, max(MAD_TO_SD * correction * float(np.median(np.abs(errors_P))), 1e-9)


def _with_scatter(table: RunTable, config: SurfaceConfig) -> tuple[Best, Scatter, Misfit | None]:
    """The fit, how the runs scatter about it, and the errors that near runs share, if they do."""
    runs = _problem(table)
    best = fit_surface(runs, config)
    errors_P = runs.losses_P / fitted(best.surface, runs) - 1
    scatter = estimate_scatter(jacobian(best.surface, runs), errors_P, runs.log_n_P, runs.log_d_P, config)
    if scatter.kind != "near":
        return best, scatter, None
    misfit = estimate_misfit(runs.log_n_P, runs.log_d_P, clipped(errors_P), scatter.shared_ratio, config.shared_length)
    return best, scatter, misfit


def _about_scatter(found: Scatter, own_sd: float, num_runs: int) -> list[str]:
    said = []
    if num_runs > MAX_RUNS:
        said.append(f"{num_runs} runs are too many to look for errors that they share: the interval may be narrow")
    if found.kind == "uneven":
        low, high = (100 * own_sd * math.exp(end) for end in (found.log_spread_P.min(), found.log_spread_P.max()))
        said.append(f"runs scatter by {low:.2g} to {high:.2g} % of the loss, by their N and D; the interval allows for it")
    shared = f"{100 * own_sd * math.sqrt(found.shared_ratio):.2g} % of the loss, beside {100 * own_sd:.2g} % of each alone"
    if found.kind == "size":
        said.append(f"runs of one size share errors of {shared}; the interval allows for the target's own")
    if found.kind == "near":
        said.append(f"the law misses near runs together, by {shared}; the interval allows for what is not known of it at the target")
    return said


def _about(best: Best, region: Region, config: SurfaceConfig) -> list[str]:
    law, said = best.surface, []
    for name, exponent in (("alpha", law.alpha), ("beta", law.beta)):
        if exponent < 1.001 * config.exponent_min or exponent > config.exponent_max / 1.001:
            said.append(f"exponent {name} = {exponent:.3g} is at its bound: the table does not tell it")
        elif name in region.at_bounds:
            said.append(f"the interval of exponent {name} reaches its bound: the table hardly tells it")
    for name, coefficient in (("A, loss does not fall with N", law.n_coefficient), ("B, loss does not fall with D", law.d_coefficient)):
        if coefficient <= 0:
            said.append(f"the fit has no term {name}: N and D of least loss are not told")
    if law.irreducible_nats <= 0:
        said.append("the fit has E = 0: the table does not show an irreducible loss")
    if not best.converged:
        said.append("the search for the exponents did not converge")
    return said
