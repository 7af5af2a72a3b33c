"""The user's own text: files and rows, plain or compressed, in inputs/ or at a URL."""

import io
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from components.errors import InputError
from components.sources import locations
from components.sources.config import FilesConfig
from components.sources.documents import Document, Entry, Skipped, of_row
from components.sources.streams import BLOCK_BYTES, DamagedError, open_members

_COMPRESSED = (".gz", ".zst")


def list_units(source: str, config: FilesConfig) -> list[str]:
    """Files of the source, sorted; InputError when there is none, or one of a kind that is not read."""
    found = locations.list_files(source, config)
    for name in found:
        if _suffix(name) not in _READERS:
            raise InputError(f"sources.{source}: {name} is none of {', '.join(_READERS)}; narrow the glob or convert the file")
    return found


def read(source: str, config: FilesConfig, unit: str) -> Iterator[Entry]:
    """Of one file, one document (.txt, .md) or a document a row (.jsonl, .parquet).

    What is damaged is Skipped and reading goes on behind it. The id of a row ends in its number; after damage in a compressed
    file, rows are counted on from the last that was whole. Reasons: not_utf8, not_json, not_object, no_text_field, not_text,
    too_large, damaged, not_parquet.
    """
    with locations.open_file(source, config, unit) as raw:
        yield from _READERS[_suffix(unit)](source, config, unit, raw)


def read_lines(raw: BinaryIO, max_bytes: int | None) -> Iterator[tuple[int, bytes | str]]:
    """Numbered lines of a file that may be compressed, the empty ones left out; in place of a line that is damaged or too
    large, the reason why it cannot be had."""
    _, stream = open_members(raw)
    limit = -1 if max_bytes is None else max_bytes + 1
    number = 0
    while True:
        number += 1
        try:
            line = stream.readline(limit)
            if len(line) == limit and not line.endswith(b"\n"):
                _skip_line(stream)
                yield number, "too_large"
                continue
        except DamagedError:
            yield number, "damaged"
            continue
        if not line:
            return
        if line.strip():
            yield number, line


def _skip_line(stream: io.BufferedReader) -> None:
    while (piece := stream.readline(BLOCK_BYTES)) and not piece.endswith(b"\n"):
        pass


def _suffix(name: str) -> str:
    path = PurePosixPath(name.partition("?")[0])
    return (PurePosixPath(path.stem) if path.suffix in _COMPRESSED else path).suffix


def _read_text(source: str, config: FilesConfig, unit: str, raw: BinaryIO) -> Iterator[Entry]:
    document_id = f"{source}:{unit}"
    _, stream = open_members(raw)
    try:
        content = stream.read(config.max_document_bytes + 1)
        if len(content) > config.max_document_bytes:
            yield Skipped(document_id, source, "too_large")
        else:
            yield Document(document_id, source, content.decode("utf-8"), {"file": unit})
    except UnicodeDecodeError:
        yield Skipped(document_id, source, "not_utf8")
    except DamagedError:
        yield Skipped(document_id, source, "damaged")


def _read_json_lines(source: str, config: FilesConfig, unit: str, raw: BinaryIO) -> Iterator[Entry]:
    for number, line in read_lines(raw, config.max_document_bytes):
        row_id = f"{source}:{unit}::{number}"
        row = line if isinstance(line, str) else parse_object(line)
        if isinstance(row, str):
            yield Skipped(row_id, source, row)
        else:
            yield of_row(row_id, source, row, config.text_field, config.url_field, {"file": unit})


def parse_object(line: bytes) -> dict[str, object] | str:
    """The JSON object of a line, or the reason why there is none."""
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        return "not_utf8"
    except (json.JSONDecodeError, RecursionError):
        return "not_json"
    return row if isinstance(row, dict) else "not_object"


def _read_parquet(source: str, config: FilesConfig, unit: str, raw: BinaryIO) -> Iterator[Entry]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with tempfile.TemporaryFile() as scratch:
        try:
            file = pq.ParquetFile(_seekable(raw, scratch))
        except DamagedError:
            yield Skipped(f"{source}:{unit}", source, "damaged")
            return
        except (pa.ArrowException, OSError) as error:
            _raise_if_from_system(error)
            yield Skipped(f"{source}:{unit}", source, "not_parquet")
            return
        if config.text_field not in file.schema_arrow.names:
            yield Skipped(f"{source}:{unit}", source, "no_text_field")
            return
        first = 1
        for group in range(file.num_row_groups):
            yield from _read_row_group(source, config, unit, file, group, first)
            first += file.metadata.row_group(group).num_rows


def _seekable(raw: BinaryIO, scratch: BinaryIO) -> BinaryIO:
    members, stream = open_members(raw)
    if members.is_plain and raw.seekable():
        raw.seek(0)
        return raw
    shutil.copyfileobj(stream, scratch)
    scratch.seek(0)
    return scratch


def _read_row_group(source: str, config: FilesConfig, unit: str, file: Any, group: int, first: int) -> Iterator[Entry]:
    """Rows of one group, numbered from ``first``; what follows damage within a group cannot be read."""
    import pyarrow as pa

    columns = [name for name in (config.text_field, config.url_field) if name in file.schema_arrow.names]
    number = first
    try:
        for batch in file.iter_batches(row_groups=[group], columns=columns):
            for row in batch.to_pylist():
                entry = of_row(f"{source}:{unit}::{number}", source, row, config.text_field, config.url_field, {"file": unit})
                is_large = isinstance(entry, Document) and len(entry.text.encode("utf-8")) > config.max_document_bytes
                yield Skipped(entry.id, source, "too_large") if is_large else entry
                number += 1
    except (pa.ArrowException, OSError) as error:
        _raise_if_from_system(error)
        yield Skipped(f"{source}:{unit}::{number}", source, "damaged")


def _raise_if_from_system(error: Exception) -> None:
    """Arrow says by OSError, without a number, that bytes are wrong; a disk or a network that fails gives one."""
    if isinstance(error, OSError) and error.errno is not None:
        raise error


_READERS = {".txt": _read_text, ".md": _read_text, ".jsonl": _read_json_lines, ".parquet": _read_parquet}
