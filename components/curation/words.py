"""Words for the quality filter and the n-grams: lower case, parted by white space and ASCII punctuation.

GPT-3 parted them by white space only (Spark's Tokenizer, appendix A). We differ because in code that leaves words which
occur once (``return{a:b}``): a minified file would have no word that the filter knows.
"""

# Shapes: D documents, W words of all documents together.

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from components.curation import kernels

Offsets = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
_WIDE_SPACES = [char for char in map(chr, range(0x80, 0x3001)) if char.isspace()]


def hash_words(texts: Iterable[str]) -> tuple[Hashes, Offsets]:
    """64-bit hashes of the words of each text: (hashes_W, offsets_D+1)."""
    encoded = [utf8(text) for text in texts]
    starts = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(text) for text in encoded], out=starts[1:])
    return kernels.hash_words(np.frombuffer(b"".join(encoded), np.uint8), starts)


def utf8(text: str) -> bytes:
    """Bytes of which the kernel need only know ASCII: white space and case beyond it are as Unicode has them."""
    if text.isascii():
        return text.encode()
    lowered = text.lower()
    for space in _WIDE_SPACES:
        lowered = lowered.replace(space, " ")
    return lowered.encode()


def take(hashes: Hashes, offsets: Offsets, rows: npt.NDArray[np.int64]) -> tuple[Hashes, Offsets]:
    """The given rows of a ragged array, as a ragged array."""
    lengths = offsets[rows + 1] - offsets[rows]
    taken = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(lengths, out=taken[1:])
    places = np.arange(taken[-1]) + np.repeat(offsets[rows] - taken[:-1], lengths)
    return hashes[places], taken
