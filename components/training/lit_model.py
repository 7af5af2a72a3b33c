"""Pre-training as a LightningModule: next-token loss, accumulation, clipping, the schedule in tokens."""

# Shapes: S sequences of a step, T context length, N = S * T, D d_model.

import math
from collections.abc import Callable, Sequence
from typing import cast

import lightning.pytorch as pl
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor

from components.training.config import TrainingConfig
from components.training.devices import shard
from components.training.gradient_sum import GradientSum
from components.training.noise_scale import NoiseScale
from components.training.optimizer import build_adamw
from components.training.schedule import learning_rate
from components.transformer import kernels
from components.transformer.embedding import TiedGradient
from components.transformer.fused_loss import next_token_nats
from components.transformer.model import GPT


class LitGPT(pl.LightningModule):
    """Trains a GPT on whole steps: the loader hands over the batches of several, one for each optimiser step.

    Optimisation is manual, and a call of Lightning's takes several steps because it costs as much as the smallest models'
    step takes. After each step ``last_row`` holds its numbers and ``on_step`` is called. A step whose
    loss or gradient is not finite leaves the weights as they were.
    """

    def __init__(self, model: GPT, config: TrainingConfig, world_size: int = 1, on_step: "Callable[[LitGPT], None] | None" = None) -> None:
        super().__init__()
        self.model, self.config, self.world_size, self._on_step = model, config, world_size, on_step
        self.steps_done = 0
        self.noise_scale = NoiseScale(config.noise_scale_smoothing)
        self.last_row: dict[str, float] = {}
        self.automatic_optimization = False

    def configure_model(self) -> None:
        """Where the strategy is to shard, it has made a mesh of the devices by now."""
        if self.device_mesh is not None:
            shard(self.model, self.device_mesh["data_parallel"])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; the rate is set at each step."""
        c = self.config
        return build_adamw(self.model, c.learning_rate, c.weight_decay, c.adam_beta1, c.adam_beta2, c.adam_epsilon)

    def training_step(self, batches: list[Tensor], _index: int) -> None:
        """A step for each batch, unless ``on_step`` stops the trainer.

        Lightning holds autocast around the call: its copies of the weights are of one step, and what is measured is in float32.
        """
        for batch in batches:
            self.take_step(batch)
            torch.clear_autocast_cache()
            if self._on_step is not None:
                with torch.autocast(self.device.type, enabled=False):
                    self._on_step(self)
            if self.trainer.should_stop:
                return

    def take_step(self, batch: Tensor) -> None:
        """One optimiser step on int64 [S, T + 1], this device's part of the batch."""
        optimizer = cast(LightningOptimizer, self.optimizers())
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        parts = torch.split(batch, self.config.micro_batch_sequences // self.world_size)
        own_loss_nats, gradients = self._accumulate_gradients(parts, parameters)
        loss_nats = self.trainer.strategy.reduce(own_loss_nats, reduce_op="mean")
        grad_norm = _clip(parameters, gradients.norm(), self.config.grad_clip_norm)
        self.steps_done += 1
        tokens = self.config.tokens_after(self.steps_done)
        rate = learning_rate(tokens, self.config)
        self.last_row = {
            "step": self.steps_done,
            "tokens": tokens,
            "loss_nats": float(loss_nats),
            "learning_rate": rate,
            "grad_norm": grad_norm,
        }
        if math.isfinite(self.last_row["loss_nats"]) and math.isfinite(self.last_row["grad_norm"]):
            self._measure_noise(parts, gradients.norms())
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
        _forget_gradients(parameters)

    def _accumulate_gradients(self, parts: tuple[Tensor, ...], parameters: Sequence[Tensor]) -> tuple[Tensor, GradientSum]:
        """Mean loss of this device's part [nats per token], and its gradients, however the part is cut."""
        sequences = sum(len(part) for part in parts)
        total, gradients = torch.zeros((), device=parts[0].device), GradientSum()
        for part in parts:
            loss = next_token_loss(self.model, part) * (len(part) / sequences)
            self.manual_backward(loss)
            total += loss.detach()
            gradients.add([cast(Tensor, parameter.grad) for parameter in parameters])
            _forget_gradients(parameters)
        for parameter, gradient in zip(parameters, gradients.of_sum, strict=True):
            parameter.grad = gradient
        return total, gradients

    def _measure_noise(self, parts: tuple[Tensor, ...], micro_norms: list[float]) -> None:
        """Add ``noise_scale_tokens`` to the row: B_simple, if there are micro-batches and it is known."""
        if not micro_norms:
            return
        sizes = [part[:, 1:].numel() * self.world_size for part in parts]
        shares = [size / sum(sizes) for size in sizes]
        squares = [(norm / share) ** 2 for norm, share in zip(micro_norms, shares, strict=True)]
        tokens = self.noise_scale.update(sizes, squares, self.last_row["grad_norm"] ** 2)
        if tokens is not None:
            self.last_row["noise_scale_tokens"] = tokens


def _clip(parameters: Sequence[Tensor], norm: Tensor, max_norm: float) -> float:
    """``norm`` of the gradient, which is scaled down to ``max_norm`` if it exceeds it and else left alone, without a pass over it."""
    if float(norm) > max_norm:
        torch.nn.utils.clip_grads_with_norm_(parameters, max_norm, norm)
    return float(norm)


def _forget_gradients(parameters: Sequence[Tensor]) -> None:
    for parameter in parameters:
        parameter.grad = None


def next_token_loss(model: GPT, tokens: Tensor) -> Tensor:
    """Mean cross-entropy of each next token, int64 [S, T + 1] -> scalar [nats per token], float32 (GPT-1 eq. 1)."""
    tied = TiedGradient() if kernels.are_for(model.token_embedding.weight) else None
    hidden_ND = model.hidden(tokens[:, :-1], tied).flatten(0, 1)
    return next_token_nats(hidden_ND, model.token_embedding.weight, tokens[:, 1:].flatten(), tied)
