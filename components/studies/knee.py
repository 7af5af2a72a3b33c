"""Is the knee of the batch size where the gradient noise scale says?

At equal loss, a run with batches of B tokens needs S steps and E = B S tokens. McCandlish 2018 (equation 2.11 and section 2.3;
Kaplan 2020, equations 5.1 and 5.4): (S / S_min - 1)(E / E_min - 1) = 1, hence

    E = E_min (1 + B / B_knee),   S = S_min (1 + B_knee / B),   B_knee = E_min / S_min

so that below B_knee larger batches cost hardly more tokens, and above it they save hardly any steps. B_knee is fitted to the
tokens that each batch size took to one held-out loss. The paper's claim is that the noise scale, measured during training, tells
it to within an order of magnitude; the test here is a factor of two.

Differs from the paper: Adam with the rate of each size chosen from a sweep, and a warm-up of the same tokens for all sizes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from components.errors import InputError
from components.studies.effect import mean_interval

FACTOR = 2.0
LEAST_SIZES = 3  # of batches, for a curve of two numbers and what is left over
REACH = 100.0  # the knee is looked for from the smallest batch over this to the largest times this
NEAR = 0.1  # the noise scale of a run is read where its tokens are this close to those at the target loss


@dataclass(frozen=True)
class BatchRun:
    """One run: held-out loss and gradient noise scale along its tokens."""

    batch_tokens: int
    memory_tokens: float
    """Tokens over which the averages behind the noise scale reach back."""
    held_out: Sequence[tuple[int, float]]
    """(tokens, loss [nats])."""
    noise_scale: Sequence[tuple[int, float]]
    """(tokens, noise scale [tokens]) where it is known."""


def compare_knee(runs: Mapping[str, Mapping[int, BatchRun]], confidence: float) -> dict[str, Any]:
    """Knee beside noise scale, seed by seed, at the lowest loss that every run reached.

    Args:
        runs: arm -> seed -> run.
        confidence: of the intervals over seeds, of Student's kind on logarithms.

    Returns:
        ``target_loss_nats``; ``arms`` {arm: {batch_tokens, tokens_to_target, steps_to_target, noise_scale_tokens}}, means over
        seeds; ``knee_tokens``, ``noise_scale_tokens`` and their ``ratio``, each {value, low, high}; ``verdict``.

    Raises:
        InputError: fewer than three batch sizes, or no run small enough to tell the noise scale.
    """
    if len(runs) < LEAST_SIZES:
        raise InputError(f"a knee needs three batch sizes or more, got {', '.join(runs) or 'none'}; add arms")
    seeds = list(next(iter(runs.values())))
    target = max(min(loss for _, loss in run.held_out) for arm in runs.values() for run in arm.values())
    reached = {arm: {seed: tokens_to(run.held_out, target) for seed, run in by_seed.items()} for arm, by_seed in runs.items()}
    knees = [fit_knee([(runs[arm][seed].batch_tokens, reached[arm][seed]) for arm in runs])[1] for seed in seeds]
    noises = [_noise_of_seed({arm: runs[arm][seed] for arm in runs}, {arm: reached[arm][seed] for arm in runs}) for seed in seeds]
    ratio = _log_interval([knee / noise for knee, noise in zip(knees, noises, strict=True)], confidence)
    sizes = sorted(next(iter(by_seed.values())).batch_tokens for by_seed in runs.values())
    return {
        "target_loss_nats": target,
        "confidence": confidence,
        "arms": {arm: _arm(runs[arm], reached[arm]) for arm in runs},
        "knee_tokens": _log_interval(knees, confidence),
        "noise_scale_tokens": _log_interval(noises, confidence),
        "ratio": ratio,
        "verdict": _verdict(ratio, fmean(knees), sizes),
    }


def tokens_to(held_out: Sequence[tuple[int, float]], target_nats: float) -> float:
    """Tokens at which the curve first comes down to the target, between two points on the straight line that joins them."""
    for number, (tokens, loss) in enumerate(held_out):
        if loss <= target_nats:
            if number == 0:
                return float(tokens)
            before, loss_before = held_out[number - 1]
            return before + (tokens - before) * (loss_before - target_nats) / (loss_before - loss)
    raise ValueError(f"the curve does not reach {target_nats}")


def fit_knee(points: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """(E_min, B_knee) [tokens] of (batch, tokens to the target) by least squares on ln E, for errors are shares of E."""
    from scipy.optimize import minimize_scalar

    batches, logs = np.array([batch for batch, _ in points], float), np.log([tokens for _, tokens in points])

    def residuals(log_knee: float) -> np.ndarray:
        shape = logs - np.log1p(batches / math.exp(log_knee))
        return np.asarray(shape - shape.mean())

    bounds = (math.log(batches.min() / REACH), math.log(batches.max() * REACH))
    found = minimize_scalar(lambda x: float((residuals(x) ** 2).sum()), bounds=bounds, method="bounded", options={"xatol": 1e-6})
    knee = math.exp(found.x)
    return float(np.exp((logs - np.log1p(batches / knee)).mean())), knee


def _noise_of_seed(runs: Mapping[str, BatchRun], reached: Mapping[str, float]) -> float:
    """Geometric mean over the runs whose averages reach back over less than half of their tokens to the target."""
    known = [
        noise
        for arm, run in runs.items()
        if run.memory_tokens <= reached[arm] / 2 and (noise := noise_at(run.noise_scale, reached[arm])) is not None
    ]
    if not known:
        raise InputError("no run of the study tells the noise scale at the target loss; train longer or lower noise_scale_smoothing")
    return math.exp(fmean(math.log(noise) for noise in known))


def noise_at(rows: Sequence[tuple[int, float]], tokens: float) -> float | None:
    """Geometric mean of the noise scale near ``tokens``, None if it is not known there."""
    near = [math.log(noise) for at, noise in rows if abs(at - tokens) <= NEAR * tokens]
    return math.exp(fmean(near)) if near else None


def _arm(runs: Mapping[int, BatchRun], reached: Mapping[int, float]) -> dict[str, Any]:
    batch = next(iter(runs.values())).batch_tokens
    noises = [noise for seed, run in runs.items() if (noise := noise_at(run.noise_scale, reached[seed])) is not None]
    tokens = fmean(reached.values())
    return {
        "batch_tokens": batch,
        "tokens_to_target": tokens,
        "steps_to_target": tokens / batch,
        "noise_scale_tokens": fmean(noises) if noises else None,
    }


def _log_interval(values: Sequence[float], confidence: float) -> dict[str, float | None]:
    ends = mean_interval([math.log(value) for value in values], confidence)
    return {name: None if end is None else math.exp(end) for name, end in zip(("value", "low", "high"), ends, strict=True)}


def _verdict(ratio: Mapping[str, float | None], knee: float, sizes: Sequence[int]) -> str:
    """Whether the ratio's interval lies inside or outside 1/2 to 2, or neither."""
    value, low, high = ratio["value"], ratio["low"], ratio["high"]
    assert value is not None
    where = f"knee over noise scale is {value:.2f}"
    if low is None or high is None:
        return f"not decided: {where}, no interval"
    where += f" ({low:.2f} to {high:.2f})"
    if not sizes[0] <= knee <= sizes[-1]:
        where += f"; the knee lies outside the sizes measured, {sizes[0]} to {sizes[-1]} tokens"
    if low >= 1 / FACTOR and high <= FACTOR:
        return f"within a factor of two: {where}"
    if high < 1 / FACTOR or low > FACTOR:
        return f"not within a factor of two: {where}"
    return f"not decided: {where}"
