"""Plan a run: what to train with so much compute, so many hours of a device or so much money, or what a wanted loss takes.

The law comes from a table of runs (see flows.forecast), or from the graph's ladder.
"""

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import InputError
from components.scaling.config import ExtrapolationConfig, LadderConfig
from components.scaling.devices import DEVICES, Device
from components.training.config import TrainingConfig
from flows import command, forecast, params, stage

if TYPE_CHECKING:
    from components.scaling.planner import Plan


class Sections(params.Sections):
    """How laws are fitted, and the ladder with its learning rates."""

    extrapolation: ExtrapolationConfig
    ladder: LadderConfig
    training: TrainingConfig


def main(argv: list[str] | None = None) -> int:
    """Print a plan; exit status 2 and one line if the question or the table is no good."""
    args = _parser().parse_args(argv)
    try:
        print(_answer(args))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return stage.EXIT_BAD_INPUT
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m flows.plan", description=__doc__)
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--flops", type=float, metavar="C", help="compute of the run")
    budget.add_argument("--hours", type=float, metavar="H", help="hours of the devices; needs --device")
    budget.add_argument("--money", type=float, metavar="USD", help="cost of the run; needs --device")
    budget.add_argument("--loss", type=float, metavar="L", help="nats per token that the run shall reach")
    parser.add_argument("--device", choices=sorted(DEVICES), help="accelerator; its peak, utilisation and price have sources in the code")
    parser.add_argument("--devices", type=int, default=1, metavar="K", help="how many of them")
    parser.add_argument("--peak-flops", type=float, help="instead of the device's peak, FLOP/s")
    parser.add_argument("--mfu", type=float, help="instead of the device's utilisation, 0 to 1")
    parser.add_argument("--price-per-hour", type=float, help="instead of the device's price, USD")
    parser.add_argument(
        "--noise-scale", type=float, metavar="B", help="measured gradient noise scale, tokens; without, the ladder's, or Kaplan's law"
    )
    parser.add_argument("--table", type=Path, help="CSV or JSON file of runs; without, the graph's ladder")
    parser.add_argument("--ladder", type=Path, default=Path("metrics/ladder"), help="folder of the ladder's results")
    forecast.add_column_options(parser)
    parser.add_argument("--json", action="store_true", help="for scripts: one JSON object, null for what is not known")
    return parser


def _answer(args: argparse.Namespace) -> str:
    from components.scaling import planner, table_forecast
    from components.scaling.ladder import ladder_table
    from components.scaling.table import read_table

    _check(args)
    loaded = params.load(Sections)
    where = str(args.table or args.ladder)
    table = read_table(args.table, forecast.named_columns(args)) if args.table else ladder_table(args.ladder, loaded.ladder, "parameters")
    study = table_forecast.study(table, loaded.extrapolation, loaded.extrapolation.confidence, where)
    device = None if args.device is None else planner.with_overrides(DEVICES[args.device], args.peak_flops, args.mfu, args.price_per_hour)
    wanted = None if args.loss is None else planner.flops_of_loss(study, args.loss)
    flops = _flops(args, device) if wanted is None else wanted[0]
    noise = args.noise_scale or (None if args.table else ladder_noise(args.ladder, loaded.ladder))
    plan = planner.plan(study, flops, device, args.devices, noise, ladder_rates(args.ladder, loaded))
    if args.json:
        span = None if wanted is None else [value if math.isfinite(value) else None for value in wanted[1]]
        return json.dumps({**planner.plan_record(plan, study.confidence), "flops_interval": span}, allow_nan=False)
    lines = [] if wanted is None else [_wanted(args.loss, flops, wanted[1], plan)]
    return "\n".join([*lines, *_report(plan, device, args.devices, study.confidence)])


def _check(args: argparse.Namespace) -> None:
    for name in ("flops", "hours", "money", "loss", "peak_flops", "mfu", "price_per_hour", "noise_scale", "devices"):
        value = getattr(args, name)
        if value is not None and not (math.isfinite(value) and value > 0):
            raise InputError(f"--{name.replace('_', '-')} {value} is not a positive number")
    if args.mfu is not None and args.mfu > 1:
        raise InputError(f"--mfu {args.mfu} is more than the whole peak; give a share, for example 0.4")
    if args.device is None and (args.hours is not None or args.money is not None):
        raise InputError(f"--hours and --money need --device, one of {', '.join(sorted(DEVICES))}")


