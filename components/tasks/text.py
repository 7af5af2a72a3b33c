"""What the tasks read off a docstring. Nothing here draws or decides."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_SECTION = r"^[A-Z][^\n]*\n-{3,}[ ]*$"
_SEE_ALSO = re.compile(rf"^See Also\n-{{3,}}[ ]*\n(.*?)(?={_SECTION}|\Z)", re.MULTILINE | re.DOTALL)
_MARKUP = re.compile(r":\w+(?::\w+)?:`~?([^`]*)`")  # :func:`~numpy.linalg.svd` -> numpy.linalg.svd


@dataclass(frozen=True)
class SeeAlso:
    """An entry of a "See Also" section: the names, and what the section says of them ("" when nothing)."""

    names: str
    description: str


def split_summary(text: str) -> tuple[str, str]:
    """First paragraph on one line, and the rest."""
    summary, _, body = text.strip().partition("\n\n")
    return " ".join(summary.split()), body.strip()


def without_see_also(text: str) -> str:
    """``text`` without its "See Also" section (numpydoc: a title underlined with dashes, up to the next one)."""
    return _SEE_ALSO.sub("", text)


def see_also_entries(text: str) -> list[SeeAlso]:
    """Entries of the "See Also" section: an unindented line ``name : description``; indented lines go on with it."""
    section = _SEE_ALSO.search(text)
    entries: list[SeeAlso] = []
    for line in section[1].splitlines() if section else []:
        if line[:1].isspace() and entries:
            entries[-1] = SeeAlso(entries[-1].names, f"{entries[-1].description} {line.strip()}".strip())
        elif line.strip():
            names, _, description = _MARKUP.sub(r"\1", line.strip()).partition(":")
            entries.append(SeeAlso(names.strip(), description.strip()))
    return entries


def cut(text: str, max_chars: int) -> str:
    """``text`` up to ``max_chars`` characters, ended between words where there is more than one word."""
    text = text.strip()
    if len(text) <= max_chars:
        return text
    head = text[:max_chars]
    if not text[max_chars].isspace():
        head = re.sub(r"\s+\S*\Z", "", head)
    return head.rstrip()


def masked(text: str, words: Iterable[str], mask: str) -> str:
    """``text`` with each of ``words`` replaced, whatever its case, where no letter stands on either side (``np`` in ``np_array`` too)."""
    alternatives = "|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word)))
    return re.sub(rf"(?<![A-Za-z])(?:{alternatives})(?![A-Za-z])", mask, text, flags=re.IGNORECASE)
