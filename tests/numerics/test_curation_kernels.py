"""Each compiled kernel against a slow and literal version of the same definition."""

import math
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.curation import band_kernels, kernels, words

MASK = 2**64 - 1
TEXTS = st.lists(st.text(st.sampled_from("abAB \u00c9\u00e9\u00df\u0130_.,-(){}\n\t\x0b\x1c\x85\u00a0\u20030"), max_size=60), max_size=6)
ROWS = st.lists(st.lists(st.integers(0, 30), max_size=12), max_size=6)
LONG_ROWS = st.lists(st.lists(st.integers(0, MASK), max_size=12), max_size=6)
FEW = settings(max_examples=60, deadline=None)  # the first example waits for the compiler


def ragged(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([value for row in rows for value in row], np.uint64), np.cumsum([0, *map(len, rows)]).astype(np.int64)


def unravel(values: np.ndarray, offsets: np.ndarray) -> list[list[int]]:
    return [values[start:stop].tolist() for start, stop in pairwise(offsets)]


def mix(value: int) -> int:
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


def hash_word(word: str) -> int:
    encoded = word.encode()
    value = 0xCBF29CE484222325 ^ len(encoded)
    for start in range(0, len(encoded), 8):
        value = mix((value ^ int.from_bytes(encoded[start : start + 8], "little")) * 0x100000001B3 & MASK)
    return value


def words_of(text: str) -> list[str]:
    return re.findall(r"(?:[^\x00-\x7f]|\w)+", " ".join(text.lower().split()), re.ASCII)


@given(TEXTS)
@FEW
def test_words_are_hashed_one_by_one(texts: list[str]) -> None:
    assert unravel(*words.hash_words(texts)) == [[hash_word(word) for word in words_of(text)] for text in texts]


def test_words_part_at_punctuation_and_unicode_space_and_ignore_case() -> None:
    first, second, other = unravel(
        *words.hash_words(["Foo_Bar(x)\u00a0\u00c9t\u00c9", "foo_bar X, \u00e9t\u00e9!", "foo bar x \u00e9t\u00e9"])
    )
    assert first == second
    assert first != other and len(first) == 3


@given(ROWS, st.integers(1, 6))
@FEW
def test_ngrams_are_runs_of_words_and_a_short_document_is_one(rows: list[list[int]], ngram_words: int) -> None:
    def combined(gram: list[int]) -> int:
        value = len(gram)
        for word in gram:
            value = value * 0x100000001B3 + word & MASK
        return mix(value)

    def grams(row: list[int]) -> list[list[int]]:
        return [row[i : i + ngram_words] for i in range(max(1, len(row) - ngram_words + 1))] if row else []

    assert unravel(*kernels.hash_ngrams(*ragged(rows), ngram_words)) == [[combined(gram) for gram in grams(row)] for row in rows]


@given(ROWS)
@FEW
def test_row_sets(rows: list[list[int]]) -> None:
    assert unravel(*kernels.row_sets(*ragged(rows))) == [sorted(set(row)) for row in rows]


@given(ROWS, st.integers(1, 5))
@FEW
def test_feature_sets_hold_each_number_once(rows: list[list[int]], hash_bits: int) -> None:
    expected = [list(dict.fromkeys(word % 2**hash_bits for word in row)) for row in rows]
    assert unravel(*kernels.feature_sets(*ragged(rows), hash_bits)) == expected


@given(ROWS, st.data())
@FEW
def test_taken_rows(rows: list[list[int]], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=6)) if rows else []
    assert unravel(*words.take(*ragged(rows), np.array(chosen, np.int64))) == [rows[i] for i in chosen]


@given(LONG_ROWS, st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)), min_size=1, max_size=4))
@FEW
def test_minhash_is_the_smallest_hash_of_a_row(rows: list[list[int]], functions: list[tuple[int, int]]) -> None:
    multipliers, increments = (np.array(column, np.uint32) for column in zip(*functions, strict=True))
    expected = [[min([(a * (gram >> 32) + b) % 2**32 for gram in row], default=2**32 - 1) for a, b in functions] for row in rows]
    assert kernels.minhash(*ragged(rows), multipliers, increments).tolist() == expected


@given(st.lists(st.lists(st.integers(0, 2), min_size=6, max_size=6), min_size=1, max_size=12))
@FEW
def test_band_keys_are_equal_where_all_rows_of_a_band_are(signatures: list[list[int]]) -> None:
    keys = band_kernels.band_keys(np.array(signatures, np.uint32), 3)
    assert keys.shape == (len(signatures), 2)
    for band in range(2):
        equal = [[a[3 * band : 3 * band + 3] == b[3 * band : 3 * band + 3] for a in signatures] for b in signatures]
        assert (keys[:, band][:, None] == keys[:, band]).tolist() == equal


def test_hashes_that_may_repeat_hold_all_that_do_and_few_more() -> None:
    rng = np.random.default_rng(0)
    once, twice = rng.integers(-(2**63), 2**63, 3000), rng.integers(-(2**63), 2**63, 100)
    hashes = rng.permutation(np.concatenate([once, twice, twice]))
    found, repeats = band_kernels.maybe_repeated(hashes), np.isin(hashes, twice)
    assert found[repeats].all()
    assert found[~repeats].mean() < 1 / 8
    assert band_kernels.maybe_repeated(hashes[:0]).tolist() == []


@given(ROWS.filter(bool), st.data())
@FEW
def test_jaccard_of_all_pairs(rows: list[list[int]], data: st.DataObject) -> None:
    pairs = data.draw(st.lists(st.tuples(st.integers(0, len(rows) - 1), st.integers(0, len(rows) - 1)), min_size=1, max_size=8))
    left, right = (np.array(column, np.int64) for column in zip(*pairs, strict=True))
    sets = [set(row) for row in rows]
    expected = [len(sets[i] & sets[j]) / len(sets[i] | sets[j]) if sets[i] | sets[j] else 0.0 for i, j in pairs]
    assert kernels.jaccard(*kernels.row_sets(*ragged(rows)), left, right).tolist() == expected


@given(ROWS.filter(bool), st.data())
@FEW
def test_logistic_regression_step_by_step(rows: list[list[int]], data: st.DataObject) -> None:
    sets = [sorted(set(row)) for row in rows]
    labels = data.draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=len(rows), max_size=len(rows)))
    order = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=12))
    weights, squares = [0.0] * 32, [1e-8] * 32

    def vector(row: list[int]) -> list[float]:
        return [(1 / math.sqrt(max(1, len(row))) if feature in row else 0.0) for feature in range(31)] + [1.0]

    def logit(row: list[int]) -> float:
        return math.fsum(w * x for w, x in zip(weights, vector(row), strict=True))

    for document in order:
        error = 1 / (1 + math.exp(-logit(sets[document]))) - labels[document]
        for place, x in enumerate(vector(sets[document])):
            squares[place] += (error * x) ** 2
            weights[place] -= 0.1 * error * x / math.sqrt(squares[place])
    trained = kernels.train_logistic(*ragged(sets), np.array(labels), np.array(order, np.int64), 0.1, 31)
    assert trained.tolist() == pytest.approx(weights, rel=1e-9, abs=1e-12)
    assert kernels.logits(*ragged(sets), trained).tolist() == pytest.approx([logit(row) for row in sets], rel=1e-9, abs=1e-12)
