"""Which tokens step s reads: one row of windows for every run, whatever its batch size, ramp, loader workers or devices.

Documents were put in order by seed when the stream was made (components/tokenization/stream.py). The stream is cut into
windows of the context length, which are permuted within blocks of ``shuffle_block_windows`` neighbours, a function of
``order_seed`` alone: that is the row that every run reads from its start. Runs that differ in batch size differ in where
the steps end and in nothing else.

Windows are permuted because neighbours come from one document: with batches of a few windows, as small as our models
need, the loss of a 2 x 64 model after 300,000 tokens was 5.81 nats in stream order and 5.41 permuted. Batches of
0.5M tokens, as in the papers, mix documents by themselves. Permuting in blocks keeps the look-up of a step, and the
memory, independent of the stream's length, and a run of any length reads the documents from the stream's start.

Shares of the mixture in the default corpus (weights 0.20, 0.55, 0.25), standard deviation over all blocks of 256
windows of 128 tokens: 0.024 in this row, as a random draw would have (0.025 to 0.031), 0.037 to 0.064 in stream order.

No run reads the stream twice. Text repeats inside it, as often as the mixture asks, in another order each time (column
``epoch`` of its index), so a run of many epochs is a run on a longer stream.
"""

# Shapes: S sequences of a step on this device, T context length.

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from components.artifacts import TokenStream
from components.errors import InputError
from components.training.config import TrainingConfig


class DataOrder:
    """Windows of each step of a run on a stream of ``num_tokens`` tokens.

    Raises:
        InputError: a batch is no whole number of windows, or the run needs more tokens than there are.
    """

    def __init__(self, num_tokens: int, context_length: int, training: TrainingConfig) -> None:
        self.context_length, self.training = context_length, training
        self.num_windows = (num_tokens - 1) // context_length
        self._check(num_tokens)
        self._permuted: tuple[int, np.ndarray] | None = None  # the block read last: most steps lie in the same one

    def windows_of_step(self, step: int) -> np.ndarray:
        """Indices of the windows that step ``step`` (1 is the first) reads, int64; window w holds tokens [w T, (w + 1) T].

        Takes the same time anywhere in a stream of any length: it permutes the blocks that the step touches, one as a rule.

        Raises:
            InputError: the run has no such step.
        """
        if not 1 <= step <= self.training.num_steps:
            raise InputError(f"step {step} is not in the run, which has steps 1 to {self.training.num_steps}")
        first, last = (self.training.tokens_after(s) // self.context_length for s in (step - 1, step))
        return self._row(first, last)

    def _row(self, first: int, last: int) -> np.ndarray:
        size = self.training.shuffle_block_windows
        blocks = range(first // size, (last - 1) // size + 1)
        return np.concatenate([self._block(block)[max(0, first - block * size) : last - block * size] for block in blocks])

    def _block(self, block: int) -> np.ndarray:
        if self._permuted is None or self._permuted[0] != block:
            size = self.training.shuffle_block_windows
            start = block * size
            generator = np.random.Generator(np.random.Philox(key=self.training.order_seed + (block << 64)))
            self._permuted = (block, start + generator.permutation(min(size, self.num_windows - start)))
        return self._permuted[1]

    def _check(self, num_tokens: int) -> None:
        config, length = self.training, self.context_length
        if config.batch_tokens % length:
            raise InputError(f"params.yaml: training.batch_tokens {config.batch_tokens} is no multiple of model.context_length {length}")
        if config.ramp_tokens and config.ramp_start_batch_tokens % length:
            raise InputError(
                f"params.yaml: training.ramp_start_batch_tokens {config.ramp_start_batch_tokens} "
                f"is no multiple of model.context_length {length}"
            )
        if config.num_steps < 1:
            raise InputError(
                f"params.yaml: training.train_tokens {config.train_tokens} is less than one batch of {config.batch_tokens} tokens; raise it"
            )
        if length >= num_tokens:
            raise InputError(f"params.yaml: model.context_length {length} is longer than the stream of {num_tokens} tokens; lower it")
        if config.tokens_seen > self.num_windows * length:
            raise InputError(
                f"params.yaml: training.train_tokens {config.tokens_seen} needs a longer stream than {num_tokens} tokens; "
                "raise tokenization.stream_tokens (the stream repeats documents, no run repeats the stream)"
            )


class Steps(Dataset[Tensor]):
    """The batches of a run after ``first_step`` steps; item i is int64 [S, T + 1], the last token being target only.

    Of W devices (``world_size``) device ``rank`` reads sequences rank, rank + W, ... of the batch: cut into micro-batches, the
    parts of all devices make up the micro-batches of one device.

    Raises:
        InputError: a batch or a micro-batch that so many devices cannot share evenly.
    """

    def __init__(self, stream: TokenStream, order: DataOrder, first_step: int = 0, rank: int = 0, world_size: int = 1) -> None:
        _check_shares(order, world_size)
        self._stream, self._order, self._first_step = stream, order, first_step
        self._rank, self._world_size = rank, world_size

    def __len__(self) -> int:
        return self._order.training.num_steps - self._first_step

    def __getitem__(self, index: int) -> Tensor:
        if index >= len(self):
            raise IndexError(index)
        length = self._order.context_length
        windows = self._order.windows_of_step(self._first_step + index + 1)
        starts = (windows[self._rank :: self._world_size] * length).tolist()
        return torch.from_numpy(np.stack([self._stream.read(start, start + length + 1) for start in starts]).astype(np.int64))


def _check_shares(order: DataOrder, world_size: int) -> None:
    config = order.training
    windows, ramp_windows = config.batch_tokens // order.context_length, config.ramp_start_batch_tokens // order.context_length
    shared = {f"batch_tokens {config.batch_tokens}": windows}
    if config.ramp_tokens:
        shared[f"ramp_start_batch_tokens {config.ramp_start_batch_tokens}"] = ramp_windows
    if config.micro_batch_sequences < windows:
        shared[f"micro_batch_sequences {config.micro_batch_sequences}"] = config.micro_batch_sequences
    for name, sequences in shared.items():
        if sequences % world_size:
            raise InputError(
                f"params.yaml: training.{name} is {sequences} sequences, which {world_size} devices cannot share evenly; "
                "change it, or compute.devices or compute.nodes"
            )
