"""How strongly each layer's weights pull on the loss, and how much of that pull the residual stream carries (Xiong 2020)."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.transformer.block import Block
from components.transformer.model import GPT


def gradient_norms(model: GPT, tokens: Tensor, stream_only: bool) -> list[float]:
    """Norm of the gradient of the next-token loss by W2 of each layer's feed-forward part, from the input upwards.

    ``tokens``: int64 [S, T + 1], T at most the context length. ``stream_only`` follows the gradient along the residual
    stream alone, as if no branch passed it on: Xiong's argument (section 3.3). There each LayerNorm of post-LN divides
    it by the spread of what it normalises, so it falls towards the input, while pre-LN's stream passes it unchanged.

    The whole gradient of a decoder without cross-attention need not show that: what a LayerNorm takes, the branch below
    it gives back, for it passes on as much gradient as it adds variance (tests/numerics/test_transformer_gradients.py).
    Xiong's figure 3 is of a translation decoder, which has cross-attention.
    """
    with _branches_that_pass_no_gradient(model) if stream_only else nullcontext():
        logits_STV = model(tokens[:, :-1])
        loss = F.cross_entropy(logits_STV.flatten(0, 1), tokens[:, 1:].flatten())
        weights = [parameter for name, parameter in model.named_parameters() if name.endswith("feed_forward.projection.weight")]
        return [float(gradient.norm()) for gradient in torch.autograd.grad(loss, weights)]


@contextmanager
def _branches_that_pass_no_gradient(model: GPT) -> Iterator[None]:
    handles = [entry.register_forward_pre_hook(_detached) for block in model.blocks for entry in _branch_entries(block)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _branch_entries(block: nn.Module) -> list[nn.Module]:
    """The first module of each branch of a block."""
    assert isinstance(block, Block)
    if block.norm_placement == "pre":
        return [block.attention_norm, block.feed_forward_norm]
    return [block.attention, block.feed_forward]


def _detached(_module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(x.detach() for x in inputs)
