"""Measure a checkpoint on task files: the shipped ones of tasks/, or your own (tasks/README.md).

Writes OUT/scores.json, OUT/TASK.items.jsonl and, for multiple choice, OUT/TASK.reliability.svg. With --against, another OUT, both
are compared item by item. `python -m flows.contamination OUT` searches the documents that the model was trained on for the test items.
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import InputError
from components.evaluation.config import ProtocolConfig
from components.evaluation.task_file import TaskFile
from flows import command, task_files

if TYPE_CHECKING:
    from components.evaluation.protocols import Examiner, Outcome
    from components.evaluation.task_data import Loaded


def main(argv: list[str] | None = None) -> int:
    """Measure; exit status 2 with one line on bad input."""
    return task_files.run(_parse(argv), evaluate)


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = task_files.parser("python -m flows.evaluate", __doc__)
    parser.add_argument("--against", type=Path, help="OUT of another checkpoint, to compare with")
    return parser.parse_args(argv)


def evaluate(args: argparse.Namespace, loaded: task_files.Sections, files: dict[Path, TaskFile]) -> None:
    """All tasks, one after the other, then the folder."""
    from components.artifacts import atomic_folder, read_json, write_json, write_json_lines, write_text
    from components.evaluation.answers import SUFFIX
    from components.evaluation.task_data import load_task
    from components.reporting.evaluation_figures import reliability_diagram
    from components.transformer.checkpoint import weights_sha256

    examiner = task_files.open_examiner(args, loaded)
    data = {path: load_task(task, path.parent, loaded.protocol) for path, task in files.items()}  # a bad row is told before any is scored
    scores: dict[str, Any] = {}
    with atomic_folder(args.out) as scratch:
        for path, task in files.items():
            outcomes, facts = _measure(examiner, task, data[path], loaded.protocol)
            if args.against:
                facts["against"] = _against(task, args.against, outcomes, loaded.protocol)
            write_json_lines(scratch / f"{task.name}.{SUFFIX}", map(vars, outcomes))
            if "calibration" in facts:
                write_text(scratch / f"{task.name}.reliability.svg", reliability_diagram(task.name, facts["calibration"]).standalone())
            print(_line(task, facts), flush=True)
            scores[task.name] = facts
        hashes = {
            "checkpoint_sha256": read_json(args.checkpoint / "manifest.json")["sha256"],
            "weights_sha256": weights_sha256(examiner.model),
        }
        write_json(scratch / "scores.json", {**hashes, "tasks": scores})


def _measure(examiner: "Examiner", task: TaskFile, data: "Loaded", config: ProtocolConfig) -> tuple[list["Outcome"], dict[str, Any]]:
    from components.evaluation.report import summary

    outcomes = examiner.examine(task, data.test, data.train)
    facts = {**summary(task, outcomes, config), "duplicates": data.duplicates, "items_in_train": data.in_train, "left_out": data.left_out}
    return outcomes, {**facts, "task": task.model_dump(mode="json", exclude_unset=True)}


def _against(task: TaskFile, folder: Path, outcomes: "list[Outcome]", config: ProtocolConfig) -> dict[str, Any]:
    from components.evaluation.report import compare

    return compare(task, read_outcomes(folder, task.name), outcomes, config)


def read_outcomes(folder: Path, task: str) -> "list[Outcome]":
    """What came of each item of a task, from the OUT of this command; InputError where it is not there or damaged."""
    from components.artifacts import read_json_lines
    from components.evaluation.answers import SUFFIX
    from components.evaluation.protocols import Outcome

    path = folder / f"{task}.{SUFFIX}"
    try:
        return [Outcome(**{**row, "probabilities": tuple(row["probabilities"])}) for row in read_json_lines(path)]
    except (InputError, TypeError, KeyError):
        raise InputError(f"{path}: not there or damaged; run flows.evaluate with --out {folder} for that checkpoint first") from None


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
    sys.exit(command.run(main))
