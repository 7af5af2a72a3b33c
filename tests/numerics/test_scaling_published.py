"""Forecasts of published runs from their smaller siblings, the larger ones held out; the method was not tuned to them.

Bounds of errors are what was measured, rounded up: they catch a change, they are no claim made in advance. Measured, one
seed a rung, forecast minus actual in per cent, plain power law in brackets:
open_lm 1B from four rungs, 12 times their compute: c4 -0.4 (-11.2), RedPajama +1.5 (-11.0), RefinedWeb +5.3 (-4.0), all
inside; open_lm 7B from five rungs, 23 times: c4 -3.2 (-19.0) OUTSIDE, RedPajama +1.1 (-16.9), RefinedWeb -2.3 (-11.3) inside;
isoFLOP minima at 3e21: +1.2, +0.4, +0.0 from budgets 30, 10, 5 times smaller, all inside;
Chinchilla's envelope at 3e21: -2.1 (-5.2) from 10 times smaller, inside.
"""

import csv
import json
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from benchmarks.forecast_tables import held_out
from components.scaling import table_forecast
from components.scaling.approach3 import fit_approach3
from components.scaling.forecast import make_forecast
from components.scaling.ladder import LadderRun
from components.scaling.table import read_table
from tests.scaling_example import CONFIG

DATA = Path("../shared/data/scaling")
MIN_RUNS_OF_ENVELOPE = 20  # the least loss of fewer runs is no envelope

Run = tuple[float, float]
"""(training FLOP, loss in nats)"""

