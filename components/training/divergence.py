"""When a run must stop: a loss or gradient that is not finite, or a loss far above those before it."""

import math
from collections.abc import Mapping, Sequence
from statistics import median

from components.training.config import TrainingConfig

ADVICE = "lower training.learning_rate, lengthen training.warmup_tokens, or look at the documents"


def divergence(row: Mapping[str, float], before: Sequence[Mapping[str, float]], config: TrainingConfig) -> str | None:
    """Why the run must end at the step of ``row``, or None; ``before`` are the rows of the steps before it.

    A gradient that is not finite (an overflow) counts as a loss that is not: one more step and the loss would follow.
    """
    loss_nats, last = row["loss_nats"], before[-config.spike_median_steps :]
    if not math.isfinite(loss_nats):
        return f"the loss is {loss_nats}"
    if not math.isfinite(row["grad_norm"]):
        return f"the gradient norm is {row['grad_norm']} while the loss is {loss_nats:.4f}"
    if config.max_loss_spike_nats is None or len(last) < config.spike_median_steps:
        return None
    usual_nats = median(earlier["loss_nats"] for earlier in last)
    if loss_nats - usual_nats <= config.max_loss_spike_nats:
        return None
    return f"the loss is {loss_nats:.4f}, {loss_nats - usual_nats:.4f} above the median of the {len(last)} steps before it"
