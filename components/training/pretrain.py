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

from components.artifacts import TokenShards, TokenStream, atomic_folder, sha256_file, write_json
from components.errors import InputError
from components.training.config import ComputeConfig, TrainingConfig
from components.training.data_order import DataOrder, Steps
from components.training.devices import load_optimizer, of_all_processes, reshard, seed_of_process, whole, whole_model
from components.training.divergence import divergence
from components.training.documents import RUN_FILE, DocumentIndex, documents_of_step
from components.training.held_out import held_out_nats, layer_gradient_norms
from components.training.lit_model import LitGPT
from components.training.resume import StateFile, TrainingState, differing, rng_states, set_rng_states
from components.training.trainer import build_trainer, fit, prepare
from components.transformer.accounting import num_parameters, num_parameters_non_embedding, train_flops
from components.transformer.checkpoint import save_checkpoint
from components.transformer.config import ModelConfig, TransformerConfig
from components.transformer.model import GPT

CURVE_FIELDS = ["step", "tokens", "loss_nats", "learning_rate", "grad_norm", "val_loss_nats", "noise_scale_tokens"]
STEPS_PER_CALL = 16  # of Lightning's; changes no result


@dataclass(frozen=True)
class PretrainConfig:
    """The three sections of params.yaml that one run needs."""

    model: ModelConfig
    training: TrainingConfig
    compute: ComputeConfig


def pretrain(
    tokens: TokenShards, config: PretrainConfig, seed: int, out: Path, state: StateFile, on_row: Callable[[dict[str, float]], None]
) -> dict[str, Any] | None:
    """Train from ``seed``, or from the state that an interrupted run left, and write the checkpoint folder ``out``.

    ``seed`` sets the initial weights and the dropout; the order of the tokens is the stream's own, the same for every
    run. ``on_row`` is told the numbers of each step. A loss that is not finite ends the run, and so does a spike where
    ``max_loss_spike_nats`` asks for it: its metrics then say ``diverged``, why, at which step and on which documents,
    and hold no loss; the checkpoint holds the weights before a step that was not finite.

    On several devices each process calls this. The first does all of the above; the others only read, and return None.

    Raises:
        InputError: the stream is too short for the run, holds ids outside the vocabulary, or its batches cannot be shared by so
            many devices; the state does not fit.
    """
    prepare(config.compute, seed)
    transformer = TransformerConfig(**config.model.model_dump(), vocab_size=tokens.vocab_size)
    train, held_out = tokens.stream("train"), tokens.stream("held_out")
    order = DataOrder(train.num_tokens, transformer.context_length, config.training)
    if held_out.num_tokens < 2:
        raise InputError(f"{tokens.path / 'held_out'}: holds no token to predict; raise curation.held_out_share")
    recorder = Recorder(held_out, state, on_row)
    module = LitGPT(GPT(transformer), config.training, config.compute.world_size, recorder.on_step)
    layer_norms = {"initial": layer_gradient_norms(module.model, held_out)}
    recorder.restore(module)
    trainer = build_trainer(config.compute, config.training.num_steps - module.steps_done, [recorder])
    steps = Steps(train, order, module.steps_done, trainer.global_rank, trainer.world_size)
    if not trainer.is_global_zero:
        torch.manual_seed(seed_of_process(seed, trainer.global_rank))
    if len(steps):
        fit(trainer, module, _loader(steps, config.compute.loader_workers))
    module.model = whole_model(module.model)
    if not trainer.is_global_zero:
        return None
    layer_norms["final"] = layer_gradient_norms(module.model, held_out)
    metrics = _metrics(module, recorder, held_out, tokens.num_bytes("held_out")) | {"layer_grad_norms": layer_norms}
    if metrics["diverged"]:
        parts = documents_of_step(DocumentIndex(train), order, module.steps_done)
        metrics |= {"diverged_documents": list(dict.fromkeys(part.id for part in parts))}
    with atomic_folder(out) as scratch:
        save_checkpoint(scratch, module.model)
        _write_curve(scratch / "curve.csv", recorder.rows)
        write_json(scratch / RUN_FILE, run_record(tokens, config, seed))
    state.discard()
    return metrics


def run_record(tokens: TokenShards, config: PretrainConfig, seed: int) -> dict[str, Any]:
    """What ``run.json`` of a checkpoint says: enough to find the tokens of each of its steps again."""
    return {
        "context_length": config.model.context_length,
        "training": config.training.model_dump(),
        "seed": seed,
        "tokens_manifest_sha256": sha256_file(tokens.path / "manifest.json"),
    }


