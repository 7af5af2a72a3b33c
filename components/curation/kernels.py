"""The inner loops of curation, compiled by numba; single-threaded, so that sums have one order and one result.

A ragged array is a pair of flat ``values`` and ``offsets``: row ``i`` is ``values[offsets[i]:offsets[i + 1]]``.
"""

# Shapes: D documents, W words, G n-grams, H hashes of a signature, P pairs, F features.

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])

FNV_OFFSET = np.uint64(0xCBF29CE484222325)
FNV_PRIME = np.uint64(0x100000001B3)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)  # splitmix64's finaliser (Steele, Lea, Flood 2014)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_SPACE, _LETTER_CASE = np.uint8(32), np.uint8(32)
_ALL_BITS = np.uint64(2**64 - 1)


def kernel(function: F) -> F:
    """Compile at the first call, once for a machine."""
    return cast(F, numba.njit(cache=True, nogil=True)(function))


@kernel
def mix(value: np.uint64) -> np.uint64:
    """Spread a hash over all 64 bits."""
    value = (value ^ (value >> np.uint64(30))) * _MIX_1
    value = (value ^ (value >> np.uint64(27))) * _MIX_2
    return value ^ (value >> np.uint64(31))


@kernel
def _plain(text: np.ndarray, plain: np.ndarray) -> None:
    """What each byte counts as within a word: ASCII letters in lower case; white space and punctuation (but for the underscore,
    which is part of a name) as a space. Eight spaces follow. Comparisons, for those are made of 32 bytes at once; no table is."""
    for place in range(len(text)):
        byte = text[place]
        parts = (byte >= np.uint8(28)) & (byte <= np.uint8(47)) | (byte >= np.uint8(9)) & (byte <= np.uint8(13))
        parts |= (byte >= np.uint8(58)) & (byte <= np.uint8(64)) | (byte >= np.uint8(123)) & (byte <= np.uint8(126))
        parts |= (byte >= np.uint8(91)) & (byte <= np.uint8(96)) & (byte != np.uint8(95))
        is_upper = (byte >= np.uint8(65)) & (byte <= np.uint8(90))
        plain[place] = _SPACE if parts else byte | (_LETTER_CASE if is_upper else np.uint8(0))
    plain[len(text) : len(text) + 8] = _SPACE


@kernel
def _find_words(plain: np.ndarray, length: int, bounds: np.ndarray) -> int:
    """Write begin and end of each word into ``bounds``; returns how many words. Without a branch, for none could be foretold."""
    count, was_inside = 0, False
    for place in range(length + 1):
        inside = plain[place] != _SPACE
        bounds[count] = place
        count += inside != was_inside
        was_inside = inside
    return count // 2


@kernel
def _eight_bytes(text: np.ndarray, place: int) -> np.uint64:
    value = np.uint64(0)
    for byte in range(8):  # the compiler makes one load of them
        value |= np.uint64(text[np.uint64(place + byte)]) << np.uint64(8 * byte)
    return value


@kernel
def _hash_word(text: np.ndarray, begin: int, end: int) -> np.uint64:
    value = FNV_OFFSET ^ np.uint64(end - begin)
    while end - begin > 8:
        value = mix((value ^ _eight_bytes(text, begin)) * FNV_PRIME)
        begin += 8
    rest = _eight_bytes(text, begin) & _ALL_BITS >> np.uint64(64 - 8 * (end - begin))
    return mix((value ^ rest) * FNV_PRIME)


