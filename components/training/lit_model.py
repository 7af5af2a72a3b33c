"""Pre-training as a LightningModule: next-token loss, accumulation, clipping, the schedule in tokens."""

# Shapes: S sequences of a step, T context length, N = S * T, D d_model.

from typing import cast

import lightning.pytorch as pl
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor

from components.training.config import TrainingConfig
from components.training.optimizer import build_adamw
from components.training.schedule import learning_rate
from components.transformer.fused_loss import next_token_nats
from components.transformer.model import GPT


class LitGPT(pl.LightningModule):
    """Trains a GPT on whole steps: the batch of one call is the batch of one optimiser step.

    Optimisation is manual, which costs 0.3 ms a step where Lightning's own loop costs 0.5 ms: the models of a ladder
    are small. After each step ``last_row`` holds its numbers.
    """

    def __init__(self, model: GPT, config: TrainingConfig, first_step: int = 0) -> None:
        super().__init__()
        self.model, self.config = model, config
        self.steps_done = first_step
        self.last_row: dict[str, float] = {}
        self.automatic_optimization = False

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; the rate is set at each step."""
        c = self.config
        return build_adamw(self.model, c.learning_rate, c.weight_decay, c.adam_beta1, c.adam_beta2, c.adam_epsilon)

    def training_step(self, batch: Tensor, _batch_index: int) -> None:
        """One optimiser step on int64 [S, T + 1]."""
        optimizer = cast(LightningOptimizer, self.optimizers())
        loss_nats = self._accumulate_gradients(batch)
        grad_norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.grad_clip_norm)
        self.steps_done += 1
        tokens = self.steps_done * self.config.batch_tokens
        rate = learning_rate(tokens, self.config)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        self.last_row = {
            "step": self.steps_done,
            "tokens": tokens,
            "loss_nats": float(loss_nats),
            "learning_rate": rate,
            "grad_norm": float(grad_norm),
        }

    def _accumulate_gradients(self, batch: Tensor) -> Tensor:
        """Mean loss of the step [nats per token]; gradients are those of that mean, however it is cut into micro-batches."""
        total = torch.zeros((), device=batch.device)
        for part in torch.split(batch, self.config.micro_batch_sequences):
            loss = next_token_loss(self.model, part) * (len(part) / len(batch))
            self.manual_backward(loss)
            total += loss.detach()
        return total


def next_token_loss(model: GPT, tokens: Tensor) -> Tensor:
    """Mean cross-entropy of each next token, int64 [S, T + 1] -> scalar [nats per token], float32 (GPT-1 eq. 1)."""
    hidden_ND = model.hidden(tokens[:, :-1]).flatten(0, 1)
    return next_token_nats(hidden_ND, model.token_embedding.weight, tokens[:, 1:].flatten())
