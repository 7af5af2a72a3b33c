"""Curation beside its peers, all on the same documents: the crawl and docs sources of params.yaml.

Near-duplicates from Parquet to Parquet beside datatrove, with the pairs that either misses or invents counted against all
pairs at Jaccard >= .8, found by an inverted index in plain Python; MinHash signatures beside rensa and Daft; the quality
classifier beside scikit-learn; all rules on the embedded engine beside the same rules in memory without one.
"""

import os
import string
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import harness
from benchmarks.curate_memory import salted
from benchmarks.peers.near_duplicates import CONFIG, WORKERS
from components.curation import batches, decontamination, deduplication, draws, frames, kernels, quality, words
from components.curation.config import CurationConfig
from components.curation.engine import session
from components.sources.config import SourceConfig
from components.sources.documents import Document
from components.sources.read import read_source
from flows import params
from tests import curated
from tests.reference import rules

if TYPE_CHECKING:
    import pyarrow as pa

SOURCES = ("crawl", "docs")
PARTS = 4
HASHES = CONFIG.bands * CONFIG.rows
COPIES = 6  # of the corpus, salted: with 3, starting the process was a quarter of our time
SLICE_DOCUMENTS = 2_000  # that a thread has at once


class Sections(params.Sections):
    """The default corpus."""

    sources: dict[str, SourceConfig]
    curation: CurationConfig


def main() -> int:
    """Print the rows; exit status 1 when one falls short."""
    repeats = 1 if harness.is_quick(__doc__) else 3
    harness.require_peers("daft", "datatrove", "rensa", "sklearn", "spacy", "xxhash")
    loaded = params.load(Sections, [])
    found = [entry for name in SOURCES for entry in read_source(name, loaded.sources[name]) if isinstance(entry, Document)]
    texts, ids = [document.text for document in found], [document.id for document in found]
    print(f"{len(texts):,} documents, {sum(len(text.encode()) for text in texts) / 1e6:.0f} MB")
    harness.heading()
    rows = _signature_rows(texts, repeats)
    rows += _quality_rows(texts, ids, np.array([document.source == "docs" for document in found]), loaded.curation, repeats)
    rows += _scan_rows(texts, loaded.curation.decontamination.ngram_words, repeats)
    with tempfile.TemporaryDirectory() as folder:
        rows += _deduplication_rows(Path(folder), ids, texts, repeats)
        rows += _engine_rows(Path(folder), found, loaded, repeats)
    return harness.finish("curate", rows)


def _signature_rows(texts: Sequence[str], repeats: int) -> list[harness.Row]:
    import daft
    import pyarrow as pa
    from rensa import RMinHash

    functions = deduplication.hash_functions(HASHES, seed=0)
    column = pa.array(texts, pa.string())
    frame = daft.from_arrow(pa.table({"text": column}))
    slices = [column.slice(start, SLICE_DOCUMENTS) for start in range(0, len(column), SLICE_DOCUMENTS)]

    def ours() -> None:
        kernels.minhash(*kernels.hash_ngrams(*words.hash_words(texts), CONFIG.ngram_words), *functions)

    def of_slice(part: pa.Array) -> None:
        kernels.minhash(*kernels.hash_ngrams(*batches.hash_texts(part), CONFIG.ngram_words), *functions)

    def ours_in_threads() -> None:
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            list(pool.map(of_slice, slices))

    def rensa() -> None:
        for text in texts:
            sketch = RMinHash(num_perm=HASHES, seed=0)
            sketch.update(sorted(_ngrams(text)))
            sketch.digest()

    def daft_minhash() -> None:
        frame.select(daft.col("text").minhash(num_hashes=HASHES, ngram_size=CONFIG.ngram_words, hash_function="xxhash")).collect()

    for work in (ours, ours_in_threads, daft_minhash):
        work()  # compiled, started
    return [
        harness.compare("MinHash signatures, one thread", _timed(ours), "rensa, n-grams cut in Python", _timed(rensa), 3.0, repeats),
        harness.compare("MinHash signatures, all cores", _timed(ours_in_threads), "Daft, all cores", _timed(daft_minhash), 2.0, repeats),
    ]


