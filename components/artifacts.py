"""Typed handles for what stages hand on, and the one way in which files are written: whole or not at all.

Files hold no clock time, host name or run id, so that equal input gives equal bytes.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from components.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION = 1


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a scratch folder beside ``path`` that takes its place when the block ends without an error.

    A block that raises (Ctrl-C and a full disk too) leaves nothing behind. An older folder at ``path`` is replaced.
    """
    scratch = path.parent / f".{path.name}.partial"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        yield scratch
        shutil.rmtree(path, ignore_errors=True)
        scratch.rename(path)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.partial")
    try:
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys; NaN and infinity are refused (ValueError), for no reader agrees on them."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n")


def write_json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write one line of JSON for each row; NaN and infinity are refused (ValueError)."""
    write_text(path, "".join(json.dumps(row, allow_nan=False, ensure_ascii=False) + "\n" for row in rows))


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Read what ``write_json_lines`` wrote; a missing or damaged file is an InputError that names it."""
    try:
        return [dict(json.loads(line)) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    except FileNotFoundError:
        raise InputError(f"{path}: not there; run what makes it again") from None
    except (ValueError, TypeError):
        raise InputError(f"{path}: damaged; delete it and run what makes it again") from None


def read_json(path: Path) -> Any:
    """Read JSON; a missing or damaged file is an InputError that names it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: not there; run the stage that makes it (dvc repro)") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid JSON ({error}); delete it and run dvc repro") from None


def sha256_file(path: Path) -> str:
    """Hex sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_manifest(path: Path, kind: str) -> dict[str, Any]:
    """``manifest.json`` of the artifact folder ``path``; InputError if it is missing, damaged, or of another kind or schema version."""
    manifest: dict[str, Any] = read_json(path / "manifest.json")
    if not isinstance(manifest, dict):
        raise InputError(f"{path}/manifest.json: describes nothing; delete {path} and run dvc repro")
    if manifest.get("kind") != kind:
        raise InputError(f"{path}: holds {manifest.get('kind')!r}, but {kind!r} was expected; check the path in dvc.yaml")
    if manifest.get("schema_version") != SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema version {manifest.get('schema_version')}, this code reads {SCHEMA_VERSION}; re-make it with dvc repro"
        )
    return manifest


def write_manifest(path: Path, kind: str, **facts: Any) -> None:
    """Write ``manifest.json`` of an artifact folder: kind, schema version and the given facts."""
    write_json(path / "manifest.json", {"kind": kind, "schema_version": SCHEMA_VERSION, **facts})


@dataclass(frozen=True)
class Corpus:
    """Curated documents. ``documents.parquet``: id, source, split (``train`` or ``held_out``), text, sorted by
    (source, id); ``fate.parquet``: one row for every document read; ``manifest.json``: counts and origins."""

    path: Path

    def documents(self) -> "pa.Table":
        """Kept documents: columns id, source, split, text (all strings)."""
        import pyarrow.parquet as pq

        read_manifest(self.path, "corpus")
        return pq.read_table(self.path / "documents.parquet")

    def fate(self) -> "pa.Table":
        """One row for every document read, kept or not."""
        import pyarrow.parquet as pq

        return pq.read_table(self.path / "fate.parquet")


class TokenStream:
    """One split of the shards: a long row of token ids, and which document each position came from.

    Positions count tokens from 0. ``starts[i]`` is where the i-th document of the stream begins (its first token is
    the ``<|endoftext|>`` that separates it from the one before); a document occurs as often as the mixture repeats it.
    """

    def __init__(self, path: Path, shards: list[dict[str, Any]], vocab_size: int) -> None:
        self._parts = [_open_shard(path / shard["file"], shard, vocab_size) for shard in shards]
        self._part_starts = np.cumsum([0, *(len(part) for part in self._parts)])
        self.num_tokens = int(self._part_starts[-1])
        self._index_path = path / "index.parquet"

    def read(self, start: int, stop: int) -> np.ndarray:
        """Token ids at positions [start, stop), uint16; IndexError outside the stream."""
        if not 0 <= start <= stop <= self.num_tokens:
            raise IndexError(f"positions {start}:{stop} lie outside the stream of {self.num_tokens} tokens")
        first = int(np.searchsorted(self._part_starts, start, side="right")) - 1
        pieces = []
        while start < stop:
            offset = start - int(self._part_starts[first])
            piece = self._parts[first][offset : offset + stop - start]
            pieces.append(piece)
            start += len(piece)
            first += 1
        return np.concatenate(pieces) if pieces else np.empty(0, np.uint16)

    def index(self) -> "pa.Table":
        """Documents in stream order: id, source, epoch (0 = first time), start (position), num_tokens, num_bytes (UTF-8)."""
        import pyarrow.parquet as pq

        return pq.read_table(self._index_path)


def _open_shard(path: Path, shard: dict[str, Any], vocab_size: int) -> np.ndarray:
    expected_bytes = 2 * int(shard["num_tokens"])
    size_bytes = path.stat().st_size if path.exists() else -1
    if size_bytes != expected_bytes:
        found = "missing" if size_bytes < 0 else f"{size_bytes} bytes instead of {expected_bytes}"
        raise InputError(f"{path}: shard is {found}; delete {path.parent.parent} and run dvc repro to make it again")
    if sha256_file(path) != shard["sha256"]:
        raise InputError(f"{path}: shard is corrupt (sha256 differs); delete {path.parent.parent} and run dvc repro to make it again")
    tokens = np.memmap(path, dtype="<u2", mode="r") if expected_bytes else np.empty(0, np.uint16)
    if expected_bytes and tokens.max() >= vocab_size:  # here, once; a model would fail in the middle of a run, on a GPU without a word
        raise InputError(
            f"{path}: holds token {tokens.max()}, the vocabulary ends at {vocab_size - 1}; tokenize again with the same tokenizer"
        )
    return tokens


@dataclass(frozen=True)
class TokenShards:
    """A folder with ``tokenizer.json`` and the streams ``train/`` and ``held_out/`` (uint16 shards + index.parquet)."""

    path: Path

    @property
    def manifest(self) -> dict[str, Any]:
        """Facts: vocab_size, and for each split the list of shards (file, num_tokens, sha256), num_tokens, num_bytes."""
        return read_manifest(self.path, "token_shards")

    @property
    def vocab_size(self) -> int:
        """Number of token ids in use, special tokens included."""
        return int(self.manifest["vocab_size"])

    def stream(self, split: str) -> TokenStream:
        """Open ``train`` or ``held_out``; a truncated or corrupt shard, or a token outside the vocabulary, is an InputError."""
        return TokenStream(self.path / split, self.manifest["splits"][split]["shards"], self.vocab_size)

    def num_bytes(self, split: str) -> int:
        """UTF-8 bytes of the text behind the split's tokens (repeats counted, ``<|endoftext|>`` not)."""
        return int(self.manifest["splits"][split]["num_bytes"])
