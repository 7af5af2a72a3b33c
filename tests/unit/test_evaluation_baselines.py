"""Baselines against their formulas written out one by one, sums of probabilities, and the sums of nats."""

import lzma
import math
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.artifacts import TokenShards, TokenStream, write_manifest
from components.errors import InputError
from components.evaluation import baselines
from components.evaluation.baselines import token_nats, train_ngrams, xz_bits_per_byte
from components.evaluation.bits_per_byte import stream_loss
from components.evaluation.intervals import clopper_pearson
from components.tokenization.shards import StreamDocument, write_stream

VOCAB = 7
DISCOUNT = 0.75


def stream_of(folder: Path, documents: list[StreamDocument]) -> TokenStream:
    split = write_stream(folder / "train", documents, 5)
    write_manifest(folder, "token_shards", vocab_size=VOCAB, splits={"train": split})
    return TokenShards(folder).stream("train")


@pytest.fixture
def stream(tmp_path: Path) -> TokenStream:
    tokens = np.random.default_rng(0).choice(VOCAB - 1, 60, p=[0.4, 0.3, 0.1, 0.1, 0.05, 0.05]).tolist()
    return stream_of(tmp_path, [StreamDocument("a", "s", 0, 60, tokens)])


def slow_discounted(counts: dict[int, int], word: int) -> float:
    total = sum(counts.values())
    return max(counts.get(word, 0) - DISCOUNT, 0) / total + DISCOUNT * len(counts) / total / VOCAB


def slow_bigram(tokens: list[int], before: int, word: int) -> float:
    pairs = Counter(pairwise(tokens))
    lower = slow_discounted(dict(Counter(second for _, second in pairs)), word)
    after = {second: count for (first, second), count in pairs.items() if first == before}
    if not after:
        return lower
    total = sum(after.values())
    return max(after.get(word, 0) - DISCOUNT, 0) / total + DISCOUNT * len(after) / total * lower


def test_ngrams_equal_their_formulas(stream: TokenStream) -> None:
    unigram, bigram = train_ngrams(stream, VOCAB, DISCOUNT)
    tokens = stream.read(0, stream.num_tokens).astype(int).tolist()
    for before in range(VOCAB):
        words = np.arange(VOCAB)
        expected = [slow_discounted(dict(Counter(tokens[1:])), word) for word in words]
        assert unigram.probabilities(np.full(VOCAB, before), words) == pytest.approx(expected, rel=1e-12)
        expected = [slow_bigram(tokens, before, word) for word in words]
        assert bigram.probabilities(np.full(VOCAB, before), words) == pytest.approx(expected, rel=1e-12)


@given(st.lists(st.integers(0, VOCAB - 1), min_size=2, max_size=80), st.floats(0.01, 0.99))
def test_probabilities_are_positive_and_sum_to_one(tmp_path_factory: pytest.TempPathFactory, tokens: list[int], discount: float) -> None:
    models = train_ngrams(stream_of(tmp_path_factory.mktemp("s"), [StreamDocument("a", "s", 0, 1, tokens)]), VOCAB, discount)
    for model in models:
        for before in range(VOCAB):
            probabilities = model.probabilities(np.full(VOCAB, before), np.arange(VOCAB))
            assert (probabilities > 0).all()
            assert probabilities.sum() == pytest.approx(1, abs=1e-12)


def test_chunks_of_any_size_count_alike(stream: TokenStream, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train_ngrams(stream, VOCAB, DISCOUNT)
    whole_nats = token_nats(whole[1], stream)
    monkeypatch.setattr(baselines, "CHUNK_TOKENS", 4)
    parts = train_ngrams(stream, VOCAB, DISCOUNT)
    assert np.array_equal(parts[0].probability_V, whole[0].probability_V)
    assert np.array_equal(parts[1].counts_P, whole[1].counts_P)
    assert np.array_equal(token_nats(parts[1], stream), whole_nats)
    assert len(whole_nats) == stream.num_tokens - 1


def test_knowing_the_token_before_helps_where_it_tells_something(tmp_path: Path) -> None:
    stream = stream_of(tmp_path, [StreamDocument("a", "s", 0, 1, [0, 1, 2] * 40)])
    unigram, bigram = train_ngrams(stream, VOCAB, DISCOUNT)
    assert token_nats(unigram, stream).mean() == pytest.approx(math.log(3), abs=0.05)
    assert token_nats(bigram, stream).mean() < 0.05


def test_a_stream_without_a_pair_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="1 tokens"):
        train_ngrams(stream_of(tmp_path, [StreamDocument("a", "s", 0, 0, [0])]), VOCAB, DISCOUNT)


def test_xz_is_the_size_of_a_real_xz_file() -> None:
    text = "größer " * 100
    size = len(lzma.compress(text.encode(), format=lzma.FORMAT_XZ, preset=9))
    assert xz_bits_per_byte(text, 9) == 8 * size / len(text.encode())


def test_nats_become_bits_per_byte_by_source() -> None:
    index = pa.table({"source": ["x", "y", "x"], "start": [0, 2, 5], "num_tokens": [2, 3, 1], "num_bytes": [4, 10, 0]})
    # Losses of tokens 1 to 5: token 1 belongs to the first x, 2 to 4 to y, 5 (an end-of-text without bytes) to the second x.
    loss = stream_loss(np.array([1.0, 2.0, 3.0, 4.0, 5.0]) * math.log(2), index)
    assert loss.loss_nats == pytest.approx(3 * math.log(2))
    assert loss.bits_per_byte == pytest.approx(15 / 14)
    assert loss.bits_per_byte_by_source == pytest.approx({"x": 6 / 4, "y": 9 / 10})
    with pytest.raises(ValueError, match="one less"):
        stream_loss(np.ones(6), index)


def test_intervals_are_exact() -> None:
    # Both ends solve P(X >= k | low) = P(X <= k | high) = tail.
    def at_most(successes: int, trials: int, share: float) -> float:
        return sum(math.comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(successes + 1))

    for successes, trials in [(1, 5), (7, 20), (50, 100), (99, 100)]:
        low, high = clopper_pearson(successes, trials, 0.9)
        assert 1 - at_most(successes - 1, trials, low) == pytest.approx(0.05)
        assert at_most(successes, trials, high) == pytest.approx(0.05)
    assert clopper_pearson(0, 10, 0.95) == pytest.approx((0, 1 - 0.025**0.1))
    assert clopper_pearson(10, 10, 0.95) == pytest.approx((0.025**0.1, 1))
    for successes, trials in [(1, 0), (3, 2), (0, 0)]:
        with pytest.raises(ValueError, match="trials"):
            clopper_pearson(successes, trials, 0.95)
