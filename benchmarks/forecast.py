"""The forecast from a table of runs against planted truths.

Planted: surfaces L(N, D) = E + A N^-alpha + B D^-beta, a third of them symmetric, under grids that are centred, drift,
lie off the optimum or are crossed (sizes x horizons), with relative noise of .2, .5 or 1 %. Counted is how often a 95 %
interval holds the truth, and how far the other methods are off; then again where small models scatter more, where tails are heavy
where runs of one size share errors, and where the law itself is wrong by half of the scatter.

Beside the default, a profile likelihood, stand percentiles of two bootstraps of the same fit: over runs, and over blocks of runs by size.
"""

import json
import math
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from benchmarks import harness
from components.errors import InputError
from components.scaling import table_forecast
from components.scaling.config import ExtrapolationConfig
from components.scaling.surface import Surface, search
from components.scaling.table import RunTable
from components.scaling.table_forecast import Point, Study
from flows import params

SURFACES, QUICK_SURFACES = 480, 40
BOOTSTRAP_SURFACES, DRAWS, SIZE_BLOCKS = 96, 199, 8
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
        "intervals": interval_study(8 if quick else BOOTSTRAP_SURFACES, config),
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

    half of it a smooth function of log N and log D, a Gaussian process that fades over factors of 4.5 (the fit supposes 7.4).
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


def interval_study(surfaces: int, config: ExtrapolationConfig) -> dict[str, dict[str, float]]:
    """Coverage of the default's intervals and of both bootstraps' on the same surfaces."""
    held: dict[str, dict[str, list[bool]]] = {way: defaultdict(list) for way in ("profile", "runs", "blocks by size")}
    for number in range(surfaces):
        case = planted(number)
        study = table_forecast.study(case.table, config, CONFIDENCE, "planted")
        for name, inside, _ in judged(case, study):
            held["profile"][name].append(inside)
        for way in ("runs", "blocks by size"):
            for name, inside in _bootstrapped(case, study, way, np.random.default_rng(number)):
                held[way][name].append(inside)
    coverage = {way: {name: float(np.mean(found)) for name, found in by_name.items()} for way, by_name in held.items()}
    for way, by_name in coverage.items():
        print(f"{way:<16} " + ", ".join(f"{name} {100 * share:.0f}" for name, share in by_name.items()) + f" % of {surfaces}")
    return coverage


def _bootstrapped(case: Planted, study: Study, way: str, rng: np.random.Generator) -> Iterator[tuple[str, bool]]:
    """(what, whether the percentiles of the draws hold the truth)."""
    assert study.surface is not None
    best = study.surface.best
    blocks_P = np.arange(best.problem.num_runs)
    if way == "blocks by size":
        blocks_P = np.argsort(np.argsort(best.problem.log_n_P, kind="stable")) * SIZE_BLOCKS // best.problem.num_runs
    num_blocks = int(blocks_P.max()) + 1
    drawn = []
    for _ in range(DRAWS):
        counts_P = rng.multinomial(num_blocks, np.full(num_blocks, 1 / num_blocks))[blocks_P]
        resampled = replace(best.problem, trust_P=counts_P.astype(float))
        drawn.append(_said(search(resampled, study.config.surface, best.surface).surface, case))
    for name, truth in _said(case.truth, case).items():
        low, high = np.nanquantile([said[name] for said in drawn], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
        yield name, bool(low <= truth <= high)


def _said(surface: Surface, case: Planted) -> dict[str, float]:
    """What ``judged`` looks at, of one surface; NaN where the draw lost a term and so its optimum."""
    said = {"alpha": surface.alpha, "beta": surface.beta, "a": surface.beta / (surface.alpha + surface.beta)}
    for ratio in RATIOS:
        n_params, n_tokens = surface.optimum(ratio * float(case.table.flops_P.max()), 6.0)
        with np.errstate(all="ignore"):
            said[f"loss at {ratio}x"] = float(surface.loss_nats(n_params, n_tokens))
        said |= {f"N* at {ratio}x": n_params, f"D* at {ratio}x": n_tokens}
    return said


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


if __name__ == "__main__":
    sys.exit(main())
