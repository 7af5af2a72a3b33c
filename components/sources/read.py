"""One way to read a source, whatever its kind."""

from collections.abc import Iterator
from typing import Any

from components.errors import InputError
from components.sources import distribution_books, distribution_docstrings, distribution_files, distributions, files
from components.sources.config import (
    DistributionBooksConfig,
    DistributionDocstringsConfig,
    DistributionFilesConfig,
    FilesConfig,
    SourceConfig,
)
from components.sources.documents import Document, Entry


def read_source(name: str, config: SourceConfig) -> Iterator[Entry]:
    """Documents of a source, and what had to be skipped, sorted by id.

    Raises:
        InputError: a distribution that is not installed, a glob that matches nothing, a row without the text field,
            a source without a single document.
    """
    entries = sorted(_read(name, config), key=lambda entry: entry.id)
    if not any(isinstance(entry, Document) for entry in entries):
        raise InputError(f"sources.{name}: holds no document; mend or remove it in params.yaml, and its weight in mixture.weights")
    return iter(entries)


def origins(name: str, config: SourceConfig) -> list[dict[str, Any]]:
    """What a source was read from: distribution, version and number of files, or glob and number of files."""
    match config:
        case DistributionFilesConfig():
            suffixes = tuple(config.suffixes)
        case DistributionDocstringsConfig():
            suffixes = (".py",)
        case DistributionBooksConfig():
            suffixes = (distribution_books.TEXT_FILE,)
        case FilesConfig():
            return [files.origin(name, config)]
    return [distributions.origin(name, distribution, suffixes) for distribution in config.distributions]


def _read(name: str, config: SourceConfig) -> Iterator[Entry]:
    match config:
        case DistributionFilesConfig():
            return distribution_files.read(name, config)
        case DistributionDocstringsConfig():
            return distribution_docstrings.read(name, config)
        case DistributionBooksConfig():
            return distribution_books.read(name, config)
        case FilesConfig():
            return files.read(name, config)
