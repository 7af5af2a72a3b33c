"""GPT-3's quality filter (appendix A): how much does a raw document look like the reference text?

Positive class: the reference sources (GPT-3: WebText, Wikipedia, books). Negative class: the raw ones (unfiltered Common
Crawl). A raw document is kept if a Pareto draw exceeds 1 - score, which lets some of the unlike through. We differ in the
learner (Adagrad instead of Spark's L-BFGS), in looking at words as a set, in stating the odds of the classes, and in the
draw, which is a hash of the document's id.
"""

# Shapes: D documents.

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.curation import draws, kernels
from components.curation.config import QualityConfig
from components.curation.words import Hashes, Offsets, take

Floats = npt.NDArray[np.float64]


def word_sets(words: Hashes, offsets: Offsets, config: QualityConfig) -> tuple[Hashes, Offsets]:
    """The features of each document: its words, hashed to ``2**hash_bits`` numbers, as a set."""
    return kernels.feature_sets(words, offsets, config.hash_bits)


@dataclass(frozen=True)
class Classifier:
    """``weights``: float64 2**hash_bits + 1, or None where only one class was there to learn from; ``odds_shift``: see ``_odds_shift``."""

    weights: Floats | None
    odds_shift: float
    auc: float | None
    train_documents: int
    test_documents: int

    def scores(self, words: Hashes, offsets: Offsets, config: QualityConfig) -> Floats:
        """Of each document, from its words: float64 D in [0, 1]."""
        if self.weights is None:
            return np.ones(len(offsets) - 1)
        return 1 / (1 + np.exp(-(kernels.logits(*word_sets(words, offsets, config), self.weights) + self.odds_shift)))


def learn(
    features: Hashes, offsets: Offsets, ids: Sequence[str], is_reference: npt.NDArray[np.bool_], config: QualityConfig, seed: int
) -> Classifier:
    """Train on the sample of the documents that hashes of their ids choose; of a set that holds the sample, the result is the same."""
    sample = _sample(ids, is_reference, config.max_documents_per_class, seed)
    held_out = np.array([draws.uniform(seed, "quality_test", ids[i]) < config.held_out_share for i in sample.tolist()], bool)
    train, test = sample[~held_out], sample[held_out]
    if is_reference[train].all() or not is_reference[train].any():
        return Classifier(None, 0.0, None, 0, 0)
    labels = is_reference.astype(np.float64)
    weights = kernels.train_logistic(features, offsets, labels, np.tile(train, config.epochs), config.learning_rate, 2**config.hash_bits)
    shift = _odds_shift(is_reference[train], config.reference_odds)
    logits = kernels.logits(*take(features, offsets, test), weights)
    return Classifier(weights, shift, area_under_curve(logits, is_reference[test]), len(train), len(test))


def _odds_shift(is_reference: npt.NDArray[np.bool_], odds: float) -> float:
    """What turns log odds learnt at the sample's class sizes into log odds at ``odds``."""
    references = int(is_reference.sum())
    return math.log(odds * (len(is_reference) - references) / references)


def lomax(draw: float, shape: float) -> float:
    """The Lomax (Pareto II) number, as ``numpy.random.pareto`` gives, at the uniform ``draw``: P(X > x) = (1 + x)**-shape."""
    return float((1 - draw) ** (-1 / shape) - 1)


def is_kept(seed: int, document_id: str, score: float, shape: float) -> bool:
    """GPT-3's rule, ``np.random.pareto(shape) > 1 - score``: kept with probability (2 - score)**-shape."""
    return lomax(draws.uniform(seed, "quality", document_id), shape) > 1 - score


def area_under_curve(scores: Floats, is_positive: npt.NDArray[np.bool_]) -> float | None:
    """Probability that a positive scores above a negative, ties counted half; None where one class is empty."""
    positives = int(is_positive.sum())
    negatives = len(is_positive) - positives
    if not positives or not negatives:
        return None
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(counts) - (counts - 1) / 2
    return float((mean_rank[place][is_positive].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _sample(ids: Sequence[str], is_reference: npt.NDArray[np.bool_], per_class: int, seed: int) -> npt.NDArray[np.int64]:
    """Documents of both classes in one hashed order."""
    order = np.array(sorted(range(len(ids)), key=lambda i: draws.bits64(seed, "quality_sample", ids[i])), np.int64)
    chosen = [order[is_reference[order] == label][:per_class] for label in (False, True)]
    return np.array(sorted(np.concatenate(chosen), key=lambda i: draws.bits64(seed, "quality_order", ids[i])), np.int64)
