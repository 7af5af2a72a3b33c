"""How a GPT is trained."""

from typing import Literal, Self

from pydantic import Field, model_validator

from components.config import Frozen


class TrainingConfig(Frozen):
    """Optimiser, schedule and length of one pre-training run. Lengths are in tokens, so that they mean the same at every batch size."""

    train_tokens: int = Field(ge=1)
    batch_tokens: int = Field(ge=1)
    """Tokens per optimiser step, over all micro-batches and devices; a multiple of the context length."""
    order_seed: int = Field(ge=0)
    """Of the permutation of windows that every run reads; the seed of a run does not touch it."""
    micro_batch_sequences: int = Field(ge=1)
    """Sequences per forward pass; a batch of more is accumulated."""
    learning_rate: float = Field(gt=0)
    """Peak of the schedule."""
    warmup_tokens: int = Field(ge=0)
    """Linear warm-up from 0 (GPT-3 appendix B: 375M tokens)."""
    final_learning_rate_ratio: float = Field(ge=0, le=1)
    """Cosine decay ends at this share of the peak (GPT-3: 0.1, GPT-1: 0)."""
    weight_decay: float = Field(ge=0)
    """Decoupled; on matrices only (GPT-3 appendix B: 0.1)."""
    adam_beta1: float = Field(ge=0, lt=1)
    adam_beta2: float = Field(ge=0, lt=1)
    adam_epsilon: float = Field(gt=0)
    grad_clip_norm: float = Field(gt=0)
    """Global norm (GPT-3: 1.0)."""
    curve_points: int = Field(ge=1)
    """How often in a run, evenly spaced, the held-out loss is measured for its curve."""
    curve_tokens: int = Field(ge=1)
    """Held-out tokens of such a measurement; the final one takes all."""

    @property
    def num_steps(self) -> int:
        """Whole steps; what is left of ``train_tokens`` is less than a batch and is not read."""
        return self.train_tokens // self.batch_tokens

    @property
    def tokens_seen(self) -> int:
        """Tokens of those steps."""
        return self.num_steps * self.batch_tokens

    @model_validator(mode="after")
    def _warmup_fits(self) -> Self:
        if self.warmup_tokens > self.train_tokens:
            raise ValueError(f"warmup_tokens {self.warmup_tokens} exceeds train_tokens {self.train_tokens}")
        return self


class ComputeConfig(Frozen):
    """Where the arithmetic runs; part of the parameters because it can change the last bits of a result."""

    accelerator: Literal["cpu", "gpu"]
    precision: Literal["32-true", "bf16-mixed"]
    threads: int = Field(ge=1)
    """CPU threads of one process: sums are split over threads, so another number gives other last bits."""
