"""A forecast says what it rests on, cannot be changed unnoticed, and is scored against one run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.errors import InputError
from components.scaling.forecast import make_forecast, score_forecast, verify_seal
from components.scaling.ladder import ExcludedRun, LadderRun
from components.scaling.uncertainty import fit_ladder
from tests.scaling_example import CONFIG

FLOPS = (8e10, 2.2e11, 5e11, 1e12, 2.1e12)
TARGET_FLOPS = 20_000_000_000_000
PATH = Path("metrics/forecast.json")


def ladder(rung_sd: float = 0.0, seed_sd: float = 0.003, seeds: int = 2, draw: int = 0) -> list[LadderRun]:
    rng = np.random.default_rng(draw)
    runs = []
    for number, flops in enumerate(FLOPS):
        rung_loss = (1.5 + 3.0 * (flops / FLOPS[0]) ** -0.25) * np.exp(rng.normal(0, rung_sd))
        runs += [LadderRun(f"r{number}", seed, flops, float(rung_loss * np.exp(rng.normal(0, seed_sd)))) for seed in range(seeds)]
    return runs


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    others = {
        "wild": {"loss_nats": 3.0, "parameters": {"E": 1.0}, "note": ""},
        "mute": {"loss_nats": None, "parameters": {}, "note": "too few"},
    }
    return make_forecast(ladder(), [ExcludedRun("r0", 7, "diverged")], TARGET_FLOPS, CONFIG, others).record()


def test_record_holds_the_forecast_and_its_grounds(record: dict[str, Any]) -> None:
    assert record["low"] < record["loss_nats"] < record["high"]
    assert record["compute_ratio"] == pytest.approx(TARGET_FLOPS / FLOPS[-1])
    assert record["target"] == {"train_flops": TARGET_FLOPS}
    assert record["excluded"] == [{"rung": "r0", "seed": 7, "reason": "diverged"}]
    assert len(record["runs"]) == 10
    fitted = record["parameters"]
    assert fitted["E"] + fitted["A"] * TARGET_FLOPS ** -fitted["b"] == pytest.approx(record["loss_nats"])
    last = record["curve"][-1]
    assert [last["train_flops"], last["loss_nats"]] == pytest.approx([TARGET_FLOPS, record["loss_nats"]])


def test_interval_widens_with_distance(record: dict[str, Any]) -> None:
    widths = [point["high"] - point["low"] for point in record["curve"]]
    assert widths[-1] > 2 * min(widths)


def test_same_ladder_same_bytes(record: dict[str, Any]) -> None:
    first, again = (make_forecast(ladder(), [], TARGET_FLOPS, CONFIG, {}).record() for _ in range(2))
    assert json.dumps(again) == json.dumps(first)
    assert first["seal"] != record["seal"]


def test_every_method_is_held_against_the_target(record: dict[str, Any]) -> None:
    score = score_forecast(record, {"loss_nats": 2.0, "train_flops": TARGET_FLOPS}, Path("metrics/target.json"))["methods"]
    assert list(score) == ["L(C) = E + A C^-b", "L(C) = A C^-b", "wild", "mute"]
    assert score["L(C) = E + A C^-b"]["loss_nats"] == record["loss_nats"]
    assert score["wild"] == {
        "loss_nats": 3.0,
        "low": None,
        "high": None,
        "error_nats": 1.0,
        "relative_error": 0.5,
        "inside": None,
        "note": "",
    }
    assert score["mute"]["error_nats"] is score["mute"]["relative_error"] is None
    assert score["mute"]["note"] == "too few"


def test_both_forms_lie_inside_unless_the_ladder_refutes_the_plain_one() -> None:
    noisy = make_forecast(ladder(seed_sd=0.02), [], TARGET_FLOPS, CONFIG, {}).record()
    plain = noisy["methods"]["L(C) = A C^-b"]["loss_nats"]
    assert noisy["low"] <= plain <= noisy["high"]
    exact = make_forecast(ladder(seed_sd=0.0002), [], TARGET_FLOPS, CONFIG, {}).record()
    assert exact["methods"]["L(C) = A C^-b"]["loss_nats"] < exact["low"]


def test_rungs_that_miss_the_law_by_more_than_their_seeds_explain_are_the_units_of_evidence() -> None:
    fits = fit_ladder(ladder(rung_sd=0.0), CONFIG, irreducible=True)
    misfits = fit_ladder(ladder(rung_sd=0.02, seed_sd=0.001), CONFIG, irreducible=True)
    assert (fits.scatter.unit, fits.scatter.degrees_of_freedom) == ("runs", 7)
    assert (misfits.scatter.unit, misfits.scatter.degrees_of_freedom) == ("rungs", 2)
    assert misfits.scatter.new_run_variance > 100 * misfits.scatter.seed_variance


def test_one_seed_per_rung_leaves_the_rungs_as_evidence() -> None:
    fit = fit_ladder(ladder(seeds=1), CONFIG, irreducible=True)
    low, high = fit.interval(TARGET_FLOPS)
    assert fit.scatter.unit == "rungs"
    assert low < fit.law.loss_nats(TARGET_FLOPS) < high


def test_a_ladder_without_scatter_has_a_narrow_interval() -> None:
    low, high = fit_ladder(ladder(seed_sd=0.0), CONFIG, irreducible=True).interval(TARGET_FLOPS)
    assert high / low - 1 < 1e-3


def test_three_rungs_are_too_few() -> None:
    runs = [run for run in ladder() if run.rung in ("r0", "r1", "r2")]
    with pytest.raises(InputError, match=r"params\.yaml: ladder has 3 rungs with a finite loss, a forecast needs 4"):
        make_forecast(runs, [], TARGET_FLOPS, CONFIG, {})


def test_a_target_no_larger_than_the_ladder_is_no_forecast() -> None:
    with pytest.raises(InputError, match="no more than the largest rung's"):
        make_forecast(ladder(), [], int(FLOPS[-1]), CONFIG, {})


def test_a_ladder_of_noise_says_so() -> None:
    rng = np.random.default_rng(1)
    runs = [LadderRun(f"r{n}", 0, flops, float(4 * np.exp(rng.normal(0, 1)))) for n, flops in enumerate(FLOPS)]
    with pytest.raises(InputError, match="scatter too much"):
        make_forecast(runs, [], TARGET_FLOPS, CONFIG, {}).record()


def test_seal_survives_a_file_and_notices_any_change(record: dict[str, Any]) -> None:
    stored = json.loads(json.dumps(record))
    verify_seal(stored, PATH)
    changes = {"loss_nats": record["loss_nats"] + 1e-9, "confidence": 0.5, "runs": record["runs"][1:], "seal": "0" * 64, "note": "added"}
    for key, value in changes.items():
        with pytest.raises(InputError, match=r"metrics/forecast\.json: changed since it was sealed"):
            verify_seal(stored | {key: value}, PATH)
    for damaged in ([], {}, stored | {"low": float("nan")}, {key: value for key, value in stored.items() if key != "seal"}):
        with pytest.raises(InputError, match="changed since it was sealed"):
            verify_seal(damaged, PATH)


def test_score_is_forecast_minus_actual(record: dict[str, Any]) -> None:
    score = score_forecast(record, {"loss_nats": 2.0, "train_flops": TARGET_FLOPS}, Path("metrics/target.json"))
    assert score["error_nats"] == pytest.approx(record["loss_nats"] - 2.0)
    assert score["relative_error"] == pytest.approx(record["loss_nats"] / 2.0 - 1)
    assert score["inside"] is (record["low"] <= 2.0 <= record["high"])
    assert score["seal"] == record["seal"]
    within = score_forecast(record, {"loss_nats": record["loss_nats"], "train_flops": TARGET_FLOPS}, Path("metrics/target.json"))
    outside = score_forecast(record, {"loss_nats": 9.0, "train_flops": TARGET_FLOPS}, Path("metrics/target.json"))
    assert (within["inside"], outside["inside"]) == (True, False)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"loss_nats": None, "train_flops": TARGET_FLOPS, "diverged": True}, r"target\.json: the target diverged"),
        ({"train_flops": TARGET_FLOPS}, r"target\.json: the target diverged"),
        ({"loss_nats": 2.0, "train_flops": TARGET_FLOPS + 1}, r"target\.json: trained with 20000000000001 FLOP, the forecast is for"),
    ],
)
def test_only_the_run_that_was_forecast_is_scored(record: dict[str, Any], target: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        score_forecast(record, target, Path("metrics/target.json"))
