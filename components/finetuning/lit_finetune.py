"""Fine-tuning as a LightningModule: L3 = L2 + lambda L1 (GPT-1 eq. 5), clipping, linear decay."""

from typing import cast

import lightning.pytorch as pl
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer

from components.finetuning.config import FinetuningConfig
from components.finetuning.heads import Batch, TaskModel, label_loss, language_model_loss
from components.training.optimizer import build_adamw


class LitFinetune(pl.LightningModule):
    """One call is one step of the optimiser; afterwards ``last_row`` holds its numbers (``loss_nats`` is L2, the loss of the labels).

    A loss that is not finite ends the training before its step: ``diverged`` then says so.
    """

    def __init__(self, model: TaskModel, config: FinetuningConfig, num_steps: int) -> None:
        super().__init__()
        self.model, self.config, self.num_steps = model, config, num_steps
        self.steps_done = 0
        self.last_row: dict[str, float] = {}
        self.diverged: str | None = None
        self.automatic_optimization = False

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; the rate is set at each step."""
        c = self.config
        return build_adamw(self.model, c.learning_rate, c.weight_decay, c.adam_beta1, c.adam_beta2, c.adam_epsilon)

    def training_step(self, batch: Batch, _batch_index: int) -> None:
        """Forward, backward, clip, step."""
        optimizer = cast(LightningOptimizer, self.optimizers())
        logits_BC, hidden_NTD = self.model(batch)
        label_nats = label_loss(logits_BC, batch.labels)
        loss = label_nats
        if self.config.aux_lm_weight:
            loss = loss + self.config.aux_lm_weight * language_model_loss(self.model.gpt, hidden_NTD, batch)
        if not loss.isfinite():
            self.diverged, self.trainer.should_stop = f"the loss of step {self.steps_done + 1} is {float(loss.detach())}", True
            return
        self.manual_backward(loss)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.grad_clip_norm)
        rate = self.config.learning_rate * schedule(self.steps_done, self.num_steps, self.config.warmup_share)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        self.steps_done += 1
        self.last_row = {"step": self.steps_done, "loss_nats": float(label_nats.detach()), "learning_rate": rate}


def schedule(step: int, num_steps: int, warmup_share: float) -> float:
    """Share of the peak rate at ``step`` (from 0): min(x / warm-up, 1) (1 - x), GPT-1's released ``warmup_linear``.

    Differs: x is taken at the middle of the step, so that neither the first nor the last step has rate 0.
    """
    x = (step + 0.5) / num_steps
    return min(x / warmup_share, 1.0) * (1 - x) if warmup_share else 1 - x
