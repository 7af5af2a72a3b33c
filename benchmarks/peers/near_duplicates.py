"""One tool on a folder of Parquet files, in a process of its own: ``python -m benchmarks.peers.near_duplicates TOOL IN OUT``.

The files have the columns id and text; OUT gets such files of the documents that the tool keeps.
"""

import sys
from pathlib import Path
from typing import Any

from components.curation.config import DeduplicationConfig

CONFIG = DeduplicationConfig(ngram_words=5, bands=25, rows=5, bucket_window=50, signature_threshold=0.7, jaccard_threshold=0.8)
WORKERS = 2


def ours(source: Path, out: Path) -> None:
    """The kernels and rules of components/curation, one thread, survivors by smallest id."""
    import numpy as np
    import pyarrow.parquet as pq

    from components.curation import words
    from tests.reference.duplicates import near_duplicates

    table = pq.read_table(source)
    ranks = np.argsort(np.argsort(np.array(table["id"].to_pylist()), kind="stable"))
    found = near_duplicates(*words.hash_words(table["text"].to_pylist()), ranks, CONFIG, seed=0)
    kept = np.ones(len(table), bool)
    kept[[duplicate.document for duplicate in found]] = False
    pq.write_table(table.filter(kept), out / "kept" / "0.parquet", compression="zstd")


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
