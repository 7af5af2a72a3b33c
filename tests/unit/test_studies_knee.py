"""The knee of the batch size beside the noise scale, on planted curves."""

import math

import pytest

from components.errors import InputError
from components.studies.knee import BatchRun, compare_knee, fit_knee, noise_at, tokens_to

SIZES = (128, 256, 512, 1024, 2048)


def run(batch: int, knee: float, noise: float, e_min: float = 40_000.0, memory: float = 10.0) -> BatchRun:
    """Falls with the logarithm of its tokens in such a way that it reaches loss 5 at E_min (1 + B / knee)."""
    reach = e_min * (1 + batch / knee)
    curve = [(tokens, 5.0 + math.log(reach / tokens)) for tokens in range(2_000, 200_000, 2_000)]
    return BatchRun(batch, memory * batch, curve, [(tokens, noise) for tokens, _ in curve] if batch > SIZES[0] else [])


def planted(knee: float, noise: float, spread: float = 0.02) -> dict[str, dict[int, BatchRun]]:
    seeds = {0: 1 - spread, 1: 1.0, 2: 1 + spread}
    return {f"b{batch}": {seed: run(batch, knee * factor, noise) for seed, factor in seeds.items()} for batch in SIZES}


def test_the_law_is_fitted_back() -> None:
    e_min, knee = fit_knee([(batch, 50_000 * (1 + batch / 700)) for batch in SIZES])
    assert (e_min, knee) == (pytest.approx(50_000, rel=1e-4), pytest.approx(700, rel=1e-4))


@pytest.mark.parametrize(
    ("noise", "verdict"), [(700.0, "within"), (1_300.0, "within"), (3_000.0, "not within"), (150.0, "not within"), (1_390.0, "not decided")]
)
def test_verdict(noise: float, verdict: str) -> None:
    found = compare_knee(planted(knee=700.0, noise=noise), 0.95)
    assert found["verdict"].startswith(f"{verdict}{'' if verdict == 'not decided' else ' a factor of two'}")
    assert found["knee_tokens"]["value"] == pytest.approx(700, rel=0.03)
    assert found["noise_scale_tokens"]["value"] == pytest.approx(noise)
    assert found["ratio"]["low"] < 700 / noise < found["ratio"]["high"]


def test_the_target_is_the_lowest_loss_that_every_run_reached() -> None:
    runs = planted(knee=700.0, noise=700.0)
    found = compare_knee(runs, 0.95)
    assert found["target_loss_nats"] == max(min(loss for _, loss in one.held_out) for by_seed in runs.values() for one in by_seed.values())
    assert found["arms"]["b128"]["noise_scale_tokens"] is None
    assert found["arms"]["b2048"]["steps_to_target"] < found["arms"]["b128"]["steps_to_target"]


def test_a_knee_beyond_the_sizes_and_a_single_seed_say_so() -> None:
    assert "the knee lies outside the sizes measured, 128 to 2048 tokens" in compare_knee(planted(9_000.0, 9_000.0), 0.95)["verdict"]
    one = {arm: {0: by_seed[1]} for arm, by_seed in planted(700.0, 700.0).items()}
    assert compare_knee(one, 0.95)["verdict"].startswith("not decided: knee over noise scale is 1.00, no interval")


def test_too_little_to_tell_is_one_line() -> None:
    runs = planted(700.0, 700.0)
    with pytest.raises(InputError, match="three batch sizes or more, got b128, b256"):
        compare_knee({arm: runs[arm] for arm in ("b128", "b256")}, 0.95)
    stale = {arm: {0: run(batch, 700.0, 700.0, memory=1e6)} for arm, batch in zip(runs, SIZES, strict=True)}
    with pytest.raises(InputError, match="no run of the study tells the noise scale"):
        compare_knee(stale, 0.95)


def test_reaching_a_loss_is_read_between_two_points() -> None:
    curve = [(100, 6.0), (200, 5.0), (300, 5.5), (400, 4.0)]
    assert tokens_to(curve, 5.5) == 150.0
    assert tokens_to(curve, 7.0) == 100.0
    with pytest.raises(ValueError, match="does not reach"):
        tokens_to(curve, 3.0)


def test_noise_scale_is_read_near_the_place_only() -> None:
    assert noise_at([(50, 1.0), (95, 10.0), (105, 1000.0), (200, 1.0)], 100.0) == pytest.approx(100.0)
    assert noise_at([(50, 1.0)], 100.0) is None
