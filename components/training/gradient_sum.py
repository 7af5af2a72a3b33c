"""The gradients of micro-batches added up, and the norms that the gradient noise scale and the clipping need."""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from components.training.devices import whole
from components.transformer import kernels


class GradientSum:
    """Sum of the gradients that it is given, one list of tensors for each micro-batch; it keeps the first list and adds to it.

    On a CPU a norm is found in the pass over memory that adds: with 14M parameters such a pass takes 4.4 ms where torch's takes
    3.9, and torch's reading for a norm 2.4. On a GPU, and of parts of tensors (FSDP2), torch reads each list once more.
    """

    def __init__(self) -> None:
        self.of_sum: list[Tensor] = []
        self._norms: list[float | Tensor] = []
        self._norm: float | None = None

    def add(self, gradients: Sequence[Tensor]) -> None:
        """Add the gradients of the next micro-batch, float32."""
        if not self.of_sum:
            self.of_sum = list(gradients)
        elif all(kernels.are_for(gradient) and not isinstance(gradient, DTensor) for gradient in gradients):
            first, own, total = (math.sqrt(sum(squares)) for squares in zip(*map(_add, self.of_sum, gradients), strict=True))
            self._norms += [own] if self._norms else [first, own]
            self._norm = total
        else:
            self._norms += [_norm(gradients)] if self._norms else [_norm(self.of_sum), _norm(gradients)]
            torch._foreach_add_(self.of_sum, list(gradients))

    def norms(self) -> list[float]:
        """Of each micro-batch; empty if there was one."""
        return [float(norm) for norm in self._norms]

    def norm(self) -> Tensor:
        """Of the sum; a scalar."""
        return _norm(self.of_sum) if self._norm is None else torch.tensor(self._norm)


def _add(total: Tensor, part: Tensor) -> tuple[float, float, float]:
    """Squared norms of the total as it was, of the part and of the total as it is now."""
    return kernels.add(kernels.floats(total.view(-1)), kernels.floats(part.view(-1)))


def _norm(gradients: Sequence[Tensor]) -> Tensor:
    return cast(Tensor, whole(torch.nn.utils.get_total_norm(gradients)))
