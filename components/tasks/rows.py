"""Rows of a user's CSV, TSV or JSONL file."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from components.errors import InputError

DELIMITERS = {".csv": ",", ".tsv": "\t"}
Row = Mapping[str, Any]


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
