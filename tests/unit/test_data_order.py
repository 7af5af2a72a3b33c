"""One row of tokens for every run, whatever its batch size, ramp, workers and devices."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from components.artifacts import TokenStream
from components.errors import InputError
from components.training.data_order import DataOrder, Steps
from tests.configs import training_config
from tests.tiny_tokens import write_tiny_tokens


def order(stream: TokenStream, batch_tokens: int, num_steps: int, **changes: int) -> DataOrder:
    values = {"batch_tokens": batch_tokens, "train_tokens": batch_tokens * num_steps, "warmup_tokens": 0} | changes
    return DataOrder(stream.num_tokens, 8, training_config(**values))


def read(steps: Steps) -> list[list[int]]:
    return [row for i in range(len(steps)) for row in steps[i].tolist()]


@pytest.fixture
def stream(tmp_path: Path) -> TokenStream:
    return write_tiny_tokens(tmp_path / "t").stream("train")


RUNS: list[tuple[int, int, dict[str, int]]] = [
    (8, 96, {}),
    (64, 12, {}),
    (256, 3, {}),
    (128, 1, {"train_tokens": 768, "ramp_start_batch_tokens": 16, "ramp_tokens": 300}),
]


@pytest.mark.parametrize("block", [7, 32, 1000])
def test_the_tokens_are_the_same_for_every_batch_size_and_ramp(stream: TokenStream, block: int) -> None:
    rows = [read(Steps(stream, order(stream, b, n, shuffle_block_windows=block, **changes))) for b, n, changes in RUNS]
    assert rows[0] == rows[1] == rows[2]
    assert len(rows[3]) * 8 == order(stream, 128, 1, **RUNS[3][2]).training.tokens_seen > 600
    assert rows[3] == rows[0][: len(rows[3])]


@given(world_size=st.sampled_from([1, 2, 4, 8]), batch=st.sampled_from([64, 128]), micro=st.sampled_from([8, 16]))
def test_the_parts_of_all_devices_are_the_batch(tmp_path_factory: pytest.TempPathFactory, world_size: int, batch: int, micro: int) -> None:
    """And so is what they read at once, micro-batch by micro-batch."""
    stream = write_tiny_tokens(tmp_path_factory.mktemp("t") / "t").stream("train")
    plan = order(stream, batch, 4, micro_batch_sequences=micro)
    whole, parts = Steps(stream, plan), [Steps(stream, plan, 0, rank, world_size) for rank in range(world_size)]
    for i in range(4):
        together = zip(*(torch.split(part[i], micro // world_size) for part in parts), strict=True)
        found = [sorted(torch.cat(tensors).tolist()) for tensors in together]
        assert found == [sorted(tensor.tolist()) for tensor in torch.split(whole[i], micro)]


def test_devices_that_cannot_share_the_batch_are_refused(stream: TokenStream) -> None:
    with pytest.raises(InputError, match="batch_tokens 64 is 8 sequences, which 3 devices cannot share evenly"):
        Steps(stream, order(stream, 64, 4), 0, 0, 3)
    with pytest.raises(InputError, match="ramp_start_batch_tokens 8 is 1 sequences, which 2 devices"):
        Steps(stream, order(stream, 64, 4, ramp_start_batch_tokens=8, ramp_tokens=100), 0, 0, 2)
    with pytest.raises(InputError, match="micro_batch_sequences 3 is 3 sequences, which 2 devices"):
        Steps(stream, order(stream, 64, 4, micro_batch_sequences=3), 0, 0, 2)
    Steps(stream, order(stream, 64, 4, micro_batch_sequences=9), 0, 0, 2)  # one micro-batch: the batch


@pytest.mark.parametrize("workers", [0, 2])
def test_the_tokens_are_the_same_for_every_number_of_workers(stream: TokenStream, workers: int) -> None:
    steps = Steps(stream, order(stream, 32, 10))
    assert torch.cat(list(DataLoader(steps, batch_size=None, num_workers=workers))).tolist() == read(steps)


def test_every_window_is_read_once_and_whole_and_not_far_from_its_place(stream: TokenStream) -> None:
    windows = (stream.num_tokens - 1) // 8
    run = order(stream, 8, windows, shuffle_block_windows=50)
    row = [int(run.windows_of_step(step)[0]) for step in range(1, windows + 1)]
    assert sorted(row) == list(range(windows)) != row
    assert all(place // 50 == window // 50 for place, window in enumerate(row))
    assert [w - 50 for w in row[50:100]] != row[:50]  # another permutation in each block
    assert read(Steps(stream, run))[:10] == [stream.read(8 * w, 8 * w + 9).tolist() for w in row[:10]]
    assert order(stream, 8, windows, order_seed=4).windows_of_step(1).tolist() != row[:1]


def test_one_block_is_one_permutation_of_the_stream(stream: TokenStream) -> None:
    """What every run of the default corpus reads, as long as its stream is shorter than a block."""
    windows = (stream.num_tokens - 1) // 8
    expected = np.random.Generator(np.random.Philox(key=3)).permutation(windows)
    assert order(stream, 8 * windows, 1, shuffle_block_windows=windows + 1).windows_of_step(1).tolist() == expected.tolist()


def test_a_run_taken_up_again_reads_what_it_would_have_read(stream: TokenStream) -> None:
    plan = order(stream, 32, 10)
    whole, rest = Steps(stream, plan), Steps(stream, plan, first_step=7)
    assert len(rest) == 3
    assert all(torch.equal(rest[i], whole[7 + i]) for i in range(3))
    with pytest.raises(IndexError):
        rest[3]


@pytest.mark.parametrize(
    ("batch_tokens", "num_steps", "changes", "message"),
    [
        (12, 1, {}, r"batch_tokens 12 is no multiple of model\.context_length 8"),
        (16, 1000, {}, r"raise tokenization\.stream_tokens"),
        (16, 1, {"train_tokens": 15}, "less than one batch"),
        (16, 1, {"ramp_start_batch_tokens": 12, "ramp_tokens": 9}, r"ramp_start_batch_tokens 12 is no multiple"),
    ],
)
def test_impossible_runs_are_refused(stream: TokenStream, batch_tokens: int, num_steps: int, changes: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        order(stream, batch_tokens, num_steps, **changes)


def test_a_context_longer_than_a_shard_is_read_across_shards(tmp_path: Path) -> None:
    """Shards of 1,000 tokens; only what is longer than all of them is refused."""
    stream = write_tiny_tokens(tmp_path / "t").stream("train")
    plan = DataOrder(stream.num_tokens, 1500, training_config(train_tokens=1500, batch_tokens=1500))
    assert Steps(stream, plan)[0].tolist() == [stream.read(0, 1501).tolist()]


def test_a_context_longer_than_the_stream_is_refused() -> None:
    with pytest.raises(InputError, match=r"model\.context_length 8 is longer than the stream of 8 tokens; lower it"):
        DataOrder(8, 8, training_config())
