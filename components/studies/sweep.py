"""Each arm at its own best learning rate, without judging a rate on the runs that chose it.

The best of several noisy values is better than it will be again, and the more so the more rates are tried. So the first seed of
a study runs every rate and only chooses; the cells of the other seeds, at the chosen rate, make means and effects. (Leaving out
each seed in turn would use them all, but ties the values of an arm together: with six seeds and three rates two equal arms were
told apart in 6 % of simulated studies where 2 % were asked for, ``tests/numerics/test_studies_coverage.py``.)
"""

from collections.abc import Mapping
from pathlib import Path

from components.artifacts import read_json
from components.errors import InputError
from components.studies.config import StudyCell, StudyConfig

Values = dict[StudyCell, float | None]


def read_values(folder: Path, cells: list[StudyCell], metric: str) -> Values:
    """The metric of each cell from ``folder``/CELL.json; None if its training diverged.

    Raises:
        InputError: a file is missing or lacks the metric.
    """
    return {cell: _metric(folder / f"{cell.name}.json", metric) for cell in cells}


def _metric(path: Path, metric: str) -> float | None:
    record = read_json(path)
    if record.get("diverged"):
        return None
    if not isinstance(record.get(metric), int | float):
        raise InputError(f"{path}: {metric} is missing, which the study compares; mend its metric in params.yaml or run its cells again")
    return float(record[metric])


def choose_rates(config: StudyConfig, values: Mapping[StudyCell, float | None]) -> dict[tuple[str, str], str]:
    """(condition, arm) -> the rate that was best on the first seed, of equal ones the first; one that diverged is worst.

    Args:
        values: of ``config.choosing_cells()``.
    """
    rates = list(config.learning_rate.sweep)
    if not config.swept:
        return {(condition, arm): rates[0] for condition in config.conditions for arm in config.arms}
    sign = 1 if config.direction == "lower" else -1

    def badness(cell: StudyCell) -> tuple[bool, float]:
        value = values[cell]
        return (True, 0.0) if value is None else (False, sign * value)

    return {
        (condition, arm): min((StudyCell(condition, arm, rate, config.seeds[0]) for rate in rates), key=badness).rate
        for condition in config.conditions
        for arm in config.arms
    }
