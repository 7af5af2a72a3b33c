"""Every way to fit a law finds the law that was planted, and its optimum is the least of its own losses."""

import math

import numpy as np
import pytest

from components.scaling.approach3 import fit_approach3
from components.scaling.estimate import estimate_surface, surface_is_told, without_outliers
from components.scaling.fits import Fit, Law
from components.scaling.frontier import fit_approach1, fit_approach2, fit_compute_law
from components.scaling.kaplan import KaplanData, KaplanSteps, fit_kaplan_data, fit_kaplan_steps
from components.scaling.surface import Surface, problem, search, solve
from components.scaling.table import RunTable
from tests.scaling_example import CONFIG, SURFACE

TRUTH = Surface(1.7, 400.0, 2000.0, 0.34, 0.37, 1.0, 1.0)


def isoflops(law: Law, noise: float = 0.0, seed: int = 0) -> RunTable:
    """Five budgets of eight sizes about the optimum."""
    sizes, flops = [], []
    for budget in np.geomspace(1e18, 1e20, 5).tolist():
        sizes += (law.optimum(budget, 6.0)[0] * np.geomspace(1 / 5, 5, 8)).tolist()
        flops += [budget] * 8
    n, c = np.array(sizes), np.array(flops)
    losses = law.loss_nats(n, c / 6 / n) * np.exp(np.random.default_rng(seed).normal(0, noise, len(n)))
    return RunTable(c, losses, np.arange(len(n)) + 2, n, c / 6 / n)


def good(fit: Fit | str) -> Fit:
    assert isinstance(fit, Fit), fit
    return fit


def test_variable_projection_finds_the_planted_surface() -> None:
    fit = estimate_surface(isoflops(TRUTH), CONFIG, 0.95, "x").fit
    assert fit.failed == 0
    assert fit.law.parameters() == pytest.approx(TRUTH.parameters(), rel=1e-4)
    assert fit.residual_sd < 1e-8


def test_squares_of_variable_projection_are_no_more_than_scipys() -> None:
    from scipy.optimize import least_squares

    table = isoflops(TRUTH, 0.01)
    assert table.n_params_P is not None and table.n_tokens_P is not None
    runs = problem(table.n_params_P, table.n_tokens_P, table.losses_P)
    best = search(runs, SURFACE)

    def errors(x: np.ndarray) -> np.ndarray:
        law = Surface(*(float(value) for value in x), runs.reference_n, runs.reference_d)
        return np.asarray(law.loss_nats(table.n_params_P, table.n_tokens_P) / table.losses_P - 1)

    law = best.surface
    start = [1.05 * law.irreducible_nats, law.n_coefficient, law.d_coefficient, 1.1 * law.alpha, law.beta]
    assert best.squares <= 2 * least_squares(errors, start, xtol=1e-12, ftol=1e-12).cost * (1 + 1e-6)


def test_no_coefficient_is_negative() -> None:
    from scipy.optimize import nnls

    table = isoflops(Surface(0.01, 400.0, 2.0, 0.1, 0.37, 1.0, 1.0), 0.02)
    assert table.n_params_P is not None and table.n_tokens_P is not None
    runs = problem(table.n_params_P, table.n_tokens_P, table.losses_P)
    alphas, betas = (axis.ravel() for axis in np.meshgrid([0.05, 0.3, 1.5], [0.05, 0.3, 1.5]))
    coefficients, squares = solve(runs, alphas, betas)
    for row, (alpha, beta) in enumerate(zip(alphas, betas, strict=True)):
        columns = np.stack([np.ones(runs.num_runs), np.exp(-alpha * runs.log_n_P), np.exp(-beta * runs.log_d_P)], axis=1)
        expected, norm = nnls(columns / runs.losses_P[:, None], np.ones(runs.num_runs))
        assert squares[row] == pytest.approx(norm**2, rel=1e-6)
        assert coefficients[row] == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_approach_3_finds_the_planted_surface() -> None:
    fit = fit_approach3(isoflops(TRUTH), SURFACE)
    assert fit.law.parameters() == pytest.approx(TRUTH.parameters(), rel=0.02)