def _flops(args: argparse.Namespace, device: Device | None) -> float:
    from components.scaling import planner

    if args.flops is not None:
        return float(args.flops)
    assert device is not None, "checked"
    return (
        planner.flops_of_hours(args.hours, device, args.devices) if args.hours is not None else planner.flops_of_money(args.money, device)
    )


def ladder_rates(folder: Path, loaded: Sections) -> list[tuple[float, float]]:
    """(parameters, learning rate) of each rung that has trained."""
    from components.artifacts import read_json

    rates = []
    for rung in loaded.ladder.rungs:
        path = folder / f"{rung}-{loaded.ladder.seeds[0]}.json"
        if path.exists():
            own = params.load(Sections, [f"ladder.rungs.{rung}"])
            rates.append((float(read_json(path)["parameters"]), own.training.learning_rate))
    return rates


def ladder_noise(folder: Path, ladder: LadderConfig) -> float | None:
    """Gradient noise scale [tokens] of the largest rung that measured one (its steps have several micro-batches)."""
    from components.artifacts import read_json

    paths = [folder / f"{rung}-{seed}.json" for rung in ladder.rungs for seed in ladder.seeds]
    known = [record for path in paths if path.exists() and (record := read_json(path)).get("noise_scale_tokens")]
    return max(((record["parameters"], record["noise_scale_tokens"]) for record in known), default=(0, None))[1]


def _wanted(loss: float, flops: float, bounds: tuple[float, float], plan: "Plan") -> str:
    """What a wanted loss takes, with the interval that the bounds of the forecast make of it."""
    text = f"loss {loss:g} takes {flops:.3g} FLOP ({bounds[0]:.3g} to {_end(bounds[1])})"
    if plan.hours is None:
        return text
    low, high = (plan.hours * bound / flops for bound in bounds)
    return f"{text}, {plan.hours:.3g} hours ({low:.3g} to {_end(high)})"


def _end(bound: float) -> str:
    return f"{bound:.3g}" if math.isfinite(bound) else "no upper bound"


def _span(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f" ({interval[0]:.3g} to {_end(interval[1])})"


def _report(plan: "Plan", device: Device | None, count: int, confidence: float) -> list[str]:
    told, size = plan.forecast, plan.forecast.n_params
    shape = "N and D unknown: the table has none"
    if size is not None and told.n_tokens is not None:
        shape = f"N {size:.3g}{_span(told.n_params_interval)}, D {told.n_tokens:.3g}{_span(told.n_tokens_interval)}"
    span = f"{told.interval[0]:.4f} to {told.interval[1]:.4f}"
    lines = [
        f"{told.flops:.3g} FLOP, {told.compute_ratio:.3g} times the largest run: {shape}",
        f"  loss {told.loss_nats:.4f} nats per token, {100 * confidence:g} % interval {span} ({told.method})",
        f"  batch {plan.batch_tokens:.3g} tokens ({plan.batch_rule})",
        *(f"  learning rate {rate.value:.2g} (by those of {rate.rule})" for rate in plan.rates if rate.value is not None),
        f"  weights and optimiser {plan.state_bytes / 1e9:.3g} GB, activations not counted",
    ]
    if device is not None and plan.hours is not None:
        cost = "no price known" if plan.cost_usd is None else f"{plan.cost_usd:,.2f} USD"
        lines.append(f"  {plan.hours:,.3g} hours on {count} x {device.name}, {cost} ({100 * device.mfu:g} % of its peak; {device.source})")
    for answer in plan.published:
        loss = "" if answer.loss_nats is None else f", loss {answer.loss_nats:.3f} on its own text"
        lines.append(f"  {answer.name}: N {answer.n_params:.3g}, D {answer.n_tokens:.3g}{loss}")
    return [*lines, *(f"warning: {text}" for text in plan.warnings)]


if __name__ == "__main__":
    sys.exit(command.run(main))
