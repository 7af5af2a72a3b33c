"""The fast forms of loss, attention and GELU equal the plain ones, in value and gradient, and are the same twice."""

# Shapes: B batch, T positions, H heads, K width of one head, N positions, D d_model, V vocab_size.

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.training.lit_model import next_token_loss
from components.transformer import attention, causal_attention, fused_loss, gelu, kernels
from components.transformer.model import GPT
from tests.configs import gpt_config

Function = Callable[..., Tensor]


def gradients(function: Function, *inputs: Tensor) -> list[Tensor]:
    """Value and gradients of the inputs that have one, for a fixed random gradient of the value."""
    leaves = [x.clone().requires_grad_() if x.is_floating_point() else x for x in inputs]
    value = function(*leaves)
    value.backward(torch.randn(value.shape, generator=torch.Generator().manual_seed(1)).to(value.dtype))
    return [value.detach(), *(leaf.grad for leaf in leaves if leaf.grad is not None)]


def assert_same(fast: Function, plain: Function, *inputs: Tensor, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    for ours, theirs in zip(gradients(fast, *inputs), gradients(plain, *inputs), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=rtol, atol=atol)
    for first, second in zip(gradients(fast, *inputs), gradients(fast, *inputs), strict=True):
        assert torch.equal(first, second)


def plain_loss(hidden_ND: Tensor, output_VD: Tensor, targets_N: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(hidden_ND, output_VD).float(), targets_N)


def loss_inputs(positions: int, scale: float = 0.3) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(positions, 24), torch.randn(301, 24) * scale, torch.randint(0, 301, (positions,))


@pytest.mark.parametrize("narrow", [0, 100])  # hidden states have a width of 24
@pytest.mark.parametrize("positions", [1, 7, 8, 9, 40])
def test_loss_in_chunks_is_cross_entropy(positions: int, narrow: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most 8 positions a chunk and 3 a tile: one, some and parts of each; twice the loss has twice the gradients."""
    monkeypatch.setattr(fused_loss, "CHUNK_BYTES", 4 * 301 * 8)
    monkeypatch.setattr(fused_loss, "NARROW", narrow)
    assert_same(fused_loss.next_token_nats, plain_loss, *loss_inputs(positions))
    assert_same(lambda *inputs: 2 * fused_loss.next_token_nats(*inputs), lambda *inputs: 2 * plain_loss(*inputs), *loss_inputs(positions))
    whole = [gradient for loss in (fused_loss.next_token_nats, plain_loss) for gradient in _unscaled(loss, *loss_inputs(positions))]
    torch.testing.assert_close(whole[:2], whole[2:], rtol=1e-5, atol=1e-6)


def _unscaled(loss: Function, hidden: Tensor, output: Tensor, targets: Tensor) -> list[Tensor]:
    """Gradients of the loss itself: the backward pass is given 1, which it need not multiply by."""
    leaves = [hidden.clone().requires_grad_(), output.clone().requires_grad_()]
    return list(torch.autograd.grad(loss(*leaves, targets), leaves))


def test_loss_of_far_apart_logits_is_finite() -> None:
    """Logits of some thousands: the target's probability underflows, the loss must not."""
    inputs = loss_inputs(16, scale=300.0)
    assert plain_loss(*inputs) > 1000
    assert_same(fused_loss.next_token_nats, plain_loss, *inputs, atol=1e-4)


def test_loss_of_nan_is_nan_and_of_a_foreign_id_an_error() -> None:
    hidden, output, targets = loss_inputs(16)
    assert torch.isnan(fused_loss.next_token_nats(torch.full_like(hidden, torch.nan), output, targets))
    for foreign in (targets + 301, targets - 301):
        with pytest.raises(IndexError, match="outside the vocabulary"):
            fused_loss.next_token_nats(hidden, output, foreign)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_nan_among_many_is_not_lost(dtype: torch.dtype) -> None:
    """The largest of a row is found by comparing integers, and powers are cut off below: neither may hide it."""
    for nan in (torch.nan, -torch.nan):
        logits = torch.zeros(3, 40, dtype=dtype)
        logits[1, 7] = nan
        assert math.isnan(kernels.softmax_errors(kernels.floats(logits), 40, np.zeros(3, np.int64), 1.0))
        assert logits.isnan().any(1).tolist() == [False, True, False]
        scores = torch.zeros(1, 3, 40, dtype=dtype)
        scores[0, 1, 7] = nan
        kernels.causal_softmax(kernels.floats(scores), 1.0)
        assert scores[0].isnan().any(1).tolist() == [False, True, False]
        assert biased_gelu(logits, torch.zeros(40)).isnan().any(1).tolist() == [False, True, False]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_softmax_of_a_wide_range_is_that_of_torch(dtype: torch.dtype) -> None:
    """Negative rows, -inf and gaps of thousands; the masked part is 0 whatever was there.

    In float32 a power of up to 126 is rounded by 2^-18 (relative, of 2 to it: 3e-6) before the polynomial adds its own error.
    """
    torch.manual_seed(0)
    scores = (torch.randn(4, 8, 24) * torch.tensor([1.0, 30.0, 3000.0, 1.0])[:, None, None] - 50).to(dtype)
    scores[3, :, 1] = -torch.inf
    hidden = torch.full((8, 24), -torch.inf).triu(24 - 8 + 1)
    expected = torch.softmax(scores.double() * 0.25 + hidden, -1)
    scores.masked_fill_(hidden.isinf(), torch.nan)
    kernels.causal_softmax(kernels.floats(scores), 0.25)
    torch.testing.assert_close(scores.double(), expected, rtol=2**-8 if dtype == torch.bfloat16 else 1e-5, atol=1e-30)


def test_loss_under_autocast_is_float32_and_near_the_exact_one() -> None:
    """A loss quantised to bfloat16 would be off by up to 2^-9 of its value; its gradients are as near as the plain form's."""
    inputs = loss_inputs(600)
    exact = gradients(plain_loss, *inputs)
    with torch.autocast("cpu", torch.bfloat16):
        ours, plain = gradients(fused_loss.next_token_nats, *inputs), gradients(plain_loss, *inputs)
    assert ours[0].dtype == ours[1].dtype == ours[2].dtype == torch.float32
    assert abs(ours[0] - exact[0]) < 1e-3 * exact[0]
    for mine, theirs, truth in zip(ours[1:], plain[1:], exact[1:], strict=True):
        assert (mine - truth).norm() < 1.2 * (theirs - truth).norm() < 0.02 * truth.norm()


def biased_gelu(x: Tensor, bias: Tensor) -> Tensor:
    """By way of a product that hands on what it is given."""
    return gelu.linear_gelu(x, torch.eye(x.shape[-1], dtype=x.dtype), bias)


def plain_gelu(x: Tensor, bias: Tensor) -> Tensor:
    return F.gelu(x + bias, approximate="tanh")


def plain_attention(product_BT3HK: Tensor, bias_3HK: Tensor) -> Tensor:
    q, k, v = (product_BT3HK + bias_3HK).permute(2, 0, 3, 1, 4).unbind(0)
    return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)


@pytest.mark.parametrize("width", [4, 16])  # narrow heads are multiplied in another way
@pytest.mark.parametrize("length", [1, 5, 8, 12, 16, 21])
def test_attention_in_blocks_is_causal_attention(length: int, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(causal_attention, "BLOCK_QUERIES", {torch.float32: 8, torch.bfloat16: 8})
    torch.manual_seed(0)
    inputs = torch.randn(2, length, 3, 3, width), torch.randn(3, 3, width)
    assert_same(
        causal_attention.causal_attention, plain_attention, *inputs, atol=2e-5
    )  # the gradient of the keys' bias is 0 but for rounding
    exact = gradients(plain_attention, *inputs)
    halves = [x.bfloat16() for x in inputs]
    for ours, truth in zip(gradients(causal_attention.causal_attention, *halves), exact, strict=True):
        assert (ours - truth).norm() < 0.02 * truth.norm() + 1e-6


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_attention_in_blocks_is_taken_without_dropout_and_changes_nothing(dropout: float, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layer = attention.CausalSelfAttention(gpt_config(50, context_length=12, dropout=dropout), None)
    x = torch.randn(2, 12, 16)
    nn.init.normal_(layer.query_key_value.bias)
    plain = layer(x)
    monkeypatch.setattr(causal_attention, "SHORTEST_TOKENS", 1)
    assert causal_attention.is_faster(x, layer.query_key_value.weight, dropout) == (not dropout)
    assert torch.allclose(layer(x), plain, atol=1e-6) == (not dropout)


@pytest.mark.parametrize("width", [1, 16, 17, 100])
def test_gelu_in_one_pass_is_the_tanh_form(width: int) -> None:
    x, bias = torch.linspace(-12, 12, 3 * width).view(3, width), torch.linspace(-1, 1, width)
    assert_same(biased_gelu, plain_gelu, x, bias, atol=3e-6)  # far below 0 torch rounds 1 + tanh to 0
    assert_same(biased_gelu, plain_gelu, x.bfloat16(), bias.bfloat16(), rtol=0.01, atol=0.02)
    with torch.inference_mode():
        torch.testing.assert_close(biased_gelu(x, bias), plain_gelu(x, bias), rtol=1e-5, atol=3e-6)


def test_loss_of_a_model_is_that_of_its_logits() -> None:
    torch.manual_seed(0)
    model, tokens = GPT(gpt_config(50, context_length=12, num_layers=2)), torch.randint(0, 50, (3, 13))
    losses, found = [], []
    for loss in (next_token_loss(model, tokens), F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())):
        model.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        losses.append(loss.detach())
        found.append([parameter.grad for parameter in model.parameters()])
    torch.testing.assert_close(losses[0], losses[1])
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-7)
