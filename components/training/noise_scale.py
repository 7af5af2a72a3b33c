"""Gradient noise scale: the batch size up to which a larger batch saves steps (McCandlish 2018, section 2.2 and appendix A.1).

Numbers in, numbers out. The gradient of n tokens has E|G_n|^2 = |G|^2 + tr(Sigma) / n, so the micro-batches of a step and
their sum give both terms without a further pass:

    tr(Sigma) = (mean|G_micro|^2 - |G_batch|^2) / (mean(1/n_micro) - 1/n_batch)
    |G|^2     = |G_batch|^2 - tr(Sigma) / n_batch
    B_simple  = tr(Sigma) / |G|^2   [tokens]

Each is unbiased and their ratio is not, so both are averaged over steps before the division. Differs from the paper: the
small batches are the micro-batches, all of them. Gradients are those before clipping.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass
class NoiseScale:
    """Running averages of tr(Sigma) and |G|^2; both start at 0, which cancels in their ratio."""

    smoothing: float
    """Decay per step of both averages."""
    trace: float = 0.0
    squared_norm: float = 0.0

    def update(self, micro_tokens: Sequence[int], micro_squared_norms: Sequence[float], batch_squared_norm: float) -> float | None:
        """Take in one step of at least two micro-batches, and return B_simple [tokens].

        Args:
            micro_tokens: size of each micro-batch.
            micro_squared_norms: |G|^2 of the mean gradient of each micro-batch.
            batch_squared_norm: |G|^2 of the mean gradient of the whole batch.

        Returns:
            None while the average of |G|^2 is not positive: the noise hides the gradient.
        """
        count, batch_tokens = len(micro_tokens), sum(micro_tokens)
        inverse_micro = sum(1 / tokens for tokens in micro_tokens) / count
        trace = (sum(micro_squared_norms) / count - batch_squared_norm) / (inverse_micro - 1 / batch_tokens)
        self.trace = self.smoothing * self.trace + (1 - self.smoothing) * trace
        self.squared_norm = self.smoothing * self.squared_norm + (1 - self.smoothing) * (batch_squared_norm - trace / batch_tokens)
        return self.trace / self.squared_norm if self.squared_norm > 0 else None
