"""One tool on a folder of Parquet files, in a process of its own: ``python -m benchmarks.peers.near_duplicates TOOL IN OUT``.

The files have the columns id and text; OUT gets such files of the documents that the tool keeps.
"""

import sys
from pathlib import Path
from typing import Any

from components.curation.config import CurationConfig, DeduplicationConfig
from flows import params

CONFIG = DeduplicationConfig(ngram_words=5, bands=25, rows=5, bucket_window=50, signature_threshold=0.7, jaccard_threshold=0.8)
WORKERS = 2


def ours(source: Path, out: Path) -> None:
    """The search of components/curation on its embedded engine, two threads, survivors by smallest id."""
    from components.curation import batches, frames, frames_pairs, quality
    from components.curation.engine import session

    config = _config()
    with session("", WORKERS) as spark:
        steps = frames.Steps(spark, out / "work")
        columns = ("xxhash64(id) as key", "id", "'' as rule", "false as is_raw", "text")  # no rule but this one
        documents = spark.read.parquet(str(source)).selectExpr(*columns)
        ranks = steps.write("ranks", frames.ranked(documents))
        texts = ranks.join(documents, "key").select("rank", "rule", "is_raw", "id", "text")
        scores = steps.write("scores", batches.scored(texts, config, quality.Classifier(None, 0.0, None, 0, 0)))
        near = frames_pairs.near_duplicates(steps, ranks, documents, scores, config)
        lost = near.select("rank").join(ranks, "rank").select("key")
        documents.select("key", "id", "text").join(lost, "key", "left_anti").drop("key").write.mode("append").parquet(str(out / "kept"))


class Sections(params.Sections):
    """The rules of params.yaml."""

    curation: CurationConfig


def _config() -> CurationConfig:
    """Those rules, with CONFIG."""
    return params.load(Sections, []).curation.model_copy(update={"deduplication": CONFIG})


def _xxhash64(text: str) -> int:
    """What datatrove calls, but for the encoding: xxhash 4 takes bytes only."""
    import xxhash

    return int(xxhash.xxh64_intdigest(text.encode()))


class SplitAtWhitespace:
    """What datatrove calls so cuts words with spaCy all the same."""

    def word_tokenize(self, text: str) -> list[str]:
        """As ``str.split`` does."""
        return text.split()


def datatrove(source: Path, out: Path, whitespace: bool) -> None:
    """Its four stages, two processes; by default it cuts words with spaCy, which costs more than all the rest."""
    from datatrove.executor.local import LocalPipelineExecutor
    from datatrove.pipeline.dedup import MinhashDedupSignature, minhash
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.writers import ParquetWriter

    config = minhash.MinhashConfig(n_grams=5, num_buckets=CONFIG.bands, hashes_per_bucket=CONFIG.rows)
    parts = len(list(source.iterdir()))
    signature = MinhashDedupSignature(str(out / "signatures"), config)
    signature._hash_func = _xxhash64
    if whitespace:
        signature.word_tokenizer = SplitAtWhitespace()
    steps: list[tuple[list[Any], int]] = [
        ([ParquetReader(str(source)), signature], parts),
        ([minhash.MinhashDedupBuckets(str(out / "signatures"), str(out / "buckets"), config=config)], CONFIG.bands),
        ([minhash.MinhashDedupCluster(str(out / "buckets"), str(out / "remove"), config=config)], 1),
        (
            [
                ParquetReader(str(source)),
                minhash.MinhashDedupFilter(str(out / "remove")),
                ParquetWriter(str(out / "kept")),
            ],
            parts,
        ),
    ]
    for number, (pipeline, tasks) in enumerate(steps):
        LocalPipelineExecutor(pipeline, tasks=tasks, workers=WORKERS, logging_dir=str(out / f"log{number}")).run()


if __name__ == "__main__":
    tool, source, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    (out / "kept").mkdir(parents=True)
    if tool == "ours":
        ours(source, out)
    else:
        datatrove(source, out, whitespace=tool == "datatrove")
