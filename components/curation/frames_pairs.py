"""Exact and near-duplicates in DataFrames; the rules are those of ``deduplication.py``.

A band's hash brings together the documents that agree in it; a sketch of the signature that travels with it rules out nearly all
chance pairs at once. Only documents of the pairs left are read again, for their signatures and n-gram sets. The filters are those of
``deduplication.near_duplicates`` and a pair must pass all of them, so their order changes nothing.
"""

from functools import reduce
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from components.curation import batches, batches_pairs, deduplication
from components.curation.config import CurationConfig, DeduplicationConfig

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from components.curation.frames import Steps

BAND_ROWS_AT_ONCE = 6_000_000  # rows of (key, rank, sketch) in memory: 300 MB at 125 hashes, in up to four copies
SLICES_AT_ONCE = 16  # that the workers share among them
PAIRS_AT_ONCE = 100_000  # pairs joined with their n-gram sets: 500 MB at 300 n-grams


def exact_duplicates(documents: "DataFrame", ranks: "DataFrame") -> "DataFrame":
    """rank, nearest: documents, dropped so far by no rule, whose text equals that of one of lower rank; reserved ones count."""
    from pyspark.sql import functions as F

    text = ["text_hash_1", "text_hash_2"]
    alive = documents.where("rule in ('', 'reserved')").select("key", "rule", *text).join(ranks, "key")
    first = alive.groupBy(*text).agg(F.min("rank").alias("nearest"), F.count("*").alias("n")).where("n > 1")
    return alive.where("rule = ''").join(first, text).where("rank <> nearest").select("rank", "nearest")


def near_duplicates(steps: "Steps", ranks: "DataFrame", texts: "DataFrame", scores: "DataFrame", config: CurationConfig) -> "DataFrame":
    """rank, nearest, jaccard of all but the lowest-ranked document of each group of verified near-duplicates.

    Args:
        ranks: key, rank. texts: key, text. scores: as ``batches.scored`` gives them.
    """
    import pyarrow as pa

    settings = config.deduplication
    pairs = steps.write("pairs", _candidates(steps, scores.where("not low_quality"), settings).distinct())
    num_pairs = pairs.count()
    needed = pairs.selectExpr("left as rank").union(pairs.selectExpr("right as rank")).distinct()
    # The embedded engine holds the left side of a join in memory: the text always comes from the right.
    found = needed.join(ranks, "rank").join(texts.select("key", "text"), "key").select("rank", "text")
    sets = steps.write("sets", batches.mapped(found, batches_pairs.gram_sets(config), batches_pairs.SET_COLUMNS))
    parts = -(-num_pairs // PAIRS_AT_ONCE)
    edges = [_verified(pairs.where(f"pmod(left, {parts}) = {part}"), sets, settings).toArrow() for part in range(parts)]
    losers = _losers(pa.concat_tables(edges) if edges else pa.table({name: [] for name in ("left", "right", "jaccard")}))
    return steps.write("near", steps.spark.createDataFrame(losers, "rank bigint, nearest bigint, jaccard double"))


def _candidates(steps: "Steps", kept: "DataFrame", config: DeduplicationConfig) -> "DataFrame":
    """left, right: ranks of pairs that agree in a band, maybe several times; so many bands at once, or slices of a band, as fit in
    memory. Each reads no columns but its own."""
    num_documents, found = max(1, kept.count()), []
    bands_at_once = min(config.bands, max(1, BAND_ROWS_AT_ONCE // num_documents))
    slices = SLICES_AT_ONCE * -(-num_documents * bands_at_once // BAND_ROWS_AT_ONCE)
    for band, first in product(range(0, config.bands, bands_at_once), range(0, slices, SLICES_AT_ONCE)):
        keys = kept.select("rank", "sketch", *batches.band_names(config)[band : band + bands_at_once])
        packed = batches.mapped(keys, batches_pairs.packets(slices, first, SLICES_AT_ONCE), batches_pairs.PACKET_COLUMNS)
        pairs = batches.mapped(packed.repartition("slice"), batches_pairs.candidates(config), batches_pairs.PAIR_COLUMNS)
        found.append(steps.write(f"pairs_{band}_{first}", pairs.distinct()))
    return reduce(lambda one, other: one.union(other), found)


def _verified(pairs: "DataFrame", sets: "DataFrame", config: DeduplicationConfig) -> "DataFrame":
    joined = pairs
    for side in ("left", "right"):
        own = sets.selectExpr(f"rank as {side}", f"signature as {side}_signature", f"grams as {side}_grams")
        joined = joined.join(own, side)
    return batches.mapped(joined, batches_pairs.verified(config), batches_pairs.EDGE_COLUMNS)


def _losers(edges: "pa.Table") -> "pa.Table":
    import pyarrow as pa

    left, right, jaccard = (edges[name].to_numpy() for name in ("left", "right", "jaccard"))
    ranks, numbers = np.unique(np.concatenate([left, right]), return_inverse=True)
    pairs = numbers.reshape(2, -1).T
    found = deduplication.losers(pairs, jaccard, np.arange(len(ranks)))
    columns = {
        "rank": pa.array([int(ranks[d.document]) for d in found], pa.int64()),
        "nearest": pa.array([int(ranks[d.nearest]) for d in found], pa.int64()),
        "jaccard": pa.array([d.jaccard for d in found], pa.float64()),
    }
    return pa.table(columns)
