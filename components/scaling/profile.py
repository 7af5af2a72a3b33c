"""Intervals of what a surface says: all surfaces that fit the runs nearly as well as the best one, and what they say.

A surface belongs to the region if its squared residuals exceed the least ones by no more than an F quantile allows (profile
likelihood; Bates and Watts 1988, chapter 6, exact for a linear model). For given exponents the region is an ellipsoid of E, A
and B, whose extreme points are known in closed form; the exponents are walked over a grid that follows the region's shape.

No bootstrap over sizes: a resample of few sizes loses an end of the grid (uncertainty.py has what that did to coverage). The interval
is right where errors are alike and independent; scatter.py widens it where they are not. benchmarks/forecast.py measures both.
"""

# Shapes: K pairs of exponents inside the region, 3 coefficients (E, A, B).

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.scaling.config import SurfaceConfig
from components.scaling.surface import PARAMETERS, Problem, Surface, columns, least_squares, solve

ALPHAS, BETAS = 31, 15  # nodes over the region; extremes are smooth there, so the error is of second order in their distance
BISECTIONS = 22
STEPS, STEP_GROWTH = 16, 1.35  # of the walk to the region's end; the last is at the bound
SECTIONS, SECTIONINGS = 17, 4  # each round narrows a step 16 times
TURNS = 8  # of the walk to an extreme point of a function that is not linear in E, A, B

