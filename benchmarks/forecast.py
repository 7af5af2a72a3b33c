"""The forecast from a table of runs against planted truths, and against published runs that are held out.

Planted: surfaces L(N, D) = E + A N^-alpha + B D^-beta, a third of them symmetric, under grids that are centred, drift,
lie off the optimum or are crossed (sizes x horizons), with relative noise of .2, .5 or 1 %. Counted is how often a 95 %
interval holds the truth, and how far the other methods are off; then again where small models scatter more, where tails are heavy
where runs of one size share errors, and where the law itself is wrong by half of the scatter. Published: ../shared/data/scaling.
"""

import csv
import json
import math
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import harness
from components.errors import InputError
from components.scaling import table_forecast
from components.scaling.approach3 import fit_approach3
from components.scaling.config import ExtrapolationConfig
from components.scaling.surface import Surface
from components.scaling.table import RunTable, read_table
from components.scaling.table_forecast import Point, Study
from flows import params

DATA = Path("../shared/data/scaling")
SURFACES, QUICK_SURFACES = 480, 40
BESIDE_EVERY = 4  # the other methods are looked at on every fourth surface
RATIOS = (1, 10, 100, 1000)
GRIDS = ("centred", "drifting", "off-centre", "crossed")
NOISES = (0.002, 0.005, 0.01)
SCATTERS = ("uneven", "heavy tails", "shared by size", "law wrong by half of it")
LARGEST = 1e20  # FLOP
CONFIDENCE = 0.95


class Sections(params.Sections):
    """How laws are fitted."""

    extrapolation: ExtrapolationConfig


@dataclass(frozen=True)
class Planted:
    """A true surface and the runs of it."""

    truth: Surface
    table: RunTable