class Recorder(pl.Callback):
    """Keeps the curve, measures the held-out loss along it, saves the state to resume from, stops at divergence.

    All processes do the same; the first tells and writes.
    """

    def __init__(self, held_out: TokenStream, state: StateFile, on_row: Callable[[dict[str, float]], None]) -> None:
        self._held_out, self._state, self._on_row = held_out, state, on_row
        self._saved: TrainingState | None = None
        self.rows: list[dict[str, float]] = []
        self.diverged: str | None = None

    def restore(self, module: LitGPT) -> None:
        """Go back to the saved state, if there is one."""
        self._saved = self._state.load()
        if self._saved is not None:
            module.model.load_state_dict(self._saved.model)
            module.steps_done, self.rows = self._saved.steps_done, self._saved.rows
            module.noise_scale.trace, module.noise_scale.squared_norm = self._saved.noise_scale

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """All processes must have begun the same run at the same step, which they do where they see the same files."""
        assert isinstance(pl_module, LitGPT)
        own = {**self._state.fingerprint, "the saved step": str(pl_module.steps_done)}
        if differences := differing(trainer.strategy.broadcast(own), own):
            raise InputError(f"process {trainer.global_rank}: differs from process 0 ({differences}); every node must see the same files")

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int) -> None:
        """Before the first step: only now there is an optimiser, and the loader has drawn its own seed from torch's RNG."""
        if self._saved is not None:
            load_optimizer(trainer.optimizers[0], self._saved.optimizer)
            set_rng_states({name: rows[trainer.global_rank % len(rows)].clone() for name, rows in self._saved.rng.items()})
            self._saved = None

    def on_step(self, module: LitGPT) -> None:
        """Record the step; every now and then measure and save."""
        row, config, trainer = module.last_row, module.config, module.trainer
        self.diverged = divergence(row, self.rows, config)
        if self.diverged is not None:
            trainer.should_stop = True
            return
        step, every = int(row["step"]), max(1, config.num_steps // config.curve_points)
        if step % every == 0:
            row = row | {"val_loss_nats": float(held_out_nats(module.model, self._held_out, config.curve_tokens).mean())}
            reshard(module.model)
        self.rows.append(row)
        if trainer.is_global_zero:
            self._on_row(row)
        if step % self._state.every_steps == 0 or step == config.num_steps:
            state = _state(module, trainer, self.rows)
            if trainer.is_global_zero:
                self._state.save(state)


def _loader(steps: Steps, workers: int) -> "DataLoader[Any]":
    """The batches of the steps in order, lists of several.

    Workers are forked whatever the process's own habit: they share the open stream, and end when it is killed.
    """
    context = "fork" if workers else None
    return DataLoader(steps, batch_size=STEPS_PER_CALL, collate_fn=list, num_workers=workers, multiprocessing_context=context)


def _state(module: LitGPT, trainer: pl.Trainer, rows: list[dict[str, float]]) -> TrainingState:
    noise = [module.noise_scale.trace, module.noise_scale.squared_norm]
    weights, optimizer = whole(module.model.state_dict()), whole(trainer.optimizers[0].state_dict())
    return TrainingState(module.steps_done, weights, optimizer, of_all_processes(rng_states(), trainer), noise, rows)


def _metrics(module: LitGPT, recorder: Recorder, held_out: TokenStream, held_out_bytes: int) -> dict[str, Any]:
    config, training = module.model.config, module.config
    nats = held_out_nats(module.model, held_out)
    reason = recorder.diverged if math.isfinite(float(nats.sum())) else recorder.diverged or "the held-out loss is not finite"
    diverged = reason is not None
    total_nats = float(nats.sum(dtype="float64"))
    tail = [row["loss_nats"] for row in recorder.rows[-max(1, len(recorder.rows) // 20) :]]
    return {
        "diverged": diverged,
        **({"diverged_step": module.steps_done, "diverged_reason": reason} if diverged else {}),
        "loss_nats": None if diverged else total_nats / len(nats),
        "bits_per_byte": None if diverged else total_nats / (math.log(2) * held_out_bytes),
        "final_train_loss_nats": None if diverged else sum(tail) / len(tail),
        "noise_scale_tokens": recorder.rows[-1].get("noise_scale_tokens") if recorder.rows else None,
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
