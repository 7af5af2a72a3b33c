"""What became of every document, from the results of the steps: the fate table, the corpus itself and the counts of both."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.curation import batches, batches_cuts, sorted_files
from components.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame

    from components.curation.frames import Steps

FATE_COLUMNS = ("id", "source", "kept", "split", "rule", "score", "nearest_duplicate", "jaccard", "chars", "cut_windows", "pieces")
DOCUMENT_COLUMNS = ("id", "source", "split", "text")


def decide(
    steps: "Steps", documents: "DataFrame", ranks: "DataFrame", exact: "DataFrame", scores: "DataFrame", near: "DataFrame"
) -> "DataFrame":
    """One row for each entry, by all rules but decontamination: key and facts, rule, score, nearest_duplicate, jaccard. The first rule
    to drop an entry stands."""
    from pyspark.sql import functions as F

    # The embedded engine holds the left side of a join in memory: the wide rows always come from the right.
    facts = documents.selectExpr("key", "id", "source", "rule as first_rule", "held_out", "work", "version_draw", "chars")
    joined = ranks.join(facts, "key")
    for found in (exact.selectExpr("rank", "nearest as same"), scores.select("rank", "score", "low_quality"), near):
        joined = found.join(joined, "rank", "right")
    rule = """case when first_rule <> '' then first_rule when same is not null then 'exact_duplicate'
              when low_quality then 'quality' when nearest is not null then 'near_duplicate' else '' end"""
    ruled = joined.withColumn("rule", F.expr(rule))
    near_rank = "case rule when 'exact_duplicate' then same when 'near_duplicate' then nearest end as nearest_rank"
    jaccard = "case rule when 'exact_duplicate' then 1.0D when 'near_duplicate' then jaccard end as jaccard"
    plain = ("key", "id", "source", "rule", "held_out", "work", "version_draw", "chars", "score")
    found = steps.write("found", ruled.selectExpr(*plain, near_rank, jaccard))
    numbers = found.where("nearest_rank is not null").select("nearest_rank").distinct()
    keys = numbers.join(ranks.withColumnRenamed("rank", "nearest_rank"), "nearest_rank")
    names = keys.join(documents.selectExpr("key", "id as nearest_id"), "key").select("nearest_rank", "nearest_id")
    return steps.write("ruled", _one_version_of_each_held_out_work(names.join(found, "nearest_rank", "right"), found))


def _one_version_of_each_held_out_work(named: "DataFrame", found: "DataFrame") -> "DataFrame":
    """Of the versions of a held-out work, keep the one of the least draw: three translations of one chapter are neither
    independent evidence nor, side by side, a fair text to compare a model of short contexts with a compressor on."""
    from pyspark.sql import functions as F

    versions = found.where("rule = '' and version_draw is not null")
    best = versions.groupBy("work").agg(F.min("version_draw").alias("version_draw"))
    chosen = best.join(versions, ["work", "version_draw"]).selectExpr("work", "id as chosen")
    other = "rule = '' and version_draw is not null and chosen <> id"
    return (
        chosen.join(named, "work", "right")
        .withColumn("nearest_duplicate", F.expr(f"case when {other} then chosen else nearest_id end"))
        .withColumn("rule", F.expr(f"case when {other} then 'same_work' else rule end"))
    )


def with_cuts(steps: "Steps", ruled: "DataFrame", cuts: "DataFrame") -> "DataFrame":
    """The final table: FATE_COLUMNS with ``cut_windows`` as ``batches_cuts.spans`` has them, key, chars_kept."""
    from pyspark.sql import functions as F

    joined = cuts.select("key", "windows", "num_pieces", "piece_chars").join(ruled, "key", "right")
    final = joined.withColumn("rule", F.expr("case when num_pieces = 0 then 'contaminated' else rule end"))
    columns = [
        "key",
        *("id", "source", "rule = '' as kept", "rule", "score", "nearest_duplicate", "jaccard", "chars", "windows as cut_windows"),
        "case when rule <> '' then '' when held_out then 'held_out' else 'train' end as split",
        "case when rule = '' then coalesce(num_pieces, 1L) else 0L end as pieces",
        "case when rule = '' then coalesce(piece_chars, chars) else 0L end as chars_kept",
    ]
    return steps.write("fate", final.selectExpr(*columns))


def write(steps: "Steps", fate: "DataFrame", cuts: "DataFrame", texts: "DataFrame", folder: Path) -> None:
    """documents.parquet (DOCUMENT_COLUMNS) and fate.parquet (FATE_COLUMNS) into ``folder``, both sorted by (source, id).

    Raises:
        InputError: a document has the id of a piece of another.
    """
    import pyarrow as pa

    text = pa.string()
    numbered = {"score": pa.float64(), "jaccard": pa.float64(), "chars": pa.int64(), "pieces": pa.int64(), "kept": pa.bool_()}
    kinds = dict.fromkeys(FATE_COLUMNS, text) | numbered | {"cut_windows": batches_cuts.span_list()}
    ordered = steps.ordered("fate_in_order", fate.select(*FATE_COLUMNS))
    sorted_files.write(map(batches_cuts.with_span_lists, ordered), pa.schema(list(kinds.items())), folder / "fate.parquet")
    kept = cuts.select("key", "pieces").join(fate.where("kept").select("key", "id", "source", "split"), "key", "right")
    parted = batches.mapped(kept.join(texts.select("key", "text"), "key"), batches_cuts.kept_texts(), batches_cuts.KEPT_COLUMNS)
    ordered = steps.ordered("documents_in_order", parted)
    sorted_files.write(_without_repeats(ordered), pa.schema([(name, text) for name in DOCUMENT_COLUMNS]), folder / "documents.parquet")


def _without_repeats(parts: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
    previous = None
    for part in parts:
        for id in part["id"].to_pylist():
            if id == previous:
                raise InputError(f"{id}: a document and a piece of a document have this id; rename what ends with #p and a number")
            previous = id
        yield part


def counts(fate: "DataFrame") -> dict[str, Any]:
    """{documents, rules, sources} of the metrics; read = kept + sum of dropped by rule, in all and for each source."""
    from pyspark.sql import functions as F

    sums = [F.count("*").alias("n"), F.sum("chars").alias("chars"), F.sum("chars_kept").alias("chars_kept")]
    grouped = fate.groupBy("source", "rule", "split").agg(*sums).toArrow().to_pylist()
    sources: dict[str, Any] = defaultdict(lambda: {"read": 0, "kept": 0, "held_out": 0, "dropped": {}, "chars_read": 0, "chars_kept": 0})
    rules: Counter[str] = Counter()
    for group in sorted(grouped, key=lambda group: (group["source"], group["rule"])):
        source, number = sources[group["source"]], group["n"]
        source["read"] += number
        source["chars_read"] += group["chars"] or 0
        source["chars_kept"] += group["chars_kept"]
        if group["rule"]:
            source["dropped"][group["rule"]] = number
            rules[group["rule"]] += number
        else:
            source["kept"] += number
            source["held_out"] += number if group["split"] == "held_out" else 0
    read, kept = (sum(source[name] for source in sources.values()) for name in ("read", "kept"))
    return {"documents": {"read": read, "kept": kept, "dropped": rules.total()}, "rules": dict(rules), "sources": dict(sources)}
