"""Means, effects and verdicts of a study."""

import math
from typing import Any, Literal

import pytest
from pydantic import ValidationError

from components.errors import InputError
from components.studies.config import StudyConfig
from components.studies.effect import NO_DIFFERENCE, summarize
from tests.configs import study_config


def study(arms: str, seeds: int = 3, direction: Literal["lower", "higher"] = "lower") -> StudyConfig:
    return study_config(direction=direction, seeds=list(range(seeds)), arms={arm: {} for arm in arms})


def cells(**arms: list[float | None]) -> dict[str, dict[int, float | None]]:
    return {arm: dict(enumerate(values)) for arm, values in arms.items()}


def summary(config: StudyConfig, **arms: list[float | None]) -> dict[str, Any]:
    return summarize("s", config, cells(**arms))


def test_mean_and_t_interval_of_an_arm() -> None:
    arm = summary(study("ab"), a=[1.0, 2.0, 3.0], b=[1.0, 2.0, 3.0])["arms"]["a"]
    half = 4.302653 / math.sqrt(3)  # t of 2 degrees of freedom at .975, sd 1
    assert [arm["mean"], arm["low"], arm["high"]] == pytest.approx([2.0, 2 - half, 2 + half], rel=1e-6)
    assert (arm["seeds"], arm["values"], arm["diverged"]) == ([0, 1, 2], [1.0, 2.0, 3.0], 0)


def test_pairing_by_seed_removes_what_seeds_share() -> None:
    result = summary(study("ab"), a=[1.0, 2.0, 3.0], b=[1.5, 2.51, 3.49])
    effect = result["effects"]["b"]
    assert effect["effect"] == pytest.approx(0.5)
    assert 0.4 < effect["low"] < effect["high"] < 0.6
    assert effect["verdict"] == "a better than b by 0.5 (95 % interval 0.475 to 0.525)"
    assert result["verdict"] == effect["verdict"]


def test_order_of_seeds_in_the_input_does_not_matter() -> None:
    config = study("ab")
    turned = {arm: dict(reversed(values.items())) for arm, values in cells(a=[1.0, 2.0, 3.0], b=[1.5, 2.51, 3.49]).items()}
    assert summarize("s", config, turned) == summary(config, a=[1.0, 2.0, 3.0], b=[1.5, 2.51, 3.49])


def test_higher_is_better_turns_the_verdict_not_the_effect() -> None:
    values: dict[str, list[float | None]] = {"a": [1.0, 2.0, 3.0], "b": [1.5, 2.51, 3.49]}
    lower, higher = summary(study("ab"), **values)["effects"]["b"], summary(study("ab", direction="higher"), **values)["effects"]["b"]
    assert higher["verdict"].startswith("b better than a by 0.5")
    assert higher["effect"] == lower["effect"]


def test_an_interval_that_covers_zero_shows_no_difference() -> None:
    result = summary(study("ab"), a=[1.0, 2.0, 3.0], b=[1.5, 1.9, 3.4])
    assert result["effects"]["b"]["low"] < 0 < result["effects"]["b"]["high"]
    assert result["effects"]["b"]["verdict"] == NO_DIFFERENCE == "no difference shown"
    assert result["verdict"] == "no difference shown between a and b"


def test_identical_arms_show_no_difference() -> None:
    result = summary(study("ab"), a=[1.0, 2.0, 3.0], b=[1.0, 2.0, 3.0])
    assert result["effects"]["b"] == {"effect": 0.0, "low": 0.0, "high": 0.0, "verdict": NO_DIFFERENCE}


def test_equal_differences_of_counts_are_no_certainty() -> None:
    result = summary(study("ab", direction="higher"), a=[0.38, 0.3675, 0.37], b=[0.3925, 0.38, 0.3825])
    assert result["effects"]["b"]["effect"] == pytest.approx(0.0125)
    assert result["effects"]["b"]["low"] is None
    assert result["verdict"] == "no difference shown between a and b (the same on every seed, no interval)"


def test_more_arms_widen_the_intervals_of_effects_but_not_of_means() -> None:
    values: dict[str, list[float | None]] = {"a": [1.0, 2.0, 3.0], "b": [1.5, 2.51, 3.49]}
    two, four = summary(study("ab"), **values), summary(study("abcd"), **values, c=[1.0, 2.1, 2.9], d=[1.0, 2.0, 3.1])
    assert four["effects"]["b"]["low"] < two["effects"]["b"]["low"]
    assert four["arms"]["a"] == two["arms"]["a"]
    assert (two["correction"], four["correction"]) == ("Bonferroni over 1 comparison", "Bonferroni over 3 comparisons")
    assert four["verdict"] == f"{four['effects']['b']['verdict']}; no difference shown between a and c, d"


def test_a_diverged_cell_is_an_outcome_and_never_averaged() -> None:
    result = summary(study("abc"), a=[1.0, 2.0, 3.0], b=[1.5, None, float("nan")], c=[0.5, 1.51, 2.49])
    assert result["arms"]["b"] == {"mean": None, "low": None, "high": None, "seeds": [0, 1, 2], "values": [1.5, None, None], "diverged": 2}
    assert result["effects"]["b"]["effect"] is None
    assert result["effects"]["b"]["verdict"] == "b diverged on 2 of 3 seeds, a diverged on 0 of 3 seeds"
    assert result["effects"]["c"]["verdict"].startswith("c better than a by 0.5")


def test_a_diverged_baseline_leaves_no_effect() -> None:
    result = summary(study("ab"), a=[math.inf, 2.0, 3.0], b=[1.0, 2.0, 3.0])
    assert result["verdict"] == "b diverged on 0 of 3 seeds, a diverged on 1 of 3 seeds"
    assert result["arms"]["b"]["mean"] == 2.0


def test_one_seed_has_no_interval_and_shows_nothing() -> None:
    result = summary(study("ab", seeds=1), a=[1.0], b=[9.0])
    assert result["effects"]["b"] == {"effect": 8.0, "low": None, "high": None, "verdict": "no difference shown (one seed, no interval)"}
    assert result["verdict"] == "no difference shown between a and b (one seed, no interval)"
    assert result["detectable_sd"] is None
    assert (result["arms"]["a"]["mean"], result["arms"]["a"]["low"]) == (1.0, None)


def test_a_missing_cell_is_one_line() -> None:
    with pytest.raises(InputError, match="study s: the cell of arm b, seed 2 is missing"):
        summary(study("ab"), a=[1.0, 2.0, 3.0], b=[1.0, 2.0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arms": {}}, "two arms or more, one of them the baseline; has none"),
        ({"arms": {"a": {}}}, "two arms or more, one of them the baseline; has a"),
        ({"baseline": "z"}, "baseline 'z' is no arm; name one of a, b"),
        ({"seeds": [1, 1]}, "name one twice"),
        ({"seeds": []}, "at least 1 item"),
        ({"conditions": {}}, "at least 1 item"),
        ({"metric": "loss"}, "Input should be 'loss_nats'"),
        ({"seeds": [0], "learning_rate": {"rule": "swept", "sweep": {"low": {"x.y": 1}, "high": {}}}}, "needs two seeds or more"),
    ],
)
def test_a_study_that_compares_nothing_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        StudyConfig.model_validate(study("ab").model_dump() | change)
