"""Learning rate and batch ramp at their corners, for the published runs too."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from components.training.config import TrainingConfig
from components.training.schedule import learning_rate
from tests.configs import training_config

BILLION, CONTEXT = 10**9, 2048


@dataclass(frozen=True)
class Published:
    """A run of GPT-3 (table 2.1, appendix B): batch as the nearest whole number of 32k, ramp by size from 4 to 12 billion tokens."""

    peak: float
    batch_tokens: int
    ramp_tokens: int


GPT3 = {
    "small": Published(6.0e-4, 16 * 32768, 4 * BILLION),
    "medium": Published(3.0e-4, 16 * 32768, 4 * BILLION),
    "large": Published(2.5e-4, 16 * 32768, 4 * BILLION),
    "xl": Published(2.0e-4, 32 * 32768, 5 * BILLION),
    "2.7B": Published(1.6e-4, 32 * 32768, 6 * BILLION),
    "6.7B": Published(1.2e-4, 64 * 32768, 8 * BILLION),
    "13B": Published(1.0e-4, 64 * 32768, 10 * BILLION),
    "175B": Published(0.6e-4, 98 * 32768, 12 * BILLION),
}


def gpt3(run: Published) -> TrainingConfig:
    return training_config(
        train_tokens=300 * BILLION,
        batch_tokens=run.batch_tokens,
        ramp_start_batch_tokens=32768,
        ramp_tokens=run.ramp_tokens,
        learning_rate=run.peak,
        warmup_tokens=375 * 10**6,
        decay_tokens=260 * BILLION,
        final_learning_rate_ratio=0.1,
    )


@pytest.mark.parametrize("name", GPT3)
def test_gpt3_learning_rate_at_its_corners(name: str) -> None:
    config, peak = gpt3(GPT3[name]), GPT3[name].peak
    assert learning_rate(0, config) == 0
    assert learning_rate(187_500_000, config) == pytest.approx(peak / 2)
    assert learning_rate(375_000_000, config) == pytest.approx(peak)
    assert learning_rate((375_000_000 + 260 * BILLION) // 2, config) == pytest.approx(0.55 * peak)
    assert learning_rate(260 * BILLION, config) == pytest.approx(0.1 * peak)
    assert learning_rate(300 * BILLION, config) == pytest.approx(0.1 * peak)


@pytest.mark.parametrize("name", GPT3)
def test_gpt3_batch_ramp_at_its_corners(name: str) -> None:
    run = GPT3[name]
    config = gpt3(run)
    ends = [config.tokens_after(step) for step in range(100)]
    assert ends[:2] == [0, 32768]
    ramp_steps = next(step for step in range(config.num_steps) if config.tokens_after(step) >= run.ramp_tokens)
    sizes = [config.tokens_after(s + 1) - config.tokens_after(s) for s in range(ramp_steps + 2)]
    assert sizes == sorted(sizes)
    assert all(size % 32768 == 0 for size in sizes) and sizes[-2:] == [run.batch_tokens] * 2
    begin = config.tokens_after(ramp_steps // 2)
    linear = 32768 + (run.batch_tokens - 32768) * begin / run.ramp_tokens
    assert 0 <= linear - sizes[ramp_steps // 2] < 32768
    assert 300 * BILLION - run.batch_tokens < config.tokens_seen <= 300 * BILLION
    assert config.num_steps > 300 * BILLION // run.batch_tokens  # the ramp takes more steps


def test_gpt1_schedule_at_its_corners() -> None:
    """2,000 updates of 64 x 512 tokens from 0 to 2.5e-4, then cosine to 0 (GPT-1 section 4.1)."""
    updates, batch = 100_000, 64 * 512
    config = training_config(
        train_tokens=updates * batch, batch_tokens=batch, learning_rate=2.5e-4, warmup_tokens=2000 * batch, final_learning_rate_ratio=0.0
    )
    assert (config.num_steps, config.tokens_after(2000)) == (updates, 2000 * batch)
    assert learning_rate(config.tokens_after(1), config) == pytest.approx(2.5e-4 / 2000)
    assert learning_rate(config.tokens_after(2000), config) == pytest.approx(2.5e-4)
    assert learning_rate(config.tokens_after(51_000), config) == pytest.approx(1.25e-4)
    assert learning_rate(config.tokens_after(updates), config) == pytest.approx(0, abs=1e-12)


def test_gpt2_batch() -> None:
    """512 sequences of 1024 tokens; its rates and steps are not published."""
    config = training_config(train_tokens=10 * 512 * 1024, batch_tokens=512 * 1024)
    assert [config.tokens_after(step) for step in (0, 1, 10)] == [0, 524_288, 5_242_880]


def test_without_warm_up_the_first_step_has_the_peak() -> None:
    assert learning_rate(1, training_config(warmup_tokens=0)) == pytest.approx(1.0, abs=1e-5)
    assert learning_rate(5000, training_config()) == pytest.approx(0.1)  # past the end


@given(st.integers(100, 999))
def test_learning_rate_only_falls_after_the_warm_up(tokens: int) -> None:
    config = training_config()
    assert learning_rate(tokens + 1, config) <= learning_rate(tokens, config)


@given(unit=st.integers(1, 9), units=st.integers(1, 40), ramp=st.integers(0, 5000), tokens=st.integers(0, 9000))
def test_steps_fill_the_run_but_for_less_than_a_batch(unit: int, units: int, ramp: int, tokens: int) -> None:
    batch = unit * units
    config = training_config(
        ramp_start_batch_tokens=unit, ramp_tokens=ramp, batch_tokens=batch, train_tokens=max(tokens, 1), warmup_tokens=0
    )
    ends = [config.tokens_after(step) for step in range(config.num_steps + 2)]
    sizes = [after - before for before, after in pairwise(ends)]
    assert ends[0] == 0 and all(unit <= size <= batch for size in sizes) and sizes == sorted(sizes)
    assert ends[-2] == config.tokens_seen <= config.train_tokens < ends[-1]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"warmup_tokens": 1001}, "warmup_tokens 1001 exceeds train_tokens 1000"),
        ({"decay_tokens": 99}, "decay_tokens 99 is less than warmup_tokens 100"),
        ({"ramp_tokens": 10}, "ramp_start_batch_tokens 0 lies outside 1 to batch_tokens 16"),
        ({"ramp_tokens": 10, "ramp_start_batch_tokens": 17}, "ramp_start_batch_tokens 17 lies outside"),
    ],
)
def test_impossible_schedules_are_refused(values: dict[str, int], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        training_config(**values)
