"""Check the sealed forecast of pass rates against what the largest model does; falsehoods that the text repeats, over all sizes."""

import argparse
import sys
from pathlib import Path
from typing import Any

from components.capability.config import CapabilityConfig
from components.scaling.config import ExtrapolationConfig
from components.training.config import ComputeConfig
from flows import params, stage, tracking


class Sections(params.Sections):
    """What this stage reads of params.yaml."""

    capability: CapabilityConfig
    compute: ComputeConfig
    extrapolation: ExtrapolationConfig


def main(args: argparse.Namespace, loaded: Sections, run: tracking.Run) -> None:
    """The sealed forecast and all models -> metrics/capability_score.json."""
    from components.artifacts import read_json, write_json
    from components.capability.falsehood import truth_record
    from components.capability.forecast import score_record
    from components.capability.measure import Trained, measure, measure_truths
    from components.capability.problems import make_problems
    from components.scaling.forecast import verify_seal
    from components.training.trainer import prepare

    prepare(loaded.compute, 0)
    config, sealed_path = loaded.capability, Path(args.forecast)
    sealed = read_json(sealed_path)
    verify_seal(sealed, sealed_path)
    problems = make_problems(config.problems)
    target = Trained("target", Path(args.target), Path(args.target_metrics))
    family = [Trained(size, Path(args.models) / size, Path(args.metrics) / f"{size}.json") for size in config.sizes]
    truth = truth_record(measure_truths([*family, target], problems, loaded.extrapolation.confidence))
    score = {**score_record(sealed, measure(target, problems, config), config.samples), "falsehood": truth}
    write_json(Path(args.out), score)
    for bucket in score["buckets"]:
        print(line(bucket))
    print(f"falsehoods: the share of right answers {score['falsehood']['shows']}")
    run.log_artifact(Path(args.out))


def line(bucket: dict[str, Any]) -> str:
    """One bucket in words."""
    name = f"{bucket['task']}, {bucket['name']}"
    actual = "no problem" if bucket["actual"] is None else f"-E[log pass] {bucket['actual']:.3f}"
    if bucket["forecast"] is None:
        return f"{name}: {actual}, not forecast: {bucket['why_not']}"
    where = "inside" if bucket["inside"] else "outside"
    return f"{name}: {actual}, forecast {bucket['forecast']:.3f} ({bucket['low']:.3f} to {bucket['high']:.3f}): {where}"


if __name__ == "__main__":
    sys.exit(stage.execute(main, Sections, ["forecast", "models", "metrics", "target", "target-metrics", "out"]))
