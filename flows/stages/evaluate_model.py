"""Measure the target model: bits per byte of held-out text beside baselines, and zero- to few-shot tasks."""

import argparse
import sys
from pathlib import Path

from components.evaluation.config import EvaluationConfig
from components.training.config import ComputeConfig
from flows import params, stage, tracking


class Sections(params.Sections):
    """What this stage reads of params.yaml."""

    evaluation: EvaluationConfig
    compute: ComputeConfig


def main(args: argparse.Namespace, loaded: Sections, run: tracking.Run) -> None:
    """data/tokens, data/corpus, data/tasks and a checkpoint -> metrics, and the answers to each task's items."""
    from components.artifacts import Corpus, TokenShards, atomic_folder, write_json
    from components.evaluation.answers import SUFFIX, write_answers
    from components.evaluation.evaluate import evaluate
    from components.tasks.items import TaskSet
    from components.tokenization.byte_pair import BytePairTokenizer
    from components.training.trainer import prepare
    from components.transformer.checkpoint import load_checkpoint
    from flows.progress import Progress

    run.log_dataset("tokens", Path(args.tokens))
    prepare(loaded.compute, args.seed)
    model = load_checkpoint(Path(args.checkpoint)).to("cuda" if loaded.compute.accelerator == "gpu" else "cpu")
    tokenizer = BytePairTokenizer.load(Path(args.tokens) / "tokenizer.json")
    shards, corpus, tasks = TokenShards(Path(args.tokens)), Corpus(Path(args.corpus)), TaskSet(Path(args.tasks))
    with Progress("evaluate", "scores") as progress:
        measured, answers = evaluate(loaded.evaluation, model, tokenizer, shards, corpus, tasks, progress.update)
    for name, bits in measured["bits_per_byte"].items():
        print(f"{name:>12}: {bits:.3f} bits per byte")
    for task, rows in measured["few_shot"].items():
        scores = ", ".join(f"{shots} shots {row['score']:.3f} [{row['low']:.3f}, {row['high']:.3f}]" for shots, row in rows.items())
        print(f"{task:>24}: {scores}; chance {next(iter(rows.values()))['chance']:.3f}")
    with atomic_folder(Path(args.out)) as scratch:
        for task, found in answers.items():
            write_answers(scratch / f"{task}.{SUFFIX}", found)
    write_json(Path(args.metrics), measured)
    run.log_metrics({name: value for name, value in tracking.flatten(measured).items() if isinstance(value, int | float)})


if __name__ == "__main__":
    sys.exit(stage.execute(main, Sections, ["tokens", "corpus", "tasks", "checkpoint", "out", "metrics"]))
