"""Laws of the compute frontier: approaches 1 and 2 of Hoffmann 2022 (sections 3.1, 3.2), and L(C) = a C^b + c (GPT-4 report).

Each finds the best run, or the best size, of each amount of compute, and a line through those in logarithms. Approach 2 is biased where the
surface is not symmetric in N and D or the grid's centre drifts; benchmarks/forecast.py shows by how much.
"""

# Shapes: P runs, G groups of equal compute.

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.scaling.config import ExtrapolationConfig
from components.scaling.fits import Fit
from components.scaling.power_law import Points, PowerLaw, fit_power_law
from components.scaling.table import RunTable

BUDGET_TOLERANCE = 1.2  # runs whose compute differs by less stand for one budget
MIN_RUNS_OF_PARABOLA = 4
MIN_BUDGETS = 3
BINS_PER_DECADE = 4  # of approach 1, where runs are few; Hoffmann 2022 looks at 1,500 points of whole training curves


@dataclass(frozen=True)
class Frontier:
    """L*(C) = E + A C^-b, and N*(C) = n_scale C^n_exponent; NaN where the table has no N."""

    loss: PowerLaw
    n_exponent: float
    n_scale: float
    flops_per_param_token: float

    def loss_nats(self, n_params: Any, n_tokens: Any) -> Any:
        """Loss of the frontier at the compute of N and D, wherever on its isoFLOP line they lie."""
        flops = self.flops_per_param_token * np.asarray(n_params) * np.asarray(n_tokens)
        law = self.loss
        return law.irreducible_nats + law.coefficient * (flops / law.reference_flops) ** -law.exponent

    def optimum(self, flops: float, flops_per_param_token: float) -> tuple[float, float]:
        """N and D on the frontier."""
        n_params = self.n_scale * flops**self.n_exponent
        return n_params, flops / flops_per_param_token / n_params

    def parameters(self) -> dict[str, float]:
        """E, A, b of the loss, and the exponents a of N ~ C^a and 1 - a of D."""
        return {**self.loss.parameters(), "a": self.n_exponent, "n_scale": self.n_scale}


def fit_approach1(table: RunTable, flops_per_param_token: float, config: ExtrapolationConfig) -> Fit | str:
    """The run of least loss in each quarter decade of compute; or why there is no such fit."""
    bins = np.floor(BINS_PER_DECADE * np.log10(table.flops_P))
    best = [min(np.flatnonzero(bins == number), key=lambda index: table.losses_P[index]) for number in np.unique(bins)]
    points = np.array([(table.flops_P[i], _size(table, i), table.losses_P[i]) for i in best])
    return _through("approach 1", points, flops_per_param_token, config, table)


def fit_approach2(table: RunTable, flops_per_param_token: float, config: ExtrapolationConfig) -> Fit | str:
    """The minimum of a parabola of loss in log N for each budget; or why there is no such fit."""
    if table.n_params_P is None:
        return "the table has no N"
    found, ends = [], 0
    for group in budgets(table.flops_P):
        minimum = _parabola(np.log(table.n_params_P[group]), table.losses_P[group])
        ends += minimum is None
        if minimum is not None:
            found.append((float(np.exp(np.mean(np.log(table.flops_P[group])))), *minimum))
    said = (f"{ends} budgets have no minimum inside their sizes, or too few runs",) if ends else ()
    return _through("approach 2", np.array(found), flops_per_param_token, config, table, said)


def fit_compute_law(table: RunTable, flops_per_param_token: float, config: ExtrapolationConfig) -> Fit | str:
    """L(C) = a C^b + c through the best run of each budget; or why there is no such fit."""
    best = [min(group, key=lambda index: table.losses_P[index]) for group in budgets(table.flops_P)]
    points = np.array([(table.flops_P[i], _size(table, i), table.losses_P[i]) for i in best])
    return _through("L(C)", points, flops_per_param_token, config, table)


def budgets(flops_P: np.ndarray) -> list[np.ndarray]:
    """Indices of the runs of each budget: a gap of more than the tolerance begins a new one."""
    order = np.argsort(flops_P, kind="stable")
    gaps = np.flatnonzero(np.diff(np.log(flops_P[order])) > math.log(BUDGET_TOLERANCE)) + 1
    return np.split(order, gaps)


def _size(table: RunTable, index: Any) -> float:
    return math.nan if table.n_params_P is None else float(table.n_params_P[index])


def _parabola(log_n: np.ndarray, losses: np.ndarray) -> tuple[float, float] | None:
    """N and loss at the minimum of the parabola, if it has one between the sizes."""
    if len(np.unique(log_n)) < MIN_RUNS_OF_PARABOLA:
        return None
    middle = log_n.mean()
    curve, slope, height = np.polyfit(log_n - middle, losses, 2)
    if curve <= 0:
        return None
    lowest = -slope / (2 * curve)
    if not log_n.min() <= lowest + middle <= log_n.max():
        return None
    return math.exp(lowest + middle), float(height + slope * lowest / 2)


def _through(
    method: str, points_G3: np.ndarray, flops_per_param_token: float, config: ExtrapolationConfig, table: RunTable, said: Sequence[str] = ()
) -> Fit | str:
    """The lines through (compute, N, loss) of each group."""
    if len(points_G3) < MIN_BUDGETS:
        return f"{len(points_G3)} budgets are too few for a law with {MIN_BUDGETS} parameters"
    flops_G, sizes_G, losses_G = points_G3.T
    law, _ = fit_power_law(Points(flops_G, losses_G, np.ones(len(flops_G))), config, irreducible=True)
    exponent, log_scale = (math.nan, math.nan) if np.isnan(sizes_G).any() else np.polyfit(np.log(flops_G), np.log(sizes_G), 1)
    frontier = Frontier(law, float(exponent), math.exp(log_scale), flops_per_param_token)
    errors = np.log(losses_G) - np.log([law.loss_nats(flops) for flops in flops_G])
    return Fit(method, frontier, errors, 1, 0, table.left_out, tuple(said))
