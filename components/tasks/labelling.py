"""Rows of named fields -> a labelled task: the one way for a user's file, whether params.yaml names its columns or a task file does."""

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from components.curation.draws import uniform
from components.errors import InputError
from components.tasks.config import Labelling
from components.tasks.items import ITEM_TYPES, DraftTask, Item, Label, Sourced

Fields = dict[str, str | list[str]]
"""Field of the item -> its text; a list of texts for ``choices``."""


@dataclass(frozen=True)
class Row:
    """The fields of one item, and where they stand."""

    where: str
    fields: Fields


def item_fields(how: Labelling) -> set[str]:
    """Names of the fields that an item of the transformation has."""
    return {field.name for field in dataclasses.fields(ITEM_TYPES[how.transformation])}


def text_of(value: Any, place: str) -> str:
    """A cell as text, without white space at its ends.

    Args:
        value: text, a number or a truth value.
        place: where it stands: file, line and column.

    Raises:
        InputError: there is nothing in it, or something else.
    """
    if isinstance(value, bool | int | float):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{place} holds no text; fill it in or take the row out")
    if any("\ud800" <= character <= "\udfff" for character in value):  # JSON can spell them, UTF-8 cannot
        raise InputError(f"{place} holds half a character (a lone surrogate); mend the row")
    return value.strip()


def place_of(row: Row, name: str, seed: int) -> float:
    """In [0, 1), the same for rows of the same content, so that a repeated row never lies on both sides of a split."""
    return uniform(seed, f"own {name}", json.dumps(row.fields, sort_keys=True))


def shuffled(rows: list[Row], name: str, seed: int) -> list[Row]:
    """In the order of a hash: files often come sorted by label, and ``train_items`` takes the first ones."""
    return sorted(rows, key=lambda row: place_of(row, name, seed))


def draft_task(name: str, how: Labelling, called: Mapping[str, str], train: list[Row], test: list[Row]) -> DraftTask:
    """Rows with their labels as numbers. Classes are sorted by name, and those of the training rows.

    Args:
        called: field -> what messages call it: its column or its expression.

    Raises:
        InputError: names the row and the field: a label that is no choice, no number of the scale, or a class that training never
            shows; one class only; a positive class that is none.
    """
    labels = _labels(name, how, called, train, test)
    items = [[Sourced(_item(row, labels, how, called), (row.where,)) for row in rows] for rows in (train, test)]
    return DraftTask(name, how.transformation, labels, items[0], items[1], how.metric, how.positive)


def _labels(name: str, how: Labelling, called: Mapping[str, str], train: list[Row], test: list[Row]) -> tuple[str, ...]:
    if how.transformation in ("multiple_choice", "free_form"):
        return ()
    if how.scale:
        return tuple(str(score) for score in range(how.scale[0], how.scale[1] + 1))
    labels = tuple(sorted({str(row.fields["label"]) for row in train}))
    if len(labels) < 2:
        raise InputError(f"task {name}: {called['label']} holds one class only, {labels[0]!r}; a task needs two or more")
    for row in test:
        if row.fields["label"] not in labels:
            raise InputError(
                f"{row.where}: {called['label']} holds {row.fields['label']!r}, which no training row does; take it out or add some"
            )
    if how.positive is not None and how.positive not in labels:
        raise InputError(f"task {name}: positive is {how.positive!r}, which is no class; choose one of {', '.join(labels)}")
    return labels


def _item(row: Row, labels: tuple[str, ...], how: Labelling, called: Mapping[str, str]) -> Item:
    fields: dict[str, Any] = dict(row.fields)
    if "choices" in fields:
        fields["choices"] = tuple(fields["choices"])
    if "label" in fields:
        fields["label"] = _label(row, labels, how, called["label"])
    return ITEM_TYPES[how.transformation](**fields)


def _label(row: Row, labels: tuple[str, ...], how: Labelling, called: str) -> Label:
    text = str(row.fields["label"])
    if how.scale:
        return _score(f"{row.where}: {called} holds {text!r}", text, *how.scale)
    if how.transformation == "multiple_choice":
        return _choice(f"{row.where}: {called} holds {text!r}", text, len(row.fields["choices"]))
    return labels.index(text)


def _score(holds: str, text: str, lowest: int, highest: int) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if not lowest <= score <= highest:
        raise InputError(f"{holds}; it must be a number from {lowest} to {highest}")
    return score - lowest


def _choice(holds: str, text: str, num_choices: int) -> int:
    if not text.isdecimal() or int(text) >= num_choices:
        raise InputError(f"{holds}; it must be the number of the right choice, 0 to {num_choices - 1}")
    return int(text)