def main() -> int:
    """Print coverage, bias and errors; write results/forecast.json."""
    quick = harness.is_quick(__doc__)
    config = params.load(Sections).extrapolation
    start = time.perf_counter()
    surfaces = QUICK_SURFACES if quick else SURFACES
    written = {
        "planted": planted_study(surfaces, config),
        "other_scatter": {scatter: coverage_only(surfaces // 4, scatter, config) for scatter in SCATTERS},
        "published": published_errors(config),
    }
    print(f"{time.perf_counter() - start:.0f} s")
    harness.RESULTS.mkdir(exist_ok=True)
    (harness.RESULTS / "forecast.json").write_text(json.dumps(written, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return 0


def planted(number: int, scatter: str = "alike") -> Planted:
    """The surface of that number: its kind follows from the number, its constants are drawn by it."""
    rng = np.random.default_rng(number)
    grid, noise = GRIDS[number % len(GRIDS)], NOISES[number // len(GRIDS) % len(NOISES)]
    alpha, beta = rng.uniform(0.25, 0.5, 2)
    beta = alpha if number % 3 == 0 else beta
    by_size, by_data, floor = rng.uniform(0.4, 1.5), rng.uniform(0.4, 1.5), rng.uniform(1.0, 2.0)
    truth = Surface(floor, by_size, by_data, float(alpha), float(beta), 3e8, 6e9)
    sizes, tokens = _grid(grid, truth)
    losses = truth.loss_nats(sizes, tokens) * np.exp(noise * _errors(rng, scatter, sizes, tokens))
    return Planted(truth, RunTable(6 * sizes * tokens, losses, np.arange(len(sizes)) + 2, sizes, tokens))


def _errors(rng: np.random.Generator, scatter: str, sizes: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Errors of mean square 1: alike; falling with N^.4; Student's with 3 degrees of freedom; half of the variance one for a size; or

    half of it a smooth function of log N and log D, a Gaussian process that fades over factors of 4.5 (the fit supposes 2.7).
    """
    own = rng.normal(size=len(sizes))
    if scatter == "uneven":
        spread = sizes**-0.4
        return np.asarray(own * spread / np.sqrt(np.mean(spread**2)))
    if scatter == "heavy tails":
        return rng.standard_t(3, len(sizes)) / math.sqrt(3)
    if scatter == "shared by size":
        _, which = np.unique(sizes, return_inverse=True)
        return np.asarray((own + rng.normal(size=which.max() + 1)[which]) / math.sqrt(2))
    if scatter == "law wrong by half of it":
        logs = np.log(sizes), np.log(tokens)
        distance = np.hypot(*(axis[:, None] - axis for axis in logs)) * math.sqrt(3) / math.log(4.5)
        root = np.linalg.cholesky((1 + distance) * np.exp(-distance) + 1e-9 * np.eye(len(sizes)))
        return np.asarray((own + root @ rng.normal(size=len(sizes))) / math.sqrt(2))
    return own


def _grid(kind: str, truth: Surface) -> tuple[np.ndarray, np.ndarray]:
    """48 runs: six budgets of eight sizes, or eight sizes of six horizons, over two decades of compute."""
    middle = math.sqrt(LARGEST * LARGEST / 100)
    if kind == "crossed":
        n, d = truth.optimum(middle, 6.0)
        sizes, tokens = np.meshgrid(n * np.geomspace(1 / 3.2, 3.2, 8), d * np.geomspace(1 / 3.2, 3.2, 6), indexing="ij")
        return sizes.ravel(), tokens.ravel()
    found: list[tuple[float, float]] = []
    for step, flops in enumerate(np.geomspace(LARGEST / 100, LARGEST, 6)):
        centre = {"centred": 1.0, "off-centre": 3.0, "drifting": 10 ** (-0.3 + 0.6 * step / 5)}[kind]
        for size in centre * truth.optimum(float(flops), 6.0)[0] * np.geomspace(1 / 6, 6, 8):
            found.append((float(size), float(flops / 6 / size)))
    sizes, tokens = np.array(found).T
    return sizes, tokens


def judged(case: Planted, study: Study) -> Iterator[tuple[str, bool, float]]:
    """(what, whether its interval holds the truth, error of the estimate as a share) of one surface."""
    truth, largest = case.truth, float(case.table.flops_P.max())
    total = truth.alpha + truth.beta
    actual = {"alpha": truth.alpha, "beta": truth.beta, "a": truth.beta / total}
    for name, (value, (low, high)) in table_forecast.exponents(study).items():
        if name in actual:
            yield name, low <= actual[name] <= high, value / actual[name] - 1
    for ratio in RATIOS:
        flops = ratio * largest
        said, (n_params, n_tokens) = study.forecast(Point(flops)), truth.optimum(flops, 6.0)
        loss = float(truth.loss_nats(n_params, n_tokens))
        assert said.n_params_interval is not None and said.n_tokens_interval is not None and said.n_params is not None
        yield f"loss at {ratio}x", said.interval[0] <= loss <= said.interval[1], said.loss_nats / loss - 1
        yield f"N* at {ratio}x", said.n_params_interval[0] <= n_params <= said.n_params_interval[1], said.n_params / n_params - 1
        yield f"D* at {ratio}x", said.n_tokens_interval[0] <= n_tokens <= said.n_tokens_interval[1], n_params / said.n_params - 1


def planted_study(surfaces: int, config: ExtrapolationConfig) -> dict[str, object]:
    """Coverage of the default method, and errors of it and the others at 100 times the compute."""
    held: dict[str, list[bool]] = defaultdict(list)
    by_grid: dict[str, list[bool]] = defaultdict(list)
    errors: dict[str, list[tuple[float, float]]] = defaultdict(list)
    refused = 0
    for number in range(surfaces):
        case = planted(number)
        try:
            study = table_forecast.study(case.table, config, CONFIDENCE, "planted")
            rows = list(judged(case, study))
        except InputError as error:
            print(f"surface {number}: {error}")
            refused += 1
            continue
        for name, inside, _ in rows:
            held[name].append(inside)
            by_grid[GRIDS[number % len(GRIDS)]].append(inside)
        if number % BESIDE_EVERY == number // BESIDE_EVERY % BESIDE_EVERY:
            _beside(case, study, errors)
    coverage = {name: float(np.mean(inside)) for name, inside in held.items()}
    bias = {name: _summary(pairs) for name, pairs in errors.items()}
    for name, share in coverage.items():
        deviation = math.sqrt(share * (1 - share) / len(held[name]))
        print(f"{name:<16} {100 * share:5.1f} +- {100 * deviation:.1f} % of {len(held[name])} intervals hold the truth")
    for name, row in bias.items():
        print(f"{name:<20} at 100x: " + ", ".join(f"{key} {100 * value:+.2f} %" for key, value in row.items()))
    grids = {grid: float(np.mean(inside)) for grid, inside in by_grid.items()}
    print("by grid: " + ", ".join(f"{grid} {100 * share:.1f} %" for grid, share in grids.items()))
    return {"surfaces": surfaces, "refused": refused, "coverage": coverage, "coverage_by_grid": grids, "errors_at_100x": bias}


def coverage_only(surfaces: int, scatter: str, config: ExtrapolationConfig) -> dict[str, float]:
    """Coverage of the default method under another scatter; sizes repeat in crossed grids alone."""
    held: dict[str, list[bool]] = defaultdict(list)
    for number in range(surfaces):
        case = planted(number if scatter != "shared by size" else 4 * number + GRIDS.index("crossed"), scatter)
        for name, inside, _ in judged(case, table_forecast.study(case.table, config, CONFIDENCE, "planted")):
            held[name].append(inside)
    coverage = {name: float(np.mean(inside)) for name, inside in held.items()}
    print(f"{scatter:<16} " + ", ".join(f"{name} {100 * share:.0f}" for name, share in coverage.items()) + f" % of {surfaces}")
    return coverage


def _beside(case: Planted, study: Study, errors: dict[str, list[tuple[float, float]]]) -> None:
    flops = 100 * float(case.table.flops_P.max())
    n_params, n_tokens = case.truth.optimum(flops, 6.0)
    loss = float(case.truth.loss_nats(n_params, n_tokens))
    said = study.forecast(Point(flops))
    assert said.n_params is not None
    errors[said.method].append((said.loss_nats / loss - 1, said.n_params / n_params - 1))
    for other in table_forecast.side_by_side(study, Point(flops), None):
        if other.fit is not None:
            errors[other.method].append((other.loss_nats / loss - 1, other.n_params / n_params - 1))


def _summary(pairs: list[tuple[float, float]]) -> dict[str, float]:
    losses, sizes = np.array(pairs).T
    typical = {"median loss error": np.median(losses), "median |loss error|": np.median(np.abs(losses))}
    return {key: float(value) for key, value in {**typical, "median N* error": np.median(sizes)}.items()}


def published_errors(config: ExtrapolationConfig) -> dict[str, object]:
    """Approach 3 on Chinchilla's points, and the largest runs of each published table from the smaller ones."""
    if not DATA.exists():
        return {}
    chinchilla = read_table(DATA / "chinchilla-epoch-svg/svg_extracted_data.csv", {})
    kept = np.arange(chinchilla.num_runs) >= 5  # Besiroglu 2024 leaves out the five of least compute
    refit = dict(fit_approach3(chinchilla.subset(kept), config.surface).law.parameters())
    print("approach 3 on Chinchilla's 240 points: " + ", ".join(f"{name} {value:.4g}" for name, value in refit.items()))
    rows: dict[str, object] = {"chinchilla approach 3": refit}
    with tempfile.TemporaryDirectory() as folder:
        for name, (path, columns) in published_tables(Path(folder)).items():
            rows[name] = held_out(name, read_table(path, columns), config)
    return rows


def held_out(name: str, table: RunTable, config: ExtrapolationConfig) -> dict[str, float | bool | str]:
    """The run of most compute, and all runs of more than a tenth of it, each at its own N and D, from the other runs."""
    assert table.n_params_P is not None and table.n_tokens_P is not None
    small_P = table.flops_P <= table.flops_P.max() / 10
    try:
        study = table_forecast.study(table.subset(small_P), config, CONFIDENCE, name)
        said = [study.forecast(_point(table, int(index), study)) for index in np.flatnonzero(~small_P)]
    except InputError as error:
        print(f"{name:<28} {error}")
        return {"refused": str(error)}
    errors = np.array([one.loss_nats for one in said]) / table.losses_P[~small_P] - 1
    pairs = list(zip(said, table.losses_P[~small_P], strict=True))
    inside = np.array([one.run_interval[0] <= actual <= one.run_interval[1] for one, actual in pairs])
    last = int(np.argmax(table.flops_P[~small_P]))
    (low, high), actual = said[last].run_interval, float(pairs[last][1])
    print(
        f"{name:<32} actual {actual:.3f}, forecast {said[last].loss_nats:.3f} ({low:.3f} to {high:.3f}), {said[last].compute_ratio:.0f}x: "
        f"{100 * errors[last]:+.2f} %; of {len(said)} held out {inside.sum()} inside, median error {100 * np.median(np.abs(errors)):.2f} %"
    )
    return {
        "method": said[last].method,
        "ratio": said[last].compute_ratio,
        "error": float(errors[last]),
        "inside": bool(inside[last]),
        "held_out": len(said),
        "held_out_inside": int(inside.sum()),
        "held_out_median_error": float(np.median(np.abs(errors))),
    }


def _point(table: RunTable, index: int, study: Study) -> Point:
    assert table.n_params_P is not None and table.n_tokens_P is not None
    flops = float(table.flops_P[index])
    return Point(flops) if study.surface is None else Point(flops, float(table.n_params_P[index]), float(table.n_tokens_P[index]))


def published_tables(folder: Path) -> dict[str, tuple[Path, dict[str, str | None]]]:
    """Name -> CSV file and its columns."""
    tables: dict[str, tuple[Path, dict[str, str | None]]] = {"Chinchilla": (DATA / "chinchilla-epoch-svg/svg_extracted_data.csv", {})}
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
