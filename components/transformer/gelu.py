"""The tanh form of GELU (Hendrycks 2016), which the GPT-1 and GPT-2 code uses, with its derivative found on the way."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from components.transformer import kernels


def gelu(x: Tensor) -> Tensor:
    """Same shape and type; computed in float32.

    torch takes 4 ns an element for this and its gradient in bfloat16 on a CPU with AVX-512, most of it for the tanh; by way of
    the sigmoid, in one pass, it is 0.7 (3 million elements on one thread).
    """
    if not kernels.are_for(x):
        return F.gelu(x, approximate="tanh")
    y: Tensor = _Gelu.apply(x)
    return y


class _Gelu(torch.autograd.Function):
    """Keeps the derivative, not the input: as much memory as torch keeps, and one product is left for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.contiguous()
        y, slope = torch.empty_like(x), torch.empty_like(x)
        kernels.gelu(*(kernels.floats(tensor).reshape(-1) for tensor in (x, y, slope)))
        ctx.save_for_backward(slope)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        slope: Tensor = ctx.saved_tensors[0]
        return gradients[0] * slope
