"""Exact and near-duplicates of texts in memory, by the rules of ``components/curation/deduplication.py``."""

# Shapes: D documents, P pairs.

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from components.curation import band_kernels, deduplication, kernels
from components.curation.config import DeduplicationConfig
from components.curation.words import Hashes, Offsets, take

Ints = npt.NDArray[np.int64]
PRUNED_AT_ONCE = 100_000  # pairs whose signatures are compared in one go: 50 MB


def exact_duplicates(texts: Sequence[str], ranks: Ints) -> list[deduplication.Duplicate]:
    """Documents whose text equals that of one of lower rank; ``nearest`` is the lowest-ranked with that text."""
    first: dict[bytes, int] = {}
    found = []
    for document in np.argsort(ranks).tolist():
        key = hashlib.blake2b(texts[document].encode("utf-8"), digest_size=16).digest()
        survivor = first.setdefault(key, document)
        if survivor != document:
            found.append(deduplication.Duplicate(document, survivor, 1.0))
    return found


def near_duplicates(words: Hashes, offsets: Offsets, ranks: Ints, config: DeduplicationConfig, seed: int) -> list[deduplication.Duplicate]:
    """All documents but the lowest-ranked one of each group of verified near-duplicates.

    Args:
        words: uint64, hashed words. offsets: int64 D+1.
        ranks: int64 D, all different: a function of what the documents are, never of the order in which they came.
    """
    grams = kernels.hash_ngrams(words, offsets, config.ngram_words)
    signatures = kernels.minhash(*grams, *deduplication.hash_functions(config.bands * config.rows, seed))
    pairs = _prune(candidate_pairs(signatures, ranks, config), signatures, config.signature_threshold)
    similarities = _similarities(*grams, pairs)
    verified = similarities >= config.jaccard_threshold
    return deduplication.losers(pairs[verified], similarities[verified], ranks)


def candidate_pairs(signatures: npt.NDArray[np.uint32], ranks: Ints, config: DeduplicationConfig) -> Ints:
    """Ints (P, 2) that agree in all rows of a band, each once, at most ``bucket_window`` per document and band."""
    num_documents, by_rank = len(signatures), np.argsort(ranks)
    found = []
    for keys in band_kernels.band_keys(signatures[by_rank], config.rows).T:
        place = np.argsort(keys, kind="stable")  # so that within a bucket documents stand by rank
        order, ordered = by_rank[place], keys[place]
        for distance in range(1, min(config.bucket_window, num_documents - 1) + 1):
            same = np.flatnonzero(ordered[distance:] == ordered[:-distance])
            if not len(same):
                break
            first, second = order[same], order[same + distance]
            found.append(np.minimum(first, second) * num_documents + np.maximum(first, second))
    codes = np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)
    return np.stack([codes // max(1, num_documents), codes % max(1, num_documents)], axis=1)


def _prune(pairs: Ints, signatures: npt.NDArray[np.uint32], threshold: float) -> Ints:
    kept = [np.empty((0, 2), np.int64)]
    for start in range(0, len(pairs), PRUNED_AT_ONCE):
        part = pairs[start : start + PRUNED_AT_ONCE]
        kept.append(part[(signatures[part[:, 0]] == signatures[part[:, 1]]).mean(axis=1) >= threshold])
    return np.concatenate(kept)


def _similarities(grams: Hashes, offsets: Offsets, pairs: Ints) -> npt.NDArray[np.float64]:
    """Exact Jaccard similarity of each pair; only documents of a pair have their n-grams sorted."""
    documents, places = np.unique(pairs, return_inverse=True)
    left, right = places.reshape(pairs.shape).T
    return kernels.jaccard(*kernels.row_sets(*take(grams, offsets, documents)), left, right)
