"""Forecast the target's loss from the smaller runs and seal it, before the target trains."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.scaling.config import ExtrapolationConfig, LadderConfig
from components.tokenization.config import TokenizationConfig
from components.training.config import TrainingConfig
from components.transformer.config import ModelConfig
from flows import params, stage, tracking

if TYPE_CHECKING:
    from components.scaling.methods import Target


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
    from components.scaling.ladder import ladder_table, read_ladder
    from components.scaling.methods import published_methods

    runs, excluded = read_ladder(Path(args.ladder), loaded.ladder)
    for left_out in excluded:
        print(f"left out: {left_out.rung}-{left_out.seed}, {left_out.reason}")
    target, ladder = planned_target(loaded), Path(args.ladder)
    all_params = ladder_table(ladder, loaded.ladder, "parameters")
    non_embedding = ladder_table(ladder, loaded.ladder, "parameters_non_embedding")
    others = published_methods(all_params, non_embedding, target, loaded.extrapolation)
    record = make_forecast(runs, excluded, target.train_flops, loaded.extrapolation, others).record()
    write_json(Path(args.out), record)
    print(_line(record))
    run.log_metrics({key: record[key] for key in ("loss_nats", "low", "high", "compute_ratio")})
    run.log_artifact(Path(args.out))


def planned_target(loaded: Sections) -> "Target":
    """Operations, parameters and tokens of the target."""
    from components.scaling.methods import Target
    from components.transformer.accounting import num_parameters, num_parameters_non_embedding, train_flops
    from components.transformer.config import TransformerConfig

    config = TransformerConfig(**loaded.model.model_dump(), vocab_size=loaded.tokenization.vocab_size)
    tokens = loaded.training.tokens_seen
    return Target(train_flops(config, tokens), num_parameters(config), num_parameters_non_embedding(config), tokens)


def _line(record: dict[str, Any]) -> str:
    interval = f"{100 * record['confidence']:g} % interval {record['low']:.3f} to {record['high']:.3f}"
    source = f"{record['compute_ratio']:.1f} x the compute of the largest rung"
    return f"forecast: {record['loss_nats']:.3f} nats per token, {interval}, at {source}; sealed {record['seal'][:12]}"


if __name__ == "__main__":
    sys.exit(stage.execute(main, Sections, ["ladder", "out"]))