def _quality_rows(
    texts: Sequence[str], ids: Sequence[str], is_reference: np.ndarray, config: CurationConfig, repeats: int
) -> list[harness.Row]:
    from sklearn.feature_extraction.text import HashingVectorizer
    from sklearn.linear_model import SGDClassifier

    is_test = np.array([draws.uniform(0, "benchmark", id) < 0.2 for id in ids])
    train, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
    settings = config.quality
    features = quality.word_sets(*words.hash_words(texts), settings)
    order = np.tile(np.random.default_rng(0).permutation(train), settings.epochs)
    labels = is_reference.astype(np.float64)
    weights = kernels.train_logistic(*features, labels, order, settings.learning_rate, 2**settings.hash_bits)
    vectorizer = HashingVectorizer(n_features=2**settings.hash_bits)
    classifier = SGDClassifier(loss="log_loss", max_iter=5, tol=None, random_state=0)
    classifier.fit(vectorizer.transform([texts[i] for i in train.tolist()]), is_reference[train])
    test_texts = [texts[i] for i in test.tolist()]

    def ours() -> np.ndarray:
        return kernels.logits(*quality.word_sets(*words.hash_words(test_texts), settings), weights)

    def sklearn() -> np.ndarray:
        return classifier.decision_function(vectorizer.transform(test_texts))  # type: ignore[no-any-return]

    areas = [quality.area_under_curve(scores(), is_reference[test]) or 0.0 for scores in (ours, sklearn)]
    return [
        harness.compare("quality scores", _timed(ours), "scikit-learn HashingVectorizer + SGD", _timed(sklearn), 5.0, repeats),
        _limit("AUC of quality scores, and .005", areas[0] + 0.005, "scikit-learn's", areas[1]),
    ]


