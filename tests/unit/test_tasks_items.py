"""Items made shorter, so that several fit a prompt."""

import pytest

from components.tasks.items import Classification, Entailment, FreeForm, Item, MultipleChoice, Similarity, shortened


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
