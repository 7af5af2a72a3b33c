"""A user's own CSV, TSV or JSONL file as a task: which column holds what is said in params.yaml."""

import csv
import dataclasses
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components.curation.draws import uniform
from components.errors import InputError
from components.tasks.config import OwnTaskConfig
from components.tasks.items import ITEM_TYPES, DraftTask, Item, MultipleChoice, Sourced
from components.tasks.text import cut

DELIMITERS = {".csv": ",", ".tsv": "\t"}
Row = Mapping[str, Any]
ValuesAt = tuple[str, dict[str, Any]]
"""Where a row stands (file and line), and its fields: text, or a list of texts for ``choices``."""


def own_task(name: str, config: OwnTaskConfig, seed: int) -> DraftTask:
    """Read the file or files of one task. Without a file for testing, rows are put aside by a hash of their content.

    Raises:
        InputError: names the file, the line and the column: missing file, unknown kind of file, missing column, empty
            cell, a label that is no choice, a class that training never shows, no rows.
    """
    _check_columns(name, config)
    rows = _shuffled(_values(Path(config.train), config), name, seed)
    if isinstance(config.test, str):
        train, test = rows, _shuffled(_values(Path(config.test), config), name, seed)
    else:
        first_train = sum(_place(row, name, seed) < config.test for row in rows)
        test, train = rows[:first_train], rows[first_train:]
    for part, parameter in ((train, "train"), (test, "test")):
        if not part:
            raise InputError(f"params.yaml: tasks.own.{name} has no {parameter} rows; add rows or change tasks.own.{name}.test")
    labels = _labels(train, test, config)
    return DraftTask(name, config.transformation, labels, _items(train, labels, config), _items(test, labels, config))


def _place(row: ValuesAt, name: str, seed: int) -> float:
    """In [0, 1), the same for rows of the same content, so that a repeated row never lies on both sides."""
    return uniform(seed, f"own {name}", json.dumps(row[1], sort_keys=True))


def _shuffled(rows: list[ValuesAt], name: str, seed: int) -> list[ValuesAt]:
    return sorted(rows, key=lambda row: _place(row, name, seed))


def _check_columns(name: str, config: OwnTaskConfig) -> None:
    wanted = {field.name for field in dataclasses.fields(ITEM_TYPES[config.transformation])}
    if set(config.columns) != wanted:
        raise InputError(f"params.yaml: tasks.own.{name}.columns must name {', '.join(sorted(wanted))} for {config.transformation}")
    for field, column in config.columns.items():
        if isinstance(column, list) != (field == "choices"):
            raise InputError(
                f"params.yaml: tasks.own.{name}.columns.{field} must be {'a list of columns' if field == 'choices' else 'one column'}"
            )


def _values(path: Path, config: OwnTaskConfig) -> list[ValuesAt]:
    found = []
    for line, row in read_rows(path):
        place = f"{path}: line {line}"
        found.append((place, {field: _field(row, column, place, config) for field, column in config.columns.items()}))
    return found


def _field(row: Row, column: str | list[str], place: str, config: OwnTaskConfig) -> str | list[str]:
    if isinstance(column, list):
        return [_cell(row, name, place, config) for name in column]
    return _cell(row, column, place, config)


def _cell(row: Row, column: str, place: str, config: OwnTaskConfig) -> str:
    if row.get(column) is None:
        raise InputError(f"{place}: no column {column!r}; it has {', '.join(map(repr, row))}: mend the row or tasks.own in params.yaml")
    value = row[column]
    if isinstance(value, bool | int | float):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{place}: column {column!r} holds no text; fill it in or take the row out")
    if any("\ud800" <= character <= "\udfff" for character in value):  # JSON can spell them, UTF-8 cannot
        raise InputError(f"{place}: column {column!r} holds half a character (a lone surrogate); mend the row")
    return cut(value, config.max_chars)


def read_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """Line number and fields of each row of a CSV, TSV or JSONL file; a damaged one is an InputError that names the line."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); mend the path of the task") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(f"{path}: line {line}: not UTF-8; save the file as UTF-8") from None
    if path.suffix == ".jsonl":
        yield from _json_rows(path, text)
    elif path.suffix in DELIMITERS:
        yield from _table_rows(path, text)
    else:
        raise InputError(f"{path}: of an unknown kind; a task is read from .csv, .tsv or .jsonl")


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, Row]]:
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            row = json.loads(content)
        except json.JSONDecodeError as error:
            raise InputError(f"{path}: line {line}: not JSON ({error.msg} at column {error.colno}); mend the line") from None
        if not isinstance(row, dict):
            raise InputError(f"{path}: line {line}: not an object with named columns; mend the line")
        yield line, row


def _table_rows(path: Path, text: str) -> Iterator[tuple[int, Row]]:
    # A tab-separated file commonly quotes nothing, so a lone quotation mark in it is text.
    lines, delimiter = io.StringIO(text, newline=""), DELIMITERS[path.suffix]
    if path.suffix == ".csv":
        reader = csv.DictReader(lines, delimiter=delimiter, strict=True)
    else:
        reader = csv.DictReader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    try:
        for row in reader:
            if None in row:
                raise InputError(f"{path}: line {reader.line_num}: more cells than the first line has columns; mend the row")
            yield reader.line_num, row
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num + 1}: {error}; mend the row") from None


def _labels(train: list[ValuesAt], test: list[ValuesAt], config: OwnTaskConfig) -> tuple[str, ...]:
    """Names of the classes, sorted; none for multiple choice and free form."""
    if "label" not in config.columns or config.transformation == "multiple_choice":
        return ()
    labels, column = tuple(sorted({values["label"] for _, values in train})), config.columns["label"]
    if len(labels) < 2:
        raise InputError(f"{config.train}: column {column!r} holds one class only, {labels[0]!r}; a task needs two or more")
    for place, values in test:
        if values["label"] not in labels:
            raise InputError(f"{place}: column {column!r} holds {values['label']!r}, which no training row does; take it out or add some")
    return labels


def _items(rows: list[ValuesAt], labels: tuple[str, ...], config: OwnTaskConfig) -> list[Sourced]:
    return [Sourced(_item(place, values, labels, config), (place,)) for place, values in rows]


def _item(place: str, values: dict[str, Any], labels: tuple[str, ...], config: OwnTaskConfig) -> Item:
    item_type = ITEM_TYPES[config.transformation]
    if item_type is MultipleChoice:
        choices = tuple(values["choices"])
        return MultipleChoice(values["context"], choices, _choice(place, values["label"], len(choices), config))
    if labels:
        values = values | {"label": labels.index(values["label"])}
    return item_type(**values)


def _choice(place: str, text: str, num_choices: int, config: OwnTaskConfig) -> int:
    if not text.isdecimal() or int(text) >= num_choices:
        raise InputError(
            f"{place}: column {config.columns['label']!r} holds {text!r}; it must be the number of the right choice, 0 to {num_choices - 1}"
        )
    return int(text)
