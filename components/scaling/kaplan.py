"""Kaplan 2020: L(N, D) (equation 1.5) and L(N, S) (equation 1.6), neither with an irreducible loss.

Both fits are of log L by SciPy's trust-region least squares, from several starts.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.scaling.fits import Fit, Law, residuals
from components.scaling.table import RunTable

EXPONENT_STARTS = (0.05, 0.2, 0.6)
SCALE_STARTS = (0.0, 3.0)  # ln of (Nc / N) ^ alpha_N at the mean run, relative to half of its loss


@dataclass(frozen=True)
class KaplanData:
    """L(N, D) = ((Nc / N)^(alpha_n / alpha_d) + Dc / D)^alpha_d; scales as logarithms."""

    alpha_n: float
    alpha_d: float
    log_n_scale: float
    log_d_scale: float

    def loss_nats(self, n_params: Any, n_tokens: Any) -> Any:
        """Equation 1.5."""
        by_size = self.alpha_n / self.alpha_d * (self.log_n_scale - np.log(n_params))
        return np.exp(self.alpha_d * np.logaddexp(by_size, self.log_d_scale - np.log(n_tokens)))

    def optimum(self, flops: float, flops_per_param_token: float) -> tuple[float, float]:
        """Least loss on the isoFLOP line, where alpha_n / alpha_d times the first term of the sum equals the second."""
        ratio = self.alpha_n / self.alpha_d
        log_product = math.log(flops / flops_per_param_token)
        log_n = (math.log(ratio) + ratio * self.log_n_scale - self.log_d_scale + log_product) / (1 + ratio)
        return math.exp(log_n), math.exp(log_product - log_n)

    def parameters(self) -> dict[str, float]:
        """alpha_N, alpha_D, Nc and Dc."""
        return {"alpha_N": self.alpha_n, "alpha_D": self.alpha_d, "Nc": _exp(self.log_n_scale), "Dc": _exp(self.log_d_scale)}


@dataclass(frozen=True)
class KaplanSteps:
    """L(N, S) = (Nc / N)^alpha_n + (Sc / S)^alpha_s with S = D / batch_tokens; where the batch is not known S counts tokens."""

    alpha_n: float
    alpha_s: float
    log_n_scale: float
    log_s_scale: float
    batch_tokens: float

    def loss_nats(self, n_params: Any, n_tokens: Any) -> Any:
        """Equation 1.6, steps at the given batch (S_min where the batch is far below the critical one)."""
        log_steps = np.log(n_tokens) - math.log(self.batch_tokens)
        return np.exp(self.alpha_n * (self.log_n_scale - np.log(n_params))) + np.exp(self.alpha_s * (self.log_s_scale - log_steps))

    def optimum(self, flops: float, flops_per_param_token: float) -> tuple[float, float]:
        """Least loss on the isoFLOP line, where alpha_n times the first term equals alpha_s times the second."""
        log_product = math.log(flops / flops_per_param_token)
        from_n = math.log(self.alpha_n) + self.alpha_n * self.log_n_scale
        from_s = math.log(self.alpha_s) + self.alpha_s * (self.log_s_scale + math.log(self.batch_tokens) - log_product)
        log_n = (from_n - from_s) / (self.alpha_n + self.alpha_s)
        return math.exp(log_n), math.exp(log_product - log_n)

    def parameters(self) -> dict[str, float]:
        """alpha_N, alpha_S, Nc, Sc and the batch that turns tokens into steps."""
        scales = {"Nc": _exp(self.log_n_scale), "Sc": _exp(self.log_s_scale), "batch_tokens": self.batch_tokens}
        return {"alpha_N": self.alpha_n, "alpha_S": self.alpha_s, **scales}


def fit_kaplan_data(table: RunTable) -> Fit:
    """L(N, D)."""
    return _fit("Kaplan L(N, D)", table, lambda x: KaplanData(math.exp(x[0]), math.exp(x[1]), *_scales(table, x)))


def fit_kaplan_steps(table: RunTable, batch_tokens: float | None) -> Fit:
    """L(N, S) at one batch size; None counts S in tokens, which moves Sc alone."""
    batch = batch_tokens or 1.0

    def law(x: Sequence[float]) -> KaplanSteps:
        log_n, log_s = _scales(table, x)
        return KaplanSteps(math.exp(x[0]), math.exp(x[1]), log_n, log_s - math.log(batch), batch)

    return _fit("Kaplan L(N, S)", table, law)


def _scales(table: RunTable, x: Sequence[float]) -> tuple[float, float]:
    """ln Nc and ln Dc from the logarithms of the two terms at the mean run, which are what is searched."""
    assert table.n_params_P is not None and table.n_tokens_P is not None, "the caller fits N and D"
    mean_n, mean_d = float(np.log(table.n_params_P).mean()), float(np.log(table.n_tokens_P).mean())
    return mean_n + x[2] / math.exp(x[0]), mean_d + x[3] / math.exp(x[1])


def _fit(method: str, table: RunTable, law: Callable[[Sequence[float]], Law]) -> Fit:
    from scipy.optimize import least_squares

    half = math.log(float(np.exp(np.log(table.losses_P).mean())) / 2)
    starts = list(itertools.product(np.log(EXPONENT_STARTS), np.log(EXPONENT_STARTS), [half - s for s in SCALE_STARTS], [half]))

    def errors(x: np.ndarray) -> Any:
        return np.nan_to_num(residuals(law(x.tolist()), table), nan=1e3, posinf=1e3, neginf=-1e3)

    lowest, highest = [math.log(1e-4)] * 2 + [-60.0] * 2, [math.log(10.0)] * 2 + [60.0] * 2
    found = [least_squares(errors, start, bounds=(lowest, highest)) for start in starts]
    best = min(found, key=lambda result: float(result.cost))
    fitted = law(best.x.tolist())
    return Fit(method, fitted, residuals(fitted, table), len(found), sum(not result.success for result in found), table.left_out)


def _exp(value: float) -> float:
    """e to a power that may be beyond floats."""
    return math.exp(value) if value < 709 else math.inf
