"""The forecast of pass rates on planted families: it finds the law, says where it can say nothing, and is scored as sealed."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.capability.falsehood import Truthful, describe_curve
from components.capability.forecast import Measured, choose_buckets, make_record, score_record
from components.capability.problems import Problem
from components.errors import InputError
from components.scaling.forecast import verify_seal
from tests.scaling_example import CONFIG

SAMPLES, MIN_PROBLEMS, TARGET_FLOPS = 10_000, 10, 3e11
FLOPS = {"s1": 1e9, "s2": 3e9, "s3": 9e9, "s4": 2.7e10}
PROBLEMS = [Problem(task, f"{task}{number}", "x", "") for task in ("addition", "copying", "falsehood") for number in range(60)]
HARDNESS = np.tile(np.linspace(0.5, 1.5, 60), 3)


def planted(name: str, flops: float, k: float, unsolved: int = 0) -> Measured:
    """A model whose -log pass rate is 2.5 hardness (C / 1e9)^-k on every problem, none at all on the first ``unsolved`` sums.

    Each model scatters about the law by 3 %, as seeds do.
    """
    random = np.random.default_rng(int(flops))
    rates = np.exp(-2.5 * HARDNESS * (flops / 1e9) ** -k * np.exp(random.normal(0, 0.03)))
    rates[:unsolved] = 0
    return Measured(name, flops, *(random.binomial(SAMPLES, rates) for _ in range(2)))


def forecast(k: float = 0.3, unsolved: int = 0) -> dict[str, Any]:
    models = [planted(name, flops, k, unsolved) for name, flops in FLOPS.items()]
    return make_record(PROBLEMS, models, TARGET_FLOPS, SAMPLES, MIN_PROBLEMS, CONFIG)


def bucket(record: dict[str, Any], task: str, name: str) -> dict[str, Any]:
    return next(found for found in record["buckets"] if (found["task"], found["name"]) == (task, name))


def test_finds_the_planted_law_of_the_easy_and_of_the_hard_half() -> None:
    record = forecast()
    verify_seal(record, Path("forecast.json"))
    assert record["compute_ratio"] == pytest.approx(TARGET_FLOPS / 2.7e10)
    for task in ("addition", "copying"):
        for name, hardness in (("all", 1.0), ("easy", 0.7458), ("hard", 1.2542)):
            told = bucket(record, task, name)["forecast"]
            actual = 2.5 * hardness * 300**-0.3
            assert told["minus_log_pass"] == pytest.approx(actual, rel=0.1)
            assert told["low"] <= actual <= told["high"]
            assert told["parameters"]["k"] == pytest.approx(0.3, abs=0.04)
            assert told["curve"][-1]["minus_log_pass"] == told["minus_log_pass"]


def test_the_score_holds_the_target_against_what_was_sealed() -> None:
    record = forecast()
    score = score_record(record, planted("target", TARGET_FLOPS, 0.3), SAMPLES)
    assert score["seal"] == record["seal"]
    for found in score["buckets"]:
        assert found["inside"] is True
        assert found["error"] == pytest.approx(found["forecast"] - found["actual"])
    missed = score_record(record, planted("target", TARGET_FLOPS, 0.9), SAMPLES)
    assert not any(found["inside"] for found in missed["buckets"])
    with pytest.raises(InputError, match="the target trained with 100000000000"):
        score_record(record, planted("target", 1e11, 0.3), SAMPLES)


def test_what_no_small_model_solves_is_not_forecast_and_said() -> None:
    record = forecast(unsolved=55)
    found = bucket(record, "addition", "all")
    assert found["forecast"] is None
    assert found["why_not"] == "only 5 problems are solved by every small model, 10 are needed"
    assert record["left_out"] == {"addition": list(range(55)), "copying": []}
    score = score_record(record, planted("target", TARGET_FLOPS, 0.3), SAMPLES)
    assert score["left_out"]["addition"] == {"problems": 55, "solved_by_target": 55}
    assert bucket(score, "addition", "all")["inside"] is None
    assert bucket(score, "copying", "all")["inside"] is True


def test_a_rate_that_does_not_rise_is_not_forecast() -> None:
    found = bucket(forecast(k=-0.05), "copying", "all")
    assert found["forecast"] is None
    assert "does not rise with compute" in found["why_not"]
    assert len(found["models"]) == 4


def test_problems_are_chosen_by_other_samples_than_they_are_measured_by() -> None:
    models = [planted(name, flops, 0.3) for name, flops in FLOPS.items()]
    flattered = [Measured(m.name, m.train_flops, m.choosing_P, np.zeros_like(m.measuring_P)) for m in models]
    assert choose_buckets(PROBLEMS, flattered, SAMPLES) == choose_buckets(PROBLEMS, models, SAMPLES)
    unlucky = [Measured(m.name, m.train_flops, np.where(np.arange(180) < 3, 0, m.choosing_P), m.measuring_P) for m in models]
    whole = choose_buckets(PROBLEMS, unlucky, SAMPLES)[0]
    assert (whole.task, whole.name, whole.problems) == ("addition", "all", tuple(range(3, 60)))


def test_a_target_no_larger_than_the_small_models_is_no_forecast() -> None:
    models = [planted(name, flops, 0.3) for name, flops in FLOPS.items()]
    with pytest.raises(InputError, match=r"params\.yaml: capability\.target has no more compute"):
        make_record(PROBLEMS, models, 2.7e10, SAMPLES, MIN_PROBLEMS, CONFIG)


@pytest.mark.parametrize(
    ("shares", "shows"),
    [
        ((0.9, 0.7, 0.5, 0.2), "falls with size (inverse scaling)"),
        ((0.5, 0.2, 0.2, 0.9), "falls with size, then rises (U-shaped)"),
        ((0.2, 0.3, 0.6, 0.9), "rises with size"),
        ((0.50, 0.52, 0.49, 0.55), "shows no change with size"),
    ],
)
def test_what_a_curve_shows(shares: tuple[float, ...], shows: str) -> None:
    rows = [Truthful(f"s{n}", 10.0**n, share, share - 0.1, share + 0.1, -1.0, -2.0) for n, share in enumerate(shares)]
    assert describe_curve(rows) == shows
