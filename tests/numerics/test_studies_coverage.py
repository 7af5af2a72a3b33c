"""A study finds what is there and not what is not, over simulated repeats."""

import numpy as np
import pytest

from components.studies.config import StudyConfig
from components.studies.effect import NO_DIFFERENCE, summarize

REPEATS = 400


def share_of_differences(arm_effects_sd: list[float], seeds: int, shared_sd: float = 2.0) -> float:
    """Share of repeats in which any arm is told from the baseline. Cells have noise of sd 1 and a part that arms share by seed."""
    rng = np.random.default_rng(seeds + len(arm_effects_sd))
    arms = [f"arm{n}" for n in range(len(arm_effects_sd))]
    config = StudyConfig(
        question="?",
        metric="m",
        direction="lower",
        baseline="base",
        seeds=list(range(seeds)),
        common={},
        arms={a: {} for a in ["base", *arms]},
    )
    found = 0
    for _ in range(REPEATS):
        shared = 10 + rng.normal(0, shared_sd, seeds)
        cells = {"base": shared + rng.normal(0, 1, seeds)}
        cells |= {arm: shared + effect + rng.normal(0, 1, seeds) for arm, effect in zip(arms, arm_effects_sd, strict=True)}
        values: dict[str, dict[int, float | None]] = {arm: dict(enumerate(row.tolist())) for arm, row in cells.items()}
        effects = summarize("s", config, values, 0.95)["effects"]
        found += any(effect["verdict"] != NO_DIFFERENCE for effect in effects.values())
    return found / REPEATS


@pytest.mark.parametrize(("arms", "seeds"), [(1, 3), (1, 5), (3, 3), (3, 5)])
def test_identical_arms_show_no_difference_in_93_percent_or_more(arms: int, seeds: int) -> None:
    assert share_of_differences([0.0] * arms, seeds) <= 0.07


def test_a_planted_effect_of_five_sd_is_found_with_five_seeds() -> None:
    assert share_of_differences([5.0], seeds=5) >= 0.8


def test_three_seeds_find_only_what_is_large() -> None:
    assert share_of_differences([2.0], seeds=3) < 0.5
    assert share_of_differences([12.0], seeds=3) >= 0.8
