"""Writing of token streams: 16-bit shards with a hash each, and an index that leads from any position to its document."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.artifacts import sha256_file


@dataclass(frozen=True)
class StreamDocument:
    """One occurrence of a document in a stream; its tokens begin with ``<|endoftext|>``."""

    id: str
    source: str
    epoch: int
    num_bytes: int
    tokens: Sequence[int]


def write_stream(folder: Path, documents: Iterable[StreamDocument], shard_tokens: int) -> dict[str, Any]:
    """Write one split: ``00000.bin`` ... of ``shard_tokens`` tokens each, and ``index.parquet``.

    Returns the split's entry of the manifest: shards (file, num_tokens, sha256), num_tokens, num_bytes (UTF-8).
    """
    folder.mkdir()
    rows = list(documents)
    tokens = np.concatenate([np.asarray(row.tokens, dtype="<u2") for row in rows]) if rows else np.empty(0, "<u2")
    shards = []
    for number, start in enumerate(range(0, len(tokens), shard_tokens)):
        part, file = tokens[start : start + shard_tokens], folder / f"{number:05d}.bin"
        file.write_bytes(part.tobytes())  # numpy's own tofile does not say that the disk is full
        shards.append({"file": file.name, "num_tokens": len(part), "sha256": sha256_file(file)})
    _write_index(folder / "index.parquet", rows)
    return {"shards": shards, "num_tokens": len(tokens), "num_bytes": sum(row.num_bytes for row in rows)}


def _write_index(path: Path, rows: Sequence[StreamDocument]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    lengths = np.array([len(row.tokens) for row in rows], dtype=np.int64)
    index = pa.table(
        {
            "id": [row.id for row in rows],
            "source": [row.source for row in rows],
            "epoch": pa.array([row.epoch for row in rows], pa.int32()),
            "start": np.cumsum(lengths) - lengths,
            "num_tokens": lengths,
            "num_bytes": pa.array([row.num_bytes for row in rows], pa.int64()),
        }
    )
    pq.write_table(index, path)
