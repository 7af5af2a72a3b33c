"""Measure a checkpoint on task files: the shipped ones of tasks/, or your own (tasks/README.md).

Writes OUT/scores.json, OUT/TASK.items.jsonl and, for multiple choice, OUT/TASK.reliability.svg. With --against, another OUT, both
are compared item by item. With --corpus and --tokens, the documents that the model was trained on are searched for the test items,
and the scores of clean items are told apart.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import InputError
from components.evaluation.config import ProtocolConfig
from components.evaluation.task_file import TaskFile
from flows import task_files

if TYPE_CHECKING:
    from components.evaluation.protocols import Examiner, Outcome


def main(argv: list[str] | None = None) -> int:
    """Measure; exit status 2 with one line on bad input."""
    return task_files.run(_parse(argv), evaluate)


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = task_files.parser("python -m flows.evaluate", __doc__)
    parser.add_argument("--against", type=Path, help="OUT of another checkpoint, to compare with")
    parser.add_argument("--corpus", type=Path, help="the curated corpus that the checkpoint was trained on")
    parser.add_argument("--tokens", type=Path, help="its token shards, which say which documents were trained on")
    args = parser.parse_args(argv)
    if (args.corpus is None) != (args.tokens is None):
        parser.error("--corpus and --tokens go together")
    return args


def evaluate(args: argparse.Namespace, loaded: task_files.Sections, files: dict[Path, TaskFile]) -> None:
    """All tasks, one after the other, then the folder."""
    from components.artifacts import atomic_folder, write_json, write_text
    from components.evaluation.contamination import trained_texts
    from components.reporting.evaluation_figures import reliability_diagram
    from components.transformer.checkpoint import weights_sha256

    examiner = task_files.open_examiner(args, loaded)
    documents = trained_texts(args.corpus, args.tokens) if args.corpus else None
    scores: dict[str, Any] = {}
    with atomic_folder(args.out) as scratch:
        for path, task in files.items():
            outcomes, facts = _measure(examiner, task, path.parent, loaded.protocol, documents)
            if args.against:
                facts["against"] = _against(task, args.against, outcomes, loaded.protocol)
            write_text(scratch / f"{task.name}.items.jsonl", "".join(json.dumps(vars(one), ensure_ascii=False) + "\n" for one in outcomes))
            if "calibration" in facts:
                write_text(scratch / f"{task.name}.reliability.svg", reliability_diagram(task.name, facts["calibration"]).standalone())
            print(_line(task, facts), flush=True)
            scores[task.name] = facts
        write_json(scratch / "scores.json", {"weights_sha256": weights_sha256(examiner.model), "tasks": scores})


def _measure(
    examiner: "Examiner", task: TaskFile, folder: Path, config: ProtocolConfig, documents: Sequence[str] | None
) -> tuple[list["Outcome"], dict[str, Any]]:
    from components.evaluation.contamination import clean_against_all, find_overlap
    from components.evaluation.report import score_of, summary
    from components.evaluation.task_data import load_task

    data = load_task(task, folder, config)
    outcomes = examiner.examine(task, data.test, data.train)
    facts = {**summary(task, outcomes, config), "duplicates": data.duplicates, "items_in_train": data.in_train, "left_out": data.left_out}
    if documents is not None:
        overlap = find_overlap([one.text for one in outcomes], documents, config)
        facts["contamination"] = clean_against_all(overlap, score_of(task, outcomes), config)
    return outcomes, facts


def _against(task: TaskFile, folder: Path, outcomes: "list[Outcome]", config: ProtocolConfig) -> dict[str, Any]:
    from components.evaluation.protocols import Outcome
    from components.evaluation.report import compare

    path = folder / f"{task.name}.items.jsonl"
    if not path.exists():
        raise InputError(f"{path}: not there; run this command with --out {folder} for the other checkpoint first")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    other = [Outcome(**{**row, "probabilities": tuple(row["probabilities"])}) for row in rows]
    return compare(task, other, outcomes, config)


def _line(task: TaskFile, facts: dict[str, Any]) -> str:
    chance = "" if facts["chance"] is None else f"; chance {facts['chance']:.3f}"
    notes = [
        f"{facts[key]} {words}"
        for key, words in (
            ("items_cut", "items lost their beginning, for they are longer than the context"),
            ("duplicates", "of all test items repeat another"),
            ("items_in_train", "test items stand in the train split"),
            ("left_out", "test rows were left out, as the task file says"),
        )
        if facts[key]
    ]
    if "calibration" in facts:
        notes.insert(0, f"calibration error {facts['calibration']['expected_calibration_error']:.3f}")
    interval = f"[{facts['low']:.3f}, {facts['high']:.3f}]"
    return "; ".join([f"{task.name:>20}: {task.metric} {facts['score']:.3f} {interval}, {facts['items']} items{chance}", *notes])


if __name__ == "__main__":
    sys.exit(main())
