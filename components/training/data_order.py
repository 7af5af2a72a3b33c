"""Which tokens step s reads: one row of tokens for every run, whatever its batch size.

Step s of a run with batches of b tokens reads positions [s b, (s + 1) b] of the stream, so the tokens of a run, one
step after the other, are the stream itself. Two runs that differ in batch size differ in where the steps end, and in
nothing else. From a position ``TokenStream.index`` leads back to the document.
"""

# Shapes: S sequences of a step, T context length.

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from components.artifacts import TokenStream
from components.errors import InputError


class Steps(Dataset[Tensor]):
    """The batches of a run from step ``first_step`` on; item i is int64 [S, T + 1], the last token being target only."""

    def __init__(self, stream: TokenStream, context_length: int, batch_tokens: int, num_steps: int, first_step: int = 0) -> None:
        if batch_tokens % context_length:
            raise InputError(f"params.yaml: training.batch_tokens {batch_tokens} is no multiple of model.context_length {context_length}")
        if num_steps < 1:
            raise InputError(f"params.yaml: training.train_tokens is less than one batch of {batch_tokens} tokens; raise it")
        if num_steps * batch_tokens >= stream.num_tokens:
            raise InputError(
                f"params.yaml: training.train_tokens {num_steps * batch_tokens} needs a longer stream than {stream.num_tokens} tokens; "
                "raise tokenization.stream_tokens"
            )
        self._stream, self._context_length, self._batch_tokens = stream, context_length, batch_tokens
        self._num_steps, self._first_step = num_steps, first_step

    def __len__(self) -> int:
        return self._num_steps - self._first_step

    def __getitem__(self, index: int) -> Tensor:
        if index >= len(self):
            raise IndexError(index)
        start = (self._first_step + index) * self._batch_tokens
        row = self._stream.read(start, start + self._batch_tokens + 1).astype(np.int64)
        windows = np.lib.stride_tricks.sliding_window_view(row, self._context_length + 1)[:: self._context_length]
        return torch.from_numpy(windows.copy())
