"""A labelled task looked at before it is trained on: what makes it useless is an error, what is merely odd is counted."""

from collections.abc import Hashable, Sequence
from typing import Any

from components.errors import InputError
from components.finetuning.transforms import item_readings, label_of
from components.tasks.items import Item, LabelledTask


def check_task(task: LabelledTask) -> None:
    """Refuse a task that cannot be learnt or scored.

    Raises:
        InputError: names the task, the split and the item (from 0): a split without items, an empty text, a label that is no
            class or no answer, items with different numbers of answers, a class of a test item that no training item has.
    """
    num_answers = len(item_readings(_first(task)))
    for split, items in (("train", task.train), ("test", task.test)):
        if not items:
            raise InputError(f"task {task.name}: no {split} items; add some")
        for number, item in enumerate(items):
            _check_item(f"task {task.name}, {split} item {number}", item, task, num_answers)
    if task.has_classes:
        _check_classes(task)


def _first(task: LabelledTask) -> Item:
    if not task.train:
        raise InputError(f"task {task.name}: no train items; add some")
    return task.train[0]


def _check_item(place: str, item: Item, task: LabelledTask, num_answers: int) -> None:
    readings = item_readings(item)
    if any(not text.strip() for reading in readings for text in reading):
        raise InputError(f"{place}: an empty text; fill it in or take the item out")
    if len(readings) != num_answers:
        raise InputError(f"{place}: {len(readings)} answers, where the first item has {num_answers}; give all items as many")
    num_labels = num_answers if task.transformation == "multiple_choice" else len(task.labels)
    if not 0 <= label_of(item) <= num_labels - 1:  # a score too
        raise InputError(f"{place}: label {label_of(item)} is out of range; it must be 0 to {num_labels - 1}")


def _check_classes(task: LabelledTask) -> None:
    seen = {label_of(item) for item in task.train}
    for number, item in enumerate(task.test):
        if label_of(item) not in seen:
            label = task.labels[int(label_of(item))]
            raise InputError(f"task {task.name}, test item {number}: label {label!r}, which no training item has; take it out or add some")


def content(item: Item) -> Hashable:
    """What makes two items one, whatever their labels: the texts; in any order for the pair of a similarity and for answers."""
    return tuple(sorted(item_readings(item)))


def count_repeats(train: Sequence[Item], test: Sequence[Item]) -> dict[str, Any]:
    """Items that stand a second time in their split, and test items that were trained on or chosen by (``train`` holds both)."""
    known = {content(item) for item in train}
    return {
        "duplicate_train_items": len(train) - len(known),
        "duplicate_test_items": len(test) - len({content(item) for item in test}),
        "test_items_in_train": sum(content(item) in known for item in test),
    }


def warnings(metrics: dict[str, Any]) -> list[str]:
    """A sentence for each count of the metrics that makes the score worth less."""
    sentences = {
        "test_items_in_train": "test items stand in the train split too, so the score is too good",
        "duplicate_test_items": "test items are repeats of others, so the interval is too narrow",
        "duplicate_train_items": "train items are repeats of others",
        "unseen_test_items": "test items have a label that no item trained on has, so they cannot come out right",
        "cut_train_items": "train items are longer than the context; the end of each text that is too long was cut off",
        "cut_test_items": "test items are longer than the context; the end of each text that is too long was cut off",
    }
    return [f"task {metrics['task']}: {metrics[name]} {sentence}" for name, sentence in sentences.items() if metrics[name]]
