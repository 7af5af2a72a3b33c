"""A table of runs: parameters N, tokens D, operations C and loss, from a CSV file as people have them, or JSON records.

Any of comma, semicolon, tab and bar separates; a byte-order mark, quotes, thousands separators and a decimal comma are read.
Units are read from names, "tokens (B)", and from cells, 70M. A run that cannot be used is left out and named; a cell that is no
number is an error, for nobody knows what it meant.
"""

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from components.errors import InputError
from components.scaling.columns import BITS, PERPLEXITY, UNITS, find_columns, unit, words

FLOPS_PER_PARAM_TOKEN = 6.0  # Kaplan 2020 section 2.1, Hoffmann 2022 section 3.3
SEPARATORS = ",;\t|"
MISSING = {"", "nan", "na", "n/a", "none", "null", "-", "inf", "+inf", "-inf", "infinity", "diverged"}
SUFFIXED = re.compile(r"(.*[\d.])\s*([kmbgt])", re.IGNORECASE)
THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")
DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")


@dataclass(frozen=True)
class LeftOut:
    """A line of the table that no fit uses, and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class RunTable:
    """Runs with every quantity finite and positive: arrays [P]; ``lines_P`` says where each stands in the file.

    ``n_params_P`` and ``n_tokens_P`` are None where the table has neither, and only losses against compute can be fitted.
    """

    flops_P: np.ndarray
    losses_P: np.ndarray
    lines_P: np.ndarray
    n_params_P: np.ndarray | None = None
    n_tokens_P: np.ndarray | None = None
    left_out: tuple[LeftOut, ...] = ()
    warnings: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def num_runs(self) -> int:
        """P."""
        return len(self.losses_P)

    def subset(self, kept_P: np.ndarray, left_out: Sequence[LeftOut] = (), warnings: Sequence[str] = ()) -> "RunTable":
        """The runs of a mask, with what is to be said about the others."""
        sizes = None if self.n_params_P is None else self.n_params_P[kept_P]
        tokens = None if self.n_tokens_P is None else self.n_tokens_P[kept_P]
        arrays = (self.flops_P[kept_P], self.losses_P[kept_P], self.lines_P[kept_P], sizes, tokens)
        return RunTable(*arrays, (*self.left_out, *left_out), (*self.warnings, *warnings), self.columns)


def read_table(path: Path, named: Mapping[str, str | None]) -> RunTable:
    """Read the runs of a CSV file, or of JSON records: a list, or one a line.

    Args:
        named: quantity (n_params, n_tokens, flops, loss_nats) -> name of its column; None looks for the usual names.

    Raises:
        InputError: the file is missing, empty, not text, has no line of names, lacks a column; a cell is no number.
    """
    header, rows = _rows(path)
    columns, warnings = find_columns(path, header, named)
    cells = {quantity: [(line, row[header.index(name)]) for line, row in rows] for quantity, name in columns.items()}
    values = {quantity: _numbers(path, columns[quantity], quantity, column) for quantity, column in cells.items()}
    for quantity in [name for name in columns if name != "loss_nats"]:
        factor = unit(columns[quantity])
        if factor is not None:
            values[quantity] = [factor * value for value in values[quantity]]
            warnings = (*warnings, f"{quantity} is read in units of {factor:.3g}, for its column is named {columns[quantity]!r}")
    values["loss_nats"], said = _losses(columns["loss_nats"], values["loss_nats"])
    warnings = (*warnings, *said)
    kept, left_out = _usable([line for line, _ in rows], values, columns)
    if not kept:
        why = f" (line {left_out[0].line}: {left_out[0].reason})" if left_out else ""
        raise InputError(f"{path}: holds no usable run{why}; give a line of names and a line for each run")
    arrays = {quantity: np.array([column[index] for index in kept]) for quantity, column in values.items()}
    lines = np.array([rows[index][0] for index in kept])
    return _completed(arrays, lines, tuple(left_out), warnings, columns)


def _losses(name: str, values: list[float]) -> tuple[list[float], list[str]]:
    """The losses that a column of that name holds, and what is to be said about their unit."""
    if PERPLEXITY & set(words(name)):
        logarithms = [math.log(value) if value > 0 else value for value in values]
        return logarithms, [f"column {name!r} is read as perplexity, its logarithm as the loss"]
    if BITS & set(words(name)):
        return values, [f"column {name!r} is taken as it is: the forecast is in its bits, not in nats"]
    return values, []


def _rows(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The names, and each line's number and cells."""
    text = _text(path)
    first = next((line for line in text.splitlines() if line.strip()), "")
    if first.lstrip()[:1] in ("[", "{"):
        return _json_rows(path, text)
    if not first:
        raise InputError(f"{path}: empty; give a line of names (N, D, C, loss) and a line for each run")
    separator = max(SEPARATORS, key=first.count)
    if separator not in first:
        raise InputError(f"{path}: line 1 holds one column, {first.strip()[:40]!r}; separate columns by commas")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        found = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise InputError(f"{path}: line {reader.line_num}: not CSV ({error}); mend the line") from None
    (_, header), rows = found[0], found[1:]
    if any(_is_number(name) for name in header if name):
        raise InputError(f"{path}: line 1 holds numbers, not names of columns; write N, D, C, loss above them")
    for line, row in rows:
        if len(row) != len(header):
            hint = "quote numbers that hold the separator" if len(row) > len(header) else "fill the missing cells"
            raise InputError(f"{path}: line {line}: {len(row)} cells under {len(header)} names; {hint}")
    return header, rows


