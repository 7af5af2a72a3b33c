"""The rules of curation as DataFrame code of Spark Connect: the same fate of every document for any engine and number of workers.

Each step reads and writes Parquet in a work folder, so that memory holds no more than a step's hash tables and batches. What the
driver itself holds: the quality filter's sample, the verified pairs, eight bytes for each kept document.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from components.curation import batches, frames_cuts, frames_fate, frames_pairs, quality
from components.curation.config import CurationConfig

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

Report = Callable[[str], None]


def curate(
    steps: "Steps",
    entries: "DataFrame",
    evaluation_texts: Iterable[str],
    out: Path,
    config: CurationConfig,
    report: Report,
) -> dict[str, Any]:
    """Apply the rules in order to ``entries`` (``batches_sources.ENTRY_COLUMNS``), and write documents.parquet and fate.parquet into the
    folder ``out``. Returns the metrics {documents, rules, sources, quality, decontamination}."""
    documents = steps.write("documents", batches.mapped(entries, batches.document_facts(config), batches.DOCUMENT_COLUMNS))
    ranks = steps.write("ranks", ranked(documents))
    _check_keys(documents)
    exact = steps.write("exact", frames_pairs.exact_duplicates(documents, ranks))
    alive = steps.write("alive", _still_in(documents, ranks, exact))
    report("found exact duplicates")
    texts = documents.select("key", "id", "text")
    classifier = _learn(steps, texts, alive, config)
    left = alive.join(texts, "key").select("rank", "rule", "is_raw", "id", "text")
    scores = steps.write("scores", batches.scored(left, config, classifier))
    report("scored the documents")
    near = frames_pairs.near_duplicates(steps, ranks, texts, scores, config)
    report("found near-duplicates")
    ruled = frames_fate.decide(steps, documents, ranks, exact, scores, near)
    cuts, decontaminated = frames_cuts.cut_out(steps, ruled, texts, evaluation_texts, config.decontamination)
    fate = frames_fate.with_cuts(steps, ruled, cuts)
    report(f"cut {decontaminated['documents_cut']:,} documents, dropped {decontaminated['documents_dropped']:,}, for evaluation sets")
    frames_fate.write(steps, fate, cuts, texts, out)
    measured = {"auc": classifier.auc, "train_documents": classifier.train_documents, "test_documents": classifier.test_documents}
    return {**frames_fate.counts(fate), "quality": measured, "decontamination": decontaminated}


class Steps:
    """The folder of the steps' results: empty at first, reached by the engine under the same path, of no use afterwards."""

    def __init__(self, spark: "SparkSession", folder: Path) -> None:
        self.spark = spark
        self._folder = folder

    def write(self, name: str, frame: "DataFrame") -> "DataFrame":
        """Compute a frame once, and read it from then on."""
        path = str(self._folder / name)
        frame.write.option("compression", "snappy").parquet(path)
        return self.spark.read.schema(frame.schema).parquet(path)

    def table(self, name: str, frame: "DataFrame") -> "pa.Table":
        """Compute a frame and hand it to the driver: by way of the folder, as text through the server costs ten times as much."""
        import pyarrow.parquet as pq

        self.write(name, frame)
        folder = self._folder / name
        return pq.read_table(folder) if folder.exists() else frame.toArrow()  # the embedded engine writes no file of no rows

    def ordered(self, name: str, frame: "DataFrame") -> "Iterator[pa.RecordBatch]":
        """Compute a frame, and hand it to the driver piece by piece, its rows sorted by (source, id).

        The engine sorts, which spills to disk what the memory does not hold, and parts the rows among some files.
        """
        from components.curation import sorted_files

        self.write(name, frame.orderBy("source", "id"))
        return sorted_files.merged(sorted((self._folder / name).rglob("*.parquet")))


def ranked(documents: "DataFrame") -> "DataFrame":
    """key, rank: who survives among duplicates, lowest first: reserved, reference before raw (GPT-3 removed WebText from
    Common Crawl, not the reverse), smallest id. The split has no say, so that held-out documents are a fair sample. Ranks have gaps."""
    from pyspark.sql import functions as F

    ordered = documents.select("key", (F.col("rule") != "reserved").alias("free"), "is_raw", "id").orderBy("free", "is_raw", "id")
    return ordered.select("key", F.monotonically_increasing_id().alias("rank"))


def _check_keys(documents: "DataFrame") -> None:
    from pyspark.sql import functions as F

    if (
        repeated := documents.groupBy("key")
        .agg(F.count("*").alias("n"), F.min("id").alias("id"))
        .where("n > 1")
        .limit(1)
        .toArrow()
        .to_pylist()
    ):
        raise AssertionError(f"two documents have the id {repeated[0]['id']}")


def _still_in(documents: "DataFrame", ranks: "DataFrame", exact: "DataFrame") -> "DataFrame":
    """Documents that no rule has dropped, and reserved ones."""
    facts = documents.where("rule in ('', 'reserved')").select("key", "rule", "is_raw", "sample_draw")
    return facts.join(ranks, "key").join(exact.select("rank"), "rank", "left_anti")


def _learn(steps: "Steps", texts: "DataFrame", alive: "DataFrame", config: CurationConfig) -> quality.Classifier:
    """Train on the driver, on the documents of the least draws."""
    draws = alive.where("rule = ''")
    size = config.quality.max_documents_per_class
    chosen = [draws.where(label).orderBy("sample_draw").limit(size).select("key", "is_raw") for label in ("is_raw", "not is_raw")]
    sample = steps.table("sample", chosen[0].union(chosen[1]).join(texts, "key"))
    features = quality.word_sets(*batches.hash_texts(sample["text"].combine_chunks()), config.quality)
    is_reference = ~np.array(sample["is_raw"].to_pylist(), bool)
    return quality.learn(*features, sample["id"].to_pylist(), is_reference, config.quality, config.seed)
