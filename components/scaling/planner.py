"""What to train with a budget: N, D, batch, learning rate, memory, time and cost, beside Kaplan's and Chinchilla's answers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from components.errors import InputError
from components.scaling.devices import STATE_BYTES_PER_PARAM, Device
from components.scaling.surface import Surface
from components.scaling.table_forecast import Point, Study, TableForecast

PF_DAY = 8.64e19  # FLOP
SECONDS_PER_HOUR = 3600
CHINCHILLA = Surface(1.69, 406.4, 410.7, 0.34, 0.28, 1.0, 1.0)  # Hoffmann 2022, equation 10
GPT3_RATES = (  # Brown 2020, table 2.1: parameters and learning rate
    (125e6, 6.0e-4),
    (350e6, 3.0e-4),
    (760e6, 2.5e-4),
    (1.3e9, 2.0e-4),
    (2.7e9, 1.6e-4),
    (6.7e9, 1.2e-4),
    (13e9, 1.0e-4),
    (175e9, 0.6e-4),
)
RATE_REACH = 100.0  # times beyond the sizes of a rule of learning rates; further, its line says nothing
FEW_STEPS = 1000
BISECTIONS = 60
FARTHEST = 1e8  # times the largest run's compute, where the search for a loss ends


@dataclass(frozen=True)
class Answer:
    """What a published law says about a budget; ``loss_nats`` is of its own text, not of yours (None where it has none)."""

    name: str
    n_params: float
    n_tokens: float
    loss_nats: float | None


@dataclass(frozen=True)
class Rate:
    """A learning rate from a rule, and what to know about it; None where the rule's models are too far off in size."""

    rule: str
    value: float | None
    warning: str


@dataclass(frozen=True)
class Plan:
    """One run. ``batch_rule`` says where the batch comes from; hours and cost are None without a device or a price."""

    forecast: TableForecast
    batch_tokens: float
    batch_rule: str
    rates: tuple[Rate, ...]
    state_bytes: float
    hours: float | None
    cost_usd: float | None
    published: tuple[Answer, ...]
    warnings: tuple[str, ...]


def plan_record(plan: Plan, confidence: float) -> dict[str, Any]:
    """The plan for scripts: plain JSON values, None for what is not known."""
    told = plan.forecast
    return {
        "flops": told.flops,
        "compute_ratio": told.compute_ratio,
        "n_params": told.n_params,
        "n_params_interval": told.n_params_interval,
        "n_tokens": told.n_tokens,
        "n_tokens_interval": told.n_tokens_interval,
        "loss_nats": told.loss_nats,
        "low": told.interval[0],
        "high": told.interval[1],
        "confidence": confidence,
        "method": told.method,
        "batch_tokens": plan.batch_tokens,
        "batch_rule": plan.batch_rule,
        "learning_rates": {rate.rule: rate.value for rate in plan.rates},
        "state_bytes": None if math.isnan(plan.state_bytes) else plan.state_bytes,
        "hours": plan.hours,
        "cost_usd": plan.cost_usd,
        "published": {answer.name: {key: value for key, value in vars(answer).items() if key != "name"} for answer in plan.published},
        "warnings": list(plan.warnings),
    }


def flops_of_hours(hours: float, device: Device, count: int) -> float:
    """Operations that ``count`` devices do in ``hours`` at their stated utilisation."""
    return hours * SECONDS_PER_HOUR * count * device.peak_flops_per_second * device.mfu


def flops_of_money(usd: float, device: Device) -> float:
    """Operations that money buys on a device, however many of them share the work.

    Raises:
        InputError: the device has no price.
    """
    if device.price_usd_per_hour is None:
        raise InputError(f"no source states a price of {device.name}; give --price-per-hour")
    return flops_of_hours(usd / device.price_usd_per_hour, device, 1)


