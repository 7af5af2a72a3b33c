"""Near-duplicates against all pairs, on real text: docstrings of two installed distributions and copies with edited words.

The truth is found by another way than the search: words by a regular expression, runs of words as tuples of text, the sizes
of all intersections as one sparse matrix product. No hash, no kernel and no candidate is shared with what is tested.
"""

import random
import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse import csgraph

from components.curation import deduplication, kernels, words
from components.curation.config import DeduplicationConfig
from components.sources.config import DistributionDocstringsConfig
from components.sources.documents import Document
from components.sources.read import read_source
from flows import params
from flows.stages.curate_corpus import Sections
from tests.reference import duplicates

pytestmark = pytest.mark.slow
CONFIG = params.load(Sections).curation.deduplication
PAPER = CONFIG.model_copy(update={"ngram_words": 1, "bands": 10, "rows": 1, "signature_threshold": 0.0})
COPIES = 1500
MIN_CHARS = 200


def words_of(text: str) -> list[str]:
    return re.findall(r"(?:[^\x00-\x7f]|\w)+", " ".join(text.lower().split()), re.ASCII)


def runs(text: str, length: int) -> set[tuple[str, ...]]:
    """Runs of ``length`` words; a shorter text is one run."""
    own = words_of(text)
    return {tuple(own[i : i + length]) for i in range(max(1, len(own) - length + 1))} if own else set()


@dataclass(frozen=True)
class Corpus:
    """Texts, and who survives: reference text before raw text, then the smallest id."""

    documents: list[Document]

    @cached_property
    def ranks(self) -> np.ndarray:
        order = sorted(range(len(self.documents)), key=lambda i: (self.documents[i].source == "crawl", self.documents[i].id))
        ranks = np.empty(len(order), np.int64)
        ranks[order] = np.arange(len(order))
        return ranks

    def found(self, config: DeduplicationConfig) -> list[deduplication.Duplicate]:
        return duplicates.near_duplicates(*words.hash_words(d.text for d in self.documents), self.ranks, config, seed=0)

    def similarities(self, length: int) -> sparse.coo_array:
        """Jaccard similarity of every pair (i < j) that shares a run of words."""
        sets = [runs(document.text, length) for document in self.documents]
        number: dict[tuple[str, ...], int] = {}
        columns = [number.setdefault(run, len(number)) for own in sets for run in own]
        starts = np.cumsum([0, *(len(own) for own in sets)])
        members = sparse.csr_array((np.ones(len(columns), np.int32), columns, starts), shape=(len(sets), len(number)))
        common = sparse.triu(members @ members.T, k=1).tocoo()
        sizes = np.diff(starts)
        return sparse.coo_array(
            (common.data / (sizes[common.row] + sizes[common.col] - common.data), (common.row, common.col)), common.shape
        )


