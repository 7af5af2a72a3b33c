"""The user's own text, by glob."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.errors import InputError
from components.sources.config import INPUT_FOLDER, FilesConfig
from components.sources.documents import Document, Entry, Skipped


def read(source: str, config: FilesConfig) -> Iterator[Entry]:
    """One document a file (.txt, .md) or a row (.jsonl, .parquet)."""
    readers = {".txt": _read_text, ".md": _read_text, ".jsonl": _read_json_lines, ".parquet": _read_parquet}
    for path in list_files(source, config):
        reader = readers.get(path.suffix)
        if reader is None:
            raise InputError(f"sources.{source}: {path} is none of {', '.join(readers)}; narrow the glob or convert the file")
        yield from reader(source, path, config.text_field)


def list_files(source: str, config: FilesConfig) -> list[Path]:
    """Files that match the glob, relative to the working folder (the top of the repository), sorted; InputError if none."""
    guide = Path(INPUT_FOLDER, "README.md")
    found = sorted(path for path in Path().glob(config.glob) if path.is_file() and path != guide)
    if not found:
        raise InputError(f"sources.{source}: no file matches {config.glob}; put text there or mend sources.{source}.glob")
    return found


def origin(source: str, config: FilesConfig) -> dict[str, Any]:
    """Glob and number of files."""
    return {"glob": config.glob, "files": len(list_files(source, config))}


def _read_text(source: str, path: Path, _text_field: str) -> Iterator[Entry]:
    document_id = f"{source}:{path.as_posix()}"
    try:
        yield Document(document_id, source, path.read_text(encoding="utf-8"), {"file": path.as_posix()})
    except UnicodeDecodeError:
        yield Skipped(document_id, source, "not_utf8")


def _read_json_lines(source: str, path: Path, text_field: str) -> Iterator[Entry]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line.decode("utf-8"))
            except UnicodeDecodeError:
                yield Skipped(f"{source}:{path.as_posix()}::{number}", source, "not_utf8")
                continue
            except json.JSONDecodeError as error:
                raise InputError(f"{path}: line {number} is not valid JSON ({error.msg}); mend or remove it") from None
            if not isinstance(row, dict):
                raise InputError(f"{path}: line {number} is not an object; write one {{...}} a line")
            yield _row(source, path, number, row.get(text_field), text_field)


def _read_parquet(source: str, path: Path, text_field: str) -> Iterator[Entry]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        if text_field not in file.schema_arrow.names:
            raise InputError(f"{path}: has no column {text_field!r}; set sources.{source}.text_field to one of its columns")
        column = file.read(columns=[text_field]).column(text_field)
    except pa.ArrowInvalid as error:
        raise InputError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]}); replace or remove it") from None
    for number, text in enumerate(column.to_pylist(), start=1):
        yield _row(source, path, number, text, text_field)


def _row(source: str, path: Path, number: int, text: object, text_field: str) -> Document:
    if not isinstance(text, str):
        problem = "no text field" if text is None else f"{type(text).__name__} instead of text in the field"
        raise InputError(f"{path}: row {number} has {problem} {text_field!r}; mend the row or set sources.{source}.text_field")
    return Document(f"{source}:{path.as_posix()}::{number}", source, text, {"file": path.as_posix()})
