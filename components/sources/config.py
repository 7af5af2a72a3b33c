"""Where documents come from: one record per source, told apart by ``kind``."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from components.config import Frozen

Role = Literal["raw", "reference"]
INPUT_FOLDER = "inputs/"


def _each_once(names: list[str]) -> list[str]:
    known = set()
    for name in names:
        normal = re.sub(r"[-_.]+", "-", name).lower()
        if normal in known:
            raise ValueError(f"distribution {name!r} is named twice; remove one")
        known.add(normal)
    return names


def _inside_input_folder(pattern: str) -> str:
    if not pattern.startswith(INPUT_FOLDER) or ".." in pattern:
        raise ValueError(f"{pattern!r} must begin with {INPUT_FOLDER}, the folder whose changes DVC sees; a link in it may lead elsewhere")
    return pattern


Distributions = Annotated[list[str], Field(min_length=1), AfterValidator(_each_once)]


class _Source(Frozen):
    role: Role
    """``raw`` is filtered by likeness to the ``reference`` sources, as GPT-3 did with Common Crawl; ``reference`` is not (appendix A)."""


class DistributionFilesConfig(_Source):
    """Text files of installed distributions, cut into passages, one document each."""

    kind: Literal["distribution_files"]
    suffixes: list[str] = Field(min_length=1)
    """How the names of wanted files end: ``.py``, ``METADATA``."""
    max_document_bytes: int = Field(ge=1)
    """Larger files are skipped and counted as ``too_large``."""
    passage_chars: int = Field(ge=1)
    """A file is cut at empty lines into passages of at most so many characters (a paragraph that is longer stays whole): a file of
    code holds prose and code, and a filter can only tell them apart one by one."""
    distributions: Distributions


class DistributionDocstringsConfig(_Source):
    """Docstrings in the Python files of installed distributions, test folders left out."""

    kind: Literal["distribution_docstrings"]
    distributions: Distributions


class DistributionBooksConfig(_Source):
    """Book text of the ``pythonbible-*`` distributions, one document a chapter."""

    kind: Literal["distribution_books"]
    distributions: Distributions


class FilesConfig(_Source):
    """The user's own text: .txt and .md are one document a file, .jsonl and .parquet one a row."""

    kind: Literal["files"]
    glob: Annotated[str, AfterValidator(_inside_input_folder)]
    """Relative to the top of the repository, for example ``inputs/**/*.txt``."""
    text_field: str
    """The field of a .jsonl row, the column of a .parquet file, that holds the text."""


SourceConfig = Annotated[
    DistributionFilesConfig | DistributionDocstringsConfig | DistributionBooksConfig | FilesConfig,
    Field(discriminator="kind"),
]
