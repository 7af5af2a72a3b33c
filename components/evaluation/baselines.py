"""What a language model has to beat on the same held-out text: ``xz``, and token models that know one or two tokens.

The token models pay for exactly the tokens that the GPT pays for, in the same unit, and are trained on the whole
training stream, which is never less than what the GPT has seen.
"""

# Shapes: V vocab_size, P pairs of tokens that occur, M predicted tokens.

import lzma
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from components.artifacts import TokenStream
from components.errors import InputError

CHUNK_TOKENS = 1 << 22  # read at once; bounds memory, changes no count


def xz_bits_per_byte(text: str, preset: int) -> float:
    """Size of the UTF-8 text compressed as one file, in bits per byte of text; container and checksum included."""
    data = text.encode()
    return 8 * len(lzma.compress(data, preset=preset)) / len(data)


def discounted(counts_V: np.ndarray, discount: float) -> np.ndarray:
    """Probabilities by interpolated absolute discounting over the uniform distribution (Ney, Essen and Kneser 1994).

    p(w) = max(c(w) - D, 0) / C + D * (number of seen tokens) / C * 1 / V.
    """
    total, seen = counts_V.sum(), np.count_nonzero(counts_V)
    probability_V: np.ndarray = np.maximum(counts_V - discount, 0) / total + discount * seen / total / len(counts_V)
    return probability_V


@dataclass(frozen=True)
class Unigram:
    """Each token by its own frequency."""

    probability_V: np.ndarray

    def probabilities(self, _previous: np.ndarray, following: np.ndarray) -> np.ndarray:
        """p(following), whatever the token before."""
        probabilities: np.ndarray = self.probability_V[following]
        return probabilities


@dataclass(frozen=True)
class Bigram:
    """Each token by the one before: interpolated Kneser-Ney with one discount D (Kneser and Ney 1995; Chen and Goodman 1998).

    p(w | v) = max(c(v w) - D, 0) / c(v) + D * N(v) / c(v) * p_lower(w), with N(v) the number of different tokens seen
    after v, and p_lower the discounted distribution of the number of different tokens seen *before* w. After a v
    that was never seen, p_lower alone.
    """

    discount: float
    pairs_P: np.ndarray
    """v * V + w of each pair seen, ascending."""
    counts_P: np.ndarray
    lower_V: np.ndarray

    @classmethod
    def of_counts(cls, pairs_P: np.ndarray, counts_P: np.ndarray, vocab_size: int, discount: float) -> Self:
        """Finish the model from the counts of pairs."""
        lower_V = discounted(np.bincount(pairs_P % vocab_size, minlength=vocab_size), discount)
        return cls(discount, pairs_P, counts_P, lower_V)

    def probabilities(self, previous: np.ndarray, following: np.ndarray) -> np.ndarray:
        """p(following | previous), pair by pair."""
        vocab_size = len(self.lower_V)
        history_P = self.pairs_P // vocab_size
        total_V = np.bincount(history_P, self.counts_P, vocab_size)
        seen_V = np.bincount(history_P, minlength=vocab_size)
        wanted = previous.astype(np.int64) * vocab_size + following
        place = np.minimum(np.searchsorted(self.pairs_P, wanted), len(self.pairs_P) - 1)
        counts = np.where(self.pairs_P[place] == wanted, self.counts_P[place], 0)
        total, lower = total_V[previous], self.lower_V[following]
        kept_share = np.maximum(counts - self.discount, 0) / np.maximum(total, 1)
        given_share = np.where(total > 0, self.discount * seen_V[previous] / np.maximum(total, 1), 1.0)
        probabilities: np.ndarray = kept_share + given_share * lower
        return probabilities


def train_ngrams(stream: TokenStream, vocab_size: int, discount: float) -> tuple[Unigram, Bigram]:
    """Count the whole stream, pairs across the borders of documents too, as the GPT sees them.

    Raises:
        InputError: the stream is too short to hold a pair.
    """
    if stream.num_tokens < 2:
        raise InputError(f"the training stream holds {stream.num_tokens} tokens; run dvc repro tokenize_corpus on more text")
    counts_V = np.zeros(vocab_size, np.int64)
    pairs_P, counts_P = np.empty(0, np.int64), np.empty(0, np.int64)
    for previous, following in _token_pairs(stream):
        counts_V += np.bincount(following, minlength=vocab_size)
        pairs_P, place = np.unique(np.concatenate([pairs_P, previous * vocab_size + following]), return_inverse=True)
        counts_P = np.bincount(place, np.concatenate([counts_P, np.ones(len(following), np.int64)])).astype(np.int64)
    return Unigram(discounted(counts_V, discount)), Bigram.of_counts(pairs_P, counts_P, vocab_size, discount)


def token_nats(model: Unigram | Bigram, stream: TokenStream) -> np.ndarray:
    """Loss [nats] of each token of the stream but the first, float64 [M]."""
    return np.concatenate([-np.log(model.probabilities(previous, following)) for previous, following in _token_pairs(stream)])


def _token_pairs(stream: TokenStream) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, stream.num_tokens - 1, CHUNK_TOKENS):
        tokens = stream.read(start, min(start + CHUNK_TOKENS + 1, stream.num_tokens)).astype(np.int64)
        yield tokens[:-1], tokens[1:]
