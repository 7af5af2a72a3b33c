"""Output layer and cross-entropy in one, a chunk of positions at a time: the logits of a whole batch are never in memory."""

# Shapes: N positions, C positions of one chunk, D d_model, V vocab_size.

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK_POSITIONS = 512  # of 64..2048 the fastest at vocabularies of 2,048, 8,192 and 50,257 on two x86 cores


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
        if wants_gradients:
            ctx.output_type = output_VD.dtype
            ctx.hidden_gradient = torch.empty_like(hidden_ND)
            ctx.output_gradient = torch.zeros_like(output, dtype=torch.float32)
        total_nats = torch.zeros((), dtype=torch.float32)
        for start in range(0, len(hidden_ND), CHUNK_POSITIONS):
            part = slice(start, start + CHUNK_POSITIONS)
            errors_CV, scale_C1, nats = _chunk(hidden_ND[part], output, targets_N[part, None])
            total_nats += nats
            if wants_gradients:
                scale_C1 /= len(hidden_ND)
                errors_CV = errors_CV.to(compute_type)
                torch.mul(torch.mm(errors_CV, output), scale_C1, out=ctx.hidden_gradient[part])
                _add_product(ctx.output_gradient, errors_CV.T, (hidden_ND[part] * scale_C1).to(compute_type))
        return total_nats / len(hidden_ND)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        return ctx.hidden_gradient * gradients[0], ctx.output_gradient.mul_(gradients[0]).to(ctx.output_type), None


def _chunk(hidden_CD: Tensor, output_VD: Tensor, targets_C1: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Softmax minus target, times the sum of exponentials; 1 / that sum; the summed loss [nats]. All in float32.

    In powers of 2, because exp2 takes half the time of exp. Left undivided, the errors cost one pass over [C, V] less.
    """
    bits_CV = torch.mm((hidden_CD * math.log2(math.e)).to(output_VD.dtype), output_VD.T).float()
    target_bits_C1 = bits_CV.gather(1, targets_C1)
    most_C1 = bits_CV.amax(1, keepdim=True)
    powers_CV = bits_CV.sub_(most_C1).exp2_()
    sums_C1 = powers_CV.sum(1, keepdim=True)
    nats = (sums_C1.log2() + most_C1 - target_bits_C1).sum() * math.log(2)
    return powers_CV.scatter_add_(1, targets_C1, -sums_C1), sums_C1.reciprocal(), nats


def _add_product(sum_: Tensor, a: Tensor, b: Tensor) -> None:
    """sum_ += a @ b, in float32 whatever the type of a and b."""
    if a.dtype == sum_.dtype:
        sum_.addmm_(a, b)
    else:
        sum_ += torch.mm(a, b)
