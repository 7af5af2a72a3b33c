"""One fine-tuning run: labelled items and a GPT in; fine-tuned model, curve and score out."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import numpy as np
import torch
from torch.utils.data import DataLoader

from components.artifacts import atomic_folder, write_json
from components.evaluation.answers import Answer, write_answers
from components.finetuning.batches import EpochBatches
from components.finetuning.checks import check_task, count_repeats, warnings
from components.finetuning.config import FinetuningConfig
from components.finetuning.heads import ExtractHead, TaskModel
from components.finetuning.lit_finetune import LitFinetune
from components.finetuning.predict import predict
from components.finetuning.scores import Answers, answers_of, diverged, score, scored
from components.finetuning.transforms import NUM_SPECIALS, Encoded, Encoder, Specials, encode_items, num_outputs
from components.finetuning.validation import split_validation
from components.tasks.evaluated import texts_of
from components.tasks.items import DraftTask, LabelledTask
from components.training.config import ComputeConfig
from components.training.trainer import build_trainer, fit, prepare
from components.transformer.checkpoint import load_checkpoint, load_config, save_checkpoint, save_weights
from components.transformer.model import GPT, grow_vocabulary

Init = Literal["pretrained", "scratch"]
CURVE_FIELDS = ["step", "loss_nats", "learning_rate"]


@dataclass(frozen=True)
class FinetuneResult:
    """The fine-tuned model, its curve (a row for each step), its answers to the test items (None if it diverged) and its metrics."""

    model: TaskModel
    rows: list[dict[str, float]]
    answers: Answers | None
    metrics: dict[str, Any]


@dataclass(frozen=True)
class Splits:
    """The items of a task as the model reads them."""

    train: list[Encoded]
    validation: list[Encoded]
    test: list[Encoded]


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
    """Train on the task's training items, but for those put aside for validation; score these and the test items.

    ``score`` of the metrics is the test items', by the task's metric; ``validation_score`` what rates and forms are to be chosen by
    (None without validation items). A loss or a score that is not finite ends the run: the metrics then say ``diverged``, why and after
    how many steps, and hold no score.

    Args:
        checkpoint: folder of a pre-trained GPT; ``scratch`` takes only its shape, and the same schedule.
        seed: of the new weights, the batches and the dropout.
        on_row: is told the numbers of each step, and how many steps there are.

    Raises:
        InputError: a task without labels, or one that ``check_task`` refuses; a missing or corrupt checkpoint.
    """
    prepare(compute, seed)
    check_task(task)
    splits = encode_splits(task, tokenizer, checkpoint, config)
    model = build_task_model(task, checkpoint, init, config, seed)
    batches = EpochBatches(splits.train, config, seed)
    recorder = _Recorder(on_row)
    module = LitFinetune(model, config, len(batches))
    loader = DataLoader(batches, batch_size=None, generator=torch.Generator())  # of its own: it draws one number from it
    torch.manual_seed(seed)  # of the dropout, the same from whichever weights
    fit(build_trainer(compute.alone(), len(batches), [recorder]), module, loader)
    answers = None if module.diverged else _answers(task, model, splits, config)
    metrics = _facts(task, splits, config)
    if answers is None:
        metrics |= diverged(task, module.diverged or "scores of items are not finite", module.steps_done)
    else:
        metrics |= {"diverged": False, **scored(task, answers.test, config)}
        metrics["validation_score"] = score(task, task.metric, answers.validation) if splits.validation else None
    metrics["warnings"] = warnings(metrics)
    return FinetuneResult(model, recorder.rows, answers.test if answers else None, metrics)


def encode_splits(task: LabelledTask, tokenizer: Encoder, checkpoint: Path, config: FinetuningConfig) -> Splits:
    """The first ``train_items`` training items without a share for validation, that share, and the test items."""
    shape = load_config(checkpoint)
    specials = Specials.after(shape.vocab_size)
    parts = (*split_validation(task.train[: config.train_items], config), task.test)
    return Splits(*(encode_items(part, tokenizer, specials, shape.context_length) for part in parts))


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


def save_finetuned(path: Path, draft: DraftTask, result: FinetuneResult) -> None:
    """``write_finetuned``, whole or not at all."""
    with atomic_folder(path) as scratch:
        write_finetuned(scratch, draft, result)


def write_finetuned(folder: Path, draft: DraftTask, result: FinetuneResult) -> None:
    """A checkpoint with ``head.safetensors``, ``task.json``, ``curve.csv`` and, unless it diverged, ``items.jsonl`` beside it."""
    save_checkpoint(folder, result.model.gpt)
    save_weights(folder / "head.safetensors", result.model.head.state_dict())
    facts = {name: getattr(draft, name) for name in ("transformation", "labels", "metric", "positive")}
    write_json(folder / "task.json", {"task": draft.name, **facts})
    with (folder / "curve.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, CURVE_FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(result.rows)
    if result.answers is not None:
        write_answers(folder / "items.jsonl", named_answers(draft, result.answers))


def named_answers(draft: DraftTask, answers: Answers) -> Iterator[Answer]:
    """What each test item was taken for and is: by name of the class, number of the answer, or score on the task's scale."""

    def named(label: Any) -> int | float | str:
        if draft.task.is_scored:
            return float(label) + int(draft.labels[0])
        return draft.labels[int(label)] if draft.labels else int(label)

    for row, predicted, right in zip(draft.test, answers.predicted_N, answers.right_N, strict=True):
        yield Answer(", ".join(row.documents), "\n".join(texts_of(row.item)), named(predicted), named(right))


class _Recorder(pl.Callback):
    """Keeps the curve and tells each row."""

    def __init__(self, on_row: Callable[[dict[str, float], int], None]) -> None:
        self._on_row = on_row
        self.rows: list[dict[str, float]] = []

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        assert isinstance(pl_module, LitFinetune)
        if pl_module.diverged:
            return
        self.rows.append(pl_module.last_row)
        self._on_row(pl_module.last_row, pl_module.num_steps)


def _facts(task: LabelledTask, splits: Splits, config: FinetuningConfig) -> dict[str, Any]:
    """What is known before a step is taken."""
    seen = {item.label for item in splits.train}
    return {
        "task": task.name,
        "transformation": task.transformation,
        "train_items": len(splits.train),
        "validation_items": len(splits.validation),
        "test_items": len(task.test),
        "cut_train_items": sum(item.cut for item in splits.train),
        "cut_test_items": sum(item.cut for item in splits.test),
        "unseen_test_items": sum(item.label not in seen for item in splits.test) if task.has_classes else 0,
        **count_repeats(task.train[: config.train_items], task.test),
    }


@dataclass(frozen=True)
class _Answered:
    test: Answers
    validation: Answers


def _answers(task: LabelledTask, model: TaskModel, splits: Splits, config: FinetuningConfig) -> _Answered | None:
    """None where a logit is not finite."""
    parts = [(part, predict(model, part, config.batch_sequences)) for part in (splits.test, splits.validation)]
    if not all(logits_NC.isfinite().all() for _, logits_NC in parts):
        return None
    return _Answered(*(answers_of(task, logits_NC.numpy(), np.array([item.label for item in part])) for part, logits_NC in parts))
