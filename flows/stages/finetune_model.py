"""Fine-tune a pre-trained GPT, or the same GPT from scratch, on one labelled task, and score it."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import InputError
from components.finetuning.config import FinetuningConfig
from components.training.config import ComputeConfig
from flows import params, stage, tracking

if TYPE_CHECKING:
    from components.finetuning.run import FinetuneResult, Init
    from components.tasks.items import LabelledTask

ADVICE = "lower finetuning.learning_rate, or lengthen finetuning.warmup_share"
LOGGED = ("score", "low", "high", "majority", "validation_score")


class Sections(params.Sections):
    """What this stage reads of params.yaml."""

    finetuning: FinetuningConfig
    compute: ComputeConfig


def main(args: argparse.Namespace, loaded: Sections, run: tracking.Run) -> None:
    """data/tasks, data/tokens and a checkpoint -> a fine-tuned checkpoint and its metrics."""
    from components.artifacts import write_json
    from components.finetuning.run import save_finetuned
    from components.tasks.items import TaskSet

    if args.init not in ("pretrained", "scratch"):
        raise InputError(f"--init {args.init}: must be pretrained or scratch")
    run.log_dataset(args.task, Path(args.tasks))
    draft = TaskSet(Path(args.tasks)).draft(args.task)
    result = train(draft.task, Path(args.tokens) / "tokenizer.json", Path(args.checkpoint), args.init, loaded, args.seed)
    save_finetuned(Path(args.out), draft, result)
    write_json(Path(args.metrics), result.metrics)
    show(result.metrics, args.init)
    run.log_rows(result.rows)
    run.log_metrics({name: result.metrics[name] for name in LOGGED if result.metrics[name] is not None})
    run.log_model(Path(args.out))


def train(task: "LabelledTask", tokenizer: Path, checkpoint: Path, init: "Init", loaded: Sections, seed: int) -> "FinetuneResult":
    """Fine-tune with a progress bar."""
    from components.finetuning.run import finetune
    from components.tokenization.byte_pair import BytePairTokenizer
    from flows.progress import Progress

    encoder = BytePairTokenizer.load(tokenizer)
    with Progress(f"{task.name} {init}", "steps") as progress:

        def on_row(row: dict[str, float], num_steps: int) -> None:
            progress.update(int(row["step"]), num_steps, f"loss {row['loss_nats']:.3f} nats")

        return finetune(task, encoder, checkpoint, init, loaded.finetuning, loaded.compute, seed, on_row)


def show(metrics: dict[str, Any], init: str) -> None:
    """Warnings, and the score in one line."""
    for line in metrics["warnings"]:
        print(f"warning: {line}", file=sys.stderr)
    name = f"{metrics['task']} {init}"
    if metrics["diverged"]:
        print(f"{name}: diverged after step {metrics['diverged_step']}: {metrics['diverged_reason']}; recorded as an outcome; {ADVICE}")
        return
    others = "".join(f"; {metric} {value:.3f}" for metric, value in metrics["scores"].items() if metric != metrics["metric"])
    span = f"[{metrics['low']:.3f}, {metrics['high']:.3f}]"
    print(f"{name}: {metrics['metric']} {metrics['score']:.3f} {span}, majority class {metrics['majority']:.3f}{others}")


if __name__ == "__main__":
    sys.exit(stage.execute(main, Sections, ["tasks", "tokens", "checkpoint", "task", "init", "out", "metrics"]))