def with_edits(text: str, rng: random.Random) -> str:
    """Some words replaced, so that the similarity of the 5-word runs to the original spreads about 0.8: 1 word of 45 gives 0.8."""
    own = text.split(" ")
    for place in rng.sample(range(len(own)), min(len(own), rng.randint(1, 2 + len(own) // 30))):
        own[place] = f"edit{rng.getrandbits(32)}"
    return " ".join(own)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """Distinct docstrings as they are, and copies with edits: half of them in another source."""
    source = DistributionDocstringsConfig(kind="distribution_docstrings", role="reference", distributions=["networkx", "sqlalchemy"])
    read = [entry for entry in read_source("docs", source) if isinstance(entry, Document) and len(entry.text) >= MIN_CHARS]
    distinct = list({document.text: document for document in read}.values())
    rng = random.Random(0)
    copies = []
    for number, original in enumerate(rng.sample(distinct, COPIES)):
        other = ("docs", "crawl")[number % 2]
        copies.append(Document(f"{other}:copy/{rng.getrandbits(32):08x}{number}", other, with_edits(original.text, rng), {}))
    documents = [*distinct, *copies]
    rng.shuffle(documents)
    return Corpus(documents)


@dataclass(frozen=True)
class Truth:
    """The pairs at or above the threshold, and whoever is not the first of its group."""

    pairs: dict[tuple[int, int], float]
    losers: set[int]

    @classmethod
    def of(cls, corpus: Corpus, config: DeduplicationConfig) -> "Truth":
        similar = corpus.similarities(config.ngram_words)
        near = similar.data >= config.jaccard_threshold
        left, right = similar.row[near], similar.col[near]
        links = sparse.coo_array((np.ones(len(left)), (left, right)), similar.shape)
        _, group = csgraph.connected_components(links, directed=False)
        first: dict[int, int] = {}
        for i in np.argsort(corpus.ranks).tolist():
            first.setdefault(int(group[i]), i)
        losers = {i for i in range(len(corpus.documents)) if first[int(group[i])] != i}
        return cls(dict(zip(zip(left.tolist(), right.tolist(), strict=True), similar.data[near].tolist(), strict=True)), losers)

    def recall_and_precision(self, removed: set[int]) -> tuple[float, float]:
        """Share of those to be removed that are; share of the removed that match another document."""
        matched = {i for pair in self.pairs for i in pair}
        return len(removed & self.losers) / len(self.losers), len(removed & matched) / len(removed)


def candidates(corpus: Corpus, config: DeduplicationConfig) -> int:
    """Pairs whose signatures are compared."""
    grams = kernels.row_sets(*kernels.hash_ngrams(*words.hash_words(d.text for d in corpus.documents), config.ngram_words))
    signatures = kernels.minhash(*grams, *deduplication.hash_functions(config.bands * config.rows, 0))
    return len(duplicates.candidate_pairs(signatures, corpus.ranks, config))


@pytest.fixture(scope="module")
def truth(corpus: Corpus) -> Truth:
    return Truth.of(corpus, CONFIG)


def test_shipped_settings_find_what_all_pairs_find(corpus: Corpus, truth: Truth) -> None:
    """Measured on 2026-11-24: 5,412 documents, 593 pairs (261 across sources), 569 of 570 removed (seed 1: all), none wrongly."""
    found = corpus.found(CONFIG)
    removed = {duplicate.document for duplicate in found}
    recall, precision = truth.recall_and_precision(removed)
    assert len(truth.losers) > 400
    assert recall >= 0.98 and precision >= 0.95, (recall, precision)
    for duplicate in found:
        pair = (min(duplicate.document, duplicate.nearest), max(duplicate.document, duplicate.nearest))
        assert truth.pairs[pair] == pytest.approx(duplicate.jaccard, abs=1e-12)
    sources = [document.source for document in corpus.documents]
    across = [pair for pair in truth.pairs if sources[pair[0]] != sources[pair[1]]]
    assert len(across) > 100
    kept_raw = [pair for pair in across if any(sources[i] == "crawl" and i not in removed for i in pair)]
    assert len(kept_raw) <= 0.02 * len(across)  # reference text stays and its raw copy goes
    assert len(removed - truth.losers) <= 0.02 * len(removed)  # who survives is the first of its group


def test_no_seed_of_the_hashes_is_a_lucky_one(corpus: Corpus, truth: Truth) -> None:
    hashed = words.hash_words(document.text for document in corpus.documents)
    for seed in (1, 2, 3):
        found = duplicates.near_duplicates(*hashed, corpus.ranks, CONFIG, seed)
        recall, precision = truth.recall_and_precision({duplicate.document for duplicate in found})
        assert recall >= 0.98 and precision >= 0.95, (seed, recall, precision)


def test_the_papers_profile_works_by_parameter_and_costs_more(corpus: Corpus) -> None:
    """GPT-3: single words, 10 hashes each of which alone makes a candidate, the exact similarity after that (appendix A).

    Measured on 2026-11-24, same 5,412 documents: 1,302,184 pairs compared against our 2,503, with ``bucket_window`` 50, which
    costs a little recall (0.996); without that limit 6,583,595, which is 45 % of all pairs that there are. And by single words
    1,969 documents are near-duplicates of another, by runs of five words 569.
    """
    truth = Truth.of(corpus, PAPER)
    recall, precision = truth.recall_and_precision({duplicate.document for duplicate in corpus.found(PAPER)})
    assert recall >= 0.98 and precision >= 0.95, (recall, precision)
    assert candidates(corpus, PAPER) > 100 * candidates(corpus, CONFIG)
