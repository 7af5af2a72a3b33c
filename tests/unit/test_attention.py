"""Banded attention: who reads whom, against a dense reference, and which bands are refused."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from components.transformer.banded import banded_attention
from components.transformer.config import TransformerConfig
from components.transformer.model import GPT
from tests.configs import gpt_config, model_config


def banded(band_tokens: int | None, **changes: object) -> TransformerConfig:
    pattern = {"attention_pattern": "alternating_banded", "band_tokens": band_tokens}
    return gpt_config(29, **{"context_length": 32, "num_layers": 2} | pattern | changes)


def dense_reference(q: Tensor, k: Tensor, v: Tensor, band_tokens: int) -> Tensor:
    length = q.shape[2]
    behind = torch.arange(length)[:, None] - torch.arange(length)[None, :]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=(behind >= 0) & (behind < band_tokens))


@settings(max_examples=30, deadline=None)
@given(length=st.integers(1, 40), band_tokens=st.integers(1, 40), seed=st.integers(0, 99))
def test_equals_dense_attention_under_a_mask_with_its_gradients(length: int, band_tokens: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    inputs = [torch.randn(2, 3, length, 8, generator=generator, requires_grad=True) for _ in range(3)]
    weights = torch.randn(2, 3, length, 8, generator=generator)
    ours, reference = banded_attention(*inputs, band_tokens, 0.0), dense_reference(*inputs, band_tokens)
    torch.testing.assert_close(ours, reference, rtol=0, atol=1e-5)
    of_ours, of_reference = (torch.autograd.grad((y * weights).sum(), inputs, retain_graph=True) for y in (ours, reference))
    for one, other in zip(of_ours, of_reference, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize("band_tokens", [1, 3, 8, 20])
def test_a_banded_layer_reads_its_band_and_nothing_else(band_tokens: int) -> None:
    """Through the gradient: of output t only the values at t - w + 1 to t have one."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 1, 20, 4) for _ in range(3))
    v.requires_grad_()
    y = banded_attention(q, k, v, band_tokens, 0.0)
    for t in range(20):
        (gradient,) = torch.autograd.grad(y[0, 0, t].sum(), v, retain_graph=True)
        reads = set(gradient[0, 0].abs().sum(-1).nonzero().flatten().tolist())
        assert reads == set(range(max(0, t - band_tokens + 1), t + 1))


def test_layers_alternate_dense_first_and_a_far_token_is_reached_through_the_dense_ones() -> None:
    torch.manual_seed(0)
    config = banded(4, num_layers=4)
    model = GPT(config).eval()
    assert [block.attention.band_tokens for block in model.blocks] == [None, 4, None, 4]  # type: ignore[union-attr]
    only_banded = GPT(config).eval()
    for block in only_banded.blocks:
        block.attention.band_tokens = 4  # type: ignore[union-attr]
    tokens = torch.randint(0, 29, (1, 32))
    changed = tokens.clone()
    changed[0, 5] = (changed[0, 5] + 1) % 29
    for of, last_reached in ((model, 31), (only_banded, 5 + 4 * 3)):
        with torch.no_grad():
            moved = (of(tokens) - of(changed)).abs().amax(-1)[0].nonzero().flatten().tolist()
        assert moved == list(range(5, last_reached + 1))


def test_a_band_of_the_whole_context_is_dense() -> None:
    torch.manual_seed(0)
    model = GPT(banded(32)).eval()
    dense = GPT(banded(None, attention_pattern="dense")).eval()
    dense.load_state_dict(model.state_dict())
    tokens = torch.randint(0, 29, (2, 32))
    assert torch.equal(model(tokens), dense(tokens))


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_dropout_falls_on_attention_in_training_only(dropout: float) -> None:
    model = GPT(banded(4, dropout=dropout))
    tokens = torch.randint(0, 29, (2, 32))
    assert torch.equal(model(tokens), model(tokens)) == (dropout == 0)
    model.eval()
    assert torch.equal(model(tokens), model(tokens))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"attention_pattern": "alternating_banded", "band_tokens": 33}, "band_tokens 33 exceeds context_length 32"),
        ({"attention_pattern": "alternating_banded", "band_tokens": None}, "needs band_tokens"),
        ({"attention_pattern": "alternating_banded", "band_tokens": 0}, "greater than or equal to 1"),
        ({"attention_pattern": "dense", "band_tokens": 8}, "band_tokens 8 has no meaning for attention_pattern dense"),
        ({"attention_pattern": "sparse", "band_tokens": None}, "'dense' or 'alternating_banded'"),
    ],
)
def test_bands_that_make_no_sense_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        model_config(**{"context_length": 32} | changes)
