"""The prediction interval holds a new run of the target as often as it says, over planted ladders.

Measured over 150 ladders a case when this was written: .956 over all 18 cases; .96 to .97 where only seeds scatter, .91 to .97
where rungs scatter more. Median width 3 to 12 % of the loss (15 to 20 % with scattered rungs), median error .3 to 2 %.
"""

import numpy as np
import pytest

from components.scaling.ladder import LadderRun
from components.scaling.uncertainty import fit_ladder
from tests.scaling_example import CONFIG

FLOPS = (8e10, 2.2e11, 5e11, 1e12, 2.1e12)
TARGET_FLOPS = 2e13
LAWS = ((0.0, 0.06), (0.0, 0.12), (0.3, 0.2), (0.5, 0.15), (0.6, 0.3), (0.7, 0.5))
"""Share of E in the loss of the largest rung, and exponent."""
NOISES = ((0.0, 0.002), (0.0, 0.006), (0.005, 0.003))
"""Relative standard deviation of a rung about the law, and of a seed about its rung."""


def planted(rng: np.random.Generator, law: tuple[float, float], noise: tuple[float, float]) -> tuple[list[LadderRun], float]:
    """Five rungs of two seeds, and the loss of one new run of the target."""
    (share, exponent), (rung_sd, seed_sd) = law, noise

    def rung(flops: float, seeds: int) -> list[float]:
        loss = 4.5 * (share + (1 - share) * (flops / FLOPS[-1]) ** -exponent) * np.exp(rng.normal(0, rung_sd))
        return [float(loss * np.exp(rng.normal(0, seed_sd))) for _ in range(seeds)]

    runs = [LadderRun(f"r{n}", seed, flops, loss) for n, flops in enumerate(FLOPS) for seed, loss in enumerate(rung(flops, 2))]
    return runs, rung(TARGET_FLOPS, 1)[0]


def coverage(rng: np.random.Generator, cases: list[tuple[tuple[float, float], tuple[float, float]]], ladders: int) -> float:
    """Share of planted targets inside their interval, the cases taken in turn."""
    inside = 0
    for draw in range(ladders):
        runs, actual = planted(rng, *cases[draw % len(cases)])
        low, high = fit_ladder(runs, CONFIG, irreducible=True).interval(TARGET_FLOPS)
        inside += low <= actual <= high
    return inside / ladders


def test_nominal_95_percent_covers_90_to_99_percent_over_all_cases() -> None:
    cases = [(law, noise) for law in LAWS for noise in NOISES]
    assert 0.90 <= coverage(np.random.default_rng(0), cases, 198) <= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("noise", NOISES)
def test_no_planted_law_is_badly_covered(noise: tuple[float, float]) -> None:
    covered = {law: coverage(np.random.default_rng(1), [(law, noise)], 120) for law in LAWS}
    assert min(covered.values()) >= 0.88, covered  # .95 less three and a half standard errors of 120 draws


def test_median_forecast_of_planted_laws_is_near_the_truth() -> None:
    rng = np.random.default_rng(2)
    errors = []
    for law in LAWS:
        for _ in range(20):
            runs, actual = planted(rng, law, (0.0, 0.002))
            errors.append(fit_ladder(runs, CONFIG, irreducible=True).law.loss_nats(TARGET_FLOPS) / actual - 1)
    assert abs(float(np.median(errors))) < 0.003
    assert float(np.median(np.abs(errors))) < 0.01
