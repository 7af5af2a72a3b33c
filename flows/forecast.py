"""Forecast the loss of a larger run from a table of smaller ones: a CSV or JSON file with columns of N, D, C and loss.

By default at the N and D of least loss for the compute. The interval is the law's: where the loss would lie on average over new runs;
--interval run adds the scatter of one run, and what laws drift by beyond the runs.
"""

import argparse
import json
import math
import sys
from pathlib import Path

from components.errors import InputError
from components.scaling.config import ExtrapolationConfig
from flows import command, params, stage

BOOTSTRAP_SEED, MIN_DRAWS = 0, 100
QUANTITIES = ("n_params", "n_tokens", "flops", "loss_nats")


class Sections(params.Sections):
    """How laws are fitted."""

    extrapolation: ExtrapolationConfig


def main(argv: list[str] | None = None) -> int:
    """Print a forecast; exit status 2 and one line if the table or the question is no good."""
    args = _parser().parse_args(argv)
    try:
        print(_answer(args, params.load(Sections).extrapolation))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return stage.EXIT_BAD_INPUT
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m flows.forecast", description=__doc__)
    parser.add_argument("table", type=Path, metavar="TABLE", help="CSV file with a line of names and a line for each run, or JSON records")
    parser.add_argument("--at-flops", type=float, metavar="C", help="compute of the run whose loss is forecast, FLOP")
    parser.add_argument("--n-params", type=float, metavar="N", help="its parameters; without, those of least loss")
    parser.add_argument("--n-tokens", type=float, metavar="D", help="its training tokens; without, those of least loss")
    parser.add_argument("--confidence", type=float, help="of the interval; without, extrapolation.confidence of params.yaml")
    parser.add_argument("--interval", choices=("law", "run"), default="law", help="of the law (default), or of one new run")
    add_column_options(parser)
    parser.add_argument(
        "--other-n-params-column", metavar="NAME", help="parameters by another convention of counting, to see what it changes"
    )
    parser.add_argument("--batch-tokens", type=float, metavar="B", help="tokens per step, for Kaplan's L(N, S)")
    parser.add_argument("--bootstrap", type=int, metavar="DRAWS", help="interval of approach 3 from so many bootstrap draws over runs")
    parser.add_argument("--json", action="store_true", help="for scripts: loss_nats, low, high, method, n_params, n_tokens, warnings")
    return parser


def add_column_options(parser: argparse.ArgumentParser) -> None:
    """Names of the table's columns."""
    for option in ("n-params", "n-tokens", "flops", "loss"):
        parser.add_argument(f"--{option}-column", metavar="NAME", help=f"column of {option}; without, the usual names are looked for")


def named_columns(args: argparse.Namespace) -> dict[str, str | None]:
    """Quantity -> name of its column."""
    return {quantity: getattr(args, f"{quantity.removesuffix('_nats')}_column") for quantity in QUANTITIES}


def _answer(args: argparse.Namespace, config: ExtrapolationConfig) -> str:
    from components.scaling import table_forecast
    from components.scaling.table import read_table

    _check(args)
    confidence = args.confidence if args.confidence is not None else config.confidence
    study = table_forecast.study(read_table(args.table, named_columns(args)), config, confidence, str(args.table))
    point = _point(args, study.flops_per_param_token)
    forecast = study.forecast(point)
    if args.json:
        interval = forecast.interval if args.interval == "law" else forecast.run_interval
        return json.dumps(table_forecast.record(forecast, interval, study.table), allow_nan=False)
    from flows import forecast_text

    lines = forecast_text.report(study, forecast, table_forecast.side_by_side(study, point, args.batch_tokens))
    if args.bootstrap:
        lines += forecast_text.bootstrap(table_forecast.bootstrap(study, args.bootstrap, BOOTSTRAP_SEED), args.bootstrap)
    if args.other_n_params_column:
        other = {**named_columns(args), "n_params": args.other_n_params_column}
        second = table_forecast.study(read_table(args.table, other), config, confidence, str(args.table))
        lines += forecast_text.conventions(study, second, point, args.other_n_params_column)
    return "\n".join(lines)


def _check(args: argparse.Namespace) -> None:
    for name in ("at_flops", "n_params", "n_tokens", "batch_tokens"):
        value = getattr(args, name)
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(f"--{name.replace('_', '-')} {value} is not a positive number")
    if args.bootstrap is not None and args.bootstrap < MIN_DRAWS:
        raise InputError(f"--bootstrap {args.bootstrap} draws are too few for an interval, give {MIN_DRAWS} or more")
    if args.confidence is not None and not 0 < args.confidence < 1:
        raise InputError(f"--confidence {args.confidence} is not between 0 and 1, for example 0.95")
    if sum(getattr(args, name) is not None for name in ("at_flops", "n_params", "n_tokens")) == 3:
        raise InputError("--at-flops, --n-params and --n-tokens are one too many: C = 6 N D; give two of them, or --at-flops alone")
    if args.at_flops is None and (args.n_params is None or args.n_tokens is None):
        raise InputError("give --at-flops, or --n-params and --n-tokens")


def _point(args: argparse.Namespace, factor: float):  # type: ignore[no-untyped-def]
    from components.scaling.table_forecast import Point

    flops, n_params, n_tokens = args.at_flops, args.n_params, args.n_tokens
    if flops is None:
        return Point(factor * n_params * n_tokens, n_params, n_tokens)
    if n_params is not None:
        return Point(flops, n_params, flops / factor / n_params)
    if n_tokens is not None:
        return Point(flops, flops / factor / n_tokens, n_tokens)
    return Point(flops)


if __name__ == "__main__":
    sys.exit(command.run(main))
