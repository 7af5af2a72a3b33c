"""The texts that tasks are scored on, as a document would hold them: what must not be trained on."""

from collections.abc import Iterator
from typing import assert_never

from components.tasks.items import Classification, Entailment, FreeForm, Item, MultipleChoice, Similarity, TaskSet


def evaluation_texts(tasks: TaskSet) -> Iterator[str]:
    """Texts of the test items of every task in the folder, the user's own included; training items are no evaluation set."""
    for name in tasks.names():
        for item in tasks.load(name).test:
            yield from texts_of(item)


def texts_of(item: Item) -> tuple[str, ...]:
    """An item's texts. An answer follows its context, for that is how a passage that is asked about goes on elsewhere."""
    match item:
        case Classification():
            return (item.text,)
        case Entailment():
            return item.premise, item.hypothesis
        case Similarity():
            return item.first, item.second
        case MultipleChoice():
            return tuple(f"{item.context} {choice}" for choice in item.choices)
        case FreeForm():
            return (f"{item.context}{item.completion}",)
    assert_never(item)
