"""Estimates from past runs: do their intervals cover what happens, on simulated machines and in a real history?"""

import math

import numpy as np
import pytest

from components.costing.estimate import Estimate, Estimator, Past, repeat_scatter
from components.costing.schedule import makespan_seconds

# Seconds of the cells of two whole runs of this repository (2026-11-24, two cores, the second on a busier machine), seeds apart.
REAL = {
    "aux half": [14.2, 13.9, 13.6, 20.5, 19.2, 19.0], "aux off": [9.8, 9.8, 9.9, 11.9, 11.6, 12.5],
    "b128": [16.7, 15.1, 17.6, 33.0, 38.4, 35.6], "b256": [12.7, 12.4, 12.4, 26.9, 30.3, 25.0],
    "b512": [11.9, 11.5, 10.1, 23.9, 21.2, 24.9], "post": [17.5, 16.8, 16.3, 31.8, 20.4, 25.9],
    "post low": [16.5, 18.4, 20.1, 26.6, 27.8, 24.0], "pre": [17.1, 18.8, 18.3, 23.3, 22.6, 22.4],
    "pre low": [21.7, 21.2, 20.3, 27.1, 25.5, 25.7], "curate": [19.4, 29.7], "tasks": [7.5, 16.7], "evaluate": [15.8, 18.6],
    "library": [15.0, 17.9], "library scratch": [15.7, 20.5], "name": [32.7, 45.4], "name scratch": [35.9, 45.7],
    "see": [34.8, 38.0], "see scratch": [34.8, 40.3], "match": [21.6, 23.9], "match scratch": [18.8, 23.5], "forecast": [0.2, 0.5],
    "r1": [14.1, 12.9], "r3": [32.7, 47.4], "r4": [42.9, 63.1], "r5": [47.0, 60.1], "r6": [52.7, 76.8], "target": [191.9, 424.8],
    "score": [0.2, 0.3], "tokenize": [10.3, 9.7], "report": [0.3, 0.4],
}  # fmt: skip


def covers(estimate: Estimate | None, taken: float) -> bool:
    assert estimate is not None
    return estimate.low <= taken <= estimate.high


def test_leaving_out_each_run_of_a_real_history() -> None:
    """The other run of a cell is nearly all that is known of it, and the machine was not as busy: as it is in practice."""
    past = [Past(key, (1.0,), seconds) for key, runs in REAL.items() for seconds in runs]
    inside = 0
    for number, run in enumerate(past):
        others = past[:number] + past[number + 1 :]
        estimator = Estimator(others, repeat_scatter([others]))
        inside += covers(estimator.estimate(run.key, run.work), run.taken)
    assert len(past) == 96
    assert 0.7 <= inside / len(past) <= 0.9, f"{inside} of {len(past)}"


@pytest.mark.parametrize("repeat_sd", [0.05, 0.2, 0.4])
def test_cells_run_again_on_a_simulated_machine(repeat_sd: float) -> None:
    generator = np.random.default_rng(0)
    inside = []
    for _ in range(30):
        sizes = generator.uniform(1, 100, 20)
        past = [
            Past(key, (1.0,), size * math.exp(generator.normal(0, repeat_sd)))
            for key, size in enumerate(sizes)
            for _ in range(generator.integers(1, 4))
        ]
        estimator = Estimator(past, repeat_scatter([past]))
        inside += [
            covers(estimator.estimate(key, (1.0,)), size * math.exp(generator.normal(0, repeat_sd))) for key, size in enumerate(sizes)
        ]
    assert 0.7 <= np.mean(inside) <= 0.9


@pytest.mark.parametrize("repeat_sd", [0.1, 0.3])
def test_new_cells_of_a_known_kind_on_a_simulated_machine(repeat_sd: float) -> None:
    """Time is start + operations / rate + steps x overhead; the arms asked for were never run."""
    generator = np.random.default_rng(1)
    inside = []

    def work() -> tuple[float, float, float]:
        return 1.0, 10 ** generator.uniform(10, 12.5), 10 ** generator.uniform(3, 4.5)

    def seconds(terms: tuple[float, float, float]) -> float:
        return (3 + terms[1] / 2e10 + 2e-3 * terms[2]) * math.exp(generator.normal(0, repeat_sd))

    for _ in range(40):
        known = [work() for _ in range(12)]
        past = [Past(key, terms, seconds(terms)) for key, terms in enumerate(known) for _ in range(2)]
        estimator = Estimator(past, repeat_scatter([past]))
        inside += [covers(estimator.estimate("new", terms), seconds(terms)) for terms in (work() for _ in range(20))]
    assert 0.7 <= np.mean(inside) <= 0.9


def test_without_any_run_nothing_is_claimed_and_with_one_little() -> None:
    assert Estimator([], repeat_scatter([])).estimate("a", (1.0,)) is None
    past = [Past("a", (1.0,), 10.0)]
    again = Estimator(past, repeat_scatter([past])).estimate("a", (1.0,))
    other = Estimator(past, repeat_scatter([past])).estimate("b", (1.0,))
    assert again is not None and other is not None
    assert again.middle == pytest.approx(10) == pytest.approx(other.middle)
    assert other.low < again.low < 10 < again.high < other.high
    assert (again.basis, other.basis) == ("1 of the same", "1 of its kind")


@pytest.mark.parametrize(
    ("workers", "expected"),
    [(1, 10.0), (2, 6.0), (9, 6.0)],
)
def test_how_long_cells_take_that_wait_for_one_another(workers: int, expected: float) -> None:
    seconds = {"corpus": 1.0, "long": 4.0, "short": 2.0, "shorter": 2.0, "report": 1.0}
    upstream = {"corpus": [], "long": ["corpus"], "short": ["corpus"], "shorter": ["corpus"], "report": ["long", "short", "shorter"]}
    assert makespan_seconds(list(seconds), upstream, seconds, workers) == expected


def test_what_is_done_already_is_not_waited_for() -> None:
    assert makespan_seconds(["b"], {"b": ["a"]}, {"b": 2.0}, 1) == 2.0
    assert makespan_seconds([], {}, {}, 1) == 0.0
