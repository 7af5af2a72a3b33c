"""The Lomax rule, the draws, the AUC and the near-duplicate search against theory and brute force."""

import random
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from components.curation import draws, quality, words
from components.curation.config import CurationConfig, DeduplicationConfig, QualityConfig
from tests.reference import duplicates, scores

CONFIG = DeduplicationConfig(ngram_words=2, bands=25, rows=5, bucket_window=50, signature_threshold=0.7, jaccard_threshold=0.8)


@pytest.mark.parametrize("score", [0.0, 0.5, 0.8, 0.9, 0.95, 1.0])
def test_share_kept_is_what_a_lomax_draw_gives(score: float) -> None:
    trials = 20_000
    kept = sum(quality.is_kept(0, f"crawl:{i}", score, 9.0) for i in range(trials))
    low, high = stats.binom.interval(0.9999, trials, (2 - score) ** -9.0)
    assert low <= kept <= high


def test_lomax_is_numpys_pareto() -> None:
    levels = np.linspace(0.01, 0.99, 50)
    assert [quality.lomax(u, 9.0) for u in levels] == pytest.approx(stats.lomax.ppf(levels, 9.0).tolist(), rel=1e-12)


def test_draws_are_uniform_and_independent_of_purpose_and_seed() -> None:
    columns = [[draws.uniform(seed, purpose, f"docs:{i}") for i in range(5_000)] for seed, purpose in ((0, "a"), (0, "b"), (1, "a"))]
    for column in columns:
        assert stats.kstest(column, "uniform").pvalue > 1e-4 and min(column) >= 0 and max(column) < 1
    for one, other in combinations(columns, 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.06  # four standard errors


def test_only_documents_of_the_reserved_source_are_reserved() -> None:
    config = CurationConfig.model_construct(seed=0, reserved_source="docs", reserved_share=0.3)
    shares = [np.mean([draws.is_reserved(config, f"{source}:{i}") for i in range(5_000)]) for source in ("docs", "doc", "crawl")]
    assert shares[0] == pytest.approx(0.3, abs=0.03) and shares[1:] == [0, 0]


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=20))
@settings(deadline=None)
def test_area_under_curve_counts_pairs(rows: list[tuple[int, bool]]) -> None:
    positive, negative = ([score for score, label in rows if label is wanted] for wanted in (True, False))
    pairs = [(p > n) + (p == n) / 2 for p in positive for n in negative]
    found = quality.area_under_curve(np.array([s for s, _ in rows], np.float64), np.array([label for _, label in rows], bool))
    assert found == (pytest.approx(sum(pairs) / len(pairs)) if pairs else None)


def test_reference_odds_move_all_scores_alike() -> None:
    texts = [" ".join(random.Random(i).choices([f"{'ab'[i % 2]}{j}" for j in range(40)] + ["both"], k=20)) for i in range(200)]
    is_reference = np.array([i % 2 == 0 for i in range(200)])
    hashed, ids = words.hash_words(texts), [f"x:{i}" for i in range(200)]
    logits = []
    for odds in (1.0, 20.0):
        config = QualityConfig(
            hash_bits=10, epochs=2, learning_rate=0.1, max_documents_per_class=50, held_out_share=0.2, reference_odds=odds, pareto_shape=9.0
        )
        scored = scores.score_documents(*hashed, ids, is_reference, config, seed=0)
        assert scored.train_documents + scored.test_documents == 100 and scored.auc == 1.0
        logits.append(np.log(scored.scores / (1 - scored.scores)))
    assert (logits[1] - logits[0]).tolist() == pytest.approx([np.log(20)] * 200)


def near_copies() -> list[str]:
    """60 texts of 50 to 80 words, and copies of each with 1 to 12 words changed."""
    texts = []
    for i in range(60):
        rng = random.Random(i)
        own = rng.choices([f"w{j}" for j in range(500)], k=rng.randint(50, 80))
        texts.append(" ".join(own))
        for changes in (1, 3, 12):
            copy = list(own)
            for place in rng.sample(range(len(copy)), changes):
                copy[place] = f"new{rng.getrandbits(40)}"
            texts.append(" ".join(copy))
    return texts


def shingles(text: str) -> set[tuple[str, str]]:
    split = text.split()
    return set(pairwise(split))


def test_near_duplicates_are_those_of_all_pairs() -> None:
    texts = near_copies()
    sets = [shingles(text) for text in texts]
    similarity = {(i, j): len(sets[i] & sets[j]) / len(sets[i] | sets[j]) for i, j in combinations(range(len(texts)), 2)}
    matches = {pair: value for pair, value in similarity.items() if value >= 0.8}
    assert 100 < len(matches) < 200
    group = list(range(len(texts)))
    for _ in texts:
        for i, j in matches:
            group[i] = group[j] = min(group[i], group[j])
    found = duplicates.near_duplicates(*words.hash_words(texts), np.arange(len(texts)), CONFIG, seed=0)
    assert {duplicate.document for duplicate in found} == {i for i, first in enumerate(group) if first != i}
    for duplicate in found:
        best = max(value for pair, value in matches.items() if duplicate.document in pair)
        assert duplicate.jaccard == pytest.approx(best)
        assert similarity[min(duplicate.document, duplicate.nearest), max(duplicate.document, duplicate.nearest)] == pytest.approx(best)


def test_lowest_rank_survives_whatever_the_order() -> None:
    texts = near_copies()
    ranks = np.array(random.Random(0).sample(range(len(texts)), len(texts)), np.int64)
    order = np.array(random.Random(1).sample(range(len(texts)), len(texts)), np.int64)
    hashed = words.hash_words(texts)
    plain = duplicates.near_duplicates(*hashed, ranks, CONFIG, seed=0)
    shuffled = duplicates.near_duplicates(*words.take(*hashed, order), ranks[order], CONFIG, seed=0)
    assert {(d.document, d.nearest, d.jaccard) for d in plain} == {(order[d.document], order[d.nearest], d.jaccard) for d in shuffled}
    for duplicate in plain:
        survivors = set(range(len(texts))) - {other.document for other in plain}
        own = [i for i in survivors if i // 4 == duplicate.document // 4]
        assert min(ranks[i] for i in own) < ranks[duplicate.document]


def test_candidates_of_a_huge_bucket_stay_linear_and_copies_are_still_joined() -> None:
    same, window = 2_000, 3
    config = CONFIG.model_copy(update={"bucket_window": window})
    signatures = np.zeros((same, config.bands * config.rows), np.uint32)
    assert len(duplicates.candidate_pairs(signatures, np.arange(same), config)) == sum(same - d for d in range(1, window + 1))
    found = duplicates.near_duplicates(*words.hash_words(["the same text again and again"] * same), np.arange(same), config, seed=0)
    assert sorted(duplicate.document for duplicate in found) == list(range(1, same))


@pytest.mark.parametrize("texts", [[], [""], ["one"], ["", ""], ["one", "one"]])
def test_tiny_inputs(texts: list[str]) -> None:
    found = duplicates.near_duplicates(*words.hash_words(texts), np.arange(len(texts)), CONFIG, seed=0)
    assert [duplicate.document for duplicate in found] == ([1] if texts == ["one", "one"] else [])
    assert len(duplicates.exact_duplicates(texts, np.arange(len(texts)))) == max(0, len(texts) - len(set(texts)))
