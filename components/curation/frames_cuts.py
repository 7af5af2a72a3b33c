"""Decontamination in DataFrames; the rules are those of ``decontamination.py``."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from components.curation import batches, batches_cuts, decontamination
from components.curation.config import DecontaminationConfig

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from components.curation.frames import Steps


def cut_out(
    steps: "Steps", ruled: "DataFrame", texts: "DataFrame", evaluation_texts: Iterable[str], config: DecontaminationConfig
) -> tuple["DataFrame", dict[str, int]]:
    """What is cut out of the documents that no rule has dropped: ``batches_cuts.CUT_COLUMNS``, and counts for the metrics.

    The result for a document depends on the other ones only through the number of documents that hold an n-gram.

    Args:
        ruled: key, rule. texts: key, text.
    """
    distinct = set(evaluation_texts)
    grams, short_texts = decontamination.evaluation_ngrams(distinct, config.ngram_words)
    kept = ruled.where("rule = ''").select("key").join(texts.select("key", "text"), "key")
    hits = steps.write("hits", batches.mapped(kept, batches_cuts.hits(grams, config), batches_cuts.HIT_COLUMNS))
    common = _in_many_documents(steps, hits, config.max_documents_per_ngram)
    whole = hits.join(texts.select("key", "text"), "key")
    cuts = steps.write("cuts", batches.mapped(whole, batches_cuts.cuts(common, config), batches_cuts.CUT_COLUMNS))
    sums = ("count_if(num_pieces > 0) as documents_cut", "count_if(num_pieces = 0) as documents_dropped", "sum(num_windows) as windows")
    [measured] = cuts.selectExpr(*sums).toArrow().to_pylist()
    return cuts, {
        "evaluation_texts": len(distinct),
        "short_texts": short_texts,
        "ngrams": len(grams),
        "ignored_ngrams": len(common),
        **{name: number or 0 for name, number in measured.items()},
    }


def _in_many_documents(steps: "Steps", hits: "DataFrame", max_documents: int) -> np.ndarray:
    """Numbers of the n-grams that more than ``max_documents`` documents hold."""
    from pyspark.sql import functions as F

    grams = batches.mapped(hits, batches_cuts.grams_of_hits(), batches_cuts.GRAM_COLUMNS)
    found = grams.groupBy("gram").agg(F.count("*").alias("documents")).where(f"documents > {max_documents}").select("gram")
    numbers: np.ndarray = steps.table("common", found)["gram"].to_numpy()
    return numbers
