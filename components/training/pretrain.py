"""One pre-training run: token shards in, checkpoint, curve and metrics out."""

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader

from components.artifacts import TokenShards, TokenStream, atomic_folder
from components.training.config import ComputeConfig, TrainingConfig
from components.training.data_order import Steps
from components.training.held_out import held_out_nats
from components.training.lit_model import LitGPT
from components.training.resume import TrainingState, load_state, save_state
from components.training.trainer import build_trainer, fit, prepare
from components.transformer.accounting import num_parameters, num_parameters_non_embedding, train_flops
from components.transformer.checkpoint import save_checkpoint
from components.transformer.config import ModelConfig, TransformerConfig
from components.transformer.model import GPT

SAVE_EVERY_STEPS = 100  # of the resume state; changes no result
CURVE_FIELDS = ["step", "tokens", "loss_nats", "learning_rate", "grad_norm", "val_loss_nats"]


@dataclass(frozen=True)
class PretrainConfig:
    """The three sections of params.yaml that one run needs."""

    model: ModelConfig
    training: TrainingConfig
    compute: ComputeConfig


def pretrain(
    tokens: TokenShards, config: PretrainConfig, seed: int, out: Path, state: Path, on_row: Callable[[dict[str, float]], None]
) -> dict[str, Any]:
    """Train from ``seed``, or from the state that an interrupted run left, and write the checkpoint folder ``out``.

    ``seed`` sets the initial weights and the dropout; the order of the tokens is the stream's own, the same for every
    run. ``on_row`` is told the numbers of each step. A loss that is not finite ends the run: its metrics then say
    ``diverged`` and hold no loss.
    """
    prepare(config.compute, seed)
    transformer = TransformerConfig(**config.model.model_dump(), vocab_size=tokens.vocab_size)
    module = LitGPT(GPT(transformer), config.training)
    held_out = tokens.stream("held_out")
    recorder = Recorder(held_out, state, on_row)
    recorder.restore(module)
    steps = Steps(tokens.stream("train"), transformer.context_length, config.training, module.steps_done)
    if len(steps) and not recorder.diverged:
        trainer = build_trainer(config.compute, len(steps), [recorder])
        fit(trainer, module, DataLoader(steps, batch_size=None))
    metrics = _metrics(module, recorder, held_out, tokens.num_bytes("held_out"))
    with atomic_folder(out) as scratch:
        save_checkpoint(scratch, module.model)
        _write_curve(scratch / "curve.csv", recorder.rows)
    state.unlink(missing_ok=True)
    return metrics


class Recorder(pl.Callback):
    """Keeps the curve, measures the held-out loss along it, saves the state to resume from, stops at divergence."""

    def __init__(self, held_out: TokenStream, state: Path, on_row: Callable[[dict[str, float]], None]) -> None:
        self._held_out, self._state, self._on_row = held_out, state, on_row
        self._saved: TrainingState | None = None
        self.rows: list[dict[str, float]] = []
        self.diverged = False

    def restore(self, module: LitGPT) -> None:
        """Go back to the saved state, if there is one."""
        self._saved = load_state(self._state)
        if self._saved is not None:
            module.model.load_state_dict(self._saved.model)
            module.steps_done, self.rows = self._saved.steps_done, self._saved.rows

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        """Before the first step: only now there is an optimiser, and the loader has drawn its own seed from torch's RNG."""
        if self._saved is not None:
            trainer.optimizers[0].load_state_dict(self._saved.optimizer)
            torch.set_rng_state(self._saved.torch_rng)
            self._saved = None

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Record the step; every now and then measure and save."""
        assert isinstance(pl_module, LitGPT)
        row = pl_module.last_row
        if not math.isfinite(row["loss_nats"]):
            self.diverged = trainer.should_stop = True
            return
        config = pl_module.config
        step, every = int(row["step"]), max(1, config.num_steps // config.curve_points)
        if step % every == 0:
            row = row | {"val_loss_nats": float(held_out_nats(pl_module.model, self._held_out, config.curve_tokens).mean())}
        self.rows.append(row)
        self._on_row(row)
        if step % SAVE_EVERY_STEPS == 0:
            save_state(self._state, pl_module, self.rows)


def _metrics(module: LitGPT, recorder: Recorder, held_out: TokenStream, held_out_bytes: int) -> dict[str, Any]:
    config, training = module.model.config, module.config
    nats = held_out_nats(module.model, held_out)
    diverged = recorder.diverged or not math.isfinite(float(nats.sum()))
    total_nats = float(nats.sum(dtype="float64"))
    tail = [row["loss_nats"] for row in recorder.rows[-max(1, len(recorder.rows) // 20) :]]
    return {
        "diverged": diverged,
        "loss_nats": None if diverged else total_nats / len(nats),
        "bits_per_byte": None if diverged else total_nats / (math.log(2) * held_out_bytes),
        "final_train_loss_nats": None if diverged else sum(tail) / len(tail),
        "train_tokens": training.tokens_seen,
        "train_flops": train_flops(config, training.tokens_seen),
        "parameters": num_parameters(config),
        "parameters_non_embedding": num_parameters_non_embedding(config),
    }


def _write_curve(path: Path, rows: list[dict[str, float]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, CURVE_FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
