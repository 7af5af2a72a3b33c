"""The tanh form of GELU (Hendrycks 2016), which the GPT-1 and GPT-2 code uses, of a linear layer; its derivative is found on the way."""

# Shapes: M positions, D width of what comes in, W of what goes out.

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from components.transformer import kernels


def linear_gelu(x: Tensor, weight_WD: Tensor, bias_W: Tensor) -> Tensor:
    """GELU(x weight^T + bias): [..., D] -> [..., W]; computed in float32, whatever type the products are in.

    torch takes 4 ns an element for GELU and its gradient in bfloat16 on a CPU with AVX-512, most of it for the tanh; by way of
    the sigmoid, in one pass, it is 0.7 (3 million elements on one thread). The bias is added, and its gradient summed, in the
    same passes: torch copies it into the result of the product first.
    """
    if not kernels.are_for(x):
        return F.gelu(F.linear(x, weight_WD, bias_W), approximate="tanh")
    y: Tensor = _BiasedGelu.apply(F.linear(x, weight_WD), bias_W)
    return y


class _BiasedGelu(torch.autograd.Function):
    """Keeps the derivative, not the input: as much memory as torch keeps, and one product is left for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor) -> Tensor:
        x = x.contiguous()
        y, slope = torch.empty_like(x), torch.empty_like(x)
        kernels.gelu(_rows(x), kernels.floats(bias.clone()), _rows(y), _rows(slope))  # FSDP2 frees the bias: numpy must not hold it
        ctx.save_for_backward(slope)
        ctx.bias_type = bias.dtype
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        slope: Tensor = ctx.saved_tensors[0]
        x_gradient, bias_gradient = torch.empty_like(slope), torch.zeros(slope.shape[-1])
        kernels.gelu_gradient(_rows(gradients[0].contiguous()), _rows(slope), _rows(x_gradient), bias_gradient.numpy())
        return x_gradient, bias_gradient.to(ctx.bias_type)


def _rows(x: Tensor) -> Any:
    """Memory of a contiguous [..., W] as [M, W]."""
    return kernels.floats(x).reshape(-1, x.shape[-1])
