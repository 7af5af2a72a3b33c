"""What a labelled task is refused for, what is counted of it, and which of its items are put aside for validation."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import InputError
from components.finetuning.checks import check_task, content, count_repeats, warnings
from components.finetuning.validation import split_validation
from components.tasks.items import Classification, Entailment, Item, LabelledTask, MultipleChoice, Similarity
from tests.configs import finetuning_config

GOOD = [Classification("a", 0), Classification("b", 1)]
CHOICE = MultipleChoice("a", ("b", "c"), 1)


def task(train: list[Any], test: list[Any], transformation: Any = "classification") -> LabelledTask:
    labels = () if transformation == "multiple_choice" else ("no", "yes")
    return LabelledTask("mine", transformation, labels, train, test)


def test_a_good_task_passes() -> None:
    check_task(task(GOOD, GOOD))
    check_task(task([CHOICE], [replace(CHOICE, label=0)], "multiple_choice"))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (task([], GOOD), "task mine: no train items; add some"),
        (task(GOOD, []), "task mine: no test items; add some"),
        (task(GOOD, [*GOOD, Classification(" \n", 1)]), "task mine, test item 2: an empty text; fill it in or take the item out"),
        (task([Entailment("a", "", 0)], GOOD, "entailment"), "task mine, train item 0: an empty text"),
        (task([Similarity("", "b", 0)], GOOD, "similarity"), "task mine, train item 0: an empty text"),
        (task([replace(CHOICE, choices=("b", ""))], [CHOICE], "multiple_choice"), "task mine, train item 0: an empty text"),
        (task([*GOOD, Classification("c", 2)], GOOD), "task mine, train item 2: label 2 is out of range; it must be 0 to 1"),
        (task(GOOD, [Classification("c", -1)]), "task mine, test item 0: label -1 is out of range"),
        (task([CHOICE], [replace(CHOICE, label=2)], "multiple_choice"), "task mine, test item 0: label 2 is out of range"),
        (
            task([CHOICE], [replace(CHOICE, choices=("b", "c", "d"))], "multiple_choice"),
            "task mine, test item 0: 3 answers, where the first item has 2; give all items as many",
        ),
        (task(GOOD[:1], GOOD), "task mine, test item 1: label 'yes', which no training item has; take it out or add some"),
    ],
)
def test_a_bad_task_is_refused_in_one_line(bad: LabelledTask, message: str) -> None:
    with pytest.raises(InputError) as caught:
        check_task(bad)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


def test_an_answer_that_was_never_right_in_training_is_no_unseen_label() -> None:
    check_task(task([CHOICE], [replace(CHOICE, label=0)], "multiple_choice"))


def test_a_score_that_training_never_shows_is_no_unseen_label() -> None:
    scores = LabelledTask("mine", "similarity", tuple("012345"), [Similarity("a", "b", 1.5)], [Similarity("c", "d", 2.25)], "pearson")
    check_task(scores)
    with pytest.raises(InputError, match=r"task mine, test item 0: label 5.5 is out of range; it must be 0 to 5"):
        check_task(replace(scores, test=[Similarity("c", "d", 5.5)]))


def test_items_are_one_when_their_texts_are() -> None:
    assert content(Classification("a", 0)) == content(Classification("a", 1))
    assert content(Entailment("a", "b", 0)) != content(Entailment("b", "a", 0))
    assert content(Similarity("a", "b", 0)) == content(Similarity("b", "a", 0))
    assert content(MultipleChoice("q", ("a", "b"), 0)) == content(MultipleChoice("q", ("b", "a"), 1))
    assert content(MultipleChoice("q", ("a", "b"), 0)) != content(MultipleChoice("r", ("a", "b"), 0))


def test_repeats_are_counted() -> None:
    train, test = [Classification(letter, 0) for letter in "aabc"], [Classification(letter, 1) for letter in "xxxab"]
    assert count_repeats(train, test) == {"duplicate_train_items": 1, "duplicate_test_items": 2, "test_items_in_train": 2}


def test_a_count_of_zero_is_no_warning() -> None:
    names = (
        "duplicate_train_items",
        "duplicate_test_items",
        "test_items_in_train",
        "unseen_test_items",
        "cut_train_items",
        "cut_test_items",
    )
    assert warnings({"task": "mine", **dict.fromkeys(names, 0)}) == []
    found = warnings({"task": "mine", **dict.fromkeys(names, 0), "test_items_in_train": 3})
    assert found == ["task mine: 3 test items stand in the train split too, so the score is too good"]
    assert len(warnings({"task": "mine", **dict.fromkeys(names, 1)})) == len(names)


def some_items(n: int) -> list[Item]:
    return [Classification(f"text {i}", i % 2) for i in range(n)]


@given(st.integers(1, 60), st.floats(0, 0.9), st.integers(0, 5))
def test_the_share_is_put_aside_and_nothing_is_lost(n: int, share: float, seed: int) -> None:
    items = some_items(n)
    aside = round(share * n)
    if aside == n:
        return
    train, validation = split_validation(items, finetuning_config(validation_share=share, data_seed=seed))
    assert len(validation) == aside
    assert sorted([*train, *validation], key=items.index) == items
    assert train == [item for item in items if item in train] and validation == [item for item in items if item in validation]


def test_neither_order_nor_labels_decide_who_is_put_aside_but_the_seed_does() -> None:
    items, config = some_items(40), finetuning_config(validation_share=0.25)

    def aside(items: list[Item], **overrides: Any) -> set[Any]:
        return {content(item) for item in split_validation(items, config.model_copy(update=overrides))[1]}

    assert aside(items) == aside(items[::-1]) == aside([replace(item, label=0) for item in items])  # type: ignore[call-arg]
    assert aside(items) != aside(items, data_seed=1)


def test_repeats_of_an_item_lie_on_one_side() -> None:
    items = some_items(20) * 3
    train, validation = split_validation(items, finetuning_config(validation_share=0.3))
    assert {content(item) for item in train}.isdisjoint(content(item) for item in validation)
    assert len(validation) == 18


def test_a_share_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(InputError, match=r"finetuning.validation_share 0.5 leaves no item of 4 to train on; lower it"):
        split_validation([Classification("a", 0)] * 4, finetuning_config(validation_share=0.5))