def _json_rows(path: Path, text: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The same of JSON: a list of records, or a record a line; a record's number stands for its line."""
    try:
        records = json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines() if line.strip()]
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: line {error.lineno}: not JSON ({error.msg}); give a list of records, or a record a line") from None
    if not records or not all(isinstance(record, dict) for record in records):
        raise InputError(f"{path}: holds no JSON records; give [{{N: ..., D: ..., loss: ...}}, ...], or CSV")
    names = list(dict.fromkeys(name for record in records for name in record))
    cells = [["" if record.get(name) is None else str(record[name]) for name in names] for record in records]
    return names, list(enumerate(cells, start=1))


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: not there; give the path of a CSV file with columns N, D, C, loss") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); give the path of a CSV file") from None
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        raise InputError(f"{path}: not UTF-8 text; save it as CSV in UTF-8") from None
    if "\0" in text:
        raise InputError(f"{path}: not text but a binary file; save it as CSV in UTF-8")
    return text


def _numbers(path: Path, name: str, quantity: str, cells: Sequence[tuple[int, str]]) -> list[float]:
    """The cells of a column; NaN where there is none. What a comma means is decided for the whole column."""
    commas = [(line, cell) for line, cell in cells if "," in cell]
    decimal = any(not THOUSANDS.fullmatch(cell) and DECIMAL_COMMA.fullmatch(cell) for _, cell in commas)
    if commas and not decimal and quantity == "loss_nats" and all(cell.count(",") == 1 and "." not in cell for _, cell in commas):
        line, cell = commas[0]
        raise InputError(f"{path}: line {line}: column {name!r}: {cell!r} may be thousands or decimals; write it without a comma")
    return [_number(path, line, name, cell, decimal) for line, cell in cells]


def _number(path: Path, line: int, name: str, cell: str, decimal: bool) -> float:
    if cell.lower() in MISSING:
        return math.nan
    plain = re.sub(r"(?<=\d)[ _'\u00a0\u2009\u202f](?=\d)", "", cell)
    if decimal:
        plain = plain.replace(",", ".")
    elif THOUSANDS.fullmatch(plain):
        plain = plain.replace(",", "")
    suffix = SUFFIXED.fullmatch(plain)
    factor, plain = (UNITS[suffix[2].lower()], suffix[1]) if suffix else (1.0, plain)
    if not _is_number(plain):
        raise InputError(f"{path}: line {line}: column {name!r}: {cell[:40]!r} is no number; mend the cell or leave it empty")
    return factor * float(plain)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text) is not None


def _usable(lines: Sequence[int], values: Mapping[str, list[float]], columns: Mapping[str, str]) -> tuple[list[int], list[LeftOut]]:
    """Indices of the runs that can be used, and the others with their reason."""
    kept: list[int] = []
    left_out: list[LeftOut] = []
    seen: dict[tuple[float, ...], int] = {}
    for index, line in enumerate(lines):
        row = tuple(column[index] for column in values.values())
        bad = next((name for name, value in zip(values, row, strict=True) if not (math.isfinite(value) and value > 0)), None)
        if bad is not None:
            value = values[bad][index]
            shown = "missing or not finite" if not math.isfinite(value) else f"{value:g}, not positive"
            left_out.append(LeftOut(line, f"{columns[bad]} is {shown}"))
        elif row in seen:
            left_out.append(LeftOut(line, f"repeats line {seen[row]}"))
        else:
            seen[row] = line
            kept.append(index)
    return kept, left_out


def _completed(
    arrays: dict[str, np.ndarray], lines: np.ndarray, left_out: tuple[LeftOut, ...], warnings: tuple[str, ...], columns: Mapping[str, str]
) -> RunTable:
    """The table with the quantity that C = 6 N D gives where the file leaves it out."""
    sizes, tokens, flops = arrays.get("n_params"), arrays.get("n_tokens"), arrays.get("flops")
    if flops is None and sizes is not None and tokens is not None:
        flops, warnings = FLOPS_PER_PARAM_TOKEN * sizes * tokens, (*warnings, "the table has no compute: C = 6 N D")
    assert flops is not None, "columns were checked"
    if sizes is not None and tokens is None:
        tokens, warnings = flops / FLOPS_PER_PARAM_TOKEN / sizes, (*warnings, "the table has no tokens: D = C / 6 N")
    elif sizes is None and tokens is not None:
        sizes, warnings = flops / FLOPS_PER_PARAM_TOKEN / tokens, (*warnings, "the table has no parameters: N = C / 6 D")
    return RunTable(flops, arrays["loss_nats"], lines, sizes, tokens, left_out, warnings, columns)
