"""GPT-1's four input transformations, token by token; batches; the schedule."""

from collections.abc import Sequence

import pytest

from components.errors import InputError
from components.finetuning.batches import EpochBatches, collate
from components.finetuning.transforms import Encoded, Specials, encode_items
from components.tasks.items import Classification, Entailment, FreeForm, Item, MultipleChoice, Similarity
from tests.unit.finetuning_fakes import finetuning_config

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
    (sequence,) = encode(Entailment("a" * 50, "b" * 50, 0)).sequences
    assert sequence == (START, *[1] * 6, DELIMITER, *[2] * 6, EXTRACT)


def test_a_long_first_segment_takes_nothing_from_the_second() -> None:
    (sequence,) = encode(Entailment("a" * 50, "b", 0)).sequences
    assert sequence == (START, *[1] * 6, DELIMITER, 2, EXTRACT)


def test_a_single_segment_has_the_room_of_the_context() -> None:
    (sequence,) = encode(Classification("a" * 50, 0)).sequences
    assert len(sequence) == CONTEXT and sequence[0] == START and sequence[-1] == EXTRACT


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