def _scan_rows(texts: Sequence[str], ngram_words: int, repeats: int) -> list[harness.Row]:
    """Which documents hold a run of 13 words of 1,000 evaluation passages? Both are compared by what they find, too."""
    import xxhash

    passages = [text[:600] for text in texts[:: len(texts) // 1000]]
    grams, _ = decontamination.evaluation_ngrams(passages, ngram_words)
    found: dict[str, set[int]] = {}

    def hashes(text: str) -> Iterator[int]:
        cut = text.lower().translate(_WITHOUT_PUNCTUATION).split()
        for start in range(len(cut) - ngram_words + 1):
            yield xxhash.xxh64_intdigest(" ".join(cut[start : start + ngram_words]).encode())

    wanted = {gram for text in passages for gram in hashes(text)}

    def ours() -> None:
        found["ours"] = set(decontamination.find_hits(texts, grams, ngram_words).documents.tolist())

    def python() -> None:
        found["theirs"] = {number for number, text in enumerate(texts) if any(gram in wanted for gram in hashes(text))}

    ours()
    row = harness.compare("13-gram scan", _timed(ours), "Python, set of xxhash", _timed(python), 5.0, repeats)
    print(
        f"documents with a hit: ours {len(found['ours']):,}, Python {len(found['theirs']):,}, both {len(found['ours'] & found['theirs']):,}"
    )
    return [row]


def _deduplication_rows(folder: Path, ids: Sequence[str], texts: Sequence[str], repeats: int) -> list[harness.Row]:
    import pyarrow as pa

    once, several = folder / "once", folder / "several"
    column = pa.array(texts, pa.string())
    _write_parts(once, ids, column)
    _write_parts(
        several, [f"{copy}/{id}" for copy in range(COPIES) for id in ids], pa.concat_arrays([salted(column, c) for c in range(COPIES)])
    )
    truth = similar_pairs(texts, CONFIG.ngram_words, CONFIG.jaccard_threshold)
    what = f"near-duplicates of {COPIES} copies, Parquet to Parquet"
    rows = [
        harness.compare(what, _tool("ours", several), "datatrove, words at white space", _tool("datatrove", several), 5.0, repeats),
        harness.compare("the same", _tool("ours", several), "datatrove as it comes", _tool("datatrove_spacy", several), 40.0, repeats),
    ]
    for name in ("ours", "datatrove"):
        _tool(name, once)()
    place = {id: number for number, id in enumerate(ids)}
    for name in ("ours", "datatrove"):
        removed = set(range(len(ids))) - {place[id] for id in _kept(once.with_name(f"once-{name}"))}
        paired = {document for pair in truth for document in pair}
        recall = sum(a in removed or b in removed for a, b in truth) / len(truth)
        precision = len(removed & paired) / len(removed)
        print(f"{name}: {len(removed):,} removed; of {len(truth):,} pairs {recall:.4f} found; precision {precision:.4f}")
        if name == "ours":
            rows += [_limit("recall of pairs", recall, "the limit of .98", 0.98), _limit("precision", precision, "the limit of .95", 0.95)]
    return rows


def _engine_rows(folder: Path, documents: Sequence[Document], loaded: Sections, repeats: int) -> list[harness.Row]:
    """Every rule, from Parquet to Parquet. The session is open and has run before; it may take twice as long."""
    import pyarrow.parquet as pq

    roles: dict[str, str] = {name: loaded.sources[name].role for name in SOURCES}
    source, outs = folder / "entries.parquet", {name: folder / name for name in ("engine", "memory")}
    curated.write_entries(source, documents, roles)
    passages = [document.text[:600] for document in documents[:: len(documents) // 1000]]
    for out in outs.values():
        out.mkdir()

    def memory() -> None:
        rows = pq.read_table(source, columns=["id", "source", "text"]).to_pylist()
        fates, _ = rules.curate([Document(**row, meta={}) for row in rows], roles, passages, loaded.curation, lambda _: None)
        fates.write(outs["memory"])

    with session("", WORKERS) as spark:

        def engine() -> None:
            with tempfile.TemporaryDirectory(dir=folder) as work:
                entries = spark.read.parquet(str(source))
                frames.curate(frames.Steps(spark, Path(work)), entries, passages, outs["engine"], loaded.curation, lambda _: None)

        engine()
        row = harness.compare("all rules, embedded engine, warm", _timed(engine), "bare kernels, no engine", _timed(memory), 0.5, repeats)
    for name in ("documents.parquet", "fate.parquet"):
        if not pq.read_table(outs["engine"] / name).equals(pq.read_table(outs["memory"] / name)):
            sys.exit(f"error: {name} of the engine is not that of the rules in memory")
    return [row]


def similar_pairs(texts: Sequence[str], ngram_words: int, threshold: float) -> list[tuple[int, int]]:
    """All pairs at Jaccard similarity >= threshold: two such sets share one of the rarest n-grams of each (Bayardo 2007)."""
    sets = [_ngrams(text, ngram_words) for text in texts]
    frequency = Counter(gram for grams in sets for gram in grams)
    postings: dict[str, list[int]] = defaultdict(list)
    found = []
    for number, grams in sorted(enumerate(sets), key=lambda item: len(item[1])):
        rarest = sorted(grams, key=lambda gram: (frequency[gram], gram))[: len(grams) - int(np.ceil(threshold * len(grams) - 1e-9)) + 1]
        others = {other for gram in rarest for other in postings[gram] if len(sets[other]) >= threshold * len(grams)}
        found += [(other, number) for other in others if len(grams & sets[other]) >= threshold * len(grams | sets[other])]
        for gram in rarest:
            postings[gram].append(number)
    return found


def _ngrams(text: str, length: int = CONFIG.ngram_words) -> set[str]:
    cut = text.lower().translate(_PUNCTUATION).split()
    return {" ".join(cut[i : i + length]) for i in range(max(1, len(cut) - length + 1))} if cut else set()


_WITHOUT_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation, ""))
_PUNCTUATION = str.maketrans(dict.fromkeys("!\"#$%&'()*+,-./:;<=>?@[\\]^`{|}~", " "))


def _write_parts(folder: Path, ids: Sequence[str], texts: "pa.StringArray") -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir()
    for part in range(PARTS):
        pq.write_table(pa.table({"id": ids[part::PARTS], "text": texts[part::PARTS]}), folder / f"{part}.parquet")


def _kept(folder: Path) -> list[str]:
    import pyarrow.parquet as pq

    ids: list[str] = pq.read_table(folder / "kept", columns=["id"])["id"].to_pylist()
    return ids


def _tool(name: str, source: Path) -> Callable[[], float]:
    def measure() -> float:
        import shutil

        out = source.with_name(f"{source.name}-{name}")
        shutil.rmtree(out, ignore_errors=True)
        return harness.seconds([sys.executable, "-m", "benchmarks.peers.near_duplicates", name, str(source), str(out)], Path.cwd(), {})

    return measure


def _timed(work: Callable[[], object]) -> Callable[[], float]:
    def measure() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return measure


def _limit(what: str, ours: float, limit: str, value: float) -> harness.Row:
    row = harness.Row(what, limit, "", (ours,), (value,), 1.0, less_is_better=False)
    harness.show(row)
    return row


if __name__ == "__main__":
    sys.exit(main())
