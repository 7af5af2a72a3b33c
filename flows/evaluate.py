"""Measure a checkpoint on task files: the shipped ones of tasks/, or your own (tasks/README.md).

Writes OUT/scores.json and OUT/TASK.items.jsonl. With --against, another OUT, both are compared item by item. With --corpus and
--tokens, the documents that the model was trained on are searched for the test items, and the scores of clean items are told apart.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from components.errors import InputError
from components.evaluation.config import ProtocolConfig
from components.evaluation.task_file import DataFile, TaskFile
from components.training.config import ComputeConfig
from flows import light_imports, params, quiet, stage

if TYPE_CHECKING:
    from components.evaluation.protocols import Examiner, Outcome


F = TypeVar("F", bound=DataFile)


class Sections(params.Sections):
    """What this command reads of params.yaml."""

    protocol: ProtocolConfig
    compute: ComputeConfig


def main(argv: list[str] | None = None) -> int:
    """Measure; exit status 2 with one line on bad input."""
    args = _parse(argv)
    quiet.set_variables()
    light_imports.install()
    try:
        loaded = params.load(Sections, args.apply)
        files = {path: read_task_file(path) for path in args.task}
        if len({task.name for task in files.values()}) < len(args.task):
            raise InputError("two of the task files have one name; rename one, for results are kept by name")
        evaluate(args, loaded, files)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return stage.EXIT_BAD_INPUT
    return 0


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m flows.evaluate", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="folder of the checkpoint")
    parser.add_argument("--task", type=Path, nargs="+", required=True, help="task files")
    parser.add_argument("--tokenizer", type=Path, default=Path("data/tokens/tokenizer.json"))
    parser.add_argument("--out", type=Path, required=True, help="folder for the scores, replaced as a whole")
    parser.add_argument("--against", type=Path, help="OUT of another checkpoint, to compare with")
    parser.add_argument("--corpus", type=Path, help="the curated corpus that the checkpoint was trained on")
    parser.add_argument("--tokens", type=Path, help="its token shards, which say which documents were trained on")
    parser.add_argument("--apply", action="append", default=[], metavar="PLACE", help="overrides in params.yaml to apply")
    args = parser.parse_args(argv)
    if (args.corpus is None) != (args.tokens is None):
        parser.error("--corpus and --tokens go together")
    return args


def read_task_file(path: Path) -> TaskFile:
    """Parse and check one task file; InputError names the key."""
    return read_as(TaskFile, path)


def read_as(form: type[F], path: Path) -> F:
    """A file of tasks/, or a user's, in the form of a task or of its data alone."""
    if not path.exists():
        raise InputError(f"{path}: no such task file; the shipped ones lie in tasks/")
    try:
        return form.model_validate(params.read_yaml(path))
    except ValidationError as error:
        raise InputError("; ".join(f"{path}: {params.describe(one)}" for one in error.errors())) from None


def evaluate(args: argparse.Namespace, loaded: Sections, files: dict[Path, TaskFile]) -> None:
    """All tasks, one after the other, then the folder."""
    from components.artifacts import atomic_folder, write_json, write_text
    from components.evaluation.contamination import trained_texts
    from components.evaluation.protocols import Examiner
    from components.tokenization.byte_pair import BytePairTokenizer
    from components.training.trainer import prepare
    from components.transformer.checkpoint import load_checkpoint, weights_sha256

    prepare(loaded.compute, loaded.protocol.seed)
    model = load_checkpoint(args.checkpoint).to("cuda" if loaded.compute.accelerator == "gpu" else "cpu")
    examiner = Examiner(model, BytePairTokenizer.load(args.tokenizer), loaded.protocol)
    documents = trained_texts(args.corpus, args.tokens) if args.corpus else None
    scores: dict[str, Any] = {}
    with atomic_folder(args.out) as scratch:
        for path, task in files.items():
            outcomes, scores[task.name] = _measure(examiner, task, path.parent, loaded.protocol, documents)
            if args.against:
                scores[task.name]["against"] = _against(task, args.against, outcomes, loaded.protocol)
            write_text(scratch / f"{task.name}.items.jsonl", "".join(json.dumps(vars(one), ensure_ascii=False) + "\n" for one in outcomes))
            print(_line(task, scores[task.name]), flush=True)
        write_json(scratch / "scores.json", {"weights_sha256": weights_sha256(model), "tasks": scores})


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
    interval = f"[{facts['low']:.3f}, {facts['high']:.3f}]"
    return "; ".join([f"{task.name:>20}: {task.metric} {facts['score']:.3f} {interval}, {facts['items']} items{chance}", *notes])


if __name__ == "__main__":
    sys.exit(main())
