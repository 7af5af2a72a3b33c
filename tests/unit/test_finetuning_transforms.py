"""GPT-1's four input transformations, token by token; batches; the schedule."""

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import InputError
from components.finetuning.batches import EpochBatches, collate
from components.finetuning.transforms import Encoded, Specials, encode_items
from components.tasks.items import Classification, Entailment, FreeForm, Item, MultipleChoice, Similarity
from tests.configs import finetuning_config

START, DELIMITER, EXTRACT = 100, 101, 102
CONTEXT = 16  # two segments of at most 6 tokens


class Letters:
    """A tokenizer of a = 1, b = 2, ..."""

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [[ord(letter) - 96 for letter in text] for text in texts]


def encode(item: Item) -> Encoded:
    return encode_items([item], Letters(), Specials.after(100), CONTEXT)[0]


@pytest.mark.parametrize(
    ("item", "sequences"),
    [
        (Classification("abc", 1), [(START, 1, 2, 3, EXTRACT)]),
        (Entailment("ab", "cd", 1), [(START, 1, 2, DELIMITER, 3, 4, EXTRACT)]),
        (Similarity("ab", "c", 1), [(START, 1, 2, DELIMITER, 3, EXTRACT), (START, 3, DELIMITER, 1, 2, EXTRACT)]),
        (
            MultipleChoice("ab", ("c", "dd", "e"), 1),
            [(START, 1, 2, DELIMITER, 3, EXTRACT), (START, 1, 2, DELIMITER, 4, 4, EXTRACT), (START, 1, 2, DELIMITER, 5, EXTRACT)],
        ),
    ],
)
def test_golden_sequences(item: Item, sequences: list[tuple[int, ...]]) -> None:
    assert encode(item) == Encoded(tuple(sequences), 1)


def test_each_of_two_segments_is_cut_to_half_the_context_less_two() -> None:
    (sequence,) = encode(Entailment("abcdefghijkl", "mnopqrstuvwx", 0)).sequences
    assert sequence == (START, *range(1, 7), DELIMITER, *range(13, 19), EXTRACT)  # the end is cut off, the start kept


def test_a_long_first_segment_takes_nothing_from_the_second() -> None:
    (sequence,) = encode(Entailment("a" * 50, "b", 0)).sequences
    assert sequence == (START, *[1] * 6, DELIMITER, 2, EXTRACT)


def test_a_single_segment_has_the_room_of_the_context() -> None:
    (sequence,) = encode(Classification("abcdefghijklmnopqrstuvwx", 0)).sequences
    assert sequence == (START, *range(1, 15), EXTRACT) and len(sequence) == CONTEXT


@pytest.mark.parametrize(
    ("whole", "cut"),
    [
        (Classification("a" * 14, 0), Classification("a" * 15, 0)),
        (Entailment("a" * 6, "b" * 6, 0), Entailment("a", "b" * 7, 0)),
        (Similarity("a" * 6, "b" * 6, 0), Similarity("a" * 7, "b", 0)),
        (MultipleChoice("a" * 6, ("b", "c" * 6), 0), MultipleChoice("a", ("b", "c" * 7), 0)),
    ],
)
def test_an_item_that_loses_a_token_is_marked(whole: Item, cut: Item) -> None:
    assert (encode(whole).cut, encode(cut).cut) == (False, True)


@pytest.mark.parametrize("context_length", range(1, 6))
def test_a_context_without_room_is_an_input_error(context_length: int) -> None:
    with pytest.raises(InputError, match=f"a context of {context_length} tokens has no room for an item"):
        encode_items([Entailment("a", "b", 0)], Letters(), Specials.after(100), context_length)


def test_the_smallest_context_holds_one_token_of_each_segment() -> None:
    (item,) = encode_items([Entailment("abc", "de", 0)], Letters(), Specials.after(100), 6)
    assert item == Encoded(((START, 1, DELIMITER, 4, EXTRACT),), 0, cut=True)


