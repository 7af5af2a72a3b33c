"""Which tokens step s reads: one row of windows for every run, whatever its batch size.

The stream is cut into windows of the context length, and one permutation of the windows, a function of ``order_seed``
alone, is the row that every run reads from its start. Step s of a run with b windows a batch reads windows s b to
(s + 1) b of that row, so runs that differ in batch size differ in where the steps end and in nothing else.

Windows are permuted because neighbours come from one document: with batches of a few windows, as small as our models
need, the loss of a 2 x 64 model after 300,000 tokens was 5.81 nats in stream order and 5.41 permuted. Batches of
0.5M tokens, as in the papers, mix documents by themselves.
"""

# Shapes: S sequences of a step, T context length.

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from components.artifacts import TokenStream
from components.errors import InputError
from components.training.config import TrainingConfig


class Steps(Dataset[Tensor]):
    """The batches of a run from step ``first_step`` on; item i is int64 [S, T + 1], the last token being target only."""

    def __init__(self, stream: TokenStream, context_length: int, training: TrainingConfig, first_step: int = 0) -> None:
        batch_tokens, num_steps = training.batch_tokens, training.num_steps
        if batch_tokens % context_length:
            raise InputError(f"params.yaml: training.batch_tokens {batch_tokens} is no multiple of model.context_length {context_length}")
        if num_steps < 1:
            raise InputError(f"params.yaml: training.train_tokens is less than one batch of {batch_tokens} tokens; raise it")
        order = window_order(stream.num_tokens, context_length, training.order_seed)
        self._windows_per_step = batch_tokens // context_length
        if num_steps * self._windows_per_step > len(order):
            raise InputError(
                f"params.yaml: training.train_tokens {training.tokens_seen} needs a longer stream than {stream.num_tokens} tokens; "
                "raise tokenization.stream_tokens"
            )
        self._stream, self._context_length = stream, context_length
        self._order = order[first_step * self._windows_per_step : num_steps * self._windows_per_step]

    def __len__(self) -> int:
        return len(self._order) // self._windows_per_step

    def __getitem__(self, index: int) -> Tensor:
        if index >= len(self):
            raise IndexError(index)
        windows = self._order[index * self._windows_per_step : (index + 1) * self._windows_per_step]
        starts = (windows * self._context_length).tolist()
        return torch.from_numpy(np.stack([self._stream.read(start, start + self._context_length + 1) for start in starts]).astype(np.int64))


def window_order(num_tokens: int, context_length: int, order_seed: int) -> np.ndarray:
    """Indices of the stream's windows in the order of reading, int64; window w holds tokens [w T, (w + 1) T], T + 1 of them."""
    num_windows = (num_tokens - 1) // context_length
    return np.random.Generator(np.random.Philox(key=order_seed)).permutation(num_windows)
