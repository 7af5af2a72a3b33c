"""What became of every document, from the results of the steps; the table, the files and the counts are those of ``fate.py``."""

from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from components.curation.frames import Steps

CHARS_AT_ONCE = 50_000_000  # of text, on their way to documents.parquet
ROWS_AT_ONCE = 200_000  # of fate.parquet
FATE_COLUMNS = ("id", "source", "kept", "split", "rule", "score", "nearest_duplicate", "jaccard", "chars")


def decide(
    steps: "Steps", documents: "DataFrame", ranks: "DataFrame", exact: "DataFrame", scores: "DataFrame", near: "DataFrame"
) -> "DataFrame":
    """One row for each entry, ordered by ``row`` as (source, id) are: FATE_COLUMNS, row, key. The first rule to drop it stands."""
    from pyspark.sql import functions as F

    facts = documents.select("key", "id", "source", "rule", "held_out", "work", "version_draw", "chars").join(ranks, "key")
    joined = (
        facts.withColumnRenamed("rule", "first_rule")
        .join(exact.selectExpr("rank", "nearest as same"), "rank", "left")
        .join(scores.select("rank", "score", "low_quality"), "rank", "left")
        .join(near, "rank", "left")
    )
    rule = """case when first_rule <> '' then first_rule when same is not null then 'exact_duplicate'
              when low_quality then 'quality' when nearest is not null then 'near_duplicate' else '' end"""
    ruled = joined.withColumn("rule", F.expr(rule))
    near_rank = "case rule when 'exact_duplicate' then same when 'near_duplicate' then nearest end as nearest_rank"
    jaccard = "case rule when 'exact_duplicate' then 1.0D when 'near_duplicate' then jaccard end as jaccard"
    plain = ("key", "id", "source", "rule", "held_out", "work", "version_draw", "chars", "score")
    found = steps.write("found", ruled.selectExpr(*plain, near_rank, jaccard))
    names = (
        found.where("nearest_rank is not null")
        .select("nearest_rank")
        .distinct()
        .join(ranks.withColumnRenamed("rank", "nearest_rank"), "nearest_rank")
        .join(documents.selectExpr("key", "id as nearest_id"), "key")
        .select("nearest_rank", "nearest_id")
    )
    named = found.join(names, "nearest_rank", "left")
    return steps.write("fate", _numbered(_one_version_of_each_held_out_work(named, found)))


def _one_version_of_each_held_out_work(named: "DataFrame", found: "DataFrame") -> "DataFrame":
    from pyspark.sql import functions as F

    versions = found.where("rule = '' and version_draw is not null")
    best = versions.groupBy("work").agg(F.min("version_draw").alias("version_draw"))
    chosen = versions.join(best, ["work", "version_draw"]).selectExpr("work", "id as chosen")
    other = "rule = '' and version_draw is not null and chosen <> id"
    return (
        named.join(chosen, "work", "left")
        .withColumn("nearest_duplicate", F.expr(f"case when {other} then chosen else nearest_id end"))
        .withColumn("rule", F.expr(f"case when {other} then 'same_work' else rule end"))
    )


def _numbered(fate: "DataFrame") -> "DataFrame":
    from pyspark.sql import functions as F

    split = "case when rule <> '' then '' when held_out then 'held_out' else 'train' end as split"
    ordered = fate.selectExpr("*", "rule = '' as kept", split).orderBy("source", "id")
    return ordered.select("key", F.monotonically_increasing_id().alias("row"), *FATE_COLUMNS)


def write(steps: "Steps", fate: "DataFrame", documents: "DataFrame", folder: Path) -> None:
    """documents.parquet and fate.parquet, sorted by (source, id), piece by piece."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text, real = pa.string(), pa.float64()
    types = [text, text, pa.bool_(), text, text, real, text, real, pa.int64()]
    schema = pa.schema(list(zip(FATE_COLUMNS, types, strict=True)))
    sizes = fate.select("row", "kept", "chars").toArrow().sort_by("row")
    with pq.ParquetWriter(folder / "fate.parquet", schema, compression="zstd") as writer:
        rows = sizes["row"].to_numpy()
        for first, end in _pieces(rows, np.full(len(rows), CHARS_AT_ONCE // ROWS_AT_ONCE)):
            writer.write_table(_sorted(steps.table(f"fate_{first}", fate.where(f"row between {first} and {end}")), schema))
    kept = sizes.filter(sizes["kept"])
    schema = pa.schema([(name, text) for name in ("id", "source", "split", "text")])
    with pq.ParquetWriter(folder / "documents.parquet", schema, compression="zstd") as writer:
        pieces = _pieces(kept["row"].to_numpy(), kept["chars"].to_numpy())
        number = " ".join(f"when row <= {end} then {piece}" for piece, (_, end) in enumerate(pieces))
        rows = fate.where("kept").selectExpr("key", "row", "id", "source", "split", f"case {number or 'when false then 0'} end as piece")
        texts = rows.join(documents.select("key", "text"), "key")
        for table in steps.tables("kept", texts, "piece", range(len(pieces))):
            writer.write_table(_sorted(table, schema))


def _pieces(rows: np.ndarray, chars: np.ndarray) -> list[tuple[int, int]]:
    """First and last row of pieces of about ``CHARS_AT_ONCE`` characters."""
    number = (np.cumsum(chars) - chars) // CHARS_AT_ONCE
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    ends = np.append(starts, len(rows))[1:] - 1
    return [(int(rows[start]), int(rows[end])) for start, end in zip(starts, ends, strict=True)]


def _sorted(table: "pa.Table", schema: "pa.Schema") -> "pa.Table":
    return table.sort_by("row").select(schema.names).cast(schema)


def counts(fate: "DataFrame") -> dict[str, Any]:
    """As ``fate.Fates.counts``."""
    from pyspark.sql import functions as F

    grouped = fate.groupBy("source", "rule", "split").agg(F.count("*").alias("n"), F.sum("chars").alias("chars")).toArrow().to_pylist()
    sources: dict[str, Any] = defaultdict(lambda: {"read": 0, "kept": 0, "held_out": 0, "dropped": {}, "chars_read": 0, "chars_kept": 0})
    rules: Counter[str] = Counter()
    for group in sorted(grouped, key=lambda group: (group["source"], group["rule"])):
        source, number, chars = sources[group["source"]], group["n"], group["chars"] or 0
        source["read"] += number
        source["chars_read"] += chars
        if group["rule"]:
            source["dropped"][group["rule"]] = number
            rules[group["rule"]] += number
        else:
            source["kept"] += number
            source["chars_kept"] += chars
            source["held_out"] += number if group["split"] == "held_out" else 0
    read, kept = (sum(source[name] for source in sources.values()) for name in ("read", "kept"))
    return {"documents": {"read": read, "kept": kept, "dropped": rules.total()}, "rules": dict(rules), "sources": dict(sources)}
