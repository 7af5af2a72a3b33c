"""The default way from a table of runs to one forecast: the surface L(N, D) where the table tells N from D, else L(C).

The surface is fitted by variable projection (surface.py) to the runs that are no outliers of a first, robust fit; its interval is
a profile likelihood (profile.py). Where runs of one size share errors, sizes count as evidence, not runs.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from components.errors import InputError
from components.scaling.config import ExtrapolationConfig, SurfaceConfig
from components.scaling.fits import Fit
from components.scaling.profile import Region, confidence_region
from components.scaling.screening import drop
from components.scaling.surface import PARAMETERS, Best, Problem, fit_surface, fitted, problem, search
from components.scaling.table import LeftOut, RunTable

METHOD = "variable projection"
ROBUST_ROUNDS = 6
MAD_TO_SD = 1.4826  # of a normal distribution
MIN_RUNS_FOR_OUTLIERS = 12  # of fewer, five parameters follow any outlier
MIN_SIZES = 3
MIN_FREEDOM = 3  # with less, quantiles of Student are so large that the interval says nothing
MAX_COLLINEARITY = 0.995  # correlation of log N and log D beyond which the two exponents are one


@dataclass(frozen=True)
class SurfaceFit:
    """The surface, the runs it rests on, and all other surfaces that fit them as well."""

    fit: Fit
    best: Best
    region: Region
    table: RunTable


def surface_is_told(table: RunTable) -> str:
    """Why the table cannot tell the surface L(N, D); empty if it can."""
    if table.n_params_P is None or table.n_tokens_P is None:
        return "the table has no N and D"
    if table.num_runs < PARAMETERS + MIN_FREEDOM:
        return f"{table.num_runs} runs are too few for the {PARAMETERS} parameters of L(N, D) and an interval"
    sizes, horizons = len(np.unique(table.n_params_P)), len(np.unique(table.n_tokens_P))
    if sizes < MIN_SIZES or horizons < MIN_SIZES:
        return f"{sizes} sizes and {horizons} numbers of tokens cannot tell the exponents of L(N, D), which needs {MIN_SIZES} of either"
    if abs(np.corrcoef(np.log(table.n_params_P), np.log(table.n_tokens_P))[0, 1]) > MAX_COLLINEARITY:
        return "D is tied to N in the table, so that it cannot tell the two exponents of L(N, D)"
    return ""


def estimate_surface(table: RunTable, config: ExtrapolationConfig, confidence: float, where: str) -> SurfaceFit:
    """Fit the surface and its interval.

    Raises:
        InputError: the surface is flat: loss falls neither with N nor with D.
    """
    surface = config.surface
    table = without_outliers(table, surface)
    best, freedom, shared = _with_blocks(table, surface)
    law = best.surface
    if law.n_coefficient <= 0 and law.d_coefficient <= 0:
        raise InputError(f"{where}: the loss falls neither with N nor with D; check the columns and their units")
    region = confidence_region(best.problem, law, best.squares, freedom, confidence, surface)
    warnings = [*table.warnings, *shared, *_about(best, region, surface)]
    errors = np.log(table.losses_P) - np.log(law.loss_nats(table.n_params_P, table.n_tokens_P))
    fit = Fit(METHOD, law, errors, 1, int(not best.converged), table.left_out, tuple(warnings))
    return SurfaceFit(fit, best, region, table)


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


def _with_blocks(table: RunTable, config: SurfaceConfig) -> tuple[Best, int, list[str]]:
    """The fit with its degrees of freedom; where runs of one size share errors (an F test says so), the shared part is modelled.

    Random effects by the method of moments; the rows are made independent as Fuller and Battese (1973) do.
    """
    from scipy.special import fdtrc

    assert table.n_params_P is not None and table.n_tokens_P is not None
    order = np.argsort(table.n_params_P, kind="stable")
    runs = problem(table.n_params_P[order], table.n_tokens_P[order], table.losses_P[order])
    best, freedom = fit_surface(runs, config), runs.num_runs - PARAMETERS
    _, starts, counts = np.unique(table.n_params_P[order], return_index=True, return_counts=True)
    between, within = len(starts) - MIN_SIZES, runs.num_runs - len(starts) - 2
    if between < 1 or within < 1:
        return best, freedom, []
    errors = runs.losses_P / fitted(best.surface, runs) - 1
    means = np.add.reduceat(errors, starts) / counts
    inner = float(((errors - np.repeat(means, counts)) ** 2).sum()) / within
    outer = float((counts * means**2).sum()) / between
    if inner == 0 or float(fdtrc(between, within, outer / inner)) > config.block_level:
        return best, freedom, []
    shared = max(0.0, outer / inner - 1) / float(counts.mean())
    shares = 1 - 1 / np.sqrt(1 + counts * shared)
    best = fit_surface(replace(runs, block_starts=starts, block_shares=shares), config, best.surface)
    correlation = shared / (1 + shared)
    evidence = float((counts / (1 + (counts - 1) * correlation)).sum())
    warning = f"runs of one size share errors (correlation {correlation:.2f}): {evidence:.0f} independent runs of {runs.num_runs}"
    return best, max(1, round(evidence) - PARAMETERS), [warning]


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
