"""Sorted Parquet files of an engine -> one sorted stream -> one file with the same bytes however the rows came."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROWS_READ = 1_000  # of each file at a time
ROWS_WRITTEN = 10_000  # of a row group; some 20 MB of text
Key = tuple[str, str]


def merged(files: Sequence[Path]) -> Iterator[pa.RecordBatch]:
    """The rows of files that are each sorted by (source, id), sorted by that; in memory are ``ROWS_READ`` of each file."""
    heads = [head for head in map(_Head, files) if head.keys]
    while heads:
        last = min(head.keys[-1] for head in heads)
        table = pa.Table.from_batches([part for head in heads for part in head.take(last)])
        yield from table.sort_by([("source", "ascending"), ("id", "ascending")]).combine_chunks().to_batches()
        heads = [head for head in heads if head.keys]


class _Head:
    """The rows of a file that come next."""

    def __init__(self, file: Path) -> None:
        self._batches = pq.ParquetFile(file, pre_buffer=False).iter_batches(ROWS_READ)  # else all of the file is held
        self._next()

    def _next(self) -> None:
        self._batch: pa.RecordBatch | None = next(self._batches, None)
        batch = self._batch
        self.keys: list[Key] = [] if batch is None else list(zip(batch["source"].to_pylist(), batch["id"].to_pylist(), strict=True))
        assert all(one <= other for one, other in zip(self.keys, self.keys[1:], strict=False)), "the engine's files are not sorted"

    def take(self, last: Key) -> Iterator[pa.RecordBatch]:
        """Rows up to and with the key ``last``, once; rows of one batch at most, as ``last`` is no more than the least of their ends."""
        assert self._batch is not None
        number = bisect_right(self.keys, last)
        if number:
            yield self._batch.slice(0, number)
        self._batch, self.keys = self._batch.slice(number), self.keys[number:]
        if not self.keys:
            self._next()


def write(parts: Iterable[pa.RecordBatch], schema: pa.Schema, path: Path) -> None:
    """Rows in their order, in row groups of ``ROWS_WRITTEN``."""
    waiting: list[pa.RecordBatch] = []
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for part in chain(parts, (None,)):
            waiting += [part.select(schema.names).cast(schema)] if part is not None else []
            rows = sum(batch.num_rows for batch in waiting)
            while rows >= ROWS_WRITTEN or (part is None and rows):
                table = pa.Table.from_batches(waiting, schema)
                writer.write_table(table.slice(0, ROWS_WRITTEN).combine_chunks())
                waiting = table.slice(ROWS_WRITTEN).to_batches()
                rows -= min(rows, ROWS_WRITTEN)
