"""Labelled items, and the folder that holds them: one JSONL file per task and a manifest."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.artifacts import atomic_folder, read_json_lines, read_manifest, sha256_file, write_json_lines, write_manifest
from components.errors import InputError
from components.tasks.config import LabelMetric, Transformation
from components.tasks.text import cut

KIND = "tasks"
Label = int | float
"""Number of a class, an index into the task's labels; or a score, counted from the lowest of the task's scale."""


@dataclass(frozen=True)
class Classification:
    """One text and its class."""

    text: str
    label: Label


@dataclass(frozen=True)
class Entailment:
    """An ordered pair."""

    premise: str
    hypothesis: str
    label: Label


@dataclass(frozen=True)
class Similarity:
    """A pair whose order means nothing."""

    first: str
    second: str
    label: Label


@dataclass(frozen=True)
class MultipleChoice:
    """``label`` is the index of the right choice."""

    context: str
    choices: tuple[str, ...]
    label: int


@dataclass(frozen=True)
class FreeForm:
    """A prompt and the text that must follow it."""

    context: str
    completion: str


Item = Classification | Entailment | Similarity | MultipleChoice | FreeForm

ITEM_TYPES: Mapping[Transformation, type[Item]] = {
    "classification": Classification,
    "entailment": Entailment,
    "similarity": Similarity,
    "multiple_choice": MultipleChoice,
    "free_form": FreeForm,
}


def shortened(item: Item, max_chars: int) -> Item:
    """The item with each of its texts cut to ``max_chars``; choices and free-form items stay as they are."""
    if isinstance(item, FreeForm):
        return item
    texts = {name: cut(value, max_chars) for name, value in vars(item).items() if isinstance(value, str)}
    return dataclasses.replace(item, **texts)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Sourced:
    """An item and the ids of the documents it was made from."""

    item: Item
    documents: tuple[str, ...]


@dataclass(frozen=True)
class LabelledTask:
    """A task as it is used. ``labels`` names the classes, or the whole numbers of a scale; empty for multiple choice and free form."""

    name: str
    transformation: Transformation
    labels: tuple[str, ...]
    train: list[Item]
    test: list[Item]
    metric: LabelMetric = "accuracy"
    positive: str | None = None
    """The class that F1 is of."""

    @property
    def is_scored(self) -> bool:
        """Labels are scores and not classes."""
        return self.metric in ("pearson", "spearman")

    @property
    def has_classes(self) -> bool:
        """Labels are classes: neither scores nor numbers of an answer."""
        return bool(self.labels) and not self.is_scored


@dataclass(frozen=True)
class DraftTask:
    """A task as it is made: items that still know their documents, or the places of their rows."""

    name: str
    transformation: Transformation
    labels: tuple[str, ...]
    train: list[Sourced]
    test: list[Sourced]
    metric: LabelMetric = "accuracy"
    positive: str | None = None

    @property
    def task(self) -> LabelledTask:
        """As it is used."""
        train, test = ([row.item for row in rows] for rows in (self.train, self.test))
        return LabelledTask(self.name, self.transformation, self.labels, train, test, self.metric, self.positive)


def save_tasks(path: Path, drafts: list[DraftTask]) -> None:
    """Write the folder whole or not at all; a row also names its split and its documents."""
    with atomic_folder(path) as scratch:
        facts = {}
        for draft in drafts:
            file = scratch / f"{draft.name}.jsonl"
            rows = [("train", row) for row in draft.train] + [("test", row) for row in draft.test]
            write_json_lines(file, (_row(split, row) for split, row in rows))
            facts[draft.name] = {
                "transformation": draft.transformation,
                "labels": list(draft.labels),
                "metric": draft.metric,
                "positive": draft.positive,
                "train_items": len(draft.train),
                "test_items": len(draft.test),
                "sha256": sha256_file(file),
            }
        write_manifest(scratch, KIND, tasks=facts)


def _row(split: str, row: Sourced) -> dict[str, Any]:
    return {"split": split, **dataclasses.asdict(row.item), "documents": row.documents}


@dataclass(frozen=True)
class TaskSet:
    """The folder that ``save_tasks`` wrote."""

    path: Path

    def names(self) -> list[str]:
        """All tasks, sorted."""
        return sorted(self._facts())

    def load(self, name: str) -> LabelledTask:
        """Read one task as it is used; InputError as ``draft`` has it."""
        return self.draft(name).task

    def draft(self, name: str) -> DraftTask:
        """Read one task with the documents of its items; InputError when there is none of that name, or its file is damaged."""
        facts = self._facts()
        if name not in facts:
            raise InputError(f"{self.path}: no task {name!r} there; choose one of {', '.join(sorted(facts))}")
        fact, file = facts[name], self.path / f"{name}.jsonl"
        if not file.exists() or sha256_file(file) != fact["sha256"]:
            raise InputError(f"{file}: missing or corrupt (sha256 differs); delete {self.path} and run dvc repro derive_tasks")
        split: dict[str, list[Sourced]] = {"train": [], "test": []}
        for row in read_json_lines(file):
            split[row["split"]].append(Sourced(_item(ITEM_TYPES[fact["transformation"]], row), tuple(row["documents"])))
        transformation, labels, metric, positive = (fact[key] for key in ("transformation", "labels", "metric", "positive"))
        return DraftTask(name, transformation, tuple(labels), split["train"], split["test"], metric, positive)

    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = read_manifest(self.path, KIND)["tasks"]
        return facts


def _item(item_type: type[Item], row: dict[str, Any]) -> Item:
    values = {field.name: row[field.name] for field in dataclasses.fields(item_type)}
    if "choices" in values:
        values["choices"] = tuple(values["choices"])
    return item_type(**values)
