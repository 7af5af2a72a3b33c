"""Held-out runs of published tables: each forecast, at its own N and D, from the runs of a third, tenth, ... of the largest compute.

Beside the default method what the others say of the same runs. The tables are those of ../shared/data/scaling and, with --tables, any
folder of CSV files (one table each, in the columns that ``python -m flows.forecast`` reads).
"""

import argparse
import csv
import json
import math
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import harness
from components.errors import InputError
from components.scaling import table_forecast
from components.scaling.approach3 import fit_approach3
from components.scaling.config import ExtrapolationConfig
from components.scaling.table import RunTable, read_table
from components.scaling.table_forecast import Point, Study
from flows import params

DATA = Path("../shared/data/scaling")
RATIOS = (3, 10, 30, 100)  # largest compute over that of the largest run that the fit sees
QUICK_RATIOS = (10,)
MIN_RUNS = 8
CONFIDENCE = 0.95
Columns = dict[str, str | None]


class Sections(params.Sections):
    """How laws are fitted."""

    extrapolation: ExtrapolationConfig


@dataclass(frozen=True)
class HeldOut:
    """Forecasts of the runs beyond a share of the largest compute; arrays [H] over those runs, by rising compute.

    ``runs_H2``: ends of the interval of one new run; ``in_law_H``: actual loss inside the law's own; ``others``: method -> its errors [H].
    """

    method: str
    scatter: str
    num_runs: int
    ratio: float
    actual_H: np.ndarray
    forecasts_H: np.ndarray
    runs_H2: np.ndarray
    in_law_H: np.ndarray
    others: dict[str, np.ndarray]

    @property
    def errors_H(self) -> np.ndarray:
        """Forecast / actual - 1."""
        return np.asarray(self.forecasts_H / self.actual_H - 1)

    @property
    def in_run_H(self) -> np.ndarray:
        """Whether the actual loss is inside the interval of a run."""
        return np.asarray((self.runs_H2[:, 0] <= self.actual_H) & (self.actual_H <= self.runs_H2[:, 1]))

    def record(self) -> dict[str, float | bool | str | int]:
        """Plain numbers, the largest run's apart."""
        return {
            "method": self.method,
            "scatter": self.scatter,
            "runs": self.num_runs,
            "ratio": self.ratio,
            "error": float(self.errors_H[-1]),
            "inside": bool(self.in_run_H[-1]),
            "held_out": len(self.actual_H),
            "held_out_inside": int(self.in_run_H.sum()),
            "held_out_inside_law": int(self.in_law_H.sum()),
            "held_out_median_error": float(np.median(np.abs(self.errors_H))),
            **{f"{method}: median error": float(np.median(np.abs(errors))) for method, errors in self.others.items()},
        }


