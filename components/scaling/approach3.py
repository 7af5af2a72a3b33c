"""Approach 3 of Hoffmann 2022 (section 3.3): L(N, D) = E + A N^-alpha + B D^-beta by a Huber loss of log L, from many starts.

Differs from the paper: it runs L-BFGS from each of 4,500 starts; we take the objective at all 4,500 and run from the best few
(``starts_kept``; 4,500 runs from all, benchmarks/scaling.py).
"""

# Shapes: P runs, S starts, B bootstrap draws; parameters in the paper's order (log A, log B, log E, alpha, beta).

import itertools
import math
from typing import Any

import numpy as np

from components.scaling.config import SurfaceConfig
from components.scaling.fits import Fit, residuals
from components.scaling.surface import Surface
from components.scaling.table import RunTable

METHOD = "approach 3"
EXPONENT_STARTS = (0.0, 0.5, 1.0, 1.5, 2.0)
LOG_COEFFICIENT_STARTS = (0.0, 5.0, 10.0, 15.0, 20.0, 25.0)
LOG_FLOOR_STARTS = (-1.0, -0.5, 0.0, 0.5, 1.0)
OPTIONS = {"maxiter": 2000, "ftol": 1e-12, "gtol": 1e-6}


def fit_approach3(table: RunTable, config: SurfaceConfig) -> Fit:
    """The best of the searches; ``failed`` counts those that the optimiser did not call converged."""
    means, data = _centred(table)
    starts = np.array(
        list(itertools.product(LOG_COEFFICIENT_STARTS, LOG_COEFFICIENT_STARTS, LOG_FLOOR_STARTS, EXPONENT_STARTS, EXPONENT_STARTS))
    )
    starts[:, :2] -= starts[:, 3:] * means  # about the mean run, where the search is well conditioned; the same start values
    order = np.argsort(_objective(starts, *data, config.huber_delta)[0], kind="stable")[: config.starts_kept]
    found = [_search(starts[index], data, np.ones(table.num_runs), config.huber_delta) for index in order]
    best = min(found, key=lambda result: float(result.fun))
    law = _surface(best.x, means)
    said = ("an exponent is negative: loss rises with N or D",) if min(law.alpha, law.beta) <= 0 else ()
    failed = sum(not result.success for result in found)
    return Fit(METHOD, law, residuals(law, table), len(found), failed, table.left_out, said)


def bootstrap_approach3(table: RunTable, law: Surface, config: SurfaceConfig, draws: int, seed: int) -> list[Surface]:
    """Refits to runs drawn again with replacement, each from the fitted law, as Besiroglu 2024 does; those that fail are left out."""
    means, data = _centred(table)
    coefficients = np.log([law.n_coefficient, law.d_coefficient]) - np.array([law.alpha, law.beta]) * (
        means - np.log([law.reference_n, law.reference_d])
    )
    start = np.array([*coefficients, math.log(law.irreducible_nats), law.alpha, law.beta])
    counts_BP = np.random.default_rng(seed).multinomial(table.num_runs, np.full(table.num_runs, 1 / table.num_runs), draws)
    found = [_search(start, data, counts_P.astype(float), config.huber_delta) for counts_P in counts_BP]
    return [_surface(result.x, means) for result in found if result.success]


def _centred(table: RunTable) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Means of log N and log D, and log N, log D about them and log L."""
    assert table.n_params_P is not None and table.n_tokens_P is not None, "the caller fits N and D"
    log_n_P, log_d_P = np.log(table.n_params_P), np.log(table.n_tokens_P)
    means = np.array([log_n_P.mean(), log_d_P.mean()])
    return means, (log_n_P - means[0], log_d_P - means[1], np.log(table.losses_P))


def _surface(parameters: np.ndarray, means: np.ndarray) -> Surface:
    log_a, log_b, log_e, alpha, beta = (float(value) for value in parameters)
    return Surface(math.exp(log_e), math.exp(log_a), math.exp(log_b), alpha, beta, *(float(value) for value in np.exp(means)))


def _search(start: np.ndarray, data: tuple[np.ndarray, np.ndarray, np.ndarray], counts_P: np.ndarray, delta: float) -> Any:
    """SciPy's L-BFGS-B from one start."""
    from scipy.optimize import minimize

    def objective(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = _objective(parameters[None], *data, delta, counts_P)
        return float(value[0]), gradient[0]

    return minimize(objective, start, jac=True, method="L-BFGS-B", options=OPTIONS)


def _objective(
    parameters_S5: np.ndarray,
    log_n_P: np.ndarray,
    log_d_P: np.ndarray,
    log_loss_P: np.ndarray,
    delta: float,
    counts_P: np.ndarray | float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Sum of Huber losses [S] of log-sum-exp minus log L, each run as often as counted, and its gradient [S, 5]."""
    log_a, log_b, log_e, alpha, beta = (parameters_S5[:, index, None] for index in range(5))
    terms = np.stack([log_a - alpha * log_n_P, log_b - beta * log_d_P, np.broadcast_to(log_e, (len(log_e), len(log_n_P)))])
    top = terms.max(0)
    weights = np.exp(terms - top)
    total = weights.sum(0)
    errors = top + np.log(total) - log_loss_P
    slope = counts_P * np.clip(errors, -delta, delta)
    value = (counts_P * np.where(np.abs(errors) <= delta, errors**2 / 2, delta * (np.abs(errors) - delta / 2))).sum(1)
    by_size, by_data, by_floor = weights / total * slope
    columns = (by_size, by_data, by_floor, -by_size * log_n_P, -by_data * log_d_P)
    # in units of delta squared, or L-BFGS takes the gradient of a good start for none
    return value / delta**2, np.stack([column.sum(1) for column in columns], axis=1) / delta**2
