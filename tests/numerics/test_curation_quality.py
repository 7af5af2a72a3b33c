"""The quality filter as a whole: from text over scores to what is kept, against GPT-3's law and against people's labels."""

import random

import numpy as np
import pytest
from scipy import stats

from benchmarks import quality_labels
from components.curation import quality, words
from components.curation.config import QualityConfig
from flows import params
from flows.stages.curate_corpus import Sections
from tests.reference.scores import score_documents

NUM_DOCUMENTS = 40_000
CONFIG = QualityConfig(
    hash_bits=12,
    epochs=2,
    learning_rate=0.1,
    max_documents_per_class=3000,
    held_out_share=0.2,
    reference_odds=3.0,
    pareto_shape=9.0,
)


@pytest.fixture(scope="module")
def filtered() -> tuple[np.ndarray, np.ndarray]:
    """Scores of raw documents of all qualities, and whether each was kept."""
    rng = random.Random(0)
    texts = []
    for _ in range(NUM_DOCUMENTS):
        share = rng.random()
        texts.append(" ".join(("good" if rng.random() < share else "poor") + str(rng.randrange(60)) for _ in range(14)))
    reference = [" ".join(f"good{rng.randrange(60)}" for _ in range(14)) for _ in range(3000)]
    is_reference = np.array([False] * len(texts) + [True] * len(reference))
    ids = [f"crawl:{i}" for i in range(len(texts))] + [f"docs:{i}" for i in range(len(reference))]
    scored = score_documents(*words.hash_words([*texts, *reference]), ids, is_reference, CONFIG, seed=0)
    scores = scored.scores[: len(texts)]
    pairs = zip(ids, scores.tolist(), strict=False)
    return scores, np.array([quality.is_kept(0, id, score, CONFIG.pareto_shape) for id, score in pairs])


def bins_that_disagree(scores: np.ndarray, kept: np.ndarray, shape: float, confidence: float) -> list[float]:
    """Lower ends of the tenths of score whose Clopper-Pearson interval does not hold the mean of (2 - s)^-shape."""
    wrong = []
    for low in np.arange(0, 1, 0.1):
        own = (scores >= low) & (scores < low + 0.1)
        assert own.sum() > 500, (low, own.sum())
        ends = stats.binomtest(int(kept[own].sum()), int(own.sum())).proportion_ci(confidence, method="exact")
        if not ends.low <= float(((2 - scores[own]) ** -shape).mean()) <= ends.high:
            wrong.append(round(float(low), 1))
    return wrong


def test_keep_rates_by_score_agree_with_the_law_within_their_intervals(filtered: tuple[np.ndarray, np.ndarray]) -> None:
    assert bins_that_disagree(*filtered, shape=9.0, confidence=0.9995) == []


@pytest.mark.parametrize("shape", [8.0, 10.0])
def test_the_intervals_would_tell_another_law(filtered: tuple[np.ndarray, np.ndarray], shape: float) -> None:
    assert len(bins_that_disagree(*filtered, shape=shape, confidence=0.9995)) >= 2


def test_what_is_kept_of_one_score_does_not_depend_on_being_learnt_from() -> None:
    """The draws that choose the sample and the draw of the filter are apart: among the learnt, as many are kept as among the rest."""
    ids = [f"crawl:{i}" for i in range(NUM_DOCUMENTS)]
    kept = np.array([quality.is_kept(0, id, 0.9, 9.0) for id in ids])
    learnt = np.zeros(len(ids), bool)
    learnt[quality._sample(ids, np.zeros(len(ids), bool), NUM_DOCUMENTS // 2, 0)] = True
    table = [[int((kept & learnt).sum()), int((~kept & learnt).sum())], [int((kept & ~learnt).sum()), int((~kept & ~learnt).sum())]]
    assert stats.fisher_exact(table).pvalue > 1e-3


@pytest.mark.shared_data
@pytest.mark.skipif(not (quality_labels.DATA / quality_labels.LABELS).exists(), reason="no shared data beside the repository")
def test_scores_agree_with_people_better_than_chance() -> None:
    """On 350 Common Crawl documents; 0.5 is chance, with a standard error of 0.03. The figure is in flows/README.md."""
    curation = params.load(Sections).curation
    found = quality_labels.agreement(quality_labels.DATA, curation.quality, curation.seed)
    assert (found["good"], found["bad"]) == (188, 162)
    assert found["own_auc"] > 0.95
    assert found["auc"] > 0.63
