"""Train one GPT on the token stream: a rung of the ladder, the target, or a cell of a study."""

import argparse
import sys
from pathlib import Path

from components.training.config import ComputeConfig, TrainingConfig
from components.transformer.config import ModelConfig
from flows import params, processes, scratch, stage, tracking

TRACKED_POINTS = 250  # of a curve in MLflow, which stores each as a row; curve.csv has every step
SHOWN_DOCUMENTS = 5


class Sections(params.Sections):
    """What this stage reads of params.yaml."""

    model: ModelConfig
    training: TrainingConfig
    compute: ComputeConfig


def main(args: argparse.Namespace, loaded: Sections, run: tracking.Run) -> None:
    """data/tokens -> a checkpoint folder with its curve, and its metrics."""
    from components.artifacts import TokenShards, write_json
    from components.training.divergence import ADVICE
    from components.training.pretrain import PretrainConfig, pretrain
    from flows.progress import Progress

    processes.check(loaded.compute)
    tokens, out = Path(args.tokens), Path(args.out)
    code = [Path("components/transformer"), Path("components/training")]
    state = scratch.state_file(stage.stage_name(__spec__.name), _decisive(loaded), args.seed, [tokens / "manifest.json"], code)
    config = PretrainConfig(loaded.model, loaded.training, loaded.compute)
    if not processes.is_first():
        pretrain(TokenShards(tokens), config, args.seed, out, state, lambda row: None)
        return
    for line in scratch.describe(state):
        print(line)
    run.log_dataset("train", tokens)
    every = max(1, loaded.training.num_steps // TRACKED_POINTS)
    with Progress(out.name, "tokens") as progress:

        def show(row: dict[str, float]) -> None:
            progress.update(int(row["tokens"]), loaded.training.tokens_seen, f"loss {row['loss_nats']:.3f}")
            if "val_loss_nats" in row or row["step"] % every == 0:
                run.log_rows([row])

        metrics = pretrain(TokenShards(tokens), config, args.seed, out, state, show)
    assert metrics is not None, "the first process measures"
    write_json(Path(args.metrics), metrics)
    run.log_metrics({name: value for name, value in metrics.items() if isinstance(value, int | float)})
    run.log_model(out)
    if metrics["diverged"]:
        documents = metrics["diverged_documents"]
        more = f" and {len(documents) - SHOWN_DOCUMENTS} more" if len(documents) > SHOWN_DOCUMENTS else ""
        print(f"diverged at step {metrics['diverged_step']}: {metrics['diverged_reason']}; recorded as an outcome; {ADVICE}")
        print(f"documents of that step: {', '.join(documents[:SHOWN_DOCUMENTS])}{more}")
        print(f"all of it: python -m flows.step {out} --step {metrics['diverged_step']}")
    else:
        print(f"held-out loss {metrics['loss_nats']:.4f} nats per token, {metrics['bits_per_byte']:.4f} bits per byte")


def _decisive(loaded: Sections) -> Sections:
    """What a saved state depends on: the number of devices only with dropout, whose masks each device draws for itself."""
    return loaded if loaded.model.dropout else loaded.model_copy(update={"compute": loaded.compute.alone()})


if __name__ == "__main__":
    sys.exit(stage.execute(main, Sections, ["tokens", "out", "metrics"]))
