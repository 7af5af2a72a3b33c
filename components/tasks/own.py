"""A user's own CSV, TSV or JSONL file as a task of the graph: which column holds what is said in params.yaml."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.errors import InputError
from components.tasks.config import OwnTaskConfig
from components.tasks.items import DraftTask
from components.tasks.labelling import Row, draft_task, item_fields, place_of, shuffled, text_of
from components.tasks.rows import read_rows
from components.tasks.text import cut


def own_task(name: str, config: OwnTaskConfig, seed: int) -> DraftTask:
    """Read the file or files of one task. Without a file for testing, rows are put aside by a hash of their content.

    Raises:
        InputError: names the file, the line and the column: missing file, unknown kind of file, missing column, empty
            cell, no rows, and what ``draft_task`` refuses.
    """
    _check_columns(name, config)
    rows = shuffled(_rows(Path(config.train), config), name, seed)
    if isinstance(config.test, str):
        train, test = rows, shuffled(_rows(Path(config.test), config), name, seed)
    else:
        first_train = sum(place_of(row, name, seed) < config.test for row in rows)
        test, train = rows[:first_train], rows[first_train:]
    for part, parameter in ((train, "train"), (test, "test")):
        if not part:
            raise InputError(f"params.yaml: tasks.own.{name} has no {parameter} rows; add rows or change tasks.own.{name}.test")
    return draft_task(name, config, {field: f"column {column!r}" for field, column in config.columns.items()}, train, test)


def _check_columns(name: str, config: OwnTaskConfig) -> None:
    wanted = item_fields(config)
    if set(config.columns) != wanted:
        raise InputError(f"params.yaml: tasks.own.{name}.columns must name {', '.join(sorted(wanted))} for {config.transformation}")
    for field, column in config.columns.items():
        if isinstance(column, list) != (field == "choices"):
            raise InputError(
                f"params.yaml: tasks.own.{name}.columns.{field} must be {'a list of columns' if field == 'choices' else 'one column'}"
            )


def _rows(path: Path, config: OwnTaskConfig) -> list[Row]:
    found = []
    for line, row in read_rows(path):
        place = f"{path}: line {line}"
        found.append(Row(place, {field: _field(row, column, place, config) for field, column in config.columns.items()}))
    return found


def _field(row: Mapping[str, Any], column: str | list[str], place: str, config: OwnTaskConfig) -> str | list[str]:
    if isinstance(column, list):
        return [_cell(row, name, place, config) for name in column]
    return _cell(row, column, place, config)


def _cell(row: Mapping[str, Any], column: str, place: str, config: OwnTaskConfig) -> str:
    if row.get(column) is None:
        raise InputError(f"{place}: no column {column!r}; it has {', '.join(map(repr, row))}: mend the row or tasks.own in params.yaml")
    return cut(text_of(row[column], f"{place}: column {column!r}"), config.max_chars)
