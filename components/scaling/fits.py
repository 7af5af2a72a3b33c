"""What every way to fit a law hands back: one small interface, whatever the form of the law."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from components.scaling.table import LeftOut, RunTable


class Law(Protocol):
    """Loss as a function of N and D."""

    def loss_nats(self, n_params: Any, n_tokens: Any) -> Any:
        """Loss at N and D, numbers or arrays of one shape."""

    def parameters(self) -> Mapping[str, float]:
        """The law's constants in plain units (parameters, tokens, FLOP, nats)."""

    def optimum(self, flops: float, flops_per_param_token: float) -> tuple[float, float]:
        """N and D of least loss for ``flops`` operations; NaN where the law does not say."""


@dataclass(frozen=True)
class Fit:
    """A law fitted to a table.

    ``residuals_P``: log loss - log fit of the runs that were used; ``starts`` and ``failed``: searches begun, and those that the
    optimiser did not report as converged.
    """

    method: str
    law: Law
    residuals_P: np.ndarray
    starts: int
    failed: int
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()

    def predict(self, n_params: Any, n_tokens: Any) -> Any:
        """Loss [nats] at N and D."""
        return self.law.loss_nats(n_params, n_tokens)

    @property
    def residual_sd(self) -> float:
        """Root mean square of the residuals, as a share of the loss."""
        return float(np.sqrt(np.mean(self.residuals_P**2)))


def residuals(law: Law, table: RunTable) -> np.ndarray:
    """log loss - log fit of each run, [P]; a law that goes to zero there gives NaN."""
    assert table.n_params_P is not None and table.n_tokens_P is not None, "the caller fits N and D"
    with np.errstate(all="ignore"):
        return np.asarray(np.log(table.losses_P) - np.log(law.loss_nats(table.n_params_P, table.n_tokens_P)))
