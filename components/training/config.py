"""How a GPT is trained."""

from bisect import bisect_right
from functools import lru_cache
from typing import Literal, Self

from pydantic import Field, model_validator

from components.config import Frozen


class TrainingConfig(Frozen):
    """Optimiser, schedule and length of one pre-training run. Lengths are in tokens, so that they mean the same at every batch size."""

    train_tokens: int = Field(ge=1)
    batch_tokens: int = Field(ge=1)
    """Tokens per optimiser step, over all micro-batches and devices; a multiple of the context length."""
    ramp_start_batch_tokens: int = Field(ge=0)
    """Batch of the first step of the ramp, and its unit: every batch in the ramp is a multiple of it (GPT-3 appendix B: 32k)."""
    ramp_tokens: int = Field(ge=0)
    """The batch grows linearly over so many tokens (GPT-3 appendix B: 4 to 12 billion, by size); 0: it is whole from the start."""
    order_seed: int = Field(ge=0)
    """Of the permutation of windows that every run reads; the seed of a run does not touch it."""
    shuffle_block_windows: int = Field(ge=1)
    """Windows are permuted within blocks of so many neighbours in the stream, so that a step's place is found in constant time."""
    micro_batch_sequences: int = Field(ge=1)
    """Sequences per forward pass, over all devices; a batch of more is accumulated."""
    learning_rate: float = Field(gt=0)
    """Peak of the schedule."""
    warmup_tokens: int = Field(ge=0)
    """Linear warm-up from 0 (GPT-3 appendix B: 375M tokens)."""
    decay_tokens: int | None = Field(ge=1)
    """The cosine ends here and the rate stays (GPT-3 appendix B: 260 of 300 billion tokens); null: with the run."""
    final_learning_rate_ratio: float = Field(ge=0, le=1)
    """Cosine decay ends at this share of the peak (GPT-3: 0.1, GPT-1: 0)."""
    weight_decay: float = Field(ge=0)
    """Decoupled; on matrices only (GPT-3 appendix B: 0.1)."""
    adam_beta1: float = Field(ge=0, lt=1)
    adam_beta2: float = Field(ge=0, lt=1)
    adam_epsilon: float = Field(gt=0)
    grad_clip_norm: float = Field(gt=0)
    """Global norm (GPT-3: 1.0)."""
    noise_scale_smoothing: float = Field(ge=0, lt=1)
    """Decay per step of the two averages behind the gradient noise scale (McCandlish 2018, appendix A.1: averages, then their ratio)."""
    max_loss_spike_nats: float | None = Field(gt=0)
    """A step's loss that lies so far above the median of the steps before it ends the run as diverged; null: none does."""
    spike_median_steps: int = Field(ge=1)
    """Steps of that median; the rule holds once there are so many."""
    curve_points: int = Field(ge=1)
    """How often in a run, evenly spaced, the held-out loss is measured for its curve."""
    curve_tokens: int = Field(ge=1)
    """Held-out tokens of such a measurement; the final one takes all."""

    @property
    def num_steps(self) -> int:
        """Whole steps; what is left of ``train_tokens`` is less than a batch and is not read."""
        ends = self._ramp_ends()
        if self.train_tokens < ends[-1]:
            return bisect_right(ends, self.train_tokens) - 1
        return len(ends) - 1 + (self.train_tokens - ends[-1]) // self.batch_tokens

    @property
    def tokens_seen(self) -> int:
        """Tokens of those steps."""
        return self.tokens_after(self.num_steps)

    def tokens_after(self, steps: int) -> int:
        """Tokens that the first ``steps`` steps read: where in the row of windows the next one begins."""
        ends = self._ramp_ends()
        ramp_steps = len(ends) - 1
        return ends[steps] if steps < ramp_steps else ends[-1] + (steps - ramp_steps) * self.batch_tokens

    def _ramp_ends(self) -> tuple[int, ...]:
        return _ramp_ends(self.ramp_start_batch_tokens, self.batch_tokens, self.ramp_tokens)

    @model_validator(mode="after")
    def _lengths_fit(self) -> Self:
        if self.warmup_tokens > self.train_tokens:
            raise ValueError(f"warmup_tokens {self.warmup_tokens} exceeds train_tokens {self.train_tokens}")
        if self.decay_tokens is not None and self.decay_tokens < self.warmup_tokens:
            raise ValueError(f"decay_tokens {self.decay_tokens} is less than warmup_tokens {self.warmup_tokens}")
        if self.ramp_tokens and not 1 <= self.ramp_start_batch_tokens <= self.batch_tokens:
            raise ValueError(f"ramp_start_batch_tokens {self.ramp_start_batch_tokens} lies outside 1 to batch_tokens {self.batch_tokens}")
        return self


@lru_cache(maxsize=64)
def _ramp_ends(start_batch: int, batch: int, ramp_tokens: int) -> tuple[int, ...]:
    """Tokens after 0, 1, ... steps of the ramp; 17,000 of them for GPT-3's 175B.

    A step that begins at t tokens reads start + (batch - start) t / ramp_tokens, down to a multiple of start.
    """
    ends = [0]
    while ends[-1] < ramp_tokens:
        wanted = start_batch + (batch - start_batch) * ends[-1] // ramp_tokens
        ends.append(ends[-1] + wanted // start_batch * start_batch)
    return tuple(ends)


class ComputeConfig(Frozen):
    """Where the arithmetic runs; part of the parameters because it can change the last bits of a result."""

    accelerator: Literal["cpu", "gpu"]
    devices: int = Field(ge=1)
    """Of each node: processes of one GPU each, or on a CPU of ``threads`` threads."""
    nodes: int = Field(ge=1)
    strategy: Literal["single", "ddp", "fsdp"]
    """``ddp``: every device holds the model. ``fsdp``: each holds its part of it and of the optimiser's state. Of pre-training alone."""
    precision: Literal["32-true", "bf16-mixed"]
    threads: int = Field(ge=1)
    """CPU threads of one process: sums are split over threads, so another number gives other last bits."""
    loader_workers: int = Field(ge=0)
    """Processes that read batches ahead; 0 reads in the training process. Changes no result."""

    @property
    def world_size(self) -> int:
        """Devices of all nodes."""
        return self.devices * self.nodes

    def alone(self) -> "ComputeConfig":
        """The same on one device."""
        return self.model_copy(update={"devices": 1, "nodes": 1, "strategy": "single"})

    @model_validator(mode="after")
    def _single_is_one(self) -> Self:
        if self.strategy == "single" and self.world_size > 1:
            raise ValueError(f"strategy single is of one device, but there are {self.world_size}; set it to ddp or fsdp")
        return self
