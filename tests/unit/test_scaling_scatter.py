"""What runs share, or scatter more, is found where it is planted, and rarely where it is not."""

from collections import Counter

import numpy as np
import pytest

from components.scaling import scatter
from components.scaling.approach3 import bootstrap_approach3
from components.scaling.estimate import estimate_surface
from components.scaling.scatter import Scatter, estimate_scatter
from components.scaling.surface import Surface, jacobian, problem
from components.scaling.table import RunTable
from components.scaling.table_forecast import Point, study
from tests.scaling_example import CONFIG, SURFACE

TRUTH = Surface(1.7, 400.0, 2000.0, 0.34, 0.37, 1.0, 1.0)
NOISE = 0.004


def grid() -> tuple[np.ndarray, np.ndarray]:
    """Eight sizes of six horizons."""
    sizes, tokens = np.meshgrid(np.geomspace(3e7, 1e9, 8), np.geomspace(1e9, 3e10, 6), indexing="ij")
    return sizes.ravel(), tokens.ravel()


def found(errors_P: np.ndarray) -> Scatter:
    sizes, tokens = grid()
    runs = problem(sizes, tokens, TRUTH.loss_nats(sizes, tokens))
    slopes_PR = jacobian(TRUTH, problem(sizes, tokens, runs.losses_P))
    basis, _ = np.linalg.qr(slopes_PR)
    return estimate_scatter(slopes_PR, errors_P - basis @ (basis.T @ errors_P), runs.log_n_P, runs.log_d_P, SURFACE)


def errors(kind: str, seed: int) -> np.ndarray:
    """Planted errors of the grid."""
    rng = np.random.default_rng(seed)
    sizes, _ = grid()
    own = rng.normal(0, NOISE, len(sizes))
    if kind == "uneven":
        return np.asarray(own * (sizes / 2e8) ** -0.8)
    if kind == "size":
        return own / 2 + np.repeat(rng.normal(0, NOISE, 8), 6)
    if kind == "near":
        return np.asarray(own / 4 + NOISE * np.sin(2.5 * np.log(sizes) + seed) * np.cos(2 * np.log(grid()[1]) + seed))
    return own


@pytest.mark.parametrize("kind", ["uneven", "size", "near"])
def test_what_is_planted_is_found(kind: str) -> None:
    kinds = Counter(found(errors(kind, seed)).kind for seed in range(12))
    assert kinds[kind] >= 9, kinds


def test_alike_and_independent_errors_are_rarely_taken_for_more() -> None:
    kinds = Counter(found(errors("alike", seed)).kind for seed in range(60))
    assert kinds["none"] >= 22, kinds  # three tests of level .2 leave .51 or more; fewer than 22 of 60 once in 100


def test_slopes_and_spread_are_those_planted_and_never_extrapolated() -> None:
    slopes = [found(errors("uneven", seed)).slope_n for seed in range(12)]
    assert -0.8 < np.mean(slopes) < -0.5, "steep slopes are found somewhat flat, for errors are clipped first"
    one = found(errors("uneven", 0))
    own_sd = np.sqrt(one.own_share)
    assert one.spread_at(100.0, 0.0) == pytest.approx(own_sd * np.exp(one.log_spread_P.min()))
    assert one.spread_at(0.0, 0.0) == pytest.approx(own_sd)


def test_widening_is_what_least_squares_misses() -> None:
    """Against least squares done on many draws of the scatter that was found."""
    one = found(errors("size", 1))
    sizes, tokens = grid()
    slopes_PR = jacobian(TRUTH, problem(sizes, tokens, TRUTH.loss_nats(sizes, tokens)))
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(4000, 48)) + np.sqrt(one.shared_ratio) * np.repeat(rng.normal(size=(4000, 8)), 6, axis=1)
    estimates = draws @ np.linalg.pinv(slopes_PR).T
    rest = draws - estimates @ slopes_PR.T
    claimed = np.linalg.inv(slopes_PR.T @ slopes_PR) * (rest**2).sum(1).mean() / 43
    for index, gradient in enumerate(np.eye(5)):
        ratio = estimates[:, index].std() / np.sqrt(claimed[index, index])
        normal = one.widening(gradient, 0.05)  # Student's quantiles are those of the normal near the middle
        assert normal == pytest.approx(ratio, rel=0.06)
    assert one.widening(np.eye(5)[3], 0.95) > 2 > 1 > one.widening(np.eye(5)[4], 0.95)


def test_few_runs_many_runs_and_exact_runs_are_taken_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(errors("size", 1) * 1e-9).kind == "none"
    monkeypatch.setattr(scatter, "MIN_RUNS", 49)
    assert found(errors("size", 1)).kind == "none"
    monkeypatch.setattr(scatter, "MIN_RUNS", 20)
    monkeypatch.setattr(scatter, "MAX_RUNS", 47)
    assert found(errors("size", 1)).kind == "none"


def test_a_law_that_is_wrong_widens_the_forecast_and_says_so() -> None:
    sizes, tokens = grid()
    tables = [
        RunTable(6 * sizes * tokens, TRUTH.loss_nats(sizes, tokens) * np.exp(errors(kind, 3)), np.arange(48), sizes, tokens)
        for kind in ("alike", "near")
    ]
    spans, said = [], []
    for table in tables:
        forecast = study(table, CONFIG, 0.95, "x").forecast(Point(1e22))
        spans.append(forecast.interval[1] - forecast.interval[0])
        said.append(any("the law misses near runs together" in text for text in forecast.warnings))
    assert said == [False, True]
    assert spans[1] > 1.5 * spans[0]


def test_bootstrap_of_approach_3_scatters_as_the_profile_interval_says() -> None:
    sizes, tokens = grid()
    losses = TRUTH.loss_nats(sizes, tokens) * np.exp(errors("alike", 3))
    table = RunTable(6 * sizes * tokens, losses, np.arange(48), sizes, tokens)
    fit = estimate_surface(table, CONFIG, 0.95, "x")
    draws = bootstrap_approach3(table, fit.best.surface, SURFACE, 60, seed=0)
    again = bootstrap_approach3(table, fit.best.surface, SURFACE, 60, seed=0)
    assert [draw.alpha for draw in draws] == [draw.alpha for draw in again]
    assert len(draws) >= 55
    half = (fit.region.alphas_K.max() - fit.region.alphas_K.min()) / 2
    assert 0.5 * half < 2 * np.std([draw.alpha for draw in draws]) < 2.5 * half
