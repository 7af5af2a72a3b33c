"""Check the sealed forecast against the loss that the target reached."""

import argparse
import sys
from pathlib import Path

from flows import params, stage, tracking


class Sections(params.Sections):
    """This stage reads nothing of params.yaml: the forecast fixed everything when it was sealed."""


def main(args: argparse.Namespace, loaded: Sections, run: tracking.Run) -> None:
    """metrics/forecast.json and metrics/target.json -> metrics/forecast_score.json."""
    from components.artifacts import read_json, write_json
    from components.scaling.forecast import score_forecast, verify_seal

    forecast_path, target_path = Path(args.forecast), Path(args.target)
    forecast = read_json(forecast_path)
    verify_seal(forecast, forecast_path)
    score = score_forecast(forecast, read_json(target_path), target_path)
    write_json(Path(args.out), score)
    where = "inside" if score["inside"] else "outside"
    error = f"off by {100 * score['relative_error']:+.2f} %, {where} the interval"
    print(f"forecast {score['loss_nats']:.3f}, actual {score['actual_loss_nats']:.3f} nats per token: {error}")
    run.log_metrics({key: score[key] for key in ("loss_nats", "actual_loss_nats", "error_nats", "relative_error", "inside")})
    run.log_artifact(Path(args.out))


if __name__ == "__main__":
    sys.exit(stage.execute(main, Sections, ["forecast", "target", "out"]))
