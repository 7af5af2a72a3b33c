"""What near runs say about a target's distance from the law, against scikit-learn's Gaussian process."""

import numpy as np
import pytest

from components.scaling import table_forecast
from components.scaling.misfit import estimate_misfit
from components.scaling.surface import Surface
from components.scaling.table import RunTable
from tests.scaling_example import CONFIG

TRUTH = Surface(1.7, 400.0, 2000.0, 0.34, 0.37, 1.0, 1.0)


def test_the_error_and_what_is_left_are_those_of_a_gaussian_process() -> None:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import Matern

    rng = np.random.default_rng(0)
    places, errors, ratio, length = rng.normal(size=(30, 2)), rng.normal(0, 0.01, 30), 4.0, 1.5
    misfit = estimate_misfit(places[:, 0], places[:, 1], errors, ratio, length)
    reference = GaussianProcessRegressor(Matern(length, nu=1.5), alpha=1 / ratio, optimizer=None).fit(places, errors)
    for place in rng.normal(0, 2, size=(5, 2)):
        mean, sd = reference.predict(place[None], return_std=True)
        assert misfit.at(*place) == pytest.approx((mean[0], sd[0] ** 2), rel=1e-6)
    assert misfit.at(100.0, 0.0) == pytest.approx((0.0, 1.0)), "far from all runs nothing is known"


def misfit_table(excess: float) -> RunTable:
    """Six budgets of eight sizes of a law whose loss is higher by a share that rises with compute, as no surface of the form has it."""
    flops = np.repeat(np.geomspace(1e17, 1e20, 6), 8)
    sizes = np.array([TRUTH.optimum(c, 6.0)[0] for c in flops]) * np.tile(np.geomspace(1 / 5, 5, 8), 6)
    tokens, rng = flops / 6 / sizes, np.random.default_rng(1)
    losses = TRUTH.loss_nats(sizes, tokens) * (1 + excess * np.sin(np.log10(flops) * 2.2) + rng.normal(0, 0.001, 48))
    return RunTable(flops, losses, np.arange(48) + 2, sizes, tokens)


def test_a_forecast_follows_near_runs_off_the_law_and_says_so() -> None:
    table = misfit_table(0.02)
    study = table_forecast.study(table, CONFIG, 0.95, "runs")
    assert study.surface is not None and study.surface.scatter.kind == "near"
    index = int(np.argmax(table.flops_P))
    assert table.n_params_P is not None and table.n_tokens_P is not None
    n_params, n_tokens = float(table.n_params_P[index]), float(table.n_tokens_P[index])
    said = study.forecast(table_forecast.Point(float(table.flops_P[index]), n_params, n_tokens))
    law = float(study.surface.fit.predict(n_params, n_tokens))
    assert abs(said.loss_nats / table.losses_P[index] - 1) < 0.5 * abs(law / table.losses_P[index] - 1)
    assert said.interval[0] < said.loss_nats < said.interval[1]
    assert any("% off the law, as near runs do" in text for text in said.warnings)
    far = study.forecast(table_forecast.Point(1e27, 1e12, 1e14))
    assert far.loss_nats == pytest.approx(float(study.surface.fit.predict(1e12, 1e14)), rel=1e-4)


def test_runs_on_the_law_leave_it_as_it_is() -> None:
    study = table_forecast.study(misfit_table(0.0), CONFIG, 0.95, "runs")
    assert study.surface is not None and study.surface.misfit is None
    assert study.surface.off_the_law(1e9, 1e10) == (0.0, 1.0)