pytestmark = [pytest.mark.shared_data, pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not there")]


def open_lm(data_set: str) -> list[Run]:
    """Models of 10M to 7B parameters on 20 tokens per parameter (Gadre 2024), C = 6 N D, by rising compute."""
    runs = []
    for path in (DATA / "mlfoundations-overtraining/exp_data/models").glob(f"{data_set}-*-1.0.json"):
        record = json.loads(path.read_text())
        shape, (result, *_) = record["hyperparameters"], record["results"]
        runs.append((6.0 * shape["params"] * shape["tokens"], float(result["loss"])))
    assert len(runs) == 6
    return sorted(runs)


def isoflop_minima() -> list[Run]:
    """The least loss of each compute budget."""
    budgets: dict[float, list[float]] = defaultdict(list)
    for run in json.loads((DATA / "cs336-isoflops/isoflops_curves.json").read_text()):
        budgets[run["compute_budget"]].append(run["final_loss"])
    return sorted((budget, min(losses)) for budget, losses in budgets.items())


def chinchilla_envelope() -> list[Run]:
    """The best run of each half decade of compute in figure 4 of Hoffmann 2022, as read from its drawing (Besiroglu 2024)."""
    half_decades: dict[int, list[tuple[float, float]]] = defaultdict(list)
    with (DATA / "chinchilla-epoch-svg/svg_extracted_data.csv").open() as file:
        for row in csv.DictReader(file):
            flops = float(row["Training FLOP"])
            half_decades[math.floor(2 * math.log10(flops))].append((float(row["loss"]), flops))
    best = [min(runs) for runs in half_decades.values() if len(runs) >= MIN_RUNS_OF_ENVELOPE]
    return sorted((flops, loss) for loss, flops in best)


@dataclass(frozen=True)
class Outcome:
    """A forecast against the run that it is for."""

    compute_ratio: float
    relative_error: float
    inside: bool


def outcome(ladder: list[Run], target: Run) -> Outcome:
    flops, actual = target
    runs = [LadderRun(f"r{number}", 0, run_flops, loss) for number, (run_flops, loss) in enumerate(ladder)]
    forecast = make_forecast(runs, [], flops, CONFIG, {})
    low, high = forecast.fit.interval(flops)
    return Outcome(forecast.compute_ratio, forecast.fit.law.loss_nats(flops) / actual - 1, low <= actual <= high)


@pytest.mark.parametrize(("data_set", "bound"), [("c4_original", 0.01), ("rpj", 0.02), ("rw_original", 0.06)])
def test_open_lm_1b_from_four_smaller_models(data_set: str, bound: float) -> None:
    runs = open_lm(data_set)
    result = outcome(runs[:4], runs[4])
    assert result.compute_ratio > 10
    assert result.inside
    assert abs(result.relative_error) < bound


@pytest.mark.parametrize(("data_set", "bound", "inside"), [("c4_original", 0.04, False), ("rpj", 0.02, True), ("rw_original", 0.03, True)])
def test_open_lm_7b_from_five_smaller_models(data_set: str, bound: float, inside: bool) -> None:
    """On c4 the five rungs happen to fit within 0.13 %, so the interval is narrow, and the 7B run lies above it: a real miss, kept."""
    runs = open_lm(data_set)
    result = outcome(runs[:5], runs[5])
    assert result.compute_ratio > 20
    assert result.inside is inside
    assert abs(result.relative_error) < bound


@pytest.mark.parametrize(("rungs", "bound"), [(5, 0.02), (6, 0.01), (7, 0.005)])
def test_largest_isoflop_budget_from_smaller_ones(rungs: int, bound: float) -> None:
    minima = isoflop_minima()
    result = outcome(minima[:rungs], minima[-1])
    assert result.inside
    assert abs(result.relative_error) < bound


def test_chinchilla_envelope_from_ten_times_less_compute() -> None:
    envelope = chinchilla_envelope()
    result = outcome([run for run in envelope if run[0] < envelope[-1][0] / 9], envelope[-1])
    assert result.inside
    assert abs(result.relative_error) < 0.03


def test_approach_3_on_chinchillas_points_is_besiroglus_refit() -> None:
    """Without the five runs of least compute, as Besiroglu 2024 does; bounds are what was measured, rounded up."""
    table = read_table(DATA / "chinchilla-epoch-svg/svg_extracted_data.csv", {})
    assert table.num_runs == 245
    fitted = fit_approach3(table.subset(np.arange(245) >= 5), CONFIG.surface).law.parameters()
    assert fitted["E"] == pytest.approx(1.8172, abs=0.005)
    assert fitted["alpha"] == pytest.approx(0.3478, abs=0.003)
    assert fitted["beta"] == pytest.approx(0.3658, abs=0.003)
    assert fitted["A"] == pytest.approx(482.01, rel=0.03)
    assert fitted["B"] == pytest.approx(2085.43, rel=0.06)
    study = table_forecast.study(table, CONFIG, 0.95, "chinchilla")
    assert {run.line for run in study.table.left_out} >= {2, 3, 4, 5}, "the runs of least compute lie far above any surface"


def test_chinchillas_largest_runs_from_a_tenth_of_the_compute() -> None:
    """All 19 runs beyond a tenth of the largest compute lie inside; the largest, 1.3e22 FLOP, lies 3.5 % below the forecast.

    That run is alone out there: 2.6 times the compute of the next, and 4.9 % below the loss of the next, where the two runs before differ
    by 1.2 % over 1.6 times. Losses were read from the colours of a figure, and its colour is the end of the scale. Besiroglu's re-fit,
    which has seen it, puts it at 2.130, 2.5 % too high: no law of this form passes through it and the others.
    """
    table = read_table(DATA / "chinchilla-epoch-svg/svg_extracted_data.csv", {})
    row = held_out("Chinchilla", table, CONFIG, 10).record()
    assert (row["held_out"], row["held_out_inside_law"], row["inside"]) == (19, 19, True)
    assert float(row["held_out_median_error"]) < 0.007
    assert 0.03 < float(row["error"]) < 0.04
    last, before = np.argsort(table.flops_P)[:-3:-1]
    assert table.flops_P[last] / table.flops_P[before] == pytest.approx(2.6, abs=0.05)
    assert table.losses_P[before] / table.losses_P[last] - 1 == pytest.approx(0.049, abs=0.001)
    assert len(np.unique(table.losses_P)) == 99, "245 runs share 99 colours"
