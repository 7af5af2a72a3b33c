"""Loss, and gradients, of a model on a stream of tokens that it was not trained on."""

# Shapes: S windows, T context length.

import math
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from components.artifacts import TokenStream
from components.transformer.diagnostics import gradient_norms
from components.transformer.model import GPT

WINDOWS_PER_BATCH = 32
GRADIENT_TOKENS = 4096


def held_out_nats(model: GPT, stream: TokenStream, max_tokens: int | None = None) -> np.ndarray:
    """Loss [nats] of each token of the stream but the first, float32 [N - 1]: the first has nothing before it.

    Windows of the context length that do not overlap; each begins with the last token of the one before, which is
    context only. ``max_tokens`` scores that many tokens from the start.
    """
    scored = min(stream.num_tokens - 1, max_tokens or stream.num_tokens)
    device, was_training = next(model.parameters()).device, model.training
    model.eval()
    with torch.inference_mode():
        losses = [_nats(model, batch.to(device)) for batch in _windows(stream, model.config.context_length, scored)]
    model.train(was_training)
    return np.concatenate([loss.cpu().numpy() for loss in losses]) if losses else np.empty(0, np.float32)


def layer_gradient_norms(model: GPT, stream: TokenStream) -> list[float | None]:
    """Norm of the gradient by each layer's feed-forward W2, from the input upwards, on the stream's first 4,096 tokens.

    Without dropout; None where it is not finite. See ``components/transformer/diagnostics.py``.
    """
    device, was_training = next(model.parameters()).device, model.training
    batch = next(_windows(stream, model.config.context_length, min(stream.num_tokens - 1, GRADIENT_TOKENS)))
    model.eval()
    norms = gradient_norms(model, batch.to(device), stream_only=False)
    model.train(was_training)
    return [norm if math.isfinite(norm) else None for norm in norms]


def _windows(stream: TokenStream, length: int, scored: int) -> Iterator[Tensor]:
    """Batches int64 [S, T + 1] of whole windows, then what is left as one shorter window."""
    full = scored // length
    for first in range(0, full, WINDOWS_PER_BATCH):
        last = min(first + WINDOWS_PER_BATCH, full)
        row = stream.read(first * length, last * length + 1).astype(np.int64)
        yield torch.from_numpy(np.lib.stride_tricks.sliding_window_view(row, length + 1)[::length].copy())
    if scored % length:
        yield torch.from_numpy(stream.read(full * length, scored + 1).astype(np.int64))[None]


def _nats(model: GPT, batch: Tensor) -> Tensor:
    logits = model(batch[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="none")
