"""Xiong 2020's picture of gradients at the start of training, and how far it holds for a decoder without cross-attention.

Measured here, width 64, 12 layers, Zipf tokens, W2 of the first layer over that of the last:

- along the residual stream alone, with Xavier weights as in that paper: 0.06 for post-LN, 0.71 for pre-LN;
- whole, with Xavier weights: 0.72 for post-LN, 1.6 for pre-LN, whose lower layers act on a shorter stream;
- whole, with our weights (0.02, residual projections by 1/sqrt(2 L)): 1.0 for post-LN, 1.3 for pre-LN.
"""

import numpy as np
import pytest
import torch
from torch import Tensor

from components.transformer.diagnostics import gradient_norms
from components.transformer.model import GPT
from tests.configs import gpt_config

VOCABULARY, LENGTH = 128, 32


def zipf_tokens() -> Tensor:
    shares = 1 / np.arange(1, VOCABULARY + 1)
    drawn = np.random.default_rng(0).choice(VOCABULARY, size=(16, LENGTH + 1), p=shares / shares.sum())
    return torch.from_numpy(drawn)


def started(norm_placement: str, num_layers: int, xavier: bool) -> GPT:
    """A fresh model; with ``xavier`` as Xiong's and Vaswani's: Xavier weights, inputs of spread 1, logits by 1/sqrt(d)."""
    torch.manual_seed(0)
    shape = {"context_length": LENGTH, "num_layers": num_layers, "d_model": 64, "num_heads": 4}
    model = GPT(gpt_config(VOCABULARY, norm_placement=norm_placement, **shape))
    if xavier:
        for name, parameter in model.named_parameters():
            if "embedding" in name:
                torch.nn.init.normal_(parameter, std=1.0)
            elif parameter.ndim == 2:
                torch.nn.init.xavier_uniform_(parameter)
        last = model.final_norm if norm_placement == "pre" else model.blocks[-1].feed_forward_norm
        torch.nn.init.constant_(last.weight, 64**-0.5)  # type: ignore[arg-type]
    return model


def test_along_the_stream_post_ln_falls_towards_the_input_and_pre_ln_is_flat() -> None:
    post = np.array(gradient_norms(started("post", 12, xavier=True), zipf_tokens(), stream_only=True))
    pre = np.array(gradient_norms(started("pre", 12, xavier=True), zipf_tokens(), stream_only=True))
    assert (np.diff(post) > 0).all()
    assert post[0] / post[-1] < 0.1
    assert pre.max() / pre.min() < 1.6


def test_the_whole_gradient_of_a_decoder_shows_much_less_of_it() -> None:
    post = gradient_norms(started("post", 12, xavier=True), zipf_tokens(), stream_only=False)
    pre = gradient_norms(started("pre", 12, xavier=True), zipf_tokens(), stream_only=False)
    assert 0.5 < post[0] / post[-1] < 1.5
    assert 1.2 < pre[0] / pre[-1] < 3.5


@pytest.mark.parametrize("norm_placement", ["pre", "post"])
def test_with_our_own_start_both_are_nearly_flat(norm_placement: str) -> None:
    norms = gradient_norms(started(norm_placement, 12, xavier=False), zipf_tokens(), stream_only=False)
    assert max(norms) / min(norms) < 1.7


def test_the_last_layer_s_gradient_keeps_its_size_in_post_ln_and_shrinks_with_depth_in_pre_ln() -> None:
    """Xiong 2020 theorem 1: post-LN does not depend on the depth L; pre-LN goes as 1/sqrt(L) once layers outweigh embeddings."""
    ratio = {}
    for norm_placement in ("post", "pre"):
        shallow, deep = (
            gradient_norms(started(norm_placement, layers, xavier=True), zipf_tokens(), stream_only=False) for layers in (6, 24)
        )
        ratio[norm_placement] = deep[-1] / shallow[-1]
    assert 0.9 < ratio["post"] < 1.5
    assert 0.5 < ratio["pre"] < 0.85


def test_the_diagnosis_leaves_the_model_as_it_was() -> None:
    model, tokens = started("post", 2, xavier=False), zipf_tokens()
    whole = gradient_norms(model, tokens, stream_only=False)
    gradient_norms(model, tokens, stream_only=True)
    assert gradient_norms(model, tokens, stream_only=False) == whole
    assert all(parameter.grad is None for parameter in model.parameters())
