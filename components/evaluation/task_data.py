"""Rows of a task file's data: CSV, TSV or JSONL files, or a data set of the Hugging Face Hub; checked before anything is scored."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.errors import InputError
from components.evaluation.config import ProtocolConfig
from components.evaluation.rows import Place, Posed, pose
from components.evaluation.task_file import Hub, TaskFile
from components.tasks.own import read_rows


@dataclass(frozen=True)
class Loaded:
    """The items of a task, and what is worth knowing about them."""

    test: list[Posed]
    train: list[Posed]
    """To draw demonstrations from; the test items themselves where the task has no train split."""
    duplicates: int
    """Test items with the words and the answer of another; they stay, as in the scores that others publish."""
    in_train: int
    """Test items that stand in the train split too; they stay, but never demonstrate themselves."""


def load_task(task: TaskFile, folder: Path, config: ProtocolConfig) -> Loaded:
    """Read and put in words.

    Args:
        folder: that of the task file, from which paths go out.

    Raises:
        InputError: names the file and line: damaged, a missing column, an empty text, a label out of range; no rows.
    """
    test = _posed(task, folder, "test")
    items = sorted(test, key=lambda posed: _rank(config.seed, posed))[: config.max_items]
    separate = (task.files or task.hub).train is not None  # type: ignore[union-attr]
    train = _posed(task, folder, "train") if separate and task.shots else items
    known = {_key(posed) for posed in train} if separate else set()
    return Loaded(items, train, len(test) - len(set(map(_key, test))), sum(_key(posed) in known for posed in items))


def _posed(task: TaskFile, folder: Path, split: str) -> list[Posed]:
    if task.hub is not None:
        places = _hub_rows(task, task.hub, split)
    else:
        assert task.files is not None
        path = folder / getattr(task.files, split)
        places = (Place(f"{path}: line {line}", row) for line, row in read_rows(path))
    posed = [pose(task, place) for place in places]
    if not posed:
        raise InputError(f"task {task.name} has no {split} items; name a file or split that has some")
    return posed


def _hub_rows(task: TaskFile, hub: Hub, split: str) -> Iterator[Place]:
    import datasets

    name = getattr(hub, split)
    try:
        rows: Sequence[dict[str, object]] = datasets.load_dataset(hub.path, hub.name, split=name, revision=hub.revision)
    except Exception as error:  # the library lets through those of its parsers and of every protocol
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"task {task.name}: {hub.path} (name {hub.name}, split {name}) cannot be read: {reason}; mend hub") from None
    for number, row in enumerate(rows, start=1):
        yield Place(f"{hub.path} {name}: row {number}", row)


def _key(posed: Posed) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    return posed.contexts, posed.continuations, posed.right


def _rank(seed: int, posed: Posed) -> tuple[bytes, str]:
    text = "\0".join((*posed.contexts, *posed.continuations, str(posed.right)))
    return hashlib.blake2b(f"{seed}:{text}".encode(), digest_size=8).digest(), text
