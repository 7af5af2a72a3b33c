"""The surface L(N, D) = E + A N^-alpha + B D^-beta (Hoffmann 2022, equation 2) by variable projection.

For given exponents the surface is linear in E, A and B, and non-negative least squares on three columns has a closed form
(try every set of columns), so that only the two exponents are searched: no start values, no local minima, no random numbers.
Residuals are relative, L / fit - 1, which is log L - log fit to second order.
"""

# Shapes: P runs, K pairs of exponents tried at once, 3 columns (E, A, B).

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from components.scaling.config import SurfaceConfig

GRID_EXPONENTS = 25  # of either exponent in the first search; neighbours differ by a fifth, and the squares are smooth between
SIMPLEX = {"xatol": 1e-7, "fatol": 1e-9, "maxiter": 1000}
RIDGE = 1e-13  # relative; keeps columns that are all but equal (alpha near 0) from a singular matrix
TINY = 1e-18  # relative squares of runs that lie on a surface exactly: below it the simplex would chase rounding
EXACT = 1e-12  # squares of a fit that rounding alone can still improve
REWEIGHTINGS = 2  # residuals are relative to the fit, which is not known before
COLUMN_SETS = ((0, 1, 2), (1, 2), (0, 1), (0, 2), (0,), (1,), (2,))
PARAMETERS = 5


@dataclass(frozen=True)
class Surface:
    """L(N, D) = E + A (N / reference_n)^-alpha + B (D / reference_d)^-beta, in nats per token."""

    irreducible_nats: float
    n_coefficient: float
    d_coefficient: float
    alpha: float
    beta: float
    reference_n: float
    reference_d: float

    def loss_nats(self, n_params: Any, n_tokens: Any) -> Any:
        """Loss that the surface gives; arrays of one shape, or numbers."""
        by_size = self.n_coefficient * (np.asarray(n_params) / self.reference_n) ** -self.alpha
        by_data = self.d_coefficient * (np.asarray(n_tokens) / self.reference_d) ** -self.beta
        return self.irreducible_nats + by_size + by_data

    def optimum(self, flops: float, flops_per_param_token: float) -> tuple[float, float]:
        """N and D of least loss with ``flops`` = k N D (Hoffmann 2022, equation 4); infinite or zero where a term vanishes."""
        product = flops / flops_per_param_token / (self.reference_n * self.reference_d)
        with np.errstate(divide="ignore"):
            ratio = np.log(np.float64(self.alpha * self.n_coefficient)) - np.log(np.float64(self.beta * self.d_coefficient))
        log_n = (ratio + self.beta * np.log(product)) / (self.alpha + self.beta)
        n_params = float(self.reference_n * np.exp(log_n))
        return n_params, flops / flops_per_param_token / n_params if n_params else float("inf")

    def parameters(self) -> dict[str, float]:
        """E, A, B, alpha and beta with N and D in plain parameters and tokens."""
        a, b = self.n_coefficient * self.reference_n**self.alpha, self.d_coefficient * self.reference_d**self.beta
        return {"E": self.irreducible_nats, "A": float(a), "B": float(b), "alpha": self.alpha, "beta": self.beta}


@dataclass(frozen=True)
class Problem:
    """What a surface is fitted to: logarithms of N and D about their means, losses, and the scale of each residual. All arrays [P].

    ``trust_P`` weighs each squared residual.
    """

    log_n_P: np.ndarray
    log_d_P: np.ndarray
    losses_P: np.ndarray
    scales_P: np.ndarray
    reference_n: float
    reference_d: float
    trust_P: np.ndarray | None = None

    @property
    def num_runs(self) -> int:
        """P."""
        return len(self.losses_P)

    def whitened(self, columns_KP: np.ndarray) -> Any:
        """Columns in units of the runs' scatter."""
        scaled = columns_KP / self.scales_P
        return scaled if self.trust_P is None else scaled * np.sqrt(self.trust_P)


@dataclass(frozen=True)
class Best:
    """The surface of least squares, the problem that it solves, and whether the search said that it converged."""

    surface: Surface
    problem: Problem
    squares: float
    converged: bool


def problem(n_params_P: np.ndarray, n_tokens_P: np.ndarray, losses_P: np.ndarray) -> Problem:
    """Runs as a problem with residuals relative to the losses themselves."""
    log_n, log_d = np.log(n_params_P), np.log(n_tokens_P)
    references = float(np.exp(log_n.mean())), float(np.exp(log_d.mean()))
    return Problem(log_n - log_n.mean(), log_d - log_d.mean(), losses_P, losses_P.copy(), *references)


def fit_surface(runs: Problem, config: SurfaceConfig, near: Surface | None = None) -> Best:
    """The surface of least squared relative residuals; residuals are relative to the fit, so that it is found in rounds.

    Args:
        near: a surface fitted to nearly the same problem, from which the search starts.
    """
    best = search(runs, config, near)
    for _ in range(REWEIGHTINGS):
        best = search(replace(runs, scales_P=fitted(best.surface, runs)), config, best.surface)
    return best


