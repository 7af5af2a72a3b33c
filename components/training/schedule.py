"""The learning rate as a function of tokens, so that it means the same at every batch size.

The batch ramp, also in tokens, is ``TrainingConfig.tokens_after``: it moves where steps end in the row of windows, and
the row itself is the same with or without it.
"""

import math

from components.training.config import TrainingConfig


def learning_rate(tokens: int, config: TrainingConfig) -> float:
    """Rate of the step that ends at ``tokens``: linear from 0 over the warm-up, then cosine to the final share of the peak.

    Source: GPT-3 appendix B (linear warm-up, cosine to 10 % over 260 of 300 billion tokens, then flat). Differs: where
    ``decay_tokens`` is null, the cosine ends with the run.
    """
    if tokens < config.warmup_tokens:
        return config.learning_rate * tokens / config.warmup_tokens
    end = config.train_tokens if config.decay_tokens is None else config.decay_tokens
    progress = (tokens - config.warmup_tokens) / max(1, end - config.warmup_tokens)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    ratio = config.final_learning_rate_ratio
    return config.learning_rate * (ratio + (1 - ratio) * cosine)
