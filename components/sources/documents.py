"""What a source yields."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Document:
    """One text.

    ``id`` is unique and stable: ``<source>:<distribution>/<path in it>[::<name>]``, never an absolute path.
    ``meta`` says what is known about it. Documents that share ``meta["work"]`` (translations of one chapter) must
    fall on the same side of a split, or one would give the other away.
    """

    id: str
    source: str
    text: str
    meta: dict[str, str]


@dataclass(frozen=True)
class Skipped:
    """Something that was found but could not become a document, and the reason; each kind of source lists its own.

    ``id`` ends in where it lies: ``::<row>`` of a file of rows, ``::<byte>`` or ``::<byte of the member>+<byte in it>`` of an archive.
    """

    id: str
    source: str
    reason: str


Entry = Document | Skipped


def of_row(id: str, source: str, row: Mapping[str, object], text_field: str, url_field: str | None, meta: dict[str, str]) -> Entry:
    """The document of a row; Skipped (no_text_field, not_text) when it has no text. Its URL, where there is one, goes to ``meta``."""
    text = row.get(text_field)
    if not isinstance(text, str):
        return Skipped(id, source, "no_text_field" if text is None else "not_text")
    url = row.get(url_field) if url_field else None
    return Document(id, source, without_lone_surrogates(text), {**meta, "url": url} if isinstance(url, str) else meta)


def without_lone_surrogates(text: str) -> str:
    """Half a pair stands for no character and cannot be written as UTF-8; it becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")
