"""Make the labelled tasks: four from the structure of docstrings, GPT-3's synthetic ones, and the user's own."""

import argparse
import sys
from pathlib import Path

from components.curation.config import CurationConfig
from components.errors import InputError
from components.sources.config import SourceConfig
from components.tasks.config import TasksConfig
from flows import params, stage, tracking


class Sections(params.Sections):
    """What this stage reads of params.yaml."""

    sources: dict[str, SourceConfig]
    curation: CurationConfig
    tasks: TasksConfig


def main(args: argparse.Namespace, loaded: Sections, run: tracking.Run) -> None:
    """Reserved documents -> data/tasks."""
    from components.sources.read import read_source
    from components.tasks.derive import derive_tasks

    source = loaded.curation.reserved_source
    if source not in loaded.sources:
        raise InputError(f"params.yaml: curation.reserved_source {source!r} is not in sources; choose one of {', '.join(loaded.sources)}")
    print(f"reading {source} ...", file=sys.stderr, flush=True)
    drafts = derive_tasks(read_source(source, loaded.sources[source]), loaded.curation, loaded.tasks, Path(args.out))
    for draft in drafts:
        print(f"{draft.name:>24}: {draft.transformation:<16}{len(draft.train):>6} train {len(draft.test):>6} test items")
    run.log_metrics({f"{draft.name}.{part}_items": len(getattr(draft, part)) for draft in drafts for part in ("train", "test")})


if __name__ == "__main__":
    sys.exit(stage.execute(main, Sections, ["out"]))
