"""Exact and near-duplicates (GPT-3 appendix A: MinHash-LSH within and across sources).

Near-duplicates are found in four steps: bands of MinHash signatures propose pairs (Broder 1997; Indyk and Motwani 1998),
the share of equal hashes prunes them, the exact Jaccard similarity of their n-gram sets decides, and only pairs that passed
are joined. Of each joined group the document of lowest rank survives. GPT-3 took single words and 10 hashes without bands;
on real text those make one group of nearly everything unless each pair is checked, as here. That profile (``ngram_words`` 1,
``bands`` 10, ``rows`` 1, ``signature_threshold`` 0) compared 1,302,184 pairs of 5,412 docstrings, 25 bands of 5 rows on runs of
5 words 2,503; both found what all pairs find (tests/numerics/test_deduplication_truth.py).
"""

# Shapes: D documents, G n-grams, H = bands * rows hashes of a signature, P pairs.

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.curation import draws, kernels
from components.curation.config import DeduplicationConfig
from components.curation.words import Hashes, Offsets, take

Ranks = npt.NDArray[np.int64]
Pairs = npt.NDArray[np.int64]
Functions = tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]
"""Multipliers and increments."""
PRUNED_AT_ONCE = 100_000  # pairs whose signatures are compared in one go: 50 MB


@dataclass(frozen=True)
class Duplicate:
    """A document that does not survive, the most similar one that it was found to match, and their similarity."""

    document: int
    nearest: int
    jaccard: float


def exact_duplicates(texts: Sequence[str], ranks: Ranks) -> list[Duplicate]:
    """Documents whose text equals that of one of lower rank; ``nearest`` is the lowest-ranked with that text."""
    first: dict[bytes, int] = {}
    found = []
    for document in np.argsort(ranks).tolist():
        key = hashlib.blake2b(texts[document].encode("utf-8"), digest_size=16).digest()
        survivor = first.setdefault(key, document)
        if survivor != document:
            found.append(Duplicate(document, survivor, 1.0))
    return found


def near_duplicates(words: Hashes, offsets: Offsets, ranks: Ranks, config: DeduplicationConfig, seed: int) -> list[Duplicate]:
    """All documents but the lowest-ranked one of each group of verified near-duplicates.

    Args:
        words: uint64, hashed words. offsets: int64 D+1.
        ranks: int64 D, all different: a function of what the documents are, never of the order in which they came.
    """
    grams = kernels.hash_ngrams(words, offsets, config.ngram_words)
    signatures = kernels.minhash(*grams, *hash_functions(config.bands * config.rows, seed))
    pairs = _prune(candidate_pairs(signatures, ranks, config), signatures, config.signature_threshold)
    similarities = _similarities(*grams, pairs)
    verified = similarities >= config.jaccard_threshold
    return losers(pairs[verified], similarities[verified], ranks)


def hash_functions(count: int, seed: int) -> Functions:
    """Multipliers (odd) and increments of the MinHash functions."""
    multipliers = [draws.bits64(seed, "minhash_multiplier", str(i)) >> 32 | 1 for i in range(count)]
    increments = [draws.bits64(seed, "minhash_increment", str(i)) >> 32 for i in range(count)]
    return np.array(multipliers, np.uint32), np.array(increments, np.uint32)


def candidate_pairs(signatures: npt.NDArray[np.uint32], ranks: Ranks, config: DeduplicationConfig) -> Pairs:
    """Pairs (P, 2) that agree in all rows of a band, each once, at most ``bucket_window`` per document and band."""
    num_documents, by_rank = len(signatures), np.argsort(ranks)
    found = []
    for keys in kernels.band_keys(signatures[by_rank], config.rows).T:
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


def _prune(pairs: Pairs, signatures: npt.NDArray[np.uint32], threshold: float) -> Pairs:
    kept = [np.empty((0, 2), np.int64)]
    for start in range(0, len(pairs), PRUNED_AT_ONCE):
        part = pairs[start : start + PRUNED_AT_ONCE]
        kept.append(part[(signatures[part[:, 0]] == signatures[part[:, 1]]).mean(axis=1) >= threshold])
    return np.concatenate(kept)


def _similarities(grams: Hashes, offsets: Offsets, pairs: Pairs) -> npt.NDArray[np.float64]:
    """Exact Jaccard similarity of each pair; only documents of a pair have their n-grams sorted."""
    documents, places = np.unique(pairs, return_inverse=True)
    left, right = places.reshape(pairs.shape).T
    return kernels.jaccard(*kernels.row_sets(*take(grams, offsets, documents)), left, right)


def losers(pairs: Pairs, similarities: npt.NDArray[np.float64], ranks: Ranks) -> list[Duplicate]:
    """All but the lowest-ranked document of each group that verified pairs join, with the most similar one; of equals the lowest-ranked."""
    parent: dict[int, int] = {}

    def root_of(document: int) -> int:
        while (above := parent.setdefault(document, document)) != document:
            parent[document] = parent[above]
            document = above
        return document

    nearest: dict[int, tuple[float, int, int]] = {}  # document -> (-similarity, rank of the other, the other)
    for (left, right), similarity in zip(pairs.tolist(), similarities.tolist(), strict=True):
        for one, other in ((left, right), (right, left)):
            nearest[one] = min(nearest.get(one, (1.0, 0, 0)), (-similarity, int(ranks[other]), other))
        low, high = sorted((root_of(left), root_of(right)), key=lambda document: int(ranks[document]))
        parent[high] = low  # so the root of a group is its survivor
    return [
        Duplicate(document, nearest[document][2], -nearest[document][0]) for document in sorted(nearest) if root_of(document) != document
    ]
