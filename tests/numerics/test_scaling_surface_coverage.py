"""Intervals from a table of runs hold planted truths as often as they say; benchmarks/forecast.py does this over ten times the surfaces."""

from collections import defaultdict

import numpy as np
import pytest

from benchmarks.forecast import judged, planted
from components.scaling import table_forecast
from tests.scaling_example import CONFIG

SURFACES = 24


@pytest.mark.slow
def test_exponents_optima_and_losses_up_to_1000_times_the_compute_are_covered() -> None:
    from scipy.stats import binom

    held: dict[str, list[bool]] = defaultdict(list)
    errors: dict[str, list[float]] = defaultdict(list)
    for number in range(SURFACES):
        case = planted(1000 + number)
        for name, inside, error in judged(case, table_forecast.study(case.table, CONFIG, 0.95, "planted")):
            held[name].append(inside)
            errors[name].append(error)
    counts = {name: sum(inside) for name, inside in held.items()}
    assert len(counts) == 15
    # A quantity with true coverage .93 falls below this once in 10,000 draws of 24 surfaces, one of 15 once in 700.
    assert min(counts.values()) >= binom.ppf(1e-4, SURFACES, 0.93), counts
    assert abs(float(np.median(errors["loss at 100x"]))) < 0.01
    # Half the intervals hold it half the time: intervals that are far too wide fail here.
    case = planted(1000)
    narrow = table_forecast.study(case.table, CONFIG, 0.5, "planted").forecast(table_forecast.Point(1e22))
    assert narrow.interval[1] / narrow.interval[0] - 1 < 0.03
