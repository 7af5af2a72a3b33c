"""The fit of L(C) = E + A C^-b."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.scaling.power_law import Points, fit_power_law
from tests.scaling_example import CONFIG

FLOPS = np.array([8e10, 2.2e11, 5e11, 1e12, 2.1e12])


def points(losses: np.ndarray) -> Points:
    return Points(FLOPS, losses, np.full(len(losses), 2.0))


@settings(max_examples=40, deadline=None)
@given(floor=st.floats(0.0, 3.0), reducible=st.floats(1.0, 5.0), exponent=st.floats(0.03, 1.0))
def test_planted_law_without_noise_is_recovered(floor: float, reducible: float, exponent: float) -> None:
    losses = floor + reducible * (FLOPS / FLOPS[0]) ** -exponent
    law, squares = fit_power_law(points(losses), CONFIG, irreducible=True)
    assert squares < 1e-9
    assert law.exponent == pytest.approx(exponent, rel=1e-2)
    # Of the largest rung's loss, for a steep law without a floor leaves the target a tenth of it and the exponent's last digits tell.
    assert law.loss_nats(2e13) == pytest.approx(floor + reducible * (2e13 / FLOPS[0]) ** -exponent, abs=1e-4 * losses[-1])


def test_parameters_are_those_of_the_published_form() -> None:
    law, _ = fit_power_law(points(1.7 + 3.0 * (FLOPS / FLOPS[0]) ** -0.2), CONFIG, irreducible=True)
    fitted = law.parameters()
    assert fitted["E"] + fitted["A"] * 7e12 ** -fitted["b"] == pytest.approx(law.loss_nats(7e12), rel=1e-12)
    assert fitted["E"] == pytest.approx(1.7, rel=1e-4)


def test_plain_law_has_no_floor_and_equals_a_line_through_the_logarithms() -> None:
    losses = 4.0 * (FLOPS / FLOPS[0]) ** -0.08
    law, _ = fit_power_law(points(losses), CONFIG, irreducible=False)
    slope, _intercept = np.polyfit(np.log(FLOPS), np.log(losses), 1)
    assert law.irreducible_nats == 0
    assert law.exponent == pytest.approx(-slope, rel=1e-5)


def test_floor_is_never_negative_where_the_logarithms_bend_down() -> None:
    losses = np.array([5.0, 4.9, 4.7, 4.4, 3.9])  # steeper and steeper: a free E would be far below zero
    law, squares = fit_power_law(points(losses), CONFIG, irreducible=True)
    plain, plain_squares = fit_power_law(points(losses), CONFIG, irreducible=False)
    assert law.irreducible_nats == 0
    assert (law.exponent, squares) == (pytest.approx(plain.exponent, rel=1e-5), pytest.approx(plain_squares, rel=1e-6))


def test_losses_that_rise_with_compute_give_a_flat_law() -> None:
    law, _ = fit_power_law(points(np.array([3.0, 3.1, 3.2, 3.3, 3.4])), CONFIG, irreducible=True)
    assert law.coefficient == 0
    assert 3.0 < law.loss_nats(2e13) < 3.4


def test_weights_count_as_repeats() -> None:
    losses = np.array([5.0, 4.6, 4.35, 4.1, 3.95])
    weighted, _ = fit_power_law(Points(FLOPS, losses, np.array([1.0, 1, 1, 1, 2])), CONFIG, irreducible=True)
    repeated, _ = fit_power_law(Points(np.append(FLOPS, FLOPS[-1]), np.append(losses, losses[-1]), np.ones(6)), CONFIG, irreducible=True)
    assert weighted.loss_nats(2e13) == pytest.approx(repeated.loss_nats(2e13), rel=1e-6)


def test_units_of_compute_do_not_matter() -> None:
    losses = np.array([5.0, 4.6, 4.35, 4.1, 3.95])
    flops, _ = fit_power_law(points(losses), CONFIG, irreducible=True)
    petaflop_days, _ = fit_power_law(Points(FLOPS / 8.64e19, losses, np.full(5, 2.0)), CONFIG, irreducible=True)
    assert petaflop_days.loss_nats(2e13 / 8.64e19) == pytest.approx(flops.loss_nats(2e13), rel=1e-9)
