"""Output layer and cross-entropy in one, a chunk of positions at a time: the logits of a whole batch are never in memory."""

# Shapes: N positions, C positions of one chunk, D d_model, V vocab_size.

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK_BYTES = 2**27  # of logits in memory at once; the larger, the less often the gradient of the output is read, added to and written
NARROW = 64  # hidden states narrower than this are multiplied from the left: MKL took 0.28 ms instead of 0.55 at 16, as long from 96 on
TILE_ELEMENTS = 2**17  # of them in float32 at once: 512 KiB stay in the cache of a core


def next_token_nats(hidden_ND: Tensor, output_VD: Tensor, targets_N: Tensor) -> Tensor:
    """Mean cross-entropy [nats] of softmax(hidden output^T) against int64 ids; a scalar in float32.

    On a CPU each chunk's logits are made, used for loss and gradients, and overwritten by the next chunk's while still in
    the cache; the gradients wait for the backward pass. On a GPU the plain form is as good: there a compiler fuses it.
    Under autocast the matrix products are in its type, all else in float32. Deterministic: the chunks are summed in order.
    Ids outside the vocabulary raise IndexError or RuntimeError, as torch's own operations do.
    """
    if hidden_ND.is_cuda:
        return F.cross_entropy(F.linear(hidden_ND, output_VD).float(), targets_N)
    loss_nats: Tensor = _FusedLoss.apply(hidden_ND, output_VD, targets_N)
    return loss_nats


class _FusedLoss(torch.autograd.Function):
    """Gradients are computed in the forward pass, where the probabilities are; the backward pass scales them."""

    @staticmethod
    def forward(ctx: Any, hidden_ND: Tensor, output_VD: Tensor, targets_N: Tensor) -> Tensor:
        compute_type = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else output_VD.dtype
        output = output_VD.to(compute_type)
        wants_gradients = any(ctx.needs_input_grad)
        ctx.hidden_gradient, ctx.output_gradient = torch.empty_like(hidden_ND), None
        total_nats = torch.zeros((), dtype=torch.float32)
        for part in _parts(len(hidden_ND), CHUNK_BYTES // (output.element_size() * len(output))):
            errors_CV, scale_C1, nats = _chunk(hidden_ND[part], output, targets_N[part, None])
            total_nats += nats
            if wants_gradients:
                scale_C1 /= len(hidden_ND)
                torch.mul(torch.mm(errors_CV, output), scale_C1, out=ctx.hidden_gradient[part])
                scaled_CD = (hidden_ND[part] * scale_C1).to(compute_type)
                ctx.output_gradient = _plus_product(ctx.output_gradient, errors_CV.T, scaled_CD)
        return total_nats / len(hidden_ND)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        hidden_gradient, output_gradient = ctx.hidden_gradient, ctx.output_gradient
        del ctx.hidden_gradient, ctx.output_gradient  # autograd adds to a tensor that nobody else holds, and copies any other
        if (scale := float(gradients[0])) == 1:  # the whole loss: a product would only read and write them once more
            return hidden_gradient, output_gradient, None
        return hidden_gradient * scale, output_gradient * scale, None


def _parts(length: int, at_most: int) -> list[slice]:
    """Slices of nearly equal size that cover 0..length."""
    number = -(-length // max(1, at_most))
    return [slice(length * part // number, length * (part + 1) // number) for part in range(number)]


def _chunk(hidden_CD: Tensor, output_VD: Tensor, targets_C1: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Softmax minus target, times the sum of exponentials, in the type of the output; 1 / that sum; the summed loss [nats].

    In powers of 2, because exp2 takes half the time of exp. Left undivided, the errors cost one pass over [C, V] less.
    All between the matrix products is in float32, a tile at a time; the errors overwrite the logits.
    """
    bits_CV = torch.mm((hidden_CD * math.log2(math.e)).to(output_VD.dtype), output_VD.T)
    sums_C1 = torch.empty(len(hidden_CD), 1)
    nats = torch.zeros(())
    for rows in _parts(len(hidden_CD), TILE_ELEMENTS // len(output_VD)):
        bits, targets = bits_CV[rows], targets_C1[rows]
        powers, sums = bits.float(), sums_C1[rows]
        most, target_bits = powers.amax(1, keepdim=True), powers.gather(1, targets)
        torch.sum(powers.sub_(most).exp2_(), 1, keepdim=True, out=sums)
        nats += (sums.log2() + most - target_bits).sum() * math.log(2)
        powers.scatter_add_(1, targets, -sums)
        if powers is not bits:
            bits.copy_(powers)
    return bits_CV, sums_C1.reciprocal_(), nats


def _plus_product(sum_: Tensor | None, a: Tensor, b: Tensor) -> Tensor:
    """sum_ + a @ b, in float32 whatever the type of a and b; ``sum_`` is overwritten."""
    if sum_ is None:
        return torch.mm(a, b).float() if b.shape[1] >= NARROW else torch.mm(b.T, a.T).T.contiguous().float()
    return sum_.addmm_(a, b) if a.dtype == sum_.dtype else sum_.add_(torch.mm(a, b))