def test_approach_2_is_right_where_the_surface_is_symmetric_and_the_grid_centred() -> None:
    symmetric = Surface(1.7, 400.0, 400.0, 0.34, 0.34, 1.0, 1.0)
    fit = good(fit_approach2(isoflops(symmetric), 6.0, CONFIG))
    assert fit.law.parameters()["a"] == pytest.approx(0.5, abs=1e-6)
    assert fit.law.optimum(1e22, 6.0)[0] == pytest.approx(symmetric.optimum(1e22, 6.0)[0], rel=1e-3)


@pytest.mark.parametrize("fit_law", [fit_approach1, fit_compute_law])
def test_laws_of_compute_follow_the_frontier(fit_law: object) -> None:
    assert callable(fit_law)
    fit = good(fit_law(isoflops(TRUTH), 6.0, CONFIG))
    n, d = TRUTH.optimum(1e21, 6.0)
    assert fit.predict(n, d) == pytest.approx(TRUTH.loss_nats(n, d), rel=0.01)


def test_laws_of_compute_say_why_they_cannot() -> None:
    one = isoflops(TRUTH).subset(np.arange(40) < 8)
    assert fit_approach2(one, 6.0, CONFIG) == "1 budgets are too few for a law with 3 parameters"


@pytest.mark.parametrize(
    "law", [KaplanData(0.076, 0.103, math.log(6.4e13), math.log(1.8e13)), KaplanSteps(0.077, 0.76, math.log(6.5e13), math.log(2.1e3), 5e5)]
)
def test_kaplans_laws_are_found_and_their_optimum_is_the_least(law: KaplanData | KaplanSteps) -> None:
    table = isoflops(law)
    fit = fit_kaplan_data(table) if isinstance(law, KaplanData) else fit_kaplan_steps(table, 5e5)
    assert fit.law.parameters() == pytest.approx(law.parameters(), rel=1e-2)
    best, _ = law.optimum(1e20, 6.0)
    n = best * np.geomspace(0.5, 2, 201)
    assert n[int(np.argmin(law.loss_nats(n, 1e20 / 6 / n)))] == pytest.approx(best, rel=1e-6)


def test_outliers_are_named_and_an_honest_table_loses_none() -> None:
    table = isoflops(TRUTH, 0.005)
    assert without_outliers(table, SURFACE).left_out == ()
    losses = table.losses_P.copy()
    losses[[3, 20]] *= 1.15
    cleaned = without_outliers(RunTable(table.flops_P, losses, table.lines_P, table.n_params_P, table.n_tokens_P), SURFACE)
    assert [run.line for run in cleaned.left_out] == [5, 22]
    assert "standard deviations off the rest" in cleaned.left_out[0].reason


def test_errors_shared_by_a_size_widen_the_interval() -> None:
    rng = np.random.default_rng(3)
    sizes, tokens = (axis.ravel() for axis in np.meshgrid(np.geomspace(1e7, 1e9, 10), np.geomspace(1e9, 1e11, 6), indexing="ij"))
    shared = np.repeat(rng.normal(0, 0.01, 10), 6)
    losses = TRUTH.loss_nats(sizes, tokens) * np.exp(shared + rng.normal(0, 0.002, 60))
    found = estimate_surface(RunTable(6 * sizes * tokens, losses, np.arange(60), sizes, tokens), CONFIG, 0.95, "x")
    assert any("runs of one size share errors" in text for text in found.fit.warnings)
    low, high = found.exponent_intervals()["alpha"]
    assert low < TRUTH.alpha < high
    assert high - low > 2 * (found.region.alphas_K.max() - found.region.alphas_K.min())


def test_what_a_table_cannot_tell_is_said() -> None:
    table = isoflops(TRUTH)
    assert surface_is_told(table) == ""
    assert "too few" in surface_is_told(table.subset(np.arange(40) < 7))
    assert table.n_params_P is not None
    tied = RunTable(120 * table.n_params_P**2, table.losses_P, table.lines_P, table.n_params_P, 20 * table.n_params_P)
    assert "D is tied to N" in surface_is_told(tied)
    assert "no N and D" in surface_is_told(RunTable(table.flops_P, table.losses_P, table.lines_P))
