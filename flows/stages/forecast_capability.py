"""Forecast what the largest model of the family can do from the smaller ones, and seal it, before that model trains."""

import argparse
import sys
from pathlib import Path
from typing import Any

from components.capability.config import CapabilityConfig
from components.scaling.config import ExtrapolationConfig
from components.training.config import ComputeConfig, TrainingConfig
from components.transformer.config import ModelConfig
from flows import params, stage, tracking


class Sections(params.Sections):
    """What this stage reads of params.yaml; the target is model and training with the overrides it applies."""

    model: ModelConfig
    training: TrainingConfig
    compute: ComputeConfig
    capability: CapabilityConfig
    extrapolation: ExtrapolationConfig


def main(args: argparse.Namespace, loaded: Sections, run: tracking.Run) -> None:
    """data/capability and metrics/capability -> metrics/capability_forecast.json."""
    from components.artifacts import write_json
    from components.capability.forecast import make_record
    from components.capability.measure import Trained, measure
    from components.capability.problems import make_problems
    from components.training.trainer import prepare

    prepare(loaded.compute, 0)
    config = loaded.capability
    problems = make_problems(config.problems)
    places = [Trained(size, Path(args.models) / size, Path(args.metrics) / f"{size}.json") for size in config.sizes]
    models = [measure(place, problems, config) for place in places]
    fitting = loaded.extrapolation.model_copy(update={"exponent_max": config.exponent_max})
    record = make_record(problems, models, target_flops(loaded), config.samples, config.min_problems, fitting)
    write_json(Path(args.out), record)
    for bucket in record["buckets"]:
        print(line(bucket))
    print(f"at {record['compute_ratio']:.1f} x the compute of the largest small model; sealed {record['seal'][:12]}")
    run.log_artifact(Path(args.out))


def target_flops(loaded: Sections) -> int:
    """Operations of the target."""
    from components.capability.tokens import VOCAB_SIZE
    from components.transformer.accounting import train_flops
    from components.transformer.config import TransformerConfig

    config = TransformerConfig(**loaded.model.model_dump(), vocab_size=VOCAB_SIZE)
    return train_flops(config, loaded.training.tokens_seen)


def line(bucket: dict[str, Any]) -> str:
    """One bucket in words."""
    name = f"{bucket['task']}, {bucket['name']} ({len(bucket['problems'])} problems)"
    told = bucket["forecast"]
    if told is None:
        return f"{name}: no forecast, {bucket['why_not']}"
    return f"{name}: -E[log pass] {told['minus_log_pass']:.3f} ({told['low']:.3f} to {told['high']:.3f})"


if __name__ == "__main__":
    sys.exit(stage.execute(main, Sections, ["models", "metrics", "out"]))
