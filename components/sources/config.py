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


def _has_protocol(url: str) -> str:
    if not re.match(r"[a-z][a-z0-9+.-]*://", url):
        raise ValueError(f"{url!r} does not begin with a protocol, as in https://host/file; files of this machine go to {INPUT_FOLDER}")
    if ":" in url.partition("://")[2].partition("/")[0].rpartition("@")[0]:
        raise ValueError(
            "a password in a URL would be written into git and every report; take it out, fsspec reads its own from its settings"
        )
    return url


InputGlob = Annotated[str, AfterValidator(_inside_input_folder)]
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


class WebTextConfig(Frozen):
    """What GPT-2 asked of a page of WebText (section 2.1), as a filter on documents that carry a URL.

    Karma is read from a list of links, not from the documents: pages of an archive do not know who linked to them. Rows
    that hold text, URL and karma at once need no second file: ``links`` may name the same one.
    """

    links: InputGlob
    """JSON lines, plain, gzip or zstd, one link each, for example ``inputs/links/*.jsonl.zst``. Of the links to one page the
    best counts."""
    url_field: str
    """The field of a link that holds the address of the page."""
    karma_field: str
    """The field of a link that holds its karma, a number."""
    min_karma: int
    """Pages whose best link has less are dropped as ``low_karma``, those without a link as ``not_linked``; the paper: 3."""
    min_english_probability: float = Field(ge=0, le=1)
    """Documents that are English with less probability are dropped as ``not_english``; the paper gives no number."""
    language_chars: int = Field(ge=1)
    """So many characters from the beginning of a document are shown to the language identifier."""


class UrlConfig(Frozen):
    """Files that lie elsewhere."""

    url: Annotated[str, AfterValidator(_has_protocol)]
    """Of a file or, with ``*``, of several: ``https://host/a.jsonl.gz``, ``s3://bucket/*.warc.gz``; any protocol of fsspec whose
    package is installed. Without a password: fsspec takes one from its own settings (``FSSPEC_HTTPS_...``, ``AWS_...``)."""
    revision: str
    """Which state of the URL is meant, in your own words, a date for example. DVC sees what changes in ``inputs/`` and in
    params.yaml, but not what lies at a URL: whoever changes that must change this, and only then is it read again."""


class _WebSource(_Source):
    webtext: WebTextConfig | None
    """The rules of WebText; null: none is applied."""


class _LocatedSource(_WebSource):
    glob: InputGlob | UrlConfig
    """Relative to the top of the repository, for example ``inputs/**/*.txt``; or ``{url: ..., revision: ...}``."""
    max_document_bytes: int = Field(ge=1)
    """Larger files, rows or pages are skipped and counted as ``too_large``."""


class FilesConfig(_LocatedSource):
    """The user's own text, each file plain, gzip or zstd: .txt and .md are one document a file, .jsonl and .parquet one a row."""

    kind: Literal["files"]
    text_field: str
    """The field of a .jsonl row, the column of a .parquet file, that holds the text."""
    url_field: str | None
    """The field that holds the address of the text, which the rules of WebText ask for; null: there is none."""


class WebArchiveConfig(_LocatedSource):
    """Web archives (WARC, ARC, WET), each file plain, gzip or zstd; HTML becomes text, one document a page.

    Bound the size of pages: the extraction library did not end within four minutes on one of 50 MB.
    """

    kind: Literal["web_archive"]


class HuggingFaceConfig(_WebSource):
    """A data set of the Hugging Face Hub, or a folder of its form, read as a stream; no code of a data set is run."""

    kind: Literal["huggingface"]
    path: str
    """``owner/name`` on the Hub, or a local folder of .jsonl, .parquet, .txt files."""
    name: str | None
    """Which of the configurations of the data set; null where it has one."""
    split: str
    """For example ``train``."""
    revision: str
    """Commit of the data set; DVC cannot see a branch such as ``main`` move. For a folder: your own words, as with a URL."""
    text_field: str
    """The column that holds the text."""
    url_field: str | None
    """The column that holds the address of the text, which the rules of WebText ask for; null: there is none."""
    max_documents: int = Field(ge=1)
    """So many rows are read, from the beginning."""


LocatedConfig = FilesConfig | WebArchiveConfig

SourceConfig = Annotated[
    DistributionFilesConfig | DistributionDocstringsConfig | DistributionBooksConfig | FilesConfig | WebArchiveConfig | HuggingFaceConfig,
    Field(discriminator="kind"),
]
