"""The model against a literal re-write of the papers' formulas, and its counts against the published ones."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from components.transformer.accounting import flops_per_sequence, flops_per_token, train_flops
from components.transformer.config import TransformerConfig
from components.transformer.model import GPT, grow_vocabulary
from tests.configs import gpt_config


def tiny(norm_placement: str = "pre", **changes: object) -> TransformerConfig:
    shape = {"num_layers": 2, "d_model": 12, "num_heads": 3, "vocab_size": 29}
    return gpt_config(**shape | {"norm_placement": norm_placement} | changes)


def literal_logits(model: GPT, tokens_T: Tensor) -> Tensor:
    """One sequence, one head at a time, straight from the formulas: GPT-1 eq. 2, GPT-2 section 2.3."""
    w, c = model.state_dict(), model.config
    width, length = c.d_model // c.num_heads, len(tokens_T)

    def norm(name: str, x: Tensor) -> Tensor:
        mean, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, correction=0)
        return (x - mean) / torch.sqrt(variance + 1e-5) * w[f"{name}.weight"] + w[f"{name}.bias"]

    def attention(name: str, x: Tensor) -> Tensor:
        q, k, v = (x @ w[f"{name}.query_key_value.weight"].T + w[f"{name}.query_key_value.bias"]).split(c.d_model, -1)
        heads = []
        for h in range(c.num_heads):
            own = slice(h * width, (h + 1) * width)
            scores = q[:, own] @ k[:, own].T / math.sqrt(width)
            scores[torch.ones(length, length).triu(1).bool()] = -math.inf
            heads.append(torch.softmax(scores, -1) @ v[:, own])
        return torch.cat(heads, -1) @ w[f"{name}.projection.weight"].T + w[f"{name}.projection.bias"]

    def feed_forward(name: str, x: Tensor) -> Tensor:
        u = x @ w[f"{name}.expansion.weight"].T + w[f"{name}.expansion.bias"]
        gelu = 0.5 * u * (1 + torch.tanh(math.sqrt(2 / math.pi) * (u + 0.044715 * u**3)))
        return gelu @ w[f"{name}.projection.weight"].T + w[f"{name}.projection.bias"]

    x = w["token_embedding.weight"][tokens_T] + w["position_embedding.weight"][:length]
    for layer in range(c.num_layers):
        b = f"blocks.{layer}"
        if c.norm_placement == "pre":
            x = x + attention(f"{b}.attention", norm(f"{b}.attention_norm", x))
            x = x + feed_forward(f"{b}.feed_forward", norm(f"{b}.feed_forward_norm", x))
        else:
            x = norm(f"{b}.attention_norm", x + attention(f"{b}.attention", x))
            x = norm(f"{b}.feed_forward_norm", x + feed_forward(f"{b}.feed_forward", x))
    x = norm("final_norm", x) if c.norm_placement == "pre" else x
    return x @ w["token_embedding.weight"].T


@pytest.mark.parametrize("norm_placement", ["pre", "post"])
def test_equals_a_literal_rewrite(norm_placement: str) -> None:
    torch.manual_seed(1)
    model = GPT(tiny(norm_placement)).double()
    for parameter in model.parameters():  # biases and gains too must matter
        torch.nn.init.normal_(parameter, std=0.3)
    tokens = torch.randint(0, 29, (3, 11))
    with torch.no_grad():
        expected = torch.stack([literal_logits(model, row) for row in tokens]).float()
        torch.testing.assert_close(model(tokens), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("norm_placement", ["pre", "post"])
def test_no_position_sees_the_future(norm_placement: str) -> None:
    torch.manual_seed(2)
    model = GPT(tiny(norm_placement)).eval()
    tokens = torch.randint(0, 29, (1, 12))
    changed = tokens.clone()
    changed[0, 7] = (changed[0, 7] + 1) % 29
    before, after = model(tokens), model(changed)
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.equal(before[:, 7], after[:, 7])


@pytest.mark.parametrize("norm_placement", ["pre", "post"])
@pytest.mark.parametrize("band", [{}, {"attention_pattern": "alternating_banded", "band_tokens": 6}])
def test_flops_equal_the_matrix_products_that_run_forward_and_backward(norm_placement: str, band: dict[str, object]) -> None:
    """To the last one; the band does not divide the context, so that the last block is not full."""
    config = tiny(norm_placement, context_length=16, num_layers=3, **band)
    tokens = torch.randint(0, 29, (2, 17))
    model = GPT(config)
    # The counter knows the plain product of matrices; the fused attention kernel of the CPU it does not.
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten()).backward()
    assert counter.get_total_flops() == 2 * flops_per_sequence(config)
    assert flops_per_sequence(config) == flops_per_token(config) * 16 == train_flops(config, 16)


def test_a_band_saves_operations_on_paper() -> None:
    """GPT-3 175B at a band of 256: the banded half of its layers computes 15 / 64 of the scores."""
    dense = tiny(context_length=2048, num_layers=96, d_model=12288, num_heads=96, vocab_size=50257)
    banded = dense.model_copy(update={"attention_pattern": "alternating_banded", "band_tokens": 256})
    saved = flops_per_sequence(dense) - flops_per_sequence(banded)
    assert saved == 3 * 4 * 12288 * 48 * 2048**2 * 49 // 64


def test_initial_loss_is_that_of_a_uniform_guess_and_residual_projections_are_scaled() -> None:
    torch.manual_seed(0)
    model = GPT(tiny(num_layers=8, d_model=48, num_heads=4, vocab_size=500))
    tokens = torch.randint(0, 500, (8, 17))
    loss = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
    assert float(loss.detach()) == pytest.approx(math.log(500), abs=0.1)
    spread = model.state_dict()["blocks.3.feed_forward.projection.weight"].std()
    assert float(spread) == pytest.approx(0.02 / math.sqrt(16), rel=0.05)
    assert model.state_dict()["blocks.3.feed_forward.projection.bias"].abs().max() == 0


def test_tokens_start_and_grow_as_wide_as_asked_and_nothing_else_changes() -> None:
    torch.manual_seed(0)
    usual = GPT(tiny(vocab_size=500))
    torch.manual_seed(0)
    wide = GPT(tiny(vocab_size=500, token_embedding_std=0.2))
    changed = [name for name, start in usual.state_dict().items() if not torch.equal(start, wide.state_dict()[name])]
    assert changed == ["token_embedding.weight"]
    assert float(wide.token_embedding.weight.detach().std()) == pytest.approx(0.2, rel=0.05)
    grow_vocabulary(wide, 400, torch.Generator().manual_seed(5))
    assert float(wide.token_embedding.weight.detach()[500:].std()) == pytest.approx(0.2, rel=0.05)


def test_new_tokens_leave_the_old_ones_alone() -> None:
    torch.manual_seed(0)
    model = GPT(tiny()).eval()
    tokens = torch.randint(0, 29, (2, 9))
    before = model(tokens)
    grow_vocabulary(model, 3, torch.Generator().manual_seed(5))
    after = model(tokens)
    assert after.shape[-1] == 32
    assert model.config.vocab_size == 32
    torch.testing.assert_close(after[..., :29], before)
    assert len(list(model.parameters())) == len(list(GPT(model.config).parameters()))
