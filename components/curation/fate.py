"""What became of every document: one row each, kept or not."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from components.curation.deduplication import Duplicate
from components.sources.documents import Document, Entry, Skipped


class Fates:
    """A table that the rules write into. Entries are sorted by (source, id), so that nothing depends on how they were read.

    ``rule`` names what dropped an entry ("" while it is still in); the first rule to drop it stands.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = sorted(entries, key=lambda entry: (entry.source, entry.id))
        self.rule = [entry.reason if isinstance(entry, Skipped) else "" for entry in self.entries]
        self.held_out = [False] * len(self.entries)
        self.score: list[float | None] = [None] * len(self.entries)
        self.nearest: list[str | None] = [None] * len(self.entries)
        self.jaccard: list[float | None] = [None] * len(self.entries)

    def drop(self, row: int, rule: str) -> None:
        """Drop an entry unless an earlier rule did."""
        self.rule[row] = self.rule[row] or rule

    def drop_duplicates(self, rows: npt.NDArray[np.int64], found: Sequence[Duplicate], rule: str) -> None:
        """Drop duplicates among the entries at ``rows`` (which their numbers count), and note what they match."""
        for duplicate in found:
            row = int(rows[duplicate.document])
            if not self.rule[row]:
                self.drop(row, rule)
                self.nearest[row] = self.entries[int(rows[duplicate.nearest])].id
                self.jaccard[row] = duplicate.jaccard

    def rows(self, *rules: str) -> npt.NDArray[np.int64]:
        """Row numbers of documents that are still in, or were dropped by one of ``rules``."""
        wanted = {"", *rules}
        return np.array([row for row, rule in enumerate(self.rule) if rule in wanted], np.int64)

    def documents(self, rows: npt.NDArray[np.int64]) -> list[Document]:
        """The documents at those rows."""
        found = [self.entries[row] for row in rows.tolist()]
        return [entry for entry in found if isinstance(entry, Document)]

    def split(self, row: int) -> str:
        """``train``, ``held_out``, or "" for what was dropped."""
        return "" if self.rule[row] else "held_out" if self.held_out[row] else "train"

    def write(self, folder: Path) -> None:
        """documents.parquet (id, source, split, text) and fate.parquet, both sorted by (source, id)."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = self.rows()
        kept = self.documents(rows)
        documents = {
            "id": [document.id for document in kept],
            "source": [document.source for document in kept],
            "split": [self.split(row) for row in rows.tolist()],
            "text": [document.text for document in kept],
        }
        text_schema = pa.schema([(name, pa.string()) for name in documents])
        pq.write_table(pa.table(documents, text_schema), folder / "documents.parquet", compression="zstd")
        pq.write_table(pa.table(self._columns(), _fate_schema(pa)), folder / "fate.parquet", compression="zstd")

    def _columns(self) -> dict[str, list[Any]]:
        return {
            "id": [entry.id for entry in self.entries],
            "source": [entry.source for entry in self.entries],
            "kept": [not rule for rule in self.rule],
            "split": [self.split(row) for row in range(len(self.entries))],
            "rule": self.rule,
            "score": self.score,
            "nearest_duplicate": self.nearest,
            "jaccard": self.jaccard,
            "chars": [_chars(entry) for entry in self.entries],
        }

    def counts(self) -> dict[str, Any]:
        """{documents, rules, sources} of the metrics; read = kept + sum of dropped by rule, in all and for each source."""
        names = sorted({entry.source for entry in self.entries})
        sources = {name: self._source_counts([r for r, entry in enumerate(self.entries) if entry.source == name]) for name in names}
        rules: Counter[str] = Counter()
        for source in sources.values():
            rules.update(source["dropped"])
        kept = sum(source["kept"] for source in sources.values())
        documents = {"read": len(self.entries), "kept": kept, "dropped": rules.total()}
        return {"documents": documents, "rules": dict(rules), "sources": sources}

    def _source_counts(self, rows: Sequence[int]) -> Mapping[str, Any]:
        kept = [row for row in rows if not self.rule[row]]
        return {
            "read": len(rows),
            "kept": len(kept),
            "held_out": sum(self.held_out[row] for row in kept),
            "dropped": dict(Counter(self.rule[row] for row in rows if self.rule[row])),
            "chars_read": sum(_chars(self.entries[row]) or 0 for row in rows),
            "chars_kept": sum(_chars(self.entries[row]) or 0 for row in kept),
        }


def _chars(entry: Entry) -> int | None:
    return len(entry.text) if isinstance(entry, Document) else None


def _fate_schema(pa: Any) -> Any:
    text, real = pa.string(), pa.float64()
    columns = [("id", text), ("source", text), ("kept", pa.bool_()), ("split", text), ("rule", text), ("score", real)]
    return pa.schema([*columns, ("nearest_duplicate", text), ("jaccard", real), ("chars", pa.int64())])