def fitted(surface: Surface, runs: Problem) -> np.ndarray:
    """Losses [P] that the surface gives for the runs."""
    return np.asarray(surface.loss_nats(runs.reference_n * np.exp(runs.log_n_P), runs.reference_d * np.exp(runs.log_d_P)))


def jacobian(surface: Surface, runs: Problem) -> np.ndarray:
    """Relative change of the fitted losses with E, A, B, alpha and beta, [P, 5]; zero for the exponent of a term of size 0."""
    by_size, by_data = np.exp(-surface.alpha * runs.log_n_P), np.exp(-surface.beta * runs.log_d_P)
    by_alpha, by_beta = -surface.n_coefficient * by_size * runs.log_n_P, -surface.d_coefficient * by_data * runs.log_d_P
    slopes_P5 = np.stack([np.ones(runs.num_runs), by_size, by_data, by_alpha, by_beta], axis=1)
    return np.asarray(slopes_P5 / fitted(surface, runs)[:, None])


def search(runs: Problem, config: SurfaceConfig, near: Surface | None = None) -> Best:
    """Least squares with the scales as they are: all pairs of a coarse grid, then Nelder and Mead's simplex from the best."""
    from scipy.optimize import minimize

    grid = np.linspace(math.log(config.exponent_min), math.log(config.exponent_max), GRID_EXPONENTS)
    alphas_K, betas_K = (np.exp(axis.ravel()) for axis in np.meshgrid(grid, grid, indexing="ij"))
    if near is not None:
        alphas_K, betas_K = np.array([near.alpha]), np.array([near.beta])
    start = int(np.argmin(solve(runs, alphas_K, betas_K)[1]))

    def log_squares(log_exponents: np.ndarray) -> float:
        alpha, beta = np.exp(log_exponents)
        return float(np.log(solve(runs, np.array([alpha]), np.array([beta]))[1][0] + TINY))

    first = np.log([alphas_K[start], betas_K[start]])
    result = minimize(log_squares, first, method="Nelder-Mead", bounds=[(grid[0], grid[-1])] * 2, options=SIMPLEX)
    alpha, beta = (float(value) for value in np.exp(result.x))
    coefficients, squares = solve(runs, np.array([alpha]), np.array([beta]))
    floor, by_size, by_data = (float(value) for value in coefficients[0])
    surface = Surface(floor, by_size, by_data, alpha, beta, runs.reference_n, runs.reference_d)
    return Best(surface, runs, float(squares[0]), bool(result.success) or float(squares[0]) < EXACT)


def columns(runs: Problem, alphas_K: np.ndarray, betas_K: np.ndarray) -> np.ndarray:
    """The whitened columns of E, A and B, [K, 3, P]."""
    by_size = np.exp(-alphas_K[:, None] * runs.log_n_P)
    by_data = np.exp(-betas_K[:, None] * runs.log_d_P)
    return np.asarray(runs.whitened(np.stack([np.ones_like(by_size), by_size, by_data], axis=1)))


def solve(runs: Problem, alphas_K: np.ndarray, betas_K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """E, A, B >= 0 of least squares for each pair of exponents, [K, 3], and the squares [K]: the best feasible set of columns."""
    columns_K3P, target_P = columns(runs, alphas_K, betas_K), runs.whitened(runs.losses_P)
    best, squares_K, _ = least_squares(columns_K3P, target_P, COLUMN_SETS[0])
    squares_K[np.any(best < 0, axis=1)] = np.inf
    todo = np.flatnonzero(np.isinf(squares_K))  # where the whole set is feasible nothing beats it
    for chosen in COLUMN_SETS[1:] if len(todo) else ():
        found, found_squares, _ = least_squares(columns_K3P[todo], target_P, chosen)
        better = np.all(found >= 0, axis=1) & (found_squares < squares_K[todo])
        best[todo[better]], squares_K[todo[better]] = found[better], found_squares[better]
    return best, squares_K


def least_squares(columns_K3P: np.ndarray, target_P: np.ndarray, chosen: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Least squares on the chosen columns: coefficients [K, 3], squares [K], inverse Gram matrices [K, 3, 3], zero where not chosen.

    One step of refinement follows, for normal equations lose half the digits.
    """
    some = columns_K3P[:, list(chosen)]
    grams = some @ some.transpose(0, 2, 1)
    inverse = np.linalg.inv(grams + RIDGE * np.trace(grams, axis1=1, axis2=2)[:, None, None] * np.eye(len(chosen)))
    values, residuals = np.zeros((len(some), len(chosen))), np.broadcast_to(target_P, (len(some), len(target_P)))
    for _ in range(2):
        values = values + (inverse @ (some @ residuals[:, :, None]))[:, :, 0]
        residuals = target_P - (values[:, None, :] @ some)[:, 0]
    whole, whole_inverse = np.zeros((len(some), 3)), np.zeros((len(some), 3, 3))
    whole[:, list(chosen)] = values
    whole_inverse[np.ix_(range(len(some)), list(chosen), list(chosen))] = inverse
    return whole, (residuals**2).sum(1), whole_inverse
