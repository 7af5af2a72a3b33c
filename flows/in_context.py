"""Does a checkpoint learn from the examples in its prompt? Scores against K on task files: those of tasks/in_context/, or your own.

Each K is compared with no examples, and with the same examples after they have exchanged their labels, item by item.
Writes OUT/in_context.json and OUT/TASK.svg.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from components.evaluation.task_file import TaskFile
from flows import command, task_files


def main(argv: list[str] | None = None) -> int:
    """Measure; exit status 2 with one line on bad input."""
    return task_files.run(task_files.parser("python -m flows.in_context", __doc__).parse_args(argv), measure_all)


def measure_all(args: argparse.Namespace, loaded: task_files.Sections, files: dict[Path, TaskFile]) -> None:
    """All tasks, one after the other, then the folder."""
    from components.artifacts import atomic_folder, write_json, write_text
    from components.evaluation.in_context import measure
    from components.evaluation.task_data import load_task
    from components.reporting.evaluation_figures import shots_curve
    from components.transformer.checkpoint import weights_sha256

    examiner = task_files.open_examiner(args, loaded)
    most = max(loaded.protocol.in_context_shots)
    data = {path: load_task(task.model_copy(update={"shots": most}), path.parent, loaded.protocol) for path, task in files.items()}
    found: dict[str, Any] = {}
    with atomic_folder(args.out) as scratch:
        for path, task in files.items():
            found[task.name] = measure(examiner, task, data[path].test, data[path].train, loaded.protocol)
            write_text(scratch / f"{task.name}.svg", shots_curve(task.name, found[task.name]).standalone())
            print("\n".join(_lines(task.name, found[task.name])), flush=True)
        write_json(scratch / "in_context.json", {"weights_sha256": weights_sha256(examiner.model), "tasks": found})


def _lines(name: str, facts: dict[str, Any]) -> list[str]:
    chance = "" if facts["chance"] is None else f", chance {facts['chance']:.3f}"
    lines = [f"{name}: {facts['verdict']} ({facts['metric']}, {facts['items']} items{chance})"]
    for shots, row in facts["shots"].items():
        notes = [f"{row['mean_shots_used']:.1f} fitted"] if row["mean_shots_used"] < int(shots) else []
        if "less_zero" in row:
            notes.append(f"against K = 0 {_difference(row['less_zero'])}")
        if "control" in row:
            notes.append(f"labels shuffled {row['control']['score']:.3f}, against them {_difference(row['less_control'])}")
        lines.append("; ".join([f"  K = {shots:>2}: {row['score']:.3f} [{row['low']:.3f}, {row['high']:.3f}]", *notes]))
    return lines


def _difference(one: dict[str, Any]) -> str:
    return f"{one['difference']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}]"


if __name__ == "__main__":
    sys.exit(command.run(main))
