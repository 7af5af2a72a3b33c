"""Cut out of the documents what evaluation sets hold too (GPT-3 appendix C).

A hit is a run of N words that an evaluation text has as well. It is removed with a window around it, which splits the
document; short pieces are dropped, a document in many pieces is dropped as a whole, and n-grams of many documents are ignored.

A word is what white space parts, in lower case and without punctuation. Where the paper is silent: "lower case" is Unicode's
case folding character by character, so that neither the form of a final sigma nor a dotted capital I hides a copy; windows
end between words, so that no cut makes a new word; n-grams are compared by 64-bit hashes.
"""

# Shapes: D documents, G n-grams of the evaluation texts, H hits.

import functools
import string
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.curation import ngram_kernels
from components.curation.config import DecontaminationConfig

Ints = npt.NDArray[np.int64]
Grams = npt.NDArray[np.uint64]
Span = tuple[int, int]
"""[start, end) in characters of a document's text."""

NUM_FOLDS = 0x20000  # characters beyond are ideographs, private or unassigned: none has a case, parts words or is punctuation
SCANNED_AT_ONCE = 5_000  # documents whose words are in memory together
_COMBINING_DOT = "\u0307"  # what the lower case of a dotted capital I has beside its i


@dataclass(frozen=True)
class Hits:
    """N-grams of evaluation texts found in documents, by document and place: int64 H each. ``grams`` numbers the n-grams."""

    documents: Ints
    grams: Ints
    begins: Ints
    ends: Ints


def evaluation_ngrams(texts: Collection[str], ngram_words: int) -> tuple[Grams, int]:
    """Hashes of all n-grams, sorted (uint64 G), and how many texts have too few words for one."""
    grams, offsets, _, _, _ = _ngrams(sorted(texts), ngram_words)
    return np.unique(grams), int((np.diff(offsets) == 0).sum())


def find_hits(texts: Sequence[str], grams: Grams, ngram_words: int) -> Hits:
    """Every place of every document where one of ``grams`` (sorted) begins."""
    slots = ngram_kernels.hash_table(grams)
    parts = [(np.empty(0, np.int64),) * 4]
    for start in range(0, len(texts), SCANNED_AT_ONCE):
        own, offsets, word_offsets, begins, ends = _ngrams(texts[start : start + SCANNED_AT_ONCE], ngram_words)
        places = np.flatnonzero(ngram_kernels.are_members(own, slots))
        documents = np.searchsorted(offsets, places, side="right") - 1
        first = word_offsets[documents] + places - offsets[documents]
        parts.append((documents + start, np.searchsorted(grams, own[places]), begins[first], ends[first + ngram_words - 1]))
    return Hits(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def cut_windows(text: str, hits: Iterable[Span], window_chars: int) -> list[Span]:
    """Hits with ``window_chars`` characters on either side, and on to the next white space; those that touch are one."""
    around = _merged((max(0, begin - window_chars), min(len(text), end + window_chars)) for begin, end in hits)
    return _merged(_to_white_space(text, window) for window in around)


def kept_pieces(num_chars: int, windows: Sequence[Span], config: DecontaminationConfig) -> list[Span]:
    """What lies between the windows, without short pieces; nothing if the windows leave too many pieces."""
    ends = [0, *(end for _, end in windows)]
    begins = [*(begin for begin, _ in windows), num_chars]
    pieces = [(begin, end) for begin, end in zip(ends, begins, strict=True) if begin < end]
    if len(pieces) > config.max_pieces:
        return []
    return [(begin, end) for begin, end in pieces if end - begin >= config.min_piece_chars]


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((begin, end))
    return merged


def _to_white_space(text: str, window: Span) -> Span:
    begin, end = window
    while begin > 0 and not text[begin - 1].isspace():
        begin -= 1
    while end < len(text) and not text[end].isspace():
        end += 1
    return begin, end


def _ngrams(texts: Sequence[str], ngram_words: int) -> tuple[Grams, Ints, Ints, Ints, Ints]:
    """N-grams and their offsets; offsets, first characters and ends of the words."""
    encoded = [text.encode("utf-8") for text in texts]
    starts = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    words, begins, ends, word_offsets = ngram_kernels.fold_words(np.frombuffer(b"".join(encoded), np.uint8), starts, _folds())
    return *ngram_kernels.rolling_ngrams(words, word_offsets, ngram_words), word_offsets, begins, ends


@functools.cache
def _folds() -> npt.NDArray[np.int32]:
    folds = np.fromiter(map(fold, map(chr, range(NUM_FOLDS))), np.int32, NUM_FOLDS)
    folds.flags.writeable = False
    return folds


def fold(character: str) -> int:
    """What a character counts as in a word: a code point, ``SPACE`` or ``DELETED`` (punctuation)."""
    if character.isspace():
        return ngram_kernels.SPACE
    if character in string.punctuation or unicodedata.category(character)[0] == "P" or character == _COMBINING_DOT:
        return ngram_kernels.DELETED
    folded = character.casefold()
    return ord(folded if len(folded) == 1 else character.lower()[0])