def main(argv: Sequence[str] | None = None) -> int:
    """Print the rows; write results/forecast_tables.json."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecast_tables", description=__doc__)
    parser.add_argument("--tables", type=Path, metavar="FOLDER", help="CSV files of runs, a table each")
    parser.add_argument("--quick", action="store_true", help="of each table only the cut at a tenth")
    args = parser.parse_args(argv)
    ratios = QUICK_RATIOS if args.quick else RATIOS
    config = params.load(Sections).extrapolation
    with tempfile.TemporaryDirectory() as folder:
        tables = published_tables(Path(folder)) if DATA.exists() else {}
        tables |= {path.stem: (path, {}) for path in sorted(args.tables.glob("*.csv"))} if args.tables else {}
        found = {name: _table(name, path, columns, ratios, config) for name, (path, columns) in tables.items()}
    if DATA.exists():
        _refit(config)
    _summary([one for rows in found.values() for one in rows.values()])
    written = {name: {str(ratio): one.record() for ratio, one in rows.items()} for name, rows in found.items()}
    harness.RESULTS.mkdir(exist_ok=True)
    (harness.RESULTS / "forecast_tables.json").write_text(json.dumps(written, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return 0


def _table(name: str, path: Path, columns: Columns, ratios: Sequence[int], config: ExtrapolationConfig) -> dict[int, HeldOut]:
    """Ratio -> its held-out runs; what is refused is printed."""
    found: dict[int, HeldOut] = {}
    for ratio in ratios:
        try:
            one = held_out(name, read_table(path, columns), config, ratio)
        except InputError as error:
            print(f"{name:<34} {ratio:>4}: {error}")
            continue
        found[ratio] = one
        _show(name, ratio, one)
    return found


def held_out(name: str, table: RunTable, config: ExtrapolationConfig, ratio: float) -> HeldOut:
    """All runs of more than the largest compute / ``ratio`` from the other runs.

    Raises:
        InputError: too few runs are left, or they tell no law.
    """
    small_P = table.flops_P <= table.flops_P.max() / ratio
    if small_P.sum() < MIN_RUNS:
        raise InputError(f"{name}: {small_P.sum()} runs are left, too few to try")
    study = table_forecast.study(table.subset(small_P), config, CONFIDENCE, name)
    held = np.flatnonzero(~small_P)[np.argsort(table.flops_P[~small_P], kind="stable")]
    points = [_point(table, int(index), study) for index in held]
    said = [study.forecast(point) for point in points]
    actual_H = table.losses_P[held]
    inside = np.array([one.interval[0] <= actual <= one.interval[1] for one, actual in zip(said, actual_H, strict=True)])
    others: dict[str, list[float]] = defaultdict(list)
    for other in table_forecast.side_by_side(study, points[-1], None):
        if other.fit is not None and points[-1].n_params is not None:
            others[other.method] = [float(other.fit.predict(point.n_params, point.n_tokens)) for point in points]
    scatter = "" if study.surface is None else study.surface.scatter.kind
    return HeldOut(
        said[-1].method,
        scatter,
        int(small_P.sum()),
        said[-1].compute_ratio,
        actual_H,
        np.array([one.loss_nats for one in said]),
        np.array([one.run_interval for one in said]),
        inside,
        {method: np.array(losses) / actual_H - 1 for method, losses in others.items()},
    )


def _point(table: RunTable, index: int, study: Study) -> Point:
    flops = float(table.flops_P[index])
    if study.surface is None or table.n_params_P is None or table.n_tokens_P is None:
        return Point(flops)
    return Point(flops, float(table.n_params_P[index]), float(table.n_tokens_P[index]))


def _show(name: str, ratio: int, one: HeldOut) -> None:
    low, high = one.runs_H2[-1]
    beside = ", ".join(f"{method} {100 * np.median(np.abs(errors)):.1f}" for method, errors in one.others.items())
    print(
        f"{name:<34} {ratio:>4}: largest {one.actual_H[-1]:.3f}, forecast {one.forecasts_H[-1]:.3f} ({low:.3f} to {high:.3f}), "
        f"{100 * one.errors_H[-1]:+.2f} %; of {len(one.actual_H)} held out {one.in_law_H.sum()} inside the law's interval, "
        f"{one.in_run_H.sum()} inside a run's, median error {100 * np.median(np.abs(one.errors_H)):.2f} % ({beside})"
    )


def _summary(found: Sequence[HeldOut]) -> None:
    """Each table and ratio counts alike."""
    if not found:
        return
    methods = sorted({method for one in found for method in one.others})
    errors = {method: [one.others[method] for one in found if method in one.others] for method in methods}
    errors = {"default": [one.errors_H for one in found], **errors}
    law, run = (100 * float(np.mean([inside.mean() for inside in column])) for column in _inside(found))
    print(f"{len(found)} cuts: {law:.1f} % inside the law's interval, {run:.1f} % inside a run's; median errors: ", end="")
    medians = {method: 100 * np.median([np.median(np.abs(values)) for values in cuts]) for method, cuts in errors.items()}
    print(", ".join(f"{method} {value:.2f} %" for method, value in medians.items()))


def _inside(found: Sequence[HeldOut]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    return [one.in_law_H for one in found], [one.in_run_H for one in found]


def _refit(config: ExtrapolationConfig) -> None:
    """Approach 3 on Chinchilla's points; Besiroglu 2024 leaves out the five of least compute."""
    chinchilla = read_table(DATA / "chinchilla-epoch-svg/svg_extracted_data.csv", {})
    refit = fit_approach3(chinchilla.subset(np.arange(chinchilla.num_runs) >= 5), config.surface).law.parameters()
    print("approach 3 on Chinchilla's 240 points: " + ", ".join(f"{name} {value:.4g}" for name, value in refit.items()))


def published_tables(folder: Path) -> dict[str, tuple[Path, Columns]]:
    """Name -> CSV file and its columns."""
    tables: dict[str, tuple[Path, Columns]] = {"Chinchilla": (DATA / "chinchilla-epoch-svg/svg_extracted_data.csv", {})}
    isoflops = json.loads((DATA / "cs336-isoflops/isoflops_curves.json").read_text())
    rows = [(run["parameters"], run["compute_budget"], run["final_loss"]) for run in isoflops]
    tables["CS336 isoFLOP"] = (_csv(folder / "cs336.csv", ("N", "C", "loss"), rows), {})
    models = [json.loads(path.read_text()) for path in sorted((DATA / "mlfoundations-overtraining/exp_data/models").glob("*.json"))]
    for data_set in sorted({model["dataset_name"] for model in models}):
        for column in ("params", "params_no_embed"):
            own = [model for model in models if model["dataset_name"] == data_set]
            rows = [(m["hyperparameters"][column], m["hyperparameters"]["tokens"], float(m["results"][0]["loss"])) for m in own]
            tables[f"open_lm {data_set} {column}"] = (_csv(folder / f"{data_set}-{column}.csv", ("N", "D", "loss"), rows), {})
    with (DATA / "pythia-evals/pythia_v1_zero_shot_derived.csv").open() as file:
        pythia = [row for row in csv.DictReader(file) if int(row["step"]) >= 4000 and "deduped" not in row["model"]]
    for column in ("params_total", "params_non_embedding"):
        rows = [(row[column], row["tokens"], math.log(float(row["lambada_openai_ppl"]))) for row in pythia]
        tables[f"Pythia {column}"] = (_csv(folder / f"pythia-{column}.csv", ("N", "D", "loss"), rows), {})
    return tables


def _csv(path: Path, names: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    return path


if __name__ == "__main__":
    sys.exit(main())
