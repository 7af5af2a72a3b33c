"""The curation of a few entries, as the product does it: on the embedded engine, or at an endpoint."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from components.curation import batches_sources, frames
from components.curation.config import CurationConfig
from components.curation.engine import session
from components.sources.documents import Document, Entry


@dataclass(frozen=True)
class Curated:
    """Rows of fate.parquet and documents.parquet, and the metrics."""

    fate: list[dict[str, Any]]
    documents: list[dict[str, Any]]
    metrics: dict[str, Any]

    def dropped(self, rule: str) -> set[str]:
        """Ids of what a rule has dropped; of what was kept, if it is ""."""
        return {row["id"] for row in self.fate if row["rule"] == rule}

    def row(self, id: str) -> dict[str, Any]:
        return next(row for row in self.fate if row["id"] == id)


def curate(
    entries: Sequence[Entry],
    roles: dict[str, str],
    config: CurationConfig,
    evaluation_texts: Iterable[str] = (),
    folder: Path | None = None,
) -> Curated:
    """What the embedded engine makes of entries; its two files stay in ``folder``."""
    with tempfile.TemporaryDirectory() as scratch:
        out = folder or Path(scratch)
        metrics = on_engine(out, entries, roles, config, evaluation_texts)
        fate, documents = (pq.read_table(out / f"{name}.parquet").to_pylist() for name in ("fate", "documents"))
        return Curated(fate, documents, metrics)


def on_engine(
    out: Path,
    entries: Sequence[Entry],
    roles: dict[str, str],
    config: CurationConfig,
    evaluation_texts: Iterable[str],
    workers: int = 2,
    remote: str = "",
) -> dict[str, Any]:
    """Write the two files into ``out``; returns the metrics."""
    with tempfile.TemporaryDirectory() as work, session(remote, workers) as spark:
        write_entries(Path(work, "entries.parquet"), entries, roles)
        steps = frames.Steps(spark, Path(work))
        read = spark.read.parquet(str(Path(work, "entries.parquet")))
        return frames.curate(steps, read, evaluation_texts, out, config, lambda _: None)


def write_entries(path: Path, entries: Sequence[Entry], roles: dict[str, str]) -> None:
    def rows() -> Iterator[dict[str, Any]]:
        for entry in entries:
            row = {"id": entry.id, "source": entry.source, "role": roles[entry.source]}
            if isinstance(entry, Document):
                yield row | {"work": entry.meta.get("work"), "reason": "", "text": entry.text}
            else:
                yield row | {"reason": entry.reason}

    pq.write_table(pa.Table.from_pylist(list(rows()), batches_sources.entry_schema()), path, row_group_size=1000)
