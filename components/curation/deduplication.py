"""Exact and near-duplicates (GPT-3 appendix A: MinHash-LSH within and across sources).

Near-duplicates are found in four steps: bands of MinHash signatures propose pairs (Broder 1997; Indyk and Motwani 1998),
the share of equal hashes prunes them, the exact Jaccard similarity of their n-gram sets decides, and only pairs that passed
are joined. Of each joined group the document of lowest rank survives. GPT-3 took single words and 10 hashes without bands;
on real text those make one group of nearly everything unless each pair is checked, as here. That profile (``ngram_words`` 1,
``bands`` 10, ``rows`` 1, ``signature_threshold`` 0) compared 1,302,184 pairs of 5,412 docstrings, 25 bands of 5 rows on runs of
5 words 2,503; both found what all pairs find (tests/numerics/test_deduplication_truth.py).
"""

# Shapes: D documents, G n-grams, H = bands * rows hashes of a signature, P pairs.

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.curation import draws

Ranks = npt.NDArray[np.int64]
Pairs = npt.NDArray[np.int64]
Functions = tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]
"""Multipliers and increments."""


@dataclass(frozen=True)
class Duplicate:
    """A document that does not survive, the most similar one that it was found to match, and their similarity."""

    document: int
    nearest: int
    jaccard: float


def hash_functions(count: int, seed: int) -> Functions:
    """Multipliers (odd) and increments of the MinHash functions."""
    multipliers = [draws.bits64(seed, "minhash_multiplier", str(i)) >> 32 | 1 for i in range(count)]
    increments = [draws.bits64(seed, "minhash_increment", str(i)) >> 32 for i in range(count)]
    return np.array(multipliers, np.uint32), np.array(increments, np.uint32)


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
