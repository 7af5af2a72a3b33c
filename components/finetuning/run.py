"""One fine-tuning run: labelled items and a GPT in; fine-tuned model, curve and score out."""

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader

from components.artifacts import atomic_folder, write_json
from components.evaluation.intervals import clopper_pearson
from components.finetuning.batches import EpochBatches, collate
from components.finetuning.config import FinetuningConfig
from components.finetuning.heads import ExtractHead, TaskModel
from components.finetuning.lit_finetune import LitFinetune
from components.finetuning.transforms import NUM_SPECIALS, Encoded, Encoder, Specials, encode_items, label_of, num_outputs
from components.tasks.items import LabelledTask
from components.training.config import ComputeConfig
from components.training.trainer import build_trainer, fit, prepare
from components.transformer.checkpoint import load_checkpoint, load_config, save_checkpoint, save_weights
from components.transformer.model import GPT, grow_vocabulary

Init = Literal["pretrained", "scratch"]
CURVE_FIELDS = ["step", "loss_nats", "learning_rate"]


@dataclass(frozen=True)
class FinetuneResult:
    """The fine-tuned model, its curve (a row for each step) and its metrics."""

    model: TaskModel
    rows: list[dict[str, float]]
    metrics: dict[str, Any]


def finetune(
    task: LabelledTask,
    tokenizer: Encoder,
    checkpoint: Path,
    init: Init,
    config: FinetuningConfig,
    compute: ComputeConfig,
    seed: int,
    on_row: Callable[[dict[str, float], int], None],
) -> FinetuneResult:
    """Train on the task's training items and score its test items.

    Args:
        checkpoint: folder of a pre-trained GPT; ``scratch`` takes only its shape, and the same schedule.
        seed: of the new weights, the batches and the dropout.
        on_row: is told the numbers of each step, and how many steps there are.

    Raises:
        InputError: a task without labels; a missing or corrupt checkpoint.
    """
    prepare(compute, seed)
    shape = load_config(checkpoint)
    specials = Specials.after(shape.vocab_size)
    train = encode_items(task.train[: config.train_items], tokenizer, specials, shape.context_length)
    test = encode_items(task.test, tokenizer, specials, shape.context_length)
    model = build_task_model(task, checkpoint, init, config, seed)
    batches = EpochBatches(train, config, seed)
    recorder = _Recorder(on_row)
    module = LitFinetune(model, config, len(batches))
    loader = DataLoader(batches, batch_size=None, generator=torch.Generator())  # of its own: it draws one number from it
    torch.manual_seed(seed)  # of the dropout, the same from whichever weights
    fit(build_trainer(compute, len(batches), [recorder]), module, loader)
    right = count_right(model, test, config.batch_sequences)
    return FinetuneResult(model, recorder.rows, _metrics(task, right, len(train), config.confidence))


def build_task_model(task: LabelledTask, checkpoint: Path, init: Init, config: FinetuningConfig, seed: int) -> TaskModel:
    """The GPT with three more rows N(0, 0.02) and a new head; ``seed`` also sets the weights of a GPT from scratch."""
    torch.manual_seed(seed)
    gpt = GPT(load_config(checkpoint).model_copy(update={"dropout": config.dropout}))
    if init == "pretrained":
        gpt.load_state_dict(load_checkpoint(checkpoint).state_dict())
    generator = torch.Generator().manual_seed(seed)
    grow_vocabulary(gpt, NUM_SPECIALS, generator)
    head = ExtractHead(gpt.config.d_model, num_outputs(task), config.classifier_dropout, task.transformation, generator)
    return TaskModel(gpt, head)


def save_finetuned(path: Path, task: LabelledTask, result: FinetuneResult) -> None:
    """Write a checkpoint folder with ``head.safetensors``, ``task.json`` and ``curve.csv`` beside it, whole or not at all."""
    with atomic_folder(path) as scratch:
        save_checkpoint(scratch, result.model.gpt)
        save_weights(scratch / "head.safetensors", result.model.head.state_dict())
        write_json(scratch / "task.json", {"task": task.name, "transformation": task.transformation, "labels": list(task.labels)})
        with (scratch / "curve.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, CURVE_FIELDS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(result.rows)


def count_right(model: TaskModel, items: Sequence[Encoded], batch_sequences: int) -> int:
    """Items whose highest logit is that of the label."""
    model.eval()
    device = next(model.parameters()).device
    by_length = sorted(items, key=lambda item: item.length)
    right = 0
    with torch.inference_mode():
        for start in range(0, len(by_length), batch_sequences):
            batch = collate(by_length[start : start + batch_sequences]).to(device)
            right += int((model(batch)[0].argmax(dim=1) == batch.labels).sum())
    return right


class _Recorder(pl.Callback):
    """Keeps the curve and tells each row."""

    def __init__(self, on_row: Callable[[dict[str, float], int], None]) -> None:
        self._on_row = on_row
        self.rows: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        assert isinstance(pl_module, LitFinetune)
        self.rows.append(pl_module.last_row)
        self._on_row(pl_module.last_row, pl_module.num_steps)


def _metrics(task: LabelledTask, right: int, train_items: int, confidence: float) -> dict[str, Any]:
    low, high = clopper_pearson(right, len(task.test), confidence)
    return {
        "task": task.name,
        "transformation": task.transformation,
        "metric": "accuracy",
        "score": right / len(task.test),
        "low": low,
        "high": high,
        "majority": majority_accuracy(task),
        "train_items": train_items,
        "test_items": len(task.test),
    }


def majority_accuracy(task: LabelledTask) -> float:
    """Share of test items that the most frequent training label gets right; of several as frequent the smallest."""
    train = Counter(label_of(item) for item in task.train)
    majority = min(train, key=lambda label: (-train[label], label))
    return [label_of(item) for item in task.test].count(majority) / len(task.test)
