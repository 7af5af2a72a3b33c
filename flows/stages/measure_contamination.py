"""Was the target trained on what it was scored on? Scores of all, clean and dirty test items, prompted and fine-tuned."""

import argparse
import sys
from pathlib import Path
from typing import Any

from components.evaluation.config import ProtocolConfig
from flows import params, stage, tracking


class Sections(params.Sections):
    """What this stage reads of params.yaml."""

    protocol: ProtocolConfig


def main(args: argparse.Namespace, loaded: Sections, run: tracking.Run) -> None:
    """data/tokens, data/corpus and the answers to data/tasks -> metrics."""
    from components.artifacts import write_json
    from components.evaluation.answers import SUFFIX
    from components.evaluation.contamination import of_fine_tuned, of_prompted, trained_texts
    from components.tasks.items import TaskSet

    documents = trained_texts(Path(args.corpus), Path(args.tokens))
    measured: dict[str, Any] = {"documents": len(documents), "few_shot": {}, "finetune": {}}
    for task in TaskSet(Path(args.tasks)).names():
        by_shots = of_prompted(Path(args.answers) / f"{task}.{SUFFIX}", documents, loaded.protocol)
        measured["few_shot"][task] = {str(shots): facts for shots, facts in by_shots.items()}
        folder = Path(args.finetuned) / f"{task}-pretrained"
        if (folder / SUFFIX).exists():  # not of one that diverged
            measured["finetune"][task] = of_fine_tuned(folder, documents, loaded.protocol)
    for part in ("few_shot", "finetune"):
        for task, facts in measured[part].items():
            print(f"{part:>9} {task:>24}: {_line(facts if part == 'finetune' else next(iter(facts.values())))}")
    write_json(Path(args.metrics), measured)
    run.log_metrics({name: value for name, value in tracking.flatten(measured).items() if isinstance(value, int | float)})


def _line(facts: dict[str, Any]) -> str:
    return f"{facts['dirty_items']} dirty, {facts['clean_items']} clean, {facts['short_items']} too short to tell; {facts['verdict']}"


if __name__ == "__main__":
    sys.exit(stage.execute(main, Sections, ["tokens", "corpus", "tasks", "answers", "finetuned", "metrics"]))