def test_a_tokenizer_whose_ids_reach_into_the_specials_is_an_input_error() -> None:
    with pytest.raises(InputError, match="the tokenizer gives token 26, the checkpoint's vocabulary ends at 25; use its own"):
        encode_items([Classification("az", 0)], Letters(), Specials.after(26), CONTEXT)


texts = st.text("abcdefghij", min_size=1, max_size=20)


@given(texts, texts)
def test_swapping_the_pair_of_a_similarity_swaps_its_sequences(first: str, second: str) -> None:
    one, other = encode(Similarity(first, second, 0)), encode(Similarity(second, first, 0))
    assert one.sequences == other.sequences[::-1]


@given(texts, st.lists(texts, min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_answers_in_another_order_are_sequences_in_that_order(context: str, answers: list[str], random: Random) -> None:
    order = random.sample(range(len(answers)), len(answers))
    one, other = encode(MultipleChoice(context, tuple(answers), 0)), encode(MultipleChoice(context, tuple(answers[i] for i in order), 0))
    assert other.sequences == tuple(one.sequences[i] for i in order)


@given(texts, texts)
def test_any_item_fits_the_context_and_has_one_start_and_one_extract(first: str, second: str) -> None:
    for item in (Classification(first, 0), Entailment(first, second, 0), Similarity(first, second, 0)):
        for sequence in encode(item).sequences:
            assert len(sequence) <= CONTEXT
            assert [i for i, token in enumerate(sequence) if token in (START, EXTRACT)] == [0, len(sequence) - 1]
            assert sequence.count(DELIMITER) == (not isinstance(item, Classification))


def test_a_free_form_item_cannot_be_learnt() -> None:
    with pytest.raises(InputError, match="a free_form task has no labels"):
        encode(FreeForm("a", "b"))


def test_padding_is_on_the_right_and_counted() -> None:
    batch = collate([encode(Similarity("ab", "c", 1)), encode(Similarity("a", "b", 0))])
    assert batch.tokens.tolist() == [
        [[START, 1, 2, DELIMITER, 3, EXTRACT], [START, 3, DELIMITER, 1, 2, EXTRACT]],
        [[START, 1, DELIMITER, 2, EXTRACT, 0], [START, 2, DELIMITER, 1, EXTRACT, 0]],
    ]
    assert batch.lengths.tolist() == [[6, 6], [5, 5]]
    assert batch.labels.tolist() == [1, 0]


def items_of_many_lengths() -> list[Encoded]:
    """An item's label is its place, so that it can be recognised in a batch."""
    return [encode(Classification("a" * (1 + 7 * i % 13), i)) for i in range(50)]


def epochs(seed: int, num_epochs: int = 2) -> list[list[int]]:
    config = finetuning_config(epochs=num_epochs, batch_sequences=8)
    return [EpochBatches(items_of_many_lengths(), config, seed)[i].labels.tolist() for i in range(7 * num_epochs)]


def test_each_epoch_holds_each_item_once() -> None:
    batches = epochs(seed=0)
    for epoch in (batches[:7], batches[7:]):
        assert sorted(label for batch in epoch for label in batch) == list(range(50))
        assert [len(batch) for batch in epoch].count(8) == 6


def test_batches_depend_on_the_seed_and_the_epoch_only() -> None:
    assert epochs(seed=0) == epochs(seed=0)
    assert epochs(seed=0) != epochs(seed=1)
    assert epochs(seed=0)[:7] != epochs(seed=0)[7:]


def test_batches_hold_items_of_like_length() -> None:
    batches = EpochBatches(items_of_many_lengths(), finetuning_config(epochs=1, batch_sequences=8, length_jitter=0.0), seed=0)
    padding = sum(int(batch.tokens.numel() - batch.lengths.sum()) for batch in batches)
    real = sum(int(batch.lengths.sum()) for batch in batches)
    assert padding / real < 0.1
    assert [batch.tokens.shape[-1] for batch in batches] != sorted(batch.tokens.shape[-1] for batch in batches)