def flops_of_loss(study: Study, loss_nats: float) -> tuple[float, tuple[float, float]]:
    """Compute that reaches a loss, and its interval from the bounds of the forecast (infinite where a bound never gets there).

    Raises:
        InputError: the law never reaches the loss.
    """
    smallest, largest = float(study.table.flops_P.min()), float(study.table.flops_P.max())

    def reached(pick: int) -> float:
        def loss(flops: float) -> float:
            forecast = study.forecast(Point(flops))
            return (forecast.loss_nats, *forecast.interval)[pick]

        low, high = math.log(smallest), math.log(largest * FARTHEST)
        if loss(math.exp(high)) > loss_nats:
            return math.inf
        for _ in range(BISECTIONS if pick == 0 else BISECTIONS // 3):
            middle = (low + high) / 2
            low, high = (middle, high) if loss(math.exp(middle)) > loss_nats else (low, middle)
        return math.exp(high)

    flops = reached(0)
    if math.isinf(flops):
        raise InputError(
            f"--loss {loss_nats}: the law does not reach it within {FARTHEST:.0e} times the largest run's compute; ask for a higher one"
        )
    if flops <= smallest * 1.000001:
        raise InputError(f"--loss {loss_nats}: the smallest run's compute reaches it already; ask for a lower one")
    return flops, (reached(1), reached(2))


def plan(
    study: Study, flops: float, device: Device | None, count: int, noise_scale_tokens: float | None, ladder: Sequence[tuple[float, float]]
) -> Plan:
    """Plan one run of ``flops`` operations.

    Args:
        noise_scale_tokens: the gradient noise scale near the end of a like run; None takes Kaplan's law of it.
        ladder: (parameters, learning rate) of smaller runs that trained well; empty gives no rule of them.
    """
    forecast = study.forecast(Point(flops))
    batch, rule, said = _batch(forecast.loss_nats, noise_scale_tokens)
    size = forecast.n_params
    rules = (("the ladder", ladder), ("GPT-3", GPT3_RATES))
    rates = [] if size is None else [_rate(name, points, size) for name, points in rules if points]
    state = math.nan if size is None else STATE_BYTES_PER_PARAM * size
    hours, cost = None, None
    if forecast.n_tokens is not None and forecast.n_tokens / batch < FEW_STEPS:
        said.append(f"such a batch leaves {forecast.n_tokens / batch:.3g} steps: it is the largest that pays, take a smaller one")
    warnings = [*forecast.warnings, *said, *(rate.warning for rate in rates if rate.warning)]
    if device is not None:
        hours = flops / flops_of_hours(1.0, device, count)
        cost = None if device.price_usd_per_hour is None else hours * count * device.price_usd_per_hour
        if state > count * device.memory_bytes:
            needed = math.ceil(state / device.memory_bytes)
            warnings.append(
                f"weights and optimiser take {state / 1e9:.3g} GB, {count} x {device.name} hold less: shard over {needed} or more"
            )
    return Plan(forecast, batch, rule, tuple(rates), state, hours, cost, published(flops), tuple(warnings))


def published(flops: float) -> tuple[Answer, ...]:
    """Kaplan 2020 (N = 1.3e9 C^.73, D = 2e10 C^.27, C in PF-days, N without embeddings) and Hoffmann 2022 (approach 3)."""
    pf_days = flops / PF_DAY
    n_params, n_tokens = CHINCHILLA.optimum(flops, 6.0)
    return (
        Answer("Kaplan 2020", 1.3e9 * pf_days**0.73, 2e10 * pf_days**0.27, None),
        Answer("Chinchilla", n_params, n_tokens, float(CHINCHILLA.loss_nats(n_params, n_tokens))),
    )


def _batch(loss_nats: float, noise_scale_tokens: float | None) -> tuple[float, str, list[str]]:
    """The critical batch: at it half of the steps' and half of the tokens' efficiency is lost (McCandlish 2018)."""
    if noise_scale_tokens is not None:
        return noise_scale_tokens, "the measured noise scale", []
    said = "the batch is Kaplan's law of the noise scale, measured on WebText2: measure your own and give --noise-scale"
    return 2.1e8 / loss_nats ** (1 / 0.21), "Kaplan 2020: 2.1e8 tokens / L^(1 / 0.21)", [said]


def _rate(name: str, points: Sequence[tuple[float, float]], n_params: float) -> Rate:
    """A line of learning rate against parameters, both as logarithms."""
    sizes, values = np.log(np.array(points)).T
    if len(np.unique(sizes)) < 2:
        return Rate(name, float(np.exp(values.mean())), f"learning rates of {name} are of one size")
    slope, start = np.polyfit(sizes, values, 1)
    beyond = math.exp(max(sizes.min() - math.log(n_params), math.log(n_params) - sizes.max(), 0.0))
    span = f"learning rates of {name} are of {np.exp(sizes.min()):.3g} to {np.exp(sizes.max()):.3g} parameters"
    if beyond > RATE_REACH:
        return Rate(name, None, f"{span}: too far off for a rate")
    return Rate(name, float(np.exp(start + slope * np.log(n_params))), f"{span}: sweep before you trust the rule" if beyond > 2 else "")


def with_overrides(device: Device, peak: float | None, mfu: float | None, price: float | None) -> Device:
    """The device with what the user knows better."""
    device = device if peak is None else replace(device, peak_flops_per_second=peak)
    device = device if mfu is None else replace(device, mfu=mfu)
    return device if price is None else replace(device, price_usd_per_hour=price)
