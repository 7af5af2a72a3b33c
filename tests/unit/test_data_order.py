"""One row of tokens for every run, and the learning rate in tokens."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from components.artifacts import TokenStream
from components.errors import InputError
from components.training.config import TrainingConfig
from components.training.data_order import Steps, window_order
from components.training.schedule import learning_rate
from tests.tiny_tokens import write_tiny_tokens

CONFIG = TrainingConfig(
    train_tokens=1000,
    batch_tokens=16,
    order_seed=3,
    micro_batch_sequences=4,
    learning_rate=1.0,
    warmup_tokens=100,
    final_learning_rate_ratio=0.1,
    weight_decay=0.1,
    adam_beta1=0.9,
    adam_beta2=0.95,
    adam_epsilon=1e-8,
    grad_clip_norm=1.0,
    curve_points=2,
    curve_tokens=64,
)


def steps(stream: TokenStream, batch_tokens: int, num_steps: int, first_step: int = 0) -> Steps:
    training = CONFIG.model_copy(update={"batch_tokens": batch_tokens, "train_tokens": batch_tokens * num_steps})
    return Steps(stream, 8, training, first_step)


def test_the_tokens_are_the_same_for_every_batch_size(tmp_path: Path) -> None:
    stream = write_tiny_tokens(tmp_path / "t").stream("train")
    rows = []
    for batch_tokens, num_steps in ((8, 96), (64, 12), (256, 3)):
        run = steps(stream, batch_tokens, num_steps)
        rows.append(torch.cat([run[i] for i in range(len(run))]).tolist())
    assert rows[0] == rows[1] == rows[2]


def test_every_window_is_read_once_and_whole(tmp_path: Path) -> None:
    stream = write_tiny_tokens(tmp_path / "t").stream("train")
    order = window_order(stream.num_tokens, 8, order_seed=3)
    assert sorted(order.tolist()) == list(range((stream.num_tokens - 1) // 8))
    assert order.tolist() != sorted(order.tolist())
    run = steps(stream, 16, 5)
    assert [row for i in range(5) for row in run[i].tolist()] == [stream.read(8 * w, 8 * w + 9).tolist() for w in order[:10].tolist()]
    assert window_order(stream.num_tokens, 8, order_seed=4).tolist() != order.tolist()


def test_a_run_taken_up_again_reads_what_it_would_have_read(tmp_path: Path) -> None:
    stream = write_tiny_tokens(tmp_path / "t").stream("train")
    whole, rest = steps(stream, 32, 10), steps(stream, 32, 10, first_step=7)
    assert len(rest) == 3
    assert all(torch.equal(rest[i], whole[7 + i]) for i in range(3))
    with pytest.raises(IndexError):
        rest[3]


@pytest.mark.parametrize(
    ("batch_tokens", "num_steps", "message"),
    [(12, 1, "no multiple of model.context_length 8"), (16, 1000, "raise tokenization.stream_tokens"), (16, 0, "less than one batch")],
)
def test_impossible_runs_are_refused(tmp_path: Path, batch_tokens: int, num_steps: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        steps(write_tiny_tokens(tmp_path / "t").stream("train"), batch_tokens, num_steps)


def test_learning_rate_at_its_corners() -> None:
    assert learning_rate(0, CONFIG) == 0
    assert learning_rate(50, CONFIG) == pytest.approx(0.5)
    assert learning_rate(100, CONFIG) == pytest.approx(1.0)
    assert learning_rate(550, CONFIG) == pytest.approx(0.55)  # half of the cosine
    assert learning_rate(1000, CONFIG) == pytest.approx(0.1)
    assert learning_rate(5000, CONFIG) == pytest.approx(0.1)
    assert learning_rate(1, CONFIG.model_copy(update={"warmup_tokens": 0})) == pytest.approx(1.0, abs=1e-5)


@given(st.integers(100, 999))
def test_learning_rate_only_falls_after_the_warm_up(tokens: int) -> None:
    assert learning_rate(tokens + 1, CONFIG) <= learning_rate(tokens, CONFIG)
