"""Fine-tune a pre-trained GPT, or the same GPT from scratch, on one labelled task, and score it."""

import argparse
import sys
from pathlib import Path

from components.errors import InputError
from components.finetuning.config import FinetuningConfig
from components.training.config import ComputeConfig
from flows import params, stage, tracking


class Sections(params.Sections):
    """What this stage reads of params.yaml."""

    finetuning: FinetuningConfig
    compute: ComputeConfig


def main(args: argparse.Namespace, loaded: Sections, run: tracking.Run) -> None:
    """data/tasks, data/tokens and a checkpoint -> a fine-tuned checkpoint and its metrics."""
    from components.artifacts import write_json
    from components.finetuning.run import finetune, save_finetuned
    from components.tasks.items import TaskSet
    from components.tokenization.byte_pair import BytePairTokenizer
    from flows.progress import Progress

    if args.init not in ("pretrained", "scratch"):
        raise InputError(f"--init {args.init}: must be pretrained or scratch")
    run.log_dataset(args.task, Path(args.tasks))
    task = TaskSet(Path(args.tasks)).load(args.task)
    tokenizer = BytePairTokenizer.load(Path(args.tokens) / "tokenizer.json")
    with Progress(f"{args.task} {args.init}", "steps") as progress:

        def on_row(row: dict[str, float], num_steps: int) -> None:
            progress.update(int(row["step"]), num_steps, f"loss {row['loss_nats']:.3f} nats")

        result = finetune(task, tokenizer, Path(args.checkpoint), args.init, loaded.finetuning, loaded.compute, args.seed, on_row)
    save_finetuned(Path(args.out), task, result)
    write_json(Path(args.metrics), result.metrics)
    m = result.metrics
    for line in m["warnings"]:
        print(f"warning: {line}", file=sys.stderr)
    print(f"{args.task} {args.init}: accuracy {m['score']:.3f} [{m['low']:.3f}, {m['high']:.3f}], majority class {m['majority']:.3f}")
    run.log_rows(result.rows)
    run.log_metrics({name: m[name] for name in ("score", "low", "high", "majority", "validation_score") if m[name] is not None})
    run.log_model(Path(args.out))


if __name__ == "__main__":
    sys.exit(stage.execute(main, Sections, ["tasks", "tokens", "checkpoint", "task", "init", "out", "metrics"]))
