"""Read the sources, filter by quality, remove duplicates, cut out what tasks are scored on, note the fate of every document."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.curation.config import CurationConfig, MixtureConfig
from components.sources.config import SourceConfig
from flows import params, stage, tracking


class Sections(params.Sections):
    """What this stage reads of params.yaml."""

    sources: dict[str, SourceConfig]
    curation: CurationConfig
    mixture: MixtureConfig


def main(args: argparse.Namespace, loaded: Sections, run: tracking.Run) -> None:
    """Installed distributions, inputs/ and data/tasks -> data/corpus and its metrics."""
    from components.artifacts import write_json
    from components.curation.corpus import build_corpus
    from components.tasks.evaluated import evaluation_texts
    from components.tasks.items import TaskSet

    scored_on = frozenset(evaluation_texts(TaskSet(Path(args.tasks))))  # what is missing is told before the sources are read
    metrics = build_corpus(loaded.sources, scored_on, loaded.curation, loaded.mixture, Path(args.out), _report)
    print(_table(metrics))
    write_json(Path(args.metrics), metrics)
    numbers = {name: value for name, value in tracking.flatten(metrics).items() if value is not None}
    run.log_metrics(numbers)


def _report(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _table(metrics: Mapping[str, Any]) -> str:
    """A line for each source: how many documents and characters were kept, and which rules dropped the others."""
    lines = []
    for name, source in metrics["sources"].items():
        reasons = ", ".join(f"{count:,} {rule}" for rule, count in source["dropped"].items()) or "none"
        chars = f"{source['chars_kept'] / 1e6:.1f} of {source['chars_read'] / 1e6:.1f} M characters"
        lines.append(f"{name:>12}: kept {source['kept']:,} of {source['read']:,} documents, {chars}; dropped {reasons}")
    quality = metrics["quality"]
    if quality["auc"] is not None:
        lines.append(f"quality classifier: AUC {quality['auc']:.4f} on {quality['test_documents']:,} documents it did not learn from")
    cut = metrics["decontamination"]
    lines.append(
        f"decontamination: {cut['ngrams']:,} n-grams of {cut['evaluation_texts']:,} evaluation texts ({cut['short_texts']:,} too short), "
        f"{cut['ignored_ngrams']:,} ignored; {cut['documents_cut']:,} documents cut, {cut['documents_dropped']:,} dropped"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(stage.execute(main, Sections, ["tasks", "out", "metrics"]))
