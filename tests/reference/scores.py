"""The quality filter on texts in memory, by the rules of ``components/curation/quality.py``."""

# Shapes: D documents.

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.curation import quality
from components.curation.config import QualityConfig
from components.curation.quality import Floats
from components.curation.words import Hashes, Offsets


@dataclass(frozen=True)
class Scored:
    """Score of every document, and how the classifier did. ``auc`` is None where a class has no test document."""

    scores: Floats
    auc: float | None
    train_documents: int
    test_documents: int


def score_documents(
    words: Hashes, offsets: Offsets, ids: Sequence[str], is_reference: npt.NDArray[np.bool_], config: QualityConfig, seed: int
) -> Scored:
    """Train on a bounded sample of both classes, chosen by hash, and score all: float64 D in [0, 1], near 1 like reference text.

    Where only one class is there to learn from, every score is 1, so that nothing is filtered.
    """
    features = quality.word_sets(words, offsets, config)
    classifier = quality.learn(*features, ids, is_reference, config, seed)
    return Scored(classifier.scores(words, offsets, config), classifier.auc, classifier.train_documents, classifier.test_documents)
