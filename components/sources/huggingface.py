"""Data sets of the Hugging Face Hub, or folders in their form, read as a stream."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from components.errors import InputError
from components.sources.config import HuggingFaceConfig
from components.sources.documents import Entry, of_row


def list_units(_source: str, config: HuggingFaceConfig) -> list[str]:
    """The split: a stream is read from its beginning, so that ``max_documents`` means the same rows however it is cut into files."""
    return [config.split]


def read(source: str, config: HuggingFaceConfig, unit: str) -> Iterator[Entry]:
    """The first ``max_documents`` rows, one document each; a row without text is Skipped (no_text_field, not_text).

    The id ends in the row's number from 1. What a stream of rows cannot go beyond, damage or a lost connection, is an error and
    not a Skipped: the two look the same from here, and a corpus must not depend on the state of a network.

    Raises:
        InputError: no such data set, configuration, split or column; damage; a connection that fails.
    """
    number = 0
    try:
        for number, row in enumerate(islice(_open(config), config.max_documents), start=1):
            if number == 1 and config.text_field not in row:
                raise InputError(f"sources.{source}: {config.path} has no column {config.text_field!r}; it has {', '.join(row)}")
            yield of_row(f"{source}:{unit}::{number}", source, row, config.text_field, config.url_field, {})
    except InputError:
        raise
    except Exception as error:  # the library lets through those of its parsers and of every protocol
        reason = " ".join(str(error).split()) or type(error).__name__
        where = f"row {number + 1} of {config.path}" if number else f"{config.path} (name {config.name}, split {unit})"
        raise InputError(f"sources.{source}: {where} cannot be read: {reason}; mend sources.{source} or run again") from None


def _open(config: HuggingFaceConfig) -> Any:
    import datasets

    return datasets.load_dataset(config.path, config.name, split=config.split, revision=config.revision, streaming=True)


def origin(config: HuggingFaceConfig) -> dict[str, Any]:
    """Path, configuration, split and revision."""
    return {"path": config.path, "name": config.name, "split": config.split, "revision": config.revision}
