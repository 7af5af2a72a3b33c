"""The inner loops of the search for near-duplicates that work on signatures: bands, their slices, sketches; see ``kernels.py``."""

# Shapes: D documents, H hashes of a signature, B bands, S words of a sketch, R hashes, N keys of a slice.

import numpy as np

from components.curation.kernels import FNV_OFFSET, FNV_PRIME, kernel, mix


@kernel
def band_keys(signatures: np.ndarray, rows: int) -> np.ndarray:
    """One hash of each band's number and its ``rows`` columns of the signatures: uint32 D x H -> uint64 D x (H / rows)."""
    num_documents, num_bands = len(signatures), signatures.shape[1] // rows
    keys = np.empty((num_documents, num_bands), np.uint64)
    for document in range(num_documents):
        for band in range(num_bands):
            value = FNV_OFFSET ^ np.uint64(band)
            for column in range(band * rows, (band + 1) * rows):
                value = mix(value * FNV_PRIME ^ np.uint64(signatures[document, column]))
            keys[document, band] = value
    return keys


@kernel
def sketches(signatures: np.ndarray, bits: int) -> np.ndarray:
    """The lowest ``bits`` of each hash, packed: uint32 D x H -> uint64 D x ceil(H * bits / 64); ``bits`` divides 64."""
    num_documents, num_hashes = signatures.shape
    per_word = 64 // bits
    packed = np.zeros((num_documents, -(-num_hashes // per_word)), np.uint64)
    for document in range(num_documents):
        for number in range(num_hashes):
            low = np.uint64(signatures[document, number]) & np.uint64(2**bits - 1)
            packed[document, number // per_word] |= low << np.uint64(bits * (number % per_word))
    return packed


@kernel
def _slice(key: np.uint64, slices: int) -> np.int64:
    return np.int64(key >> np.uint64(32)) % slices  # not by the lowest bits, by which ``maybe_repeated`` counts


@kernel
def sliced_rows(
    keys: np.ndarray, ranks: np.ndarray, sketches: np.ndarray, slices: int, first: int, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """The documents of each band key, parted by key: equal keys are always in the same of ``slices`` slices.

    Args:
        keys: uint64 D x B, mixed. ranks: int64 D. sketches: uint64 D x S. first, count: the slices that are wanted.

    Returns:
        uint64 N x (2 + S): key, rank and sketch, slice after slice; int64 ``count`` + 1 offsets of the slices.
    """
    num_documents, num_bands = keys.shape
    ends = np.zeros(count + 1, np.int64)
    for document in range(num_documents):
        for band in range(num_bands):
            place = _slice(keys[document, band], slices) - first
            if 0 <= place < count:
                ends[place + 1] += 1
    offsets = np.cumsum(ends)
    free = offsets.copy()
    rows = np.empty((offsets[-1], 2 + sketches.shape[1]), np.uint64)
    for document in range(num_documents):
        for band in range(num_bands):
            key = keys[document, band]
            place = _slice(key, slices) - first
            if 0 <= place < count:
                row = rows[free[place]]
                row[0], row[1] = key, ranks[document]
                for word in range(sketches.shape[1]):
                    row[2 + word] = sketches[document, word]
                free[place] += 1
    return rows, offsets


@kernel
def maybe_repeated(hashes: np.ndarray) -> np.ndarray:
    """False where a hash occurs once only, True where it may occur again: uint64 R -> bool R.

    Eight slots or more for each hash are counted by its lowest bits, so that at most about one in eight is told wrong.
    """
    slots = 8
    while slots < 8 * len(hashes):
        slots *= 2
    counts = np.zeros(slots, np.uint8)
    for value in hashes:
        slot = value & np.uint64(slots - 1)
        if counts[slot] < 2:
            counts[slot] += 1
    repeated = np.empty(len(hashes), np.bool_)
    for place in range(len(hashes)):
        repeated[place] = counts[hashes[place] & np.uint64(slots - 1)] == 2
    return repeated
