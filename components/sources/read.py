"""One way to read a source, whatever its kind: whole, or unit by unit."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, assert_never

from components.errors import InputError
from components.sources import (
    distribution_books,
    distribution_docstrings,
    distribution_files,
    distributions,
    files,
    huggingface,
    locations,
    web_archive,
)
from components.sources.config import (
    DistributionBooksConfig,
    DistributionDocstringsConfig,
    DistributionFilesConfig,
    FilesConfig,
    HuggingFaceConfig,
    SourceConfig,
    WebArchiveConfig,
    WebTextConfig,
)
from components.sources.documents import Document, Entry, Skipped


def read_source(name: str, config: SourceConfig) -> Iterator[Entry]:
    """Documents of a source, and what had to be skipped, sorted by id.

    Raises:
        InputError: a distribution that is not installed, a glob or URL that matches nothing or cannot be read, a source without
            a single document.
    """
    read = (entry for unit in list_units(name, config) for entry in read_unit(name, config, unit))
    entries = sorted(finish(config, read), key=lambda entry: entry.id)
    counts = Counter("" if isinstance(entry, Document) else entry.reason for entry in entries)
    firsts = {entry.reason: entry.id for entry in reversed(entries) if isinstance(entry, Skipped)}
    check_holds_documents(name, {reason: (number, firsts.get(reason, "")) for reason, number in counts.items()})
    return iter(entries)


def check_holds_documents(name: str, counts: Mapping[str, tuple[int, str]]) -> None:
    """InputError unless the source holds a document; ``counts``: for each reason ("" of documents) the number and the least id."""
    if "" in counts:
        return
    skipped = ", ".join(f"{number} {reason}" for reason, (number, _) in sorted(counts.items()))
    found = f" (skipped: {skipped}; the first is {min(first for _, first in counts.values())})" if counts else ""
    raise InputError(f"sources.{name}: holds no document{found}; mend or remove it in params.yaml, and its weight in mixture.weights")


def list_units(name: str, config: SourceConfig) -> list[str]:
    """Parts of a source that can be read apart from one another, and by different workers: files, distributions, a split."""
    match config:
        case DistributionFilesConfig() | DistributionDocstringsConfig() | DistributionBooksConfig():
            return list(config.distributions)
        case FilesConfig():
            return files.list_units(name, config)
        case WebArchiveConfig():
            return web_archive.list_units(name, config)
        case HuggingFaceConfig():
            return huggingface.list_units(name, config)
        case _:
            assert_never(config)


def read_unit(name: str, config: SourceConfig, unit: str) -> Iterator[Entry]:
    """Documents of one unit, and what had to be skipped, in the order of the file.

    The rules of WebText are applied, but for those that compare documents: ``finish`` applies them to all units together.
    """
    entries = _read(name, config, unit)
    rules = _webtext_rules(config)
    if rules is None:
        return entries
    from components.sources import webtext

    return webtext.judge(entries, rules, webtext.load_links(name, rules))


def finish(config: SourceConfig, entries: Iterator[Entry]) -> Iterator[Entry]:
    """Apply what concerns a source as a whole to the entries of all its units, in any order: one copy per URL (WebText)."""
    if _webtext_rules(config) is None:
        return entries
    from components.sources import webtext

    return iter(webtext.keep_one_copy_per_url(entries))


def page_of(document: Document, config: SourceConfig) -> str | None:
    """The page whose copies ``finish`` compares, of a document of a source with the rules of WebText; else None."""
    if _webtext_rules(config) is None:
        return None
    from components.sources import webtext

    return webtext.normalize_url(document.meta["url"])


def origins(name: str, config: SourceConfig) -> list[dict[str, Any]]:
    """What a source was read from: distribution, version and number of files; glob or URL and number of files; data set."""
    match config:
        case DistributionFilesConfig():
            suffixes = tuple(config.suffixes)
        case DistributionDocstringsConfig():
            suffixes = (".py",)
        case DistributionBooksConfig():
            suffixes = (distribution_books.TEXT_FILE,)
        case FilesConfig() | WebArchiveConfig():
            return [locations.origin(name, config)]
        case HuggingFaceConfig():
            return [huggingface.origin(config)]
        case _:
            assert_never(config)
    return [distributions.origin(name, distribution, suffixes) for distribution in config.distributions]


def _read(name: str, config: SourceConfig, unit: str) -> Iterator[Entry]:
    match config:
        case DistributionFilesConfig():
            return distribution_files.read(name, config, unit)
        case DistributionDocstringsConfig():
            return distribution_docstrings.read(name, unit)
        case DistributionBooksConfig():
            return distribution_books.read(name, unit)
        case FilesConfig():
            return files.read(name, config, unit)
        case WebArchiveConfig():
            return web_archive.read(name, config, unit)
        case HuggingFaceConfig():
            return huggingface.read(name, config, unit)
        case _:
            assert_never(config)


def _webtext_rules(config: SourceConfig) -> WebTextConfig | None:
    return config.webtext if isinstance(config, FilesConfig | WebArchiveConfig | HuggingFaceConfig) else None
