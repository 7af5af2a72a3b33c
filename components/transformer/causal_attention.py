"""Causal attention for sequences of middling length on a CPU: matrix products, a block of queries at a time, probabilities kept."""

# Shapes: B batch, T positions, H heads, K width of one head, N = B * H; R queries of one block, E keys that they can read.

from typing import Any

import torch
from torch import Tensor

from components.transformer import kernels

BLOCK_QUERIES = {torch.float32: 64, torch.bfloat16: 128}  # the fastest of 32 to 256 at 128 to 512 tokens on x86 with AVX-512 and bfloat16
SHORTEST_TOKENS = 128  # there 1.1 to 1.3 times torch's speed in float32 and 4 times in bfloat16; at 512, 1.5 and 2.7 times
NARROW = 16  # heads narrower than this are multiplied from the left: in float32 at 8 MKL takes a quarter of the time, from 16 on as long
LONGEST_TOKENS = 1024  # beyond, the kept probabilities (2 H T^2 bytes a sequence and layer in float32) outweigh the gain


def is_faster(x_BTD: Tensor, weight: Tensor, dropout: float) -> bool:
    """Whether ``causal_attention`` is to be taken for such states: torch's own kernel recomputes the probabilities in its backward pass.

    That one is taken on a GPU, with dropout, and at the lengths at which keeping them gains nothing.
    """
    is_middling = SHORTEST_TOKENS <= x_BTD.shape[1] <= LONGEST_TOKENS
    return kernels.are_for(x_BTD) and kernels.product_type(weight) in BLOCK_QUERIES and is_middling and not dropout


def causal_attention(product_BT3HK: Tensor, bias_3HK: Tensor) -> Tensor:
    """Queries, keys and values, all but their bias, -> [B, T, H * K]; position t reads 0..t, scores scaled by 1/sqrt(K)."""
    y_BTD: Tensor = _CausalAttention.apply(product_BT3HK, bias_3HK)
    return y_BTD


class _CausalAttention(torch.autograd.Function):
    """Blocks read no key behind their last query: at T positions 1/2 + BLOCK_QUERIES/(2 T) of the square is computed."""

    @staticmethod
    def forward(ctx: Any, product_BT3HK: Tensor, bias_3HK: Tensor) -> Tensor:
        batch, length, _, num_heads, width = product_BT3HK.shape
        heads_3BHTK = product_BT3HK.new_empty(3, batch, num_heads, length, width)
        kernels.split_heads(*(kernels.floats(x) for x in (product_BT3HK.contiguous(), bias_3HK.clone(), heads_3BHTK)))  # clone: see gelu.py
        q, k, v = heads_3BHTK.flatten(1, 2)
        y_NTK, kept = torch.empty_like(q), []
        for start, end in _blocks(length, q.dtype):
            p_NRE = torch.bmm(q[:, start:end], _packed(k[:, :end]).transpose(1, 2))
            kernels.causal_softmax(kernels.floats(p_NRE), width**-0.5)
            _put_product(y_NTK[:, start:end], p_NRE, v[:, :end])
            kept.append(p_NRE)
        ctx.save_for_backward(q, k, v, *kept)
        ctx.batch, ctx.bias_type = batch, bias_3HK.dtype
        return y_NTK.view(batch, num_heads, length, width).transpose(1, 2).reshape(batch, length, -1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        q, k, v, *kept = ctx.saved_tensors
        rows, length, width = q.shape
        dy = gradients[0].view(ctx.batch, length, -1, width).transpose(1, 2).reshape(rows, length, width)
        gradient = torch.empty(3, rows, length, width, dtype=q.dtype)
        dq, dk, dv = gradient
        for (start, end), p_NRE in zip(reversed(_blocks(length, q.dtype)), reversed(kept), strict=True):
            dy_NRK, last = dy[:, start:end], end == length  # the last block reaches every key: it sets what the others add to
            ds_NRE = torch.bmm(dy_NRK, _packed(v[:, :end]).transpose(1, 2))
            kernels.causal_softmax_gradient(kernels.floats(ds_NRE), kernels.floats(p_NRE), width**-0.5)
            _put_product(dq[:, start:end], ds_NRE, k[:, :end])
            _put_product(dk[:, :end], ds_NRE.transpose(1, 2), q[:, start:end], added=not last)
            _put_product(dv[:, :end], p_NRE.transpose(1, 2), dy_NRK, added=not last)
        heads_3BHTK, num_heads = gradient.view(3, ctx.batch, -1, length, width), rows // ctx.batch
        product_gradient, bias_gradient = q.new_empty(ctx.batch, length, 3, num_heads, width), torch.zeros(3, num_heads, width)
        kernels.join_heads(kernels.floats(heads_3BHTK), kernels.floats(product_gradient), bias_gradient.numpy())
        return product_gradient, bias_gradient.to(ctx.bias_type)


def _packed(x_NEK: Tensor) -> Tensor:
    """Without gaps in bfloat16, for which torch would make a copy of the transposed tensor, element by element."""
    return x_NEK.contiguous() if x_NEK.dtype == torch.bfloat16 else x_NEK


def _put_product(out: Tensor, a: Tensor, b: Tensor, added: bool = False) -> None:
    """out = a @ b, or out += a @ b, for each head."""
    if b.shape[-1] >= NARROW:
        out.baddbmm_(a, b, beta=int(added))
        return
    product = torch.bmm(b.transpose(1, 2), a.transpose(1, 2)).transpose(1, 2)
    if added:
        out += product
    else:
        out.copy_(product)


def _blocks(length: int, dtype: torch.dtype) -> list[tuple[int, int]]:
    """First and last + 1 query of each block."""
    size = BLOCK_QUERIES[dtype]
    return [(start, min(start + size, length)) for start in range(0, length, size)]
