"""What the tasks read off a docstring. Nothing here draws or decides."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from components.sources.documents import Document

_SECTION = r"^[A-Z][^\n]*\n-{3,}[ ]*$"
_SEE_ALSO = re.compile(rf"^See Also\n-{{3,}}[ ]*\n(.*?)(?={_SECTION}|\Z)", re.MULTILINE | re.DOTALL)
_MARKUP = re.compile(r":\w+(?::\w+)?:`~?([^`]*)`")  # :func:`~numpy.linalg.svd` -> numpy.linalg.svd


@dataclass(frozen=True)
class Docstring:
    """A document of a docstring source, taken apart.

    ``heading`` is the dotted name with its parameters, ``numpy.linalg.svd(a, full_matrices=True)``; ``text`` the docstring.
    """

    id: str
    library: str
    name: str
    kind: str
    heading: str
    text: str

    @classmethod
    def of(cls, document: "Document") -> "Docstring":
        """Take a document apart; KeyError when it is not of a docstring source."""
        heading, _, text = document.text.partition("\n\n")
        return cls(document.id, document.meta["distribution"], document.meta["name"], document.meta["kind"], heading, text.strip())

    @property
    def dotted_name(self) -> str:
        """The heading without parameters."""
        return self.heading.partition("(")[0]

    @property
    def package(self) -> str:
        """What is imported: ``sklearn`` of library ``scikit-learn``."""
        return self.heading.partition(".")[0]

    @property
    def summary(self) -> str:
        """First paragraph, on one line."""
        return " ".join(self.text.partition("\n\n")[0].split())


@dataclass(frozen=True)
class SeeAlso:
    """An entry of a "See Also" section: the names, and what the section says of them ("" when nothing)."""

    names: str
    description: str


def see_also_entries(text: str) -> list[SeeAlso]:
    """Entries of the "See Also" section (numpydoc: a title underlined with dashes, up to the next one).

    An unindented line is ``name : description``; indented lines go on with it.
    """
    section = _SEE_ALSO.search(text)
    entries: list[SeeAlso] = []
    for line in section[1].splitlines() if section else []:
        if line[:1].isspace() and entries:
            entries[-1] = SeeAlso(entries[-1].names, f"{entries[-1].description} {line.strip()}".strip())
        elif line.strip():
            names, _, description = _MARKUP.sub(r"\1", line.strip()).partition(":")
            entries.append(SeeAlso(names.strip(), description.strip()))
    return entries
