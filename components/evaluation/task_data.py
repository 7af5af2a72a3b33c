"""Rows of a task file's data: CSV, TSV or JSONL files, a data set of the Hub, or made up; checked before anything is scored."""

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.errors import InputError
from components.evaluation.config import ProtocolConfig
from components.evaluation.generated import InventedWords, generate
from components.evaluation.hub_rows import hub_rows
from components.evaluation.rows import Place, Posed, evaluate, pose
from components.evaluation.task_file import Hub, TaskFile
from components.tasks.items import ITEM_TYPES, LabelledTask
from components.tasks.own import read_rows


@dataclass(frozen=True)
class Loaded:
    """The items of a task, and what is worth knowing about them."""

    test: list[Posed]
    train: list[Posed]
    """To draw demonstrations from; the test items themselves where the task has no train split."""
    duplicates: int
    """Test items with the words and the answer of another; they stay, as in the scores that others publish."""
    in_train: int
    """Test items that stand in the train split too; they stay, but never demonstrate themselves."""


def load_task(task: TaskFile, folder: Path, config: ProtocolConfig) -> Loaded:
    """Read and put in words.

    Args:
        folder: that of the task file, from which paths go out.

    Raises:
        InputError: names the file and line: damaged, a missing column, an empty text, a label out of range; no rows.
    """
    test = _posed(task, folder, "test")
    items = sorted(test, key=lambda posed: _rank(config.seed, posed))[: config.max_items]
    separate = _has_train(task)
    train = _posed(task, folder, "train") if separate and task.shots else items
    known = {_key(posed) for posed in train} if separate else set()
    return Loaded(items, train, len(test) - len(set(map(_key, test))), sum(_key(posed) in known for posed in items))


def _has_train(task: TaskFile) -> bool:
    data = task.files or task.hub
    return data.train is not None if data else isinstance(task.generated, InventedWords)


def _posed(task: TaskFile, folder: Path, split: str) -> list[Posed]:
    posed = [pose(task, place) for place in _places(task, folder, split)]
    if not posed:
        raise InputError(f"task {task.name} has no {split} items; name a file or split that has some")
    return posed


def _places(task: TaskFile, folder: Path, split: str) -> Iterator[Place]:
    if task.generated is not None:
        yield from (Place(f"{task.name}: {split} row {number}", row) for number, row in enumerate(generate(task.generated, split), start=1))
        return
    data = task.files or task.hub
    assert data is not None, "the file was checked"
    name = getattr(data, split)
    if name is None:
        raise InputError(f"task {task.name} has no {split} split; name one")
    if isinstance(data, Hub):
        rows = enumerate(hub_rows(task.name, data, name, folder), start=1)
        yield from (Place(f"{data.path} {name}: row {number}", row) for number, row in rows)
    else:
        yield from (Place(f"{folder / name}: line {line}", row) for line, row in read_rows(folder / name))


def _key(posed: Posed) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    return posed.contexts, posed.continuations, posed.right


def _rank(seed: int, posed: Posed) -> tuple[bytes, str]:
    text = "\0".join((*posed.contexts, *posed.continuations, str(posed.right)))
    return hashlib.blake2b(f"{seed}:{text}".encode(), digest_size=8).digest(), text


def labelled_task(task: TaskFile, folder: Path) -> LabelledTask:
    """The rows in the GPT-1 transformation that the file names, to fine-tune on: classes are named by their numbers.

    Raises:
        InputError: the file has no finetuning part, or lacks a field or a train split; a label that training never shows.
    """
    part = task.finetuning
    if part is None:
        raise InputError(f"task {task.name} says nothing of fine-tuning; add finetuning with transformation, fields and metric")
    item_type = ITEM_TYPES[part.transformation]
    if set(part.fields) != (wanted := {field.name for field in dataclasses.fields(item_type)}):
        raise InputError(f"task {task.name}: finetuning.fields must name {', '.join(sorted(wanted))} for {part.transformation}")
    splits = {}
    for split in ("train", "test"):
        splits[split] = [_fields(task, part.fields, place) for place in _places(task, folder, split)]
    if part.transformation == "multiple_choice":
        items = {split: [item_type(**{**row, "choices": tuple(row["choices"])}) for _, row in rows] for split, rows in splits.items()}
        return LabelledTask(task.name, part.transformation, (), items["train"], items["test"])
    labels = tuple(sorted({str(row["label"]) for _, row in splits["train"]}))
    for place, row in splits["test"]:
        if str(row["label"]) not in labels:
            raise InputError(f"{place.where}: label {row['label']!r} of task {task.name} stands in no train row; take it out or add some")
    items = {split: [item_type(**{**row, "label": labels.index(str(row["label"]))}) for _, row in rows] for split, rows in splits.items()}
    return LabelledTask(task.name, part.transformation, labels, items["train"], items["test"])


def _fields(task: TaskFile, fields: Mapping[str, str], place: Place) -> tuple[Place, dict[str, Any]]:
    return place, {field: evaluate(task, field, expression, place) for field, expression in fields.items()}
