"""Fine-tune a checkpoint on a task file by GPT-1's transformations: a shipped one of tasks/, or your own (tasks/README.md).

Writes OUT whole or not at all: the fine-tuned checkpoint, its curve, metrics.json and what it says of each test item (items.jsonl).
"""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import InputError
from components.evaluation.task_file import DataFile, TaskFile
from flows import command, light_imports, params, quiet, stage
from flows.stages.finetune_model import Sections, show, train
from flows.task_files import read_as

if TYPE_CHECKING:
    from components.finetuning.run import Init


def main(argv: list[str] | None = None) -> int:
    """Fine-tune; exit status 2 with one line on bad input."""
    args = _parse(argv)
    quiet.set_variables()
    light_imports.install()
    try:
        finetune(args, params.load(Sections, args.apply))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return stage.EXIT_BAD_INPUT
    return 0


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m flows.finetune", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="folder of the checkpoint")
    parser.add_argument("--task", type=Path, required=True, help="task file with a part finetuning")
    parser.add_argument("--from-scratch", action="store_true", help="take only the shape of the checkpoint, for comparison")
    parser.add_argument("--tokenizer", type=Path, default=Path("data/tokens/tokenizer.json"))
    parser.add_argument("--out", type=Path, required=True, help="folder for the fine-tuned checkpoint, replaced as a whole")
    parser.add_argument("--seed", type=int, default=0, help="of new weights, batches and dropout")
    parser.add_argument("--apply", action="append", default=[], metavar="PLACE", help="overrides in params.yaml to apply")
    return parser.parse_args(argv)


def finetune(args: argparse.Namespace, loaded: Sections) -> None:
    """One run."""
    from components.artifacts import atomic_folder, read_manifest, write_json
    from components.evaluation.task_data import labelled_task
    from components.finetuning.run import write_finetuned

    sha256 = read_manifest(args.checkpoint, "checkpoint")["sha256"]  # first, for the task's data may come from far
    found = labelled_task(read_data_file(args.task), args.task.parent, loaded.finetuning.data_seed)
    init: Init = "scratch" if args.from_scratch else "pretrained"
    result = train(found.draft.task, args.tokenizer, args.checkpoint, init, loaded, args.seed)
    with atomic_folder(args.out) as scratch:
        write_finetuned(scratch, found.draft, result)
        # The weights that it began with lead flows.contamination from the score to the documents.
        began = None if args.from_scratch else sha256
        write_json(scratch / "metrics.json", {**result.metrics, "left_out": found.left_out, "checkpoint_sha256": began})
    for split, number in found.left_out.items():
        if number:
            print(f"{found.draft.name}: {number} {split} rows were left out, as the task file says")
    show(result.metrics, init)


def read_data_file(path: Path) -> DataFile:
    """A task file, or one that says nothing of prompts (no ``kind``)."""
    return read_as(TaskFile if not path.exists() or "kind" in params.read_yaml(path) else DataFile, path)


if __name__ == "__main__":
    sys.exit(command.run(main))
