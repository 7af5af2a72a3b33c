"""What a study shows: each arm's mean over seeds, its effect against the baseline, and a verdict that a reader can quote.

Arms share seeds, hence initial weights and order of data, so an effect is the mean of the differences seed by seed, with
Student's interval. Several arms against one baseline are Bonferroni-corrected: unlike Holm's steps this gives intervals that
hold together, so that a verdict and the interval that it quotes never disagree.

A cell that diverged is an outcome and not a number: its arm gets a count instead of a mean, and a verdict that says so.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from components.errors import InputError
from components.studies.config import StudyConfig

NO_DIFFERENCE = "no difference shown"


def summarize(name: str, config: StudyConfig, values: Mapping[str, Mapping[int, float | None]], confidence: float) -> dict[str, Any]:
    """Means, effects and verdicts of a study.

    Args:
        values: arm -> seed -> metric; None, NaN or infinity for a cell that diverged.
        confidence: of each arm's interval by itself, and of all effects' intervals together.

    Returns:
        ``arms`` {arm: {mean, low, high, seeds, values, diverged}}, ``effects`` {arm: {effect, low, high, verdict}}: arm minus
        baseline, so that with ``direction: lower`` a negative effect is better; ``verdict``: one sentence. A bound is None
        where there is one seed, a mean and an effect too where a cell diverged.

    Raises:
        InputError: a cell is missing, or the baseline is no arm.
    """
    if config.baseline not in config.arms:
        raise InputError(f"params.yaml: studies.{name}.baseline {config.baseline!r} is no arm; name one of {', '.join(config.arms)}")
    cells = {arm: [_cell(name, values, arm, seed) for seed in config.seeds] for arm in config.arms}
    others = [arm for arm in config.arms if arm != config.baseline]
    family = 1 - (1 - confidence) / len(others)
    effects = {arm: _effect(arm, cells[arm], config, cells[config.baseline], family, confidence) for arm in others}
    return {
        "metric": config.metric,
        "direction": config.direction,
        "question": config.question,
        "baseline": config.baseline,
        "confidence": confidence,
        "correction": f"Bonferroni over {len(others)} comparison{'s' if len(others) > 1 else ''}",
        "arms": {arm: {**_arm(cells[arm], confidence), "seeds": list(config.seeds)} for arm in config.arms},
        "effects": effects,
        "verdict": _sentence(config.baseline, effects),
    }


def _cell(name: str, values: Mapping[str, Mapping[int, float | None]], arm: str, seed: int) -> float | None:
    if seed not in values.get(arm, {}):
        raise InputError(f"study {name}: the cell of arm {arm}, seed {seed} is missing; run dvc repro")
    value = values[arm][seed]
    return None if value is None or not math.isfinite(value) else float(value)


def _arm(cells: list[float | None], confidence: float) -> dict[str, Any]:
    mean, low, high = _mean_interval(cells, confidence)
    return {"mean": mean, "low": low, "high": high, "values": cells, "diverged": cells.count(None)}


def _mean_interval(cells: list[float | None], confidence: float) -> tuple[float | None, float | None, float | None]:
    """Mean and Student's interval; no bounds for one cell, nothing at all if one is missing."""
    from scipy.stats import t

    finite = [cell for cell in cells if cell is not None]
    if len(finite) < len(cells):
        return None, None, None
    mean = float(np.mean(finite))
    if len(finite) == 1:
        return mean, None, None
    half = float(t.ppf((1 + confidence) / 2, len(finite) - 1) * np.std(finite, ddof=1) / math.sqrt(len(finite)))
    return mean, mean - half, mean + half


def _effect(
    arm: str, cells: list[float | None], config: StudyConfig, baseline_cells: list[float | None], family: float, confidence: float
) -> dict[str, Any]:
    pairs = zip(cells, baseline_cells, strict=True)
    differences = [None if cell is None or base is None else cell - base for cell, base in pairs]
    effect, low, high = _mean_interval(differences, family)
    if effect is None:
        verdict = _divergence(arm, cells, config.baseline, baseline_cells)
    elif low is None or high is None or low <= 0 <= high:
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
    shown = [effect["verdict"] for effect in effects.values() if effect["verdict"] != NO_DIFFERENCE]
    alike = [arm for arm, effect in effects.items() if effect["verdict"] == NO_DIFFERENCE]
    if alike:
        shown.append(f"{NO_DIFFERENCE} between {baseline} and {', '.join(alike)}")
    return "; ".join(shown)
