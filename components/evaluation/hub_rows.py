"""Rows of a data set of the Hugging Face Hub, or of a folder in one of the library's two forms."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from components.errors import InputError
from components.evaluation.task_file import Hub


def hub_rows(task: str, hub: Hub, split: str, folder: Path) -> Iterable[dict[str, Any]]:
    """All rows of one split. A folder of that path, from ``folder`` on, comes before a data set of the Hub of that name.

    Raises:
        InputError: one line: no network, no such data set, configuration or split; damage.
    """
    import datasets  # noqa: F401  # brings the Hub's client, some modules of which set its level when they are first imported

    local = folder / hub.path
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it tells of each of its six attempts
    try:
        if (local / "dataset_dict.json").exists():
            return _saved_rows(local, split)
        return _loaded(str(local) if local.is_dir() else hub.path, hub, split)
    except ConnectionError:
        raise InputError(
            f"task {task}: the Hugging Face Hub cannot be reached for {hub.path}; run again with a network, "
            "or name a folder in hub.path: one of data files, or one that save_to_disk wrote"
        ) from None
    except Exception as error:  # the library lets through those of its parsers and of every protocol
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"task {task}: {hub.path} (name {hub.name}, split {split}) cannot be read: {reason}; mend hub") from None


def _loaded(path: str, hub: Hub, split: str) -> Iterable[dict[str, Any]]:
    import datasets

    rows: Iterable[dict[str, Any]] = datasets.load_dataset(path, hub.name, split=split, revision=hub.revision)
    return rows


def _saved_rows(folder: Path, split: str) -> Iterable[dict[str, Any]]:
    """Of a ``DatasetDict`` that ``save_to_disk`` wrote."""
    import datasets

    splits = datasets.load_from_disk(str(folder))
    if split not in splits:
        raise ValueError(f"it has the splits {', '.join(splits)}")
    rows: Iterable[dict[str, Any]] = splits[split]
    return rows
