"""Rows of a task file's data: CSV, TSV or JSONL files, a data set of the Hub, or made up; checked before anything is scored."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from components.errors import InputError
from components.evaluation.config import ProtocolConfig
from components.evaluation.generated import InventedWords, generate
from components.evaluation.hub_rows import hub_rows
from components.evaluation.rows import Place, Posed, evaluate, pose, pose_text, turns_of
from components.evaluation.task_file import DataFile, Hub, TaskFile
from components.tasks.items import DraftTask
from components.tasks.labelling import Fields, Row, draft_task, item_fields, shuffled, text_of
from components.tasks.rows import read_rows


@dataclass(frozen=True)
class Loaded:
    """The items of a task, and what is worth knowing about them."""

    test: list[Posed]
    train: list[Posed]
    """To draw demonstrations from; the test items themselves where the task has no train split, or asks for none."""
    duplicates: int
    """Test items with the words and the answer of another; they stay, as in the scores that others publish."""
    in_train: int
    """Test items that stand in the train split too; they stay, but never demonstrate themselves. 0 without demonstrations, for then
    the train split is not read."""
    left_out: int
    """Rows of the test split that ``keep`` leaves out."""


def load_task(task: TaskFile, folder: Path, config: ProtocolConfig) -> Loaded:
    """Read and put in words.

    Args:
        folder: that of the task file, from which paths go out.

    Raises:
        InputError: names the file and line: damaged, a missing column, an empty text, a label out of range; no rows.
    """
    test, left_out = _posed(task, folder, "test")
    items = sorted(test, key=lambda posed: _rank(config.seed, posed))[: config.max_items]
    is_read = _has_train(task) and task.shots > 0
    train = _posed(task, folder, "train")[0] if is_read else items
    known = {_key(posed) for posed in train} if is_read else set()
    return Loaded(items, train, len(test) - len(set(map(_key, test))), sum(_key(posed) in known for posed in items), left_out)


def _has_train(task: DataFile) -> bool:
    data = task.files or task.hub
    return data.train is not None if data else isinstance(task.generated, InventedWords)


def _posed(task: TaskFile, folder: Path, split: str) -> tuple[list[Posed], int]:
    places, left_out = _kept(task, folder, split)
    if task.begins is None:
        return [pose(task, turn) for place in places for turn in turns_of(task, place)], left_out
    begins = [number for number, place in enumerate(places) if evaluate(task, "begins", task.begins, place)]
    spans = pairwise([0, *begins[1:], len(places)])  # what stands before the first beginning belongs to the first text
    return [pose_text(task, places[start:stop]) for start, stop in spans], left_out


def _kept(task: DataFile, folder: Path, split: str) -> tuple[list[Place], int]:
    """Rows that are items, and how many are not."""
    rows = list(_places(task, folder, split))
    kept = [place for place in rows if task.keep is None or evaluate(task, "keep", task.keep, place)]
    if not kept:
        raise InputError(f"task {task.name} has no {split} items; name a file or split that has some")
    return kept, len(rows) - len(kept)


def _places(task: DataFile, folder: Path, split: str) -> Iterator[Place]:
    if task.generated is not None:
        yield from (Place(f"{task.name}: {split} row {number}", row) for number, row in enumerate(generate(task.generated, split), start=1))
        return
    data = task.files or task.hub
    assert data is not None, "the file was checked"
    name = getattr(data, split)
    if name is None:
        raise InputError(f"task {task.name} has no {split} split; name one")
    if isinstance(data, Hub):
        rows = enumerate(hub_rows(task.name, data, name, folder), start=1)
        yield from (Place(f"{data.path} {name}: row {number}", row) for number, row in rows)
    else:
        yield from (Place(f"{folder / name}: line {line}", row) for line, row in read_rows(folder / name))


def _key(posed: Posed) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    return posed.contexts, posed.continuations, posed.right


def _rank(seed: int, posed: Posed) -> tuple[bytes, str]:
    text = "\0".join((*posed.contexts, *posed.continuations, str(posed.right)))
    return hashlib.blake2b(f"{seed}:{text}".encode(), digest_size=8).digest(), text


@dataclass(frozen=True)
class ToFineTune:
    """The items of a task to fine-tune on, in the order of a hash, and the number of rows of each split that ``keep`` leaves out."""

    draft: DraftTask
    left_out: dict[str, int]


def labelled_task(task: DataFile, folder: Path, seed: int) -> ToFineTune:
    """The rows in the GPT-1 transformation that the file names.

    Args:
        folder: that of the task file, from which paths go out.
        seed: of the order of the rows.

    Raises:
        InputError: the file has no finetuning part, or lacks a field or a train split; names the row and the field of a missing
            column, an empty text or what ``draft_task`` refuses.
    """
    how = task.finetuning
    if how is None:
        raise InputError(f"task {task.name} says nothing of fine-tuning; add finetuning with transformation, fields and metric")
    if set(how.fields) != (wanted := item_fields(how)):
        raise InputError(f"task {task.name}: finetuning.fields must name {', '.join(sorted(wanted))} for {how.transformation}")
    splits, left_out = {}, {}
    for split in ("train", "test"):
        places, left_out[split] = _kept(task, folder, split)
        splits[split] = shuffled([Row(place.where, _fields(task, how.fields, place)) for place in places], task.name, seed)
    called = {field: f"{field} of task {task.name}" for field in how.fields}
    return ToFineTune(draft_task(task.name, how, called, splits["train"], splits["test"]), left_out)


def _fields(task: DataFile, expressions: dict[str, str], place: Place) -> Fields:
    found: Fields = {}
    for field, expression in expressions.items():
        value, at = evaluate(task, field, expression, place), f"{place.where}: {field} of task {task.name}"
        if field != "choices":
            found[field] = text_of(value, at)
        elif isinstance(value, Sequence) and not isinstance(value, str) and value:
            found[field] = [text_of(one, at) for one in value]
        else:
            raise InputError(f"{at} must be a list of texts, got {str(value)[:60]!r}")
    return found
