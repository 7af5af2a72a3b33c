"""The cells of a study as they lie on disk, and what they say under each condition."""

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from components.artifacts import read_json
from components.errors import InputError
from components.studies.config import StudyCell, StudyConfig
from components.studies.effect import NO_DIFFERENCE, family_confidence, mean_interval, summarize
from components.studies.knee import BatchRun
from components.studies.sweep import Values, choose_rates, read_values


@dataclass(frozen=True)
class Study:
    """A study under one condition: the metric by arm and seed at the chosen rates (None where training diverged), and what
    ``effect.summarize`` makes of it, with ``sweep`` {arm: {rate: metric on the first seed}} and ``rates`` {arm: rate} beside."""

    config: StudyConfig
    condition: str
    values: dict[str, dict[int, float | None]]
    summary: dict[str, Any]

    def overrides(self, arm: str) -> dict[str, Any]:
        """What every cell of the arm overrides here, before its rate does."""
        return self.config.common | self.config.conditions[self.condition] | self.config.arms[arm]

    def cells(self, arm: str) -> Iterator[StudyCell]:
        """The cells of an arm that its mean is made of."""
        return (StudyCell(self.condition, arm, self.summary["rates"][arm], seed) for seed in self.values[arm])


def read_study(folder: Path, name: str, config: StudyConfig) -> dict[str, Study]:
    """Condition -> study, from ``folder``/CELL.json.

    Raises:
        InputError: a cell's file is missing or lacks the study's metric.
    """
    swept = read_values(folder, config.choosing_cells(), config.metric)
    chosen = choose_rates(config, swept)
    values = read_values(folder, config.judging_cells(chosen), config.metric)
    return {condition: _under(name, config, condition, chosen, swept, values) for condition in config.conditions}


def _under(name: str, config: StudyConfig, condition: str, chosen: Mapping[tuple[str, str], str], swept: Values, values: Values) -> Study:
    rates = {arm: chosen[condition, arm] for arm in config.arms}
    judged = {arm: {seed: values[StudyCell(condition, arm, rates[arm], seed)] for seed in config.judging_seeds} for arm in config.arms}
    tried: dict[str, dict[str, float | None]] = {arm: {} for arm in config.arms}
    for cell, value in swept.items():
        if cell.condition == condition:
            tried[cell.arm][cell.rate] = value
    return Study(config, condition, judged, summarize(name, config, judged) | {"rates": rates, "sweep": tried})


def change_of_effects(studies: Mapping[str, Study]) -> dict[str, dict[str, Any]]:
    """Arm -> its effect under the last condition minus that under the first, paired by seed, Bonferroni over arms.

    {effect, low, high, verdict}; the effect is None where a cell diverged. Nothing for a study of one condition.
    """
    first, last = next(iter(studies.values())), list(studies.values())[-1]
    if first is last:
        return {}
    config = first.config
    others = [arm for arm in config.arms if arm != config.baseline]
    family = family_confidence(config.confidence, len(others))
    return {arm: _change(first, last, arm, family) for arm in others}


def _change(first: Study, last: Study, arm: str, family: float) -> dict[str, Any]:
    differences = [_difference(_gap(last, arm, seed), _gap(first, arm, seed)) for seed in first.config.judging_seeds]
    effect, low, high = mean_interval(differences, family)
    if effect is None:
        verdict = "cells diverged"
    elif low is None or high is None or low <= 0 <= high:
        verdict = NO_DIFFERENCE
    else:
        better = (effect < 0) == (first.config.direction == "lower")
        verdict = f"{'better' if better else 'worse'} under {last.condition} than under {first.condition}"
    return {"effect": effect, "low": low, "high": high, "verdict": verdict}


def _gap(study: Study, arm: str, seed: int) -> float | None:
    return _difference(study.values[arm][seed], study.values[study.config.baseline][seed])


def _difference(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first - second


def layer_grad_norms(folder: Path, study: Study) -> dict[str, dict[str, list[float | None]]]:
    """Arm -> ``initial`` and ``final`` -> gradient norm of each layer, geometric mean over seeds.

    None where a seed has none (it diverged, or its gradient is zero). Empty for cells that record no such norms.
    """
    norms: dict[str, dict[str, list[float | None]]] = {}
    for arm in study.config.arms:
        records = [read_json(folder / f"{cell.name}.json").get("layer_grad_norms") for cell in study.cells(arm)]
        if all(records):
            norms[arm] = {
                when: [_geometric_mean(layer) for layer in zip(*(record[when] for record in records), strict=True)]
                for when in ("initial", "final")
            }
    return norms


def _geometric_mean(values: tuple[float | None, ...]) -> float | None:
    logs = [math.log(value) for value in values if value]
    return math.exp(fmean(logs)) if len(logs) == len(values) else None


def read_batch_run(curve: Path, batch_tokens: int, memory_steps: float) -> BatchRun:
    """A cell's ``curve.csv`` as what the knee is fitted to.

    Raises:
        InputError: the file is missing.
    """
    try:
        with curve.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError:
        raise InputError(f"{curve}: not there; run the stage that makes it (dvc repro)") from None
    columns = [[(int(row["tokens"]), float(row[name])) for row in rows if row[name]] for name in ("val_loss_nats", "noise_scale_tokens")]
    return BatchRun(batch_tokens, memory_steps * batch_tokens, *columns)
