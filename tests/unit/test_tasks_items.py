"""Items made shorter, so that several fit a prompt; tasks written and read."""

from pathlib import Path

import pytest

from components.tasks.items import (
    Classification,
    DraftTask,
    Entailment,
    FreeForm,
    Item,
    MultipleChoice,
    Similarity,
    Sourced,
    TaskSet,
    save_tasks,
    shortened,
)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (Classification("one two three", 2), Classification("one two", 2)),
        (Entailment("one two three", "four five six", 1), Entailment("one two", "four", 1)),
        (Similarity("one", "one two three", 0), Similarity("one", "one two", 0)),
        (MultipleChoice("one two three", ("a longer name", "b"), 1), MultipleChoice("one two", ("a longer name", "b"), 1)),
        (FreeForm("Q: What is 98 plus 45?", " 143"), FreeForm("Q: What is 98 plus 45?", " 143")),
    ],
)
def test_only_passages_are_cut(item: Item, expected: Item) -> None:
    assert shortened(item, 8) == expected


def test_a_task_is_read_as_it_was_written(tmp_path: Path) -> None:
    scores = [Sourced(Similarity("a", "b", score), ("row 1",)) for score in (0.0, 2.75, 5.0)]
    classes = [Sourced(Classification("a", label), ()) for label in (0, 1)]
    drafts = [
        DraftTask("sts", "similarity", tuple("012345"), scores[:2], scores[2:], "pearson"),
        DraftTask("cola", "classification", ("no", "yes"), classes, classes, "f1", "yes"),
        DraftTask("plain", "classification", ("no", "yes"), classes, classes),
    ]
    save_tasks(tmp_path / "tasks", drafts)
    for draft in drafts:
        read = TaskSet(tmp_path / "tasks").load(draft.name)
        assert read == draft.task
        assert [type(item.label) for item in read.train] == [type(row.item.label) for row in draft.train]  # type: ignore[union-attr]
