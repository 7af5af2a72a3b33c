"""Output layer and cross-entropy in one, a chunk of positions at a time: the logits of a whole batch are never in memory."""

# Shapes: N positions, C positions of one chunk, D d_model, V vocab_size, R rows: V and what fills up the last line of the cache.

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from components.transformer import kernels
from components.transformer.embedding import TiedGradient

CHUNK_BYTES = 2**27  # of logits in memory at once; the larger, the less often the gradient of the output is read, added to and written
LINE_ELEMENTS = 64  # on one thread 50,304 columns of logits in bfloat16 took 1.20 s in the three products that 50,257 took 1.30 s
NARROW = 64  # hidden states narrower than this are multiplied from the left: MKL took 0.28 ms instead of 0.55 at 16, as long from 96 on


def next_token_nats(hidden_ND: Tensor, output_VD: Tensor, targets_N: Tensor, tied: TiedGradient | None = None) -> Tensor:
    """Mean cross-entropy [nats] of softmax(hidden output^T) against int64 ids; a scalar in float32.

    On a CPU each chunk's logits are made, used for the loss and overwritten by their gradient; the gradients of the two
    inputs wait for the backward pass. On a GPU the plain form is as good: there a compiler fuses it.
    ``tied``: where the output layer is the embedding that ``hidden_ND`` began with (components/transformer/embedding.py).
    Under autocast the matrix products are in its type, all else in float32. Deterministic: the chunks are summed in order.
    Ids outside the vocabulary raise IndexError; on a GPU they end the process, as with any of torch's operations.
    """
    if not kernels.are_for(hidden_ND):
        return F.cross_entropy(F.linear(hidden_ND, output_VD).float(), targets_N)
    loss_nats: Tensor = _FusedLoss.apply(hidden_ND, output_VD, targets_N, tied)
    return loss_nats


class _FusedLoss(torch.autograd.Function):
    """Gradients are computed in the forward pass, where the probabilities are; the backward pass scales them."""

    @staticmethod
    def forward(ctx: Any, hidden_ND: Tensor, output_VD: Tensor, targets_N: Tensor, tied: TiedGradient | None) -> Tensor:
        ctx.tied = tied
        compute_type = kernels.product_type(output_VD)
        output_RD, hidden = _in_whole_lines(output_VD, compute_type), hidden_ND.to(compute_type)
        wants_gradients = any(ctx.needs_input_grad)
        ctx.hidden_gradient, gradient_RD = torch.empty_like(hidden_ND), None
        total_nats, vocab_size = 0.0, len(output_VD)
        for part in _parts(len(hidden), CHUNK_BYTES // (output_RD.element_size() * len(output_RD))):
            errors_CR = torch.mm(hidden[part], output_RD.T)
            total_nats += kernels.softmax_errors(kernels.floats(errors_CR), vocab_size, targets_N[part].numpy(), 1 / len(hidden))
            if wants_gradients:
                ctx.hidden_gradient[part] = torch.mm(errors_CR, output_RD)
                gradient_RD = _plus_product(gradient_RD, errors_CR.T, hidden[part])
        ctx.output_gradient = None if gradient_RD is None else gradient_RD[:vocab_size]
        return torch.tensor(total_nats / len(hidden))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        hidden_gradient, output_gradient = ctx.hidden_gradient, ctx.output_gradient
        del ctx.hidden_gradient, ctx.output_gradient  # autograd adds to a tensor that nobody else holds, and copies any other
        if (scale := float(gradients[0])) != 1:  # the whole loss: a product would only read and write them once more
            hidden_gradient *= scale
            output_gradient *= scale
        if ctx.tied is not None:
            ctx.tied.output_VD = output_gradient
        return hidden_gradient, output_gradient, None, None


def _in_whole_lines(output_VD: Tensor, dtype: torch.dtype) -> Tensor:
    """[R, D] in ``dtype``: the rows of the table, then zeros."""
    missing = -len(output_VD) % LINE_ELEMENTS
    if not missing:
        return output_VD.to(dtype)
    output_RD = output_VD.new_empty(len(output_VD) + missing, output_VD.shape[1], dtype=dtype)
    output_RD[:-missing], output_RD[-missing:] = output_VD, 0
    return output_RD


def _parts(length: int, at_most: int) -> list[slice]:
    """Slices of nearly equal size that cover 0..length."""
    number = -(-length // max(1, at_most))
    return [slice(length * part // number, length * (part + 1) // number) for part in range(number)]


def _plus_product(sum_: Tensor | None, a: Tensor, b: Tensor) -> Tensor:
    """sum_ + a @ b, in float32 whatever the type of a and b; ``sum_`` is overwritten."""
    if sum_ is None:
        return torch.mm(a, b).float() if b.shape[1] >= NARROW else torch.mm(b.T, a.T).T.contiguous().float()
    return sum_.addmm_(a, b) if a.dtype == sum_.dtype else sum_.add_(torch.mm(a, b))
