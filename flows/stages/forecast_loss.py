"""Forecast the target's loss from the smaller runs and seal it, before the target trains."""

import argparse
import sys
from pathlib import Path
from typing import Any

from components.scaling.config import ExtrapolationConfig, LadderConfig
from components.tokenization.config import TokenizationConfig
from components.training.config import TrainingConfig
from components.transformer.config import ModelConfig
from flows import params, stage, tracking


class Sections(params.Sections):
    """What this stage reads of params.yaml; the target is model and training with the overrides of ``target``."""

    model: ModelConfig
    training: TrainingConfig
    tokenization: TokenizationConfig
    ladder: LadderConfig
    extrapolation: ExtrapolationConfig


def main(args: argparse.Namespace, loaded: Sections, run: tracking.Run) -> None:
    """metrics/ladder -> metrics/forecast.json."""
    from components.artifacts import write_json
    from components.scaling.forecast import make_forecast
    from components.scaling.ladder import read_ladder

    runs, excluded = read_ladder(Path(args.ladder), loaded.ladder)
    for left_out in excluded:
        print(f"left out: {left_out.rung}-{left_out.seed}, {left_out.reason}")
    record = make_forecast(runs, excluded, target_flops(loaded), loaded.extrapolation).record()
    write_json(Path(args.out), record)
    print(_line(record))
    run.log_metrics({key: record[key] for key in ("loss_nats", "low", "high", "compute_ratio")})
    run.log_artifact(Path(args.out))


def target_flops(loaded: Sections) -> int:
    """Operations of the target."""
    from components.transformer.accounting import train_flops
    from components.transformer.config import TransformerConfig

    config = TransformerConfig(**loaded.model.model_dump(), vocab_size=loaded.tokenization.vocab_size)
    return train_flops(config, loaded.training.tokens_seen)


def _line(record: dict[str, Any]) -> str:
    interval = f"{100 * record['confidence']:g} % interval {record['low']:.3f} to {record['high']:.3f}"
    source = f"{record['compute_ratio']:.1f} x the compute of the largest rung"
    return f"forecast: {record['loss_nats']:.3f} nats per token, {interval}, at {source}; sealed {record['seal'][:12]}"


if __name__ == "__main__":
    sys.exit(stage.execute(main, Sections, ["ladder", "out"]))
