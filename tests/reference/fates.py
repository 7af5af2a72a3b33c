"""What became of every document: one row each, kept or not."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from components.curation.decontamination import Span
from components.curation.deduplication import Duplicate
from components.errors import InputError
from components.sources.documents import Document, Entry, Skipped


class Fates:
    """A table that the rules write into. Entries are sorted by (source, id), so that nothing depends on how they were read.

    ``rule`` names what dropped an entry ("" while it is still in); the first rule to drop it stands. A document that is cut stays
    one row here, and becomes as many documents of the corpus as pieces are left of it.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = sorted(entries, key=lambda entry: (entry.source, entry.id))
        self.rule = [entry.reason if isinstance(entry, Skipped) else "" for entry in self.entries]
        self.held_out = [False] * len(self.entries)
        self.score: list[float | None] = [None] * len(self.entries)
        self.nearest: list[str | None] = [None] * len(self.entries)
        self.jaccard: list[float | None] = [None] * len(self.entries)
        self.windows: list[list[Span]] = [[] for _ in self.entries]
        self._pieces: dict[int, list[Span]] = {}

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

    def cut(self, row: int, windows: list[Span], pieces: list[Span]) -> None:
        """Note what is cut out of a document and the pieces to be kept; without any it is dropped as contaminated."""
        self.windows[row] = windows
        if pieces:
            self._pieces[row] = pieces
        else:
            self.drop(row, "contaminated")

    def kept_texts(self, row: int) -> list[tuple[str, str]]:
        """(id, text) of what the corpus gets of an entry: nothing, the document, or its pieces ``ID#p1``, ``ID#p2``, ..."""
        entry = self.entries[row]
        if self.rule[row] or isinstance(entry, Skipped):
            return []
        if row not in self._pieces:
            return [(entry.id, entry.text)]
        return [(f"{entry.id}#p{number}", entry.text[begin:end]) for number, (begin, end) in enumerate(self._pieces[row], start=1)]

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

        kept = sorted((self.entries[row].source, *part, self.split(row)) for row in self.rows().tolist() for part in self.kept_texts(row))
        for (_, previous, *_), (_, repeated, *_) in pairwise(kept):
            if previous == repeated:
                raise InputError(f"{repeated}: a document and a piece of a document have this id; rename what ends with #p and a number")
        sources, ids, texts, splits = zip(*kept, strict=True) if kept else ((),) * 4
        documents = {"id": ids, "source": sources, "split": splits, "text": texts}
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
            "cut_windows": [[{"begin": begin, "end": end} for begin, end in windows] for windows in self.windows],
            "pieces": [len(self.kept_texts(row)) for row in range(len(self.entries))],
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
            "chars_kept": sum(len(text) for row in kept for _, text in self.kept_texts(row)),
        }


def _chars(entry: Entry) -> int | None:
    return len(entry.text) if isinstance(entry, Document) else None


def _fate_schema(pa: Any) -> Any:
    text, real = pa.string(), pa.float64()
    columns = [("id", text), ("source", text), ("kept", pa.bool_()), ("split", text), ("rule", text), ("score", real)]
    columns += [("nearest_duplicate", text), ("jaccard", real), ("chars", pa.int64())]
    spans = pa.list_(pa.struct([("begin", pa.int64()), ("end", pa.int64())]))
    return pa.schema([*columns, ("cut_windows", spans), ("pieces", pa.int64())])