@kernel
def hash_words(text: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hash the words of each document: lower case, parted by ASCII white space and punctuation.

    Args:
        text: uint8, the documents' UTF-8 one after the other; case beyond ASCII is lowered already, white space made plain.
        starts: int64 D+1, where each document begins in ``text``.

    Returns:
        uint64 W hashes, int64 D+1 offsets. A hash takes in a word's length, then eight bytes at a time, each lot as FNV-1a does
        one byte, and mixed.
    """
    num_documents, longest = len(starts) - 1, 0
    for document in range(num_documents):
        longest = max(longest, starts[document + 1] - starts[document])
    plain, bounds = np.empty(longest + 8, np.uint8), np.empty(longest + 2, np.int64)
    offsets = np.zeros(num_documents + 1, np.int64)
    hashes = np.empty(len(text) // 2 + num_documents, np.uint64)  # a word and its space are two bytes at least
    for document in range(num_documents):
        row = text[starts[document] : starts[document + 1]]
        _plain(row, plain)
        first, count = offsets[document], _find_words(plain, len(row), bounds)
        for word in range(count):
            hashes[first + word] = _hash_word(plain, bounds[2 * word], bounds[2 * word + 1])
        offsets[document + 1] = first + count
    return hashes[: offsets[num_documents]].copy(), offsets


@kernel
def hash_ngrams(words: np.ndarray, offsets: np.ndarray, ngram_words: int) -> tuple[np.ndarray, np.ndarray]:
    """Hash every run of ``ngram_words`` words, by a polynomial in them; a shorter document is one run of all its words.

    Args:
        words: uint64 W. offsets: int64 D+1.

    Returns:
        uint64 G, int64 D+1.
    """
    num_documents = len(offsets) - 1
    gram_offsets = np.zeros(num_documents + 1, np.int64)
    for document in range(num_documents):
        length = offsets[document + 1] - offsets[document]
        gram_offsets[document + 1] = gram_offsets[document] + (max(1, length - ngram_words + 1) if length else 0)
    grams = np.empty(gram_offsets[-1], np.uint64)
    for document in range(num_documents):
        length = min(ngram_words, offsets[document + 1] - offsets[document])
        for gram in range(gram_offsets[document], gram_offsets[document + 1]):
            first = offsets[document] + gram - gram_offsets[document]
            value = np.uint64(length)
            for place in range(first, first + length):
                value = value * FNV_PRIME + words[place]
            grams[gram] = mix(value)
    return grams, gram_offsets


@kernel
def row_sets(values: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each row of a uint64 ragged array sorted and without repeats."""
    kept = np.empty(len(values), np.uint64)
    kept_offsets = np.zeros(len(offsets), np.int64)
    count = 0
    for row in range(len(offsets) - 1):
        ordered = np.sort(values[offsets[row] : offsets[row + 1]])
        for place in range(len(ordered)):
            if place == 0 or ordered[place] != ordered[place - 1]:
                kept[count] = ordered[place]
                count += 1
        kept_offsets[row + 1] = count
    return kept[:count].copy(), kept_offsets


@kernel
def feature_sets(words: np.ndarray, offsets: np.ndarray, hash_bits: int) -> tuple[np.ndarray, np.ndarray]:
    """The words of each document as features: numbers below ``2**hash_bits``, each once, in the order of their first places.

    Args:
        words: uint64 W. offsets: int64 D+1.

    Returns:
        uint64, int64 D+1.
    """
    last_seen = np.zeros(2**hash_bits, np.int64)  # the document that had a feature last, counted from 1
    kept, kept_offsets = np.empty(len(words), np.uint64), np.zeros(len(offsets), np.int64)
    count = 0
    for document in range(len(offsets) - 1):
        for place in range(offsets[document], offsets[document + 1]):
            feature = words[place] & np.uint64(2**hash_bits - 1)
            if last_seen[feature] != document + 1:
                last_seen[feature] = document + 1
                kept[count] = feature
                count += 1
        kept_offsets[document + 1] = count
    return kept[:count].copy(), kept_offsets


@kernel
def _upper_half(value: np.uint64) -> np.uint32:
    return np.uint32(value >> np.uint64(32))


@kernel
def minhash(grams: np.ndarray, offsets: np.ndarray, multipliers: np.ndarray, increments: np.ndarray) -> np.ndarray:
    """MinHash signatures: for each hash function ``multiplier * (gram >> 32) + increment`` modulo 2**32 the smallest value in the row.

    An odd multiplier makes that a permutation of the 32-bit numbers. In 32 bits the inner loop is eight times as fast as
    in 64, for processors multiply eight such numbers at once.

    Args:
        grams: uint64 G. offsets: int64 D+1. multipliers: uint32 H, odd. increments: uint32 H.

    Returns:
        uint32 D x H; an empty row has the largest value everywhere.
    """
    num_documents, num_hashes = len(offsets) - 1, len(multipliers)
    signatures = np.full((num_documents, num_hashes), 0xFFFFFFFF, np.uint32)
    for document in range(num_documents):
        smallest, first, end = signatures[document], offsets[document], offsets[document + 1]
        while first < end:  # four at once: twice as fast, for each value of ``smallest`` is read and written once for the four
            a, b = _upper_half(grams[first]), _upper_half(grams[min(first + 1, end - 1)])
            c, d = _upper_half(grams[min(first + 2, end - 1)]), _upper_half(grams[min(first + 3, end - 1)])
            for function in range(num_hashes):
                multiplier, increment = multipliers[function], increments[function]
                ab = min(np.uint32(multiplier * a + increment), np.uint32(multiplier * b + increment))
                cd = min(np.uint32(multiplier * c + increment), np.uint32(multiplier * d + increment))
                smallest[function] = min(smallest[function], min(ab, cd))
            first += 4
    return signatures


@kernel
def jaccard(grams: np.ndarray, offsets: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Size of the intersection over size of the union of row sets (see ``row_sets``); 0 where both are empty.

    Args:
        grams: uint64 G, sorted in each row. offsets: int64 D+1. left, right: int64 P row numbers.

    Returns:
        float64 P.
    """
    result = np.zeros(len(left), np.float64)
    for pair in range(len(left)):
        first, first_end = offsets[left[pair]], offsets[left[pair] + 1]
        second, second_end = offsets[right[pair]], offsets[right[pair] + 1]
        total, common = first_end - first + second_end - second, 0
        while first < first_end and second < second_end:
            if grams[first] == grams[second]:
                common += 1
                first += 1
                second += 1
            elif grams[first] < grams[second]:
                first += 1
            else:
                second += 1
        if total:
            result[pair] = common / (total - common)
    return result


@kernel
def train_logistic(
    features: np.ndarray, offsets: np.ndarray, labels: np.ndarray, order: np.ndarray, learning_rate: float, num_features: int
) -> np.ndarray:
    """Logistic regression on sets of features by Adagrad (Duchi 2011), one document a step.

    A set is a vector of zeros and ones divided by its length, so that long documents do not score more extremely.

    Args:
        features: uint64, feature numbers below ``num_features``. offsets: int64 D+1. labels: float64 D, 0 or 1.
        order: int64, the documents of all steps one after the other.

    Returns:
        float64 ``num_features`` + 1 weights; the last is the bias.
    """
    weights = np.zeros(num_features + 1, np.float64)
    squares = np.full(num_features + 1, 1e-8)  # keeps the first division finite
    for document in order:
        row = features[offsets[document] : offsets[document + 1]]
        scale = 1 / math.sqrt(max(1, len(row)))
        total = weights[num_features]
        for feature in row:
            total += scale * weights[feature]
        gradient = 1 / (1 + math.exp(-total)) - labels[document]
        for feature in row:
            squares[feature] += (scale * gradient) ** 2
            weights[feature] -= learning_rate * scale * gradient / math.sqrt(squares[feature])
        squares[num_features] += gradient**2
        weights[num_features] -= learning_rate * gradient / math.sqrt(squares[num_features])
    return weights


@kernel
def logits(features: np.ndarray, offsets: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Log odds of label 1 for each row of features under ``train_logistic``'s weights: float64 D."""
    result = np.empty(len(offsets) - 1, np.float64)
    for document in range(len(result)):
        row = features[offsets[document] : offsets[document + 1]]
        scale = 1 / math.sqrt(max(1, len(row)))
        total = weights[len(weights) - 1]
        for feature in row:
            total += scale * weights[feature]
        result[document] = total
    return result
