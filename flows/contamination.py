"""Was a score's model trained on the test items? From the score along dvc.lock to the documents; scores of all, clean and dirty items.

SCORE is what flows.evaluate or flows.finetune wrote, or a score of the graph; of a checkpoint, which answered nothing, items are counted.
An item is dirty if a run of N of its words stands in a training document (GPT-3 appendix C; N: section protocol of params.yaml).
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from components.errors import InputError
from components.evaluation.config import ProtocolConfig
from flows import command, params, stage
from flows.ancestry import SHORT_HASH, Ancestors, ancestors

Found = dict[str, dict[str, Any]]
"""Task -> facts of ``contamination.clean_against_all``, or the counts alone."""


class Sections(params.Sections):
    """What this command reads of params.yaml."""

    protocol: ProtocolConfig


def main(argv: Sequence[str] | None = None) -> int:
    """Print the way from the score to the documents, and a line for each task; exit status 2 with one line where there is no way."""
    parser = argparse.ArgumentParser(prog="python -m flows.contamination", description=__doc__)
    parser.add_argument(
        "score",
        metavar="SCORE",
        help="OUT of flows.evaluate or flows.finetune; a file of metrics/, a checkpoint, or the id of a run in MLflow",
    )
    parser.add_argument("--json", action="store_true", help="all facts as JSON")
    args = parser.parse_args(argv)
    try:
        config = params.load(Sections).protocol
        way = ancestors(args.score)
        documents, found = search(way, config)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return stage.EXIT_BAD_INPUT
    if args.json:
        facts = {"cell": way.cell, "hashes": {path.as_posix(): md5 for path, md5 in way.hashes.items()}, "documents": documents}
        print(json.dumps({**facts, "tasks": found}, indent=2, sort_keys=True))
    else:
        print("\n".join([*_way(way, args.score, documents), *(_line(task, facts) for task, facts in found.items())]))
    return 0


def search(way: Ancestors, config: ProtocolConfig) -> tuple[int, Found]:
    """How many documents the model was trained on, and what of each task's items stands in them."""
    from components.artifacts import read_json
    from components.evaluation.contamination import of_fine_tuned, trained_texts

    documents = trained_texts(way.corpus, way.tokens)
    if way.answers is None:
        found = _counts(way, documents, config)
    elif (way.answers / "scores.json").exists():
        found = _of_task_files(way.answers, documents, config)
    elif (way.answers / "task.json").exists():
        found = {read_json(way.answers / "task.json")["task"]: of_fine_tuned(way.answers, documents, config)}
    else:
        found = _of_prompts(way.answers, documents, config)
    return len(documents), found


def _of_task_files(folder: Path, documents: Sequence[str], config: ProtocolConfig) -> Found:
    """OUT of flows.evaluate."""
    from components.artifacts import read_json
    from components.evaluation.contamination import clean_against_all, find_overlap
    from components.evaluation.report import score_of
    from components.evaluation.task_file import TaskFile
    from flows.evaluate import read_outcomes

    found = {}
    for name, facts in read_json(folder / "scores.json")["tasks"].items():
        task, outcomes = TaskFile.model_validate(facts["task"]), read_outcomes(folder, name)
        overlap = find_overlap([one.text for one in outcomes], documents, config)
        found[name] = clean_against_all(overlap, score_of(task, outcomes), config)
    return found


def _of_prompts(folder: Path, documents: Sequence[str], config: ProtocolConfig) -> Found:
    """The answers that the graph's evaluation kept."""
    from components.evaluation.answers import SUFFIX
    from components.evaluation.contamination import of_prompted

    return {
        f"{path.name.removesuffix(f'.{SUFFIX}')}, K = {shots}": facts
        for path in sorted(folder.glob(f"*.{SUFFIX}"))
        for shots, facts in of_prompted(path, documents, config).items()
    }


def _counts(way: Ancestors, documents: Sequence[str], config: ProtocolConfig) -> Found:
    """Of the tasks of the graph; of a fine-tuned model, of its own."""
    from components.evaluation.contamination import counts, find_overlap
    from components.tasks.evaluated import texts_of
    from components.tasks.items import TaskSet

    tasks = TaskSet(way.tasks)
    texts = {name: ["\n".join(texts_of(item)) for item in tasks.load(name).test] for name in tasks.names() if way.task in (None, name)}
    return {name: counts(find_overlap(items, documents, config)) for name, items in texts.items()}


def _way(way: Ancestors, score: str, documents: int) -> Iterator[str]:
    yield f"score   {score}"
    yield f"model   {way.checkpoint} {way.hashes[way.checkpoint][:SHORT_HASH]}, made by {way.cell}"
    yield f"tokens  {way.tokens} {way.hashes[way.tokens][:SHORT_HASH]}"
    yield f"corpus  {way.corpus} {way.hashes[way.corpus][:SHORT_HASH]}: {documents:,} documents in the training tokens"


def _line(task: str, facts: dict[str, Any]) -> str:
    items, short = facts["clean_items"] + facts["dirty_items"], f"{facts['short_items']:,} too short to tell"
    line = f"{task:>32}: N = {facts['ngram_words']:>2}, {facts['dirty_items']:,} of {items:,} items dirty, {short}"
    if "all" not in facts:
        return line
    scores = ", ".join(f"{part} {facts[part]:.3f}" for part in ("all", "clean", "dirty") if part in facts)
    if change := facts.get("clean_less_all"):
        scores += f"; clean - all {change['difference']:+.3f} [{change['low']:+.3f}, {change['high']:+.3f}]"
    return f"{line}; {scores}: {facts['verdict']}"


if __name__ == "__main__":
    sys.exit(command.run(main))
