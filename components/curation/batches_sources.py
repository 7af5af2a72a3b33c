"""Units of a source in, record batches of what they hold out. No engine inside."""

from collections.abc import Callable, Iterator
from functools import partial

import pyarrow as pa

from components.curation.batches import Batches
from components.sources.config import SourceConfig
from components.sources.documents import Document, Entry
from components.sources.read import page_of, read_unit

ENTRY_COLUMNS = "id string, source string, role string, work string, reason string, text string, page string"
"""One row for each entry read. ``reason`` is "" for a document; ``text`` is null for what was skipped; ``work`` is null where a
document is no version of a work; ``page`` where no rule compares its page with others."""
CHARS_AT_ONCE = 8_000_000  # of text in a batch
ROWS_AT_ONCE = 5_000


def entry_schema() -> pa.Schema:
    """Of ENTRY_COLUMNS."""
    return pa.schema([(column.split()[0], pa.string()) for column in ENTRY_COLUMNS.split(", ")])


def entries(name: str, config: SourceConfig) -> Callable[[Batches], Batches]:
    """unit -> ENTRY_COLUMNS."""
    return partial(_entries, name, config)


def as_batches(read: Iterator[Entry], config: SourceConfig) -> Batches:
    """Entries as record batches of ENTRY_COLUMNS, each of a bounded size."""
    rows: list[dict[str, str | None]] = []
    chars = 0
    for entry in read:
        rows.append(_row(entry, config))
        chars += len(entry.text) if isinstance(entry, Document) else 0
        if chars >= CHARS_AT_ONCE or len(rows) >= ROWS_AT_ONCE:
            yield pa.RecordBatch.from_pylist(rows, entry_schema())
            rows, chars = [], 0
    yield pa.RecordBatch.from_pylist(rows, entry_schema())


def _entries(name: str, config: SourceConfig, batches: Batches) -> Batches:
    for batch in batches:
        for unit in batch["unit"].to_pylist():
            yield from as_batches(read_unit(name, config, unit), config)


def _row(entry: Entry, config: SourceConfig) -> dict[str, str | None]:
    row: dict[str, str | None] = {"id": entry.id, "source": entry.source, "role": config.role}
    if isinstance(entry, Document):
        return row | {"work": entry.meta.get("work"), "reason": "", "text": entry.text, "page": page_of(entry, config)}
    return row | {"reason": entry.reason}
