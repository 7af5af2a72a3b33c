"""The laws L(C) = E + A C^-b (GPT-4 report, section 3.1) and L(C) = A C^-b (GPT-3, figure 3.1), fitted to a handful of runs.

Variable projection: for a given exponent the law is linear in E and A, which non-negative least squares on two columns
gives in closed form, so that only the exponent is searched, on a fine grid that is then narrowed. No start values, no
local minima, no random numbers.
"""

# Shapes: P points (rungs), G exponents tried at once.

from dataclasses import dataclass

import numpy as np

from components.scaling.config import ExtrapolationConfig

# How finely the exponent is searched; finer moves a forecast by less than 1e-5 of itself.
GRID_EXPONENTS = 96  # neighbours differ by 5 % between .01 and 1.5, far less than a ladder can tell apart
NARROWED_EXPONENTS = 33  # each round narrows the bracket 16 times
NARROWING_ROUNDS = 3


@dataclass(frozen=True)
class PowerLaw:
    """L(C) = irreducible_nats + coefficient * (C / reference_flops) ^ -exponent, in nats per token."""

    irreducible_nats: float
    coefficient: float
    exponent: float
    reference_flops: float

    def loss_nats(self, train_flops: float) -> float:
        """Loss that the law gives for ``train_flops`` operations."""
        return float(self.irreducible_nats + self.coefficient * (train_flops / self.reference_flops) ** -self.exponent)

    def parameters(self) -> dict[str, float]:
        """E, A and b of L(C) = E + A C^-b with C in plain FLOP."""
        return {"E": self.irreducible_nats, "A": self.coefficient * self.reference_flops**self.exponent, "b": self.exponent}


@dataclass(frozen=True)
class Points:
    """What a law is fitted to: operations, losses, and the weight of each loss's squared relative error. All arrays [P]."""

    flops_P: np.ndarray
    losses_P: np.ndarray
    weights_P: np.ndarray

    def with_point(self, flops: float, loss_nats: float, weight: float) -> "Points":
        """The same points and one more."""
        return Points(np.append(self.flops_P, flops), np.append(self.losses_P, loss_nats), np.append(self.weights_P, weight))


def fit_power_law(points: Points, config: ExtrapolationConfig, irreducible: bool) -> tuple[PowerLaw, float]:
    """The law of least weighted squared relative error, with E >= 0 and A >= 0, and that sum of squares.

    Relative errors, not absolute ones: they are the residuals of log L that Hoffmann 2022 (section 3.3) fits, to second
    order. Differs from it: squares instead of a Huber loss, since a handful of rungs has no outlier to spare; a run that
    diverged is left out before, by name.

    Args:
        irreducible: False fixes E = 0, the plain power law.
    """
    reference_flops = float(np.exp(np.mean(np.log(points.flops_P))))
    exponents_G = np.geomspace(config.exponent_min, config.exponent_max, GRID_EXPONENTS)
    for _ in range(NARROWING_ROUNDS):
        best = int(np.argmin(_solve(points, exponents_G, reference_flops, irreducible)[2]))
        low, high = exponents_G[max(0, best - 1)], exponents_G[min(len(exponents_G) - 1, best + 1)]
        exponents_G = np.linspace(low, high, NARROWED_EXPONENTS)
    floors_G, coefficients_G, squares_G = _solve(points, exponents_G, reference_flops, irreducible)
    best = int(np.argmin(squares_G))
    law = PowerLaw(float(floors_G[best]), float(coefficients_G[best]), float(exponents_G[best]), reference_flops)
    return law, float(squares_G[best])


def _solve(points: Points, exponents_G: np.ndarray, reference_flops: float, irreducible: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each exponent the best E >= 0 and A >= 0 and their weighted squared relative error, each [G]."""
    powers_GP = np.exp(-exponents_G[:, None] * np.log(points.flops_P / reference_flops))
    weights_P = points.weights_P / points.losses_P**2
    sum_w, sum_wL = weights_P.sum(), (weights_P * points.losses_P).sum()
    sum_wu_G, sum_wuu_G = (weights_P * powers_GP).sum(1), (weights_P * powers_GP**2).sum(1)
    sum_wuL_G = (weights_P * points.losses_P * powers_GP).sum(1)
    plain_G = sum_wuL_G / sum_wuu_G
    if irreducible:
        determinant_G = sum_w * sum_wuu_G - sum_wu_G**2
        floors_G = (sum_wuu_G * sum_wL - sum_wu_G * sum_wuL_G) / determinant_G
        coefficients_G = (sum_w * sum_wuL_G - sum_wu_G * sum_wL) / determinant_G
        coefficients_G = np.where(floors_G < 0, plain_G, np.maximum(coefficients_G, 0))
        floors_G = np.where(coefficients_G == 0, sum_wL / sum_w, np.maximum(floors_G, 0))
    else:
        floors_G, coefficients_G = np.zeros_like(plain_G), plain_G
    residuals_GP = floors_G[:, None] + coefficients_G[:, None] * powers_GP - points.losses_P
    return floors_G, coefficients_G, (weights_P * residuals_GP**2).sum(1)
