"""What a study shows: each arm's mean over seeds, its effect against the baseline, and a verdict that a reader can quote.

Arms share seeds, hence initial weights and order of data, so an effect is the mean of the differences seed by seed, with
Student's interval. Several arms against one baseline are Bonferroni-corrected: unlike Holm's steps this gives intervals that
hold together, so that a verdict and the interval that it quotes never disagree.

A cell that diverged is an outcome and not a number: its arm gets a count instead of a mean, and a verdict that says so.

At a confidence of 0.98 two equal arms are told apart in 2 % of studies; at 0.95 it would be 5 %, and of 200 simulated studies
more than that almost every second time. The price is in ``detectable_sd``.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from components.errors import InputError
from components.studies.config import StudyConfig

NO_DIFFERENCE = "no difference shown"
POWER = 0.8
SAME = 1e-9  # relative; cells that are equal but for rounding


def summarize(name: str, config: StudyConfig, values: Mapping[str, Mapping[int, float | None]]) -> dict[str, Any]:
    """Means, effects and verdicts of a study under one condition.

    Args:
        name: of the study and the condition, for messages.
        values: arm -> seed -> metric; None, NaN or infinity for a cell that diverged.

    Returns:
        ``arms`` {arm: {mean, low, high, seeds, values, diverged}}, ``effects`` {arm: {effect, low, high, verdict}}: arm minus
        baseline, so that with ``direction: lower`` a negative effect is better; ``verdict``: one sentence; ``detectable_sd``: the
        effect that four of five such studies find, in standard deviations of the difference between two cells of a seed.
        A bound is None where there is one seed, a mean and an effect too where a cell diverged.

    Raises:
        InputError: a cell is missing.
    """
    confidence = config.confidence
    cells = {arm: [_cell(name, values, arm, seed) for seed in config.judging_seeds] for arm in config.arms}
    others = [arm for arm in config.arms if arm != config.baseline]
    family = family_confidence(confidence, len(others))
    effects = {arm: _effect(arm, cells[arm], config, cells[config.baseline], family, confidence) for arm in others}
    return {
        "metric": config.metric,
        "direction": config.direction,
        "question": config.question,
        "baseline": config.baseline,
        "confidence": confidence,
        "detectable_sd": detectable_sd(len(config.judging_seeds), family),
        "correction": f"Bonferroni over {len(others)} comparison{'s' if len(others) > 1 else ''}",
        "arms": {arm: {**_arm(cells[arm], confidence), "seeds": config.judging_seeds} for arm in config.arms},
        "effects": effects,
        "verdict": _sentence(config.baseline, effects),
    }


def family_confidence(confidence: float, comparisons: int) -> float:
    """Of each interval, so that all hold together with ``confidence`` at least (Bonferroni)."""
    return 1 - (1 - confidence) / comparisons


@cache
def detectable_sd(seeds: int, confidence: float) -> float | None:
    """Effect whose interval excludes zero with a chance of 0.8, in standard deviations of the paired difference; None for one seed.

    From the noncentral t distribution. Arms whose cells share nothing by seed have a difference with the square root of two
    times the standard deviation of a cell.
    """
    if seeds == 1:
        return None
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    critical = t.ppf((1 + confidence) / 2, seeds - 1)
    noncentrality = brentq(lambda x: nct.sf(critical, seeds - 1, x) - POWER, 0.0, 10 * critical)
    return float(noncentrality / math.sqrt(seeds))


def _cell(name: str, values: Mapping[str, Mapping[int, float | None]], arm: str, seed: int) -> float | None:
    if seed not in values.get(arm, {}):
        raise InputError(f"study {name}: the cell of arm {arm}, seed {seed} is missing; run its stage again")
    value = values[arm][seed]
    return None if value is None or not math.isfinite(value) else float(value)


def _arm(cells: list[float | None], confidence: float) -> dict[str, Any]:
    mean, low, high = mean_interval(cells, confidence)
    return {"mean": mean, "low": low, "high": high, "values": cells, "diverged": cells.count(None)}


def mean_interval(cells: Sequence[float | None], confidence: float) -> tuple[float | None, float | None, float | None]:
    """Mean and Student's interval; no bounds for one cell, nothing at all if one is missing.

    No bounds either where all cells hold the same number that is not 0: accuracies are counts of a few hundred items, and three
    seeds that differ by five items each know nothing of the spread, though the formula would make it 0.
    """
    from scipy.stats import t

    finite = [cell for cell in cells if cell is not None]
    if len(finite) < len(cells):
        return None, None, None
    mean = float(np.mean(finite))
    spread = float(np.std(finite, ddof=1)) if len(finite) > 1 else 0.0
    if mean != 0 and spread <= SAME * abs(mean):
        return mean, None, None
    half = float(t.ppf((1 + confidence) / 2, len(finite) - 1)) * spread / math.sqrt(len(finite)) if spread else 0.0
    return mean, mean - half, mean + half


def _effect(
    arm: str, cells: list[float | None], config: StudyConfig, baseline_cells: list[float | None], family: float, confidence: float
) -> dict[str, Any]:
    pairs = zip(cells, baseline_cells, strict=True)
    differences = [None if cell is None or base is None else cell - base for cell, base in pairs]
    effect, low, high = mean_interval(differences, family)
    if effect is None:
        verdict = _divergence(arm, cells, config.baseline, baseline_cells)
    elif low is None or high is None:
        verdict = f"{NO_DIFFERENCE} ({'one seed' if len(cells) == 1 else 'the same on every seed'}, no interval)"
    elif low <= 0 <= high:
        verdict = NO_DIFFERENCE
    else:
        arm_better = (effect < 0) == (config.direction == "lower")
        better, worse = (arm, config.baseline) if arm_better else (config.baseline, arm)
        nearest, farthest = sorted((abs(low), abs(high)))
        verdict = f"{better} better than {worse} by {abs(effect):.3g} ({100 * confidence:g} % interval {nearest:.3g} to {farthest:.3g})"
    return {"effect": effect, "low": low, "high": high, "verdict": verdict}


def _divergence(arm: str, cells: list[float | None], baseline: str, baseline_cells: list[float | None]) -> str:
    counts = [f"{name} diverged on {lost.count(None)} of {len(lost)} seeds" for name, lost in ((arm, cells), (baseline, baseline_cells))]
    return f"{counts[0]}, {counts[1]}"


def _sentence(baseline: str, effects: Mapping[str, Mapping[str, Any]]) -> str:
    """The verdicts of all arms, those without a difference last and together."""
    shown = [effect["verdict"] for effect in effects.values() if not effect["verdict"].startswith(NO_DIFFERENCE)]
    alike: dict[str, list[str]] = {}
    for arm, effect in effects.items():
        if effect["verdict"].startswith(NO_DIFFERENCE):
            alike.setdefault(effect["verdict"].removeprefix(NO_DIFFERENCE), []).append(arm)
    return "; ".join([*shown, *(f"{NO_DIFFERENCE} between {baseline} and {', '.join(arms)}{why}" for why, arms in alike.items())])
