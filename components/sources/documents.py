"""What a source yields."""

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
    """Something that was found but could not become a document; ``reason``: too_large, not_utf8 or not_python."""

    id: str
    source: str
    reason: str


Entry = Document | Skipped
