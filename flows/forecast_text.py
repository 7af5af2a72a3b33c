"""The readable form of a forecast."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from components.scaling.table_forecast import Beside, Point, Study, TableForecast


def report(study: "Study", forecast: "TableForecast", others: Sequence["Beside"]) -> list[str]:
    """The forecast, its law, the other methods beside it, and what is to be known."""
    from components.scaling.table_forecast import exponents, left_out_lines

    percent = f"{100 * study.confidence:g} %"
    lines = [
        f"loss {forecast.loss_nats:.4f} nats per token at {forecast.flops:.3g} FLOP, {forecast.compute_ratio:.3g} times the largest run",
        f"  {percent} interval of the law {_span(forecast.interval, '.4f')}, of one new run {_span(forecast.run_interval, '.4f')}",
        f"  {_shape(forecast)}",
        f"  {forecast.method}, {study.table.num_runs} runs, {len(study.table.left_out)} left out",
    ]
    if study.surface is not None:
        constants = ", ".join(f"{name} {value:.4g}" for name, value in study.surface.fit.law.parameters().items())
        found = ", ".join(f"{name} {value:.3f} ({_span(bounds, '.3f')})" for name, (value, bounds) in exponents(study).items())
        lines += [f"  {constants}; residuals {100 * study.surface.fit.residual_sd:.2f} %", f"  exponents: {found}"]
    lines += ["", f"{'other methods':<16} {'loss':>8} {'N':>9} {'D':>9} {'residuals':>9}"]
    lines += [_other(other) for other in others]
    said = [*forecast.warnings, *left_out_lines(study.table)]
    return [*lines, "", *(f"warning: {text}" for text in said)] if said else lines


def conventions(study: "Study", second: "Study", point: "Point", column: str) -> list[str]:
    """The same forecast where parameters are counted in another way (with or without embeddings)."""
    from components.scaling.table_forecast import Point, exponents

    lines = ["", f"{'parameters counted by':<24} {'loss':>8} {'N':>9} {'D':>9}  N ~ C^a"]
    for name, counted in ((study.table.columns.get("n_params", "N"), study), (column, second)):
        forecast = counted.forecast(Point(point.flops))
        a = exponents(counted).get("a")
        power = "" if a is None else f"{a[0]:.3f} ({_span(a[1], '.3f')})"
        lines.append(f"{name:<24} {forecast.loss_nats:8.4f} {_count(forecast.n_params):>9} {_count(forecast.n_tokens):>9}  {power}")
    return lines


def bootstrap(intervals: Mapping[str, tuple[float, float]] | str, draws: int) -> list[str]:
    """Approach 3's intervals, or why there are none."""
    if isinstance(intervals, str):
        return ["", f"no bootstrap of approach 3: {intervals}"]
    return ["", f"approach 3, {draws} bootstrap draws: " + ", ".join(f"{name} {_span(span, '.4g')}" for name, span in intervals.items())]


def _shape(forecast: "TableForecast") -> str:
    spans = [f" ({_span(bounds, '.3g')})" if bounds else "" for bounds in (forecast.n_params_interval, forecast.n_tokens_interval)]
    return f"N {_count(forecast.n_params)}{spans[0]}, D {_count(forecast.n_tokens)}{spans[1]}"


def _other(other: "Beside") -> str:
    if other.fit is None:
        return f"{other.method:<16} {'-':>8}  {other.note}"
    numbers = f"{other.loss_nats:8.4f} {_count(other.n_params):>9} {_count(other.n_tokens):>9} {100 * other.fit.residual_sd:7.2f} %"
    return f"{other.method:<16} {numbers}  {other.note}".rstrip()


def _span(bounds: tuple[float, float], form: str) -> str:
    return f"{bounds[0]:{form}} to {bounds[1]:{form}}"


def _count(value: float | None) -> str:
    return "unknown" if value is None or value != value else f"{value:.3g}"
