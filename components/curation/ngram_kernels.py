"""The inner loops of decontamination: words with their places in the text, rolling hashes of n-grams, a table of n-grams.

Ragged arrays are as in ``kernels``. Places count characters (code points) from the start of the document as it was given.
"""

# Shapes: D documents, W words, G n-grams, S slots.

import numpy as np

from components.curation.kernels import FNV_OFFSET, FNV_PRIME, kernel, mix

DELETED, SPACE = -1, -2  # in the table of folds, beside code points
_BASE = np.uint64(0x9E3779B97F4A7C15)  # of the rolling polynomial: odd, 2**64 over the golden ratio
_EMPTY = np.uint64(0)


@kernel
def _decode(text: np.ndarray, place: int) -> tuple[np.int64, int]:
    """Code point, and number of bytes, of the UTF-8 character at ``place``."""
    first = np.int64(text[place])
    if first < 0x80:
        return first, 1
    second = np.int64(text[place + 1]) & 0x3F
    if first < 0xE0:
        return (first & 0x1F) << 6 | second, 2
    third = np.int64(text[place + 2]) & 0x3F
    if first < 0xF0:
        return (first & 0x0F) << 12 | second << 6 | third, 3
    return (first & 0x07) << 18 | second << 12 | third << 6 | np.int64(text[place + 3]) & 0x3F, 4


@kernel
def fold_words(text: np.ndarray, starts: np.ndarray, folds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Hash the words that white space parts, each character replaced by its fold; what folds to nothing is no word.

    Args:
        text: uint8, the documents' UTF-8 one after the other.
        starts: int64 D+1, where each document begins in ``text``.
        folds: int32, what each code point becomes: a code point, ``DELETED`` or ``SPACE``; those beyond its end stay.

    Returns:
        uint64 W hashes; int64 W first characters, int64 W ends (deleted characters of a word belong to it); int64 D+1 offsets.
    """
    capacity = len(text) // 2 + len(starts)  # a word and its space are two bytes at least
    hashes, begins, ends = np.empty(capacity, np.uint64), np.empty(capacity, np.int64), np.empty(capacity, np.int64)
    offsets = np.zeros(len(starts), np.int64)
    count = 0
    for document in range(len(starts) - 1):
        place, stop, char = starts[document], starts[document + 1], 0
        value, is_word, begin = FNV_OFFSET, False, -1
        while place <= stop:  # the end of a document parts words as white space does
            fold, length = np.int64(SPACE), 1
            if place < stop:
                code, length = _decode(text, place)
                fold = np.int64(folds[code] if code < len(folds) else code)
            if fold == SPACE:
                if is_word:
                    hashes[count], begins[count], ends[count] = mix(value), begin, char
                    count += 1
                value, is_word, begin = FNV_OFFSET, False, -1
            else:
                if begin < 0:
                    begin = char
                if fold != DELETED:
                    value, is_word = (value ^ np.uint64(fold)) * FNV_PRIME, True
            place += length
            char += 1
        offsets[document + 1] = count
    return hashes[:count].copy(), begins[:count].copy(), ends[:count].copy(), offsets


@kernel
def rolling_ngrams(words: np.ndarray, offsets: np.ndarray, ngram_words: int) -> tuple[np.ndarray, np.ndarray]:
    """Hash every run of exactly ``ngram_words`` words by a rolling polynomial; a shorter document has none. No hash is 0.

    Args:
        words: uint64 W, hashed. offsets: int64 D+1.

    Returns:
        uint64 G, int64 D+1; n-gram ``k`` of a document begins at its word ``k``.
    """
    gram_offsets = np.zeros(len(offsets), np.int64)
    for document in range(len(offsets) - 1):
        length = offsets[document + 1] - offsets[document]
        gram_offsets[document + 1] = gram_offsets[document] + max(0, length - ngram_words + 1)
    leaving = np.uint64(1)
    for _ in range(ngram_words):
        leaving *= _BASE
    grams = np.empty(gram_offsets[-1], np.uint64)
    for document in range(len(offsets) - 1):
        value, gram = np.uint64(0), gram_offsets[document]
        first = offsets[document]
        for place in range(first, offsets[document + 1]):
            value = value * _BASE + words[place]
            if place - first >= ngram_words:
                value -= leaving * words[place - ngram_words]
            if place - first >= ngram_words - 1:
                grams[gram] = max(mix(value), np.uint64(1))
                gram += 1
    return grams, gram_offsets


@kernel
def hash_table(grams: np.ndarray) -> np.ndarray:
    """An open-addressing table, at most half full, of different hashes none of which is 0: uint64 S, a power of two."""
    size = 2
    while size < 2 * len(grams):
        size *= 2
    slots = np.full(size, _EMPTY, np.uint64)
    for gram in grams:
        slot = np.int64(gram & np.uint64(size - 1))
        while slots[slot] != _EMPTY:
            slot = (slot + 1) & (size - 1)
        slots[slot] = gram
    return slots


@kernel
def are_members(grams: np.ndarray, slots: np.ndarray) -> np.ndarray:
    """Which of the hashes are in the table: bool G."""
    last = len(slots) - 1
    found = np.zeros(len(grams), np.bool_)
    for place in range(len(grams)):
        slot = np.int64(grams[place] & np.uint64(last))
        while slots[slot] != _EMPTY and slots[slot] != grams[place]:
            slot = (slot + 1) & last
        found[place] = slots[slot] == grams[place]
    return found