Gradient = Callable[["Region", np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Region:
    """Pairs of exponents of the region; for each family of ellipsoids (E free, E = 0) centres [K, 3], covariances, slacks [K]."""

    alphas_K: np.ndarray
    betas_K: np.ndarray
    families: tuple[tuple[np.ndarray, np.ndarray, np.ndarray], ...]
    reference_n: float
    reference_d: float
    variance: float
    critical: float
    exponent_min: float
    at_bounds: tuple[str, ...]


def confidence_region(runs: Problem, best: Surface, squares: float, confidence: float, config: SurfaceConfig) -> Region:
    """Every surface whose squares exceed the least by at most variance x F quantile(1, runs - 5).

    One functional at a time is asked of it, hence one degree of freedom in the numerator.
    """
    from scipy.special import stdtrit

    freedom = runs.num_runs - PARAMETERS
    variance = max(squares / freedom, 1e-24)
    critical = float(stdtrit(freedom, (1 + confidence) / 2)) ** 2
    limit = squares + variance * critical
    alphas, betas, edges = _nodes(runs, best, limit, config)
    families = tuple(_ellipsoids(runs, alphas, betas, chosen, limit) for chosen in ((0, 1, 2), (1, 2)))
    return Region(alphas, betas, families, runs.reference_n, runs.reference_d, variance, critical, config.exponent_min, edges)


def _nodes(runs: Problem, best: Surface, limit: float, config: SurfaceConfig) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Pairs inside the region: alphas between its ends, and for each of them betas between theirs."""
    bounds = math.log(config.exponent_min), math.log(config.exponent_max)

    def profile(log_alphas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _best_betas(runs, log_alphas, bounds)

    ends = [_end(lambda logs: profile(logs)[1] <= limit, math.log(best.alpha), bound) for bound in bounds]
    log_alphas = np.append(np.linspace(ends[0], ends[1], ALPHAS), math.log(best.alpha))
    log_betas, squares = profile(log_alphas)
    log_betas[-1] = math.log(best.beta)
    inside = squares <= limit
    inside[-1] = True
    log_alphas, log_betas = log_alphas[inside], log_betas[inside]
    low, high = (_ends(runs, log_alphas, log_betas, bound, limit) for bound in bounds)
    shares = np.linspace(0, 1, BETAS)
    betas = np.concatenate([low[:, None] + (high - low)[:, None] * shares, log_betas[:, None]], axis=1)
    alphas = np.repeat(log_alphas, betas.shape[1])
    edges = [name for name, value, bound in (("alpha", ends[0], bounds[0]), ("alpha", ends[1], bounds[1])) if value == bound]
    edges += [name for name, value, bound in (("beta", low.min(), bounds[0]), ("beta", high.max(), bounds[1])) if abs(value - bound) < 1e-9]
    return np.exp(alphas), np.exp(betas.ravel()), tuple(dict.fromkeys(edges))


def _end(inside: Callable[[np.ndarray], np.ndarray], start: float, bound: float) -> float:
    """The last point inside on the way from start to bound: first outwards by growing steps, then between two of them."""
    steps = np.minimum(0.01 * STEP_GROWTH ** np.arange(STEPS), 1.0) if start != bound else np.zeros(1)
    points = np.append(start, start + (bound - start) * np.append(np.minimum(steps, 1.0), 1.0))
    for _ in range(1 + SECTIONINGS):
        out = np.flatnonzero(~inside(points[1:]))
        if not len(out):
            return float(points[-1])
        points = np.linspace(points[out[0]], points[out[0] + 1], SECTIONS)
    return float(points[0])


def _best_betas(runs: Problem, log_alphas: np.ndarray, bounds: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """For each alpha the logarithm of the beta of least squares, and those squares."""
    low, high = np.full(len(log_alphas), bounds[0]), np.full(len(log_alphas), bounds[1])
    for count in (33, 9, 9, 9, 9, 9, 9):
        grid = low[:, None] + (high - low)[:, None] * np.linspace(0, 1, count)
        squares = solve(runs, np.exp(np.repeat(log_alphas, count)), np.exp(grid.ravel()))[1].reshape(grid.shape)
        best = squares.argmin(1)
        rows = np.arange(len(grid))
        low, high = grid[rows, np.maximum(best - 1, 0)], grid[rows, np.minimum(best + 1, count - 1)]
    return grid[rows, best], squares[rows, best]


def _ends(runs: Problem, log_alphas: np.ndarray, log_betas: np.ndarray, bound: float, limit: float) -> np.ndarray:
    """For each alpha the beta farthest towards the bound that is still inside."""

    def inside(candidates: np.ndarray) -> np.ndarray:
        return np.asarray(solve(runs, np.exp(log_alphas), np.exp(candidates))[1] <= limit)

    near, far = log_betas.copy(), np.full(len(log_betas), bound)
    near = np.where(inside(far), bound, near)
    for _ in range(BISECTIONS):
        middle = (near + far) / 2
        kept = inside(middle)
        near, far = np.where(kept, middle, near), np.where(kept, far, middle)
    return near


def _ellipsoids(
    runs: Problem, alphas: np.ndarray, betas: np.ndarray, chosen: tuple[int, ...], limit: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centres, inverse Gram matrices (zero rows for coefficients held at 0), and squares left to the limit."""
    centres, squares, inverse = least_squares(columns(runs, alphas, betas), runs.whitened(runs.losses_P), chosen)
    return centres, inverse, limit - squares


def loss_interval(region: Region, n_params: float, n_tokens: float) -> tuple[float, float]:
    """Bounds of the law's loss [nats] at N and D."""
    gradient_K3 = _point(region, math.log(n_params / region.reference_n), math.log(n_tokens / region.reference_d))
    return _bounds(region, lambda _, theta: gradient_K3, lambda theta: (gradient_K3 * theta).sum(1))


def _point(region: Region, log_n: np.ndarray | float, log_d: np.ndarray | float) -> np.ndarray:
    """The three columns at a point, for each pair of exponents."""
    by_size, by_data = np.exp(-region.alphas_K * log_n), np.exp(-region.betas_K * log_d)
    return np.stack([np.ones_like(by_size), by_size, by_data], axis=1)


def optimum_intervals(region: Region, flops: float, flops_per_param_token: float) -> dict[str, tuple[float, float]]:
    """Bounds of the least loss that ``flops`` reach (``loss_nats``) and of N and D there (``n_params``, ``n_tokens``)."""
    log_product = math.log(flops / flops_per_param_token / (region.reference_n * region.reference_d))
    alphas, betas = region.alphas_K, region.betas_K

    def log_n(theta: np.ndarray) -> Any:
        ratio = np.log(alphas * theta[:, 1]) - np.log(betas * theta[:, 2])
        return (ratio + betas * log_product) / (alphas + betas)

    def n_gradient(_: Region, theta: np.ndarray) -> np.ndarray:
        return np.stack([np.zeros(len(theta)), 1 / theta[:, 1], -1 / theta[:, 2]], axis=1)

    def loss_gradient(_: Region, theta: np.ndarray) -> np.ndarray:
        return _point(region, log_n(theta), log_product - log_n(theta))  # the optimum's own shift adds nothing

    with np.errstate(all="ignore"):
        low, high = _bounds(region, n_gradient, log_n)
        losses = _bounds(region, loss_gradient, lambda theta: (loss_gradient(region, theta) * theta).sum(1))
    sizes = region.reference_n * math.exp(low), region.reference_n * math.exp(high)
    product = flops / flops_per_param_token
    return {"loss_nats": losses, "n_params": sizes, "n_tokens": (product / sizes[1], product / sizes[0])}


def exponent_intervals(region: Region) -> dict[str, tuple[float, float]]:
    """Bounds of alpha, beta, and of a and b in N ~ C^a, D ~ C^b."""
    share = region.betas_K / (region.alphas_K + region.betas_K)
    named = {"alpha": region.alphas_K, "beta": region.betas_K, "a": share, "b": 1 - share}
    return {name: (float(values.min()), float(values.max())) for name, values in named.items()}


def _bounds(region: Region, gradient: Gradient, value: Callable[[np.ndarray], np.ndarray]) -> tuple[float, float]:
    """Least and greatest value over the region; the walk turns towards the gradient until the extreme point stands."""
    found: list[np.ndarray] = []
    for side in (-1, 1):
        for centres, inverse, slacks in region.families:
            theta = np.where(np.all(centres >= 0, axis=1)[:, None], centres, np.abs(centres))
            for _ in range(TURNS):
                direction = (inverse @ gradient(region, theta)[:, :, None])[:, :, 0]
                length = np.sqrt((direction * gradient(region, theta)).sum(1))
                theta = centres + side * (np.sqrt(np.maximum(slacks, 0)) / length)[:, None] * direction
            kept = (slacks >= 0) & np.all(theta >= 0, axis=1)
            found.append(value(theta)[kept])
    finite = np.concatenate(found)
    finite = finite[np.isfinite(finite)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (-math.inf, math.inf)
