"""Sources -> one frame of all that they hold, read unit by unit by the engine's workers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from components.curation import batches, batches_sources
from components.sources.config import SourceConfig
from components.sources.read import check_holds_documents, list_units

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from components.curation.frames import Report, Steps


def read_sources(steps: "Steps", sources: Mapping[str, SourceConfig], report: "Report") -> "DataFrame":
    """All entries (``batches_sources.ENTRY_COLUMNS``), in no order.

    Raises:
        InputError: as ``sources.read.read_source``.
    """
    frames = [_read(steps, name, source, report) for name, source in sources.items()]
    whole = frames[0]
    for frame in frames[1:]:
        whole = whole.union(frame)
    return whole


def _read(steps: "Steps", name: str, source: SourceConfig, report: "Report") -> "DataFrame":
    import pyarrow as pa
    from pyspark.sql import functions as F

    units = steps.spark.createDataFrame(pa.table({"unit": list_units(name, source)}), "unit string").repartition("unit")
    read = batches.mapped(units, batches_sources.entries(name, source), batches_sources.ENTRY_COLUMNS)
    entries = _one_copy_per_page(steps, name, steps.write(f"entries_{name}", read))
    sums = [F.count("*").alias("n"), F.min("id").alias("first"), F.sum(F.length("text")).alias("chars")]
    counts = entries.groupBy("reason").agg(*sums).toArrow().to_pylist()
    check_holds_documents(name, {row["reason"]: (row["n"], row["first"]) for row in counts})
    documents, chars = next((row["n"], row["chars"]) for row in counts if not row["reason"])
    report(f"read {name}: {documents:,} documents, {chars / 1e6:.1f} M characters")
    return entries


def _one_copy_per_page(steps: "Steps", name: str, entries: "DataFrame") -> "DataFrame":
    """Of the documents of one page, the one of the smallest id, as ``webtext.keep_one_copy_per_url`` has it."""
    from pyspark.sql import functions as F

    pages = entries.where("page is not null").groupBy("page").agg(F.min("id").alias("first"), F.count("*").alias("n")).where("n > 1")
    others = pages.join(entries.select("page", "id"), "page").where("id <> first").selectExpr("id", "true as repeated")
    if not others.limit(1).count():
        return entries
    names = [column.split()[0] for column in batches_sources.ENTRY_COLUMNS.split(", ")]
    changed = {"reason": "case when repeated then 'repeated_url' else reason end", "text": "case when repeated then null else text end"}
    columns = [f"{changed[name]} as {name}" if name in changed else name for name in names]
    return steps.write(f"once_{name}", others.join(entries, "id", "right").selectExpr(*columns))
