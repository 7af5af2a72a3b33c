"""One optimiser step of us and of each peer: same shape, tokens, optimiser and threads.

Their code is imported from where it is installed or checked out. What is not the same: nanoGPT has the exact GELU; litgpt has no
GPT-2 and is its GPT-NeoX block with rotary positions.
"""

import contextlib
import importlib
import io
import math
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.transformer.config import TransformerConfig

if TYPE_CHECKING:
    import torch
    from torch import Tensor

LEARNING_RATE, WEIGHT_DECAY, BETA1, BETA2, EPSILON = 3e-4, 0.1, 0.9, 0.95, 1e-8
CLIP_NORM = 1.0


@dataclass(frozen=True)
class Shape:
    """Of the models and of the batch of one step."""

    name: str
    num_layers: int
    d_model: int
    num_heads: int
    vocab_size: int
    context_length: int
    batch_sequences: int

    @property
    def batch_tokens(self) -> int:
        """Tokens that a step predicts."""
        return self.batch_sequences * self.context_length

    def config(self) -> TransformerConfig:
        """Our model of this shape."""
        return TransformerConfig(
            context_length=self.context_length, num_layers=self.num_layers, d_model=self.d_model, num_heads=self.num_heads,
            norm_placement="pre", attention_pattern="dense", band_tokens=None, token_embedding_std=0.02, dropout=0.0,
            vocab_size=self.vocab_size,
        )  # fmt: skip

    def tokens(self) -> "Tensor":
        """int64 [S, T + 1], random."""
        import torch

        generator = torch.Generator().manual_seed(0)
        return torch.randint(0, self.vocab_size, (self.batch_sequences, self.context_length + 1), generator=generator)


def autocast(bf16: bool) -> "AbstractContextManager[Any]":
    """bfloat16 products over float32 weights, or float32 throughout."""
    import torch

    return torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext()


def _stepper(model: "torch.nn.Module", loss: "Callable[[], Tensor]", bf16: bool) -> Callable[[], float]:
    """The loop that all have in common: loss, gradients, clip, AdamW. Returns the loss [nats]."""
    import torch

    from components.training.optimizer import build_adamw

    optimizer = build_adamw(model, LEARNING_RATE, WEIGHT_DECAY, BETA1, BETA2, EPSILON)

    def step() -> float:
        with autocast(bf16):
            value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(value.detach())

    return step


def ours(shape: Shape, bf16: bool) -> Callable[[], float]:
    """The model and the loss of components/."""
    from components.training.lit_model import next_token_loss
    from components.transformer.model import GPT

    model, tokens = GPT(shape.config()), shape.tokens()
    return _stepper(model, lambda: next_token_loss(model, tokens), bf16)


def attention(shape: Shape, band_tokens: int | None, bf16: bool) -> Callable[[], None]:
    """Attention of one layer of ours, forward and backward, its linear layers included; dense where there is no band."""
    import torch

    from components.transformer.attention import CausalSelfAttention

    layer = CausalSelfAttention(shape.config(), band_tokens)
    x_BTD = torch.randn(shape.batch_sequences, shape.context_length, shape.d_model, requires_grad=True)

    def step() -> None:
        with autocast(bf16):
            total = layer(x_BTD).sum()
        total.backward()

    return step


def nanogpt(shape: Shape, bf16: bool, checkout: Path) -> Callable[[], float]:
    """Its model.py and the loss that this returns."""
    sys.path.insert(0, str(checkout))
    module = importlib.import_module("model")
    config = module.GPTConfig(
        block_size=shape.context_length, vocab_size=shape.vocab_size, n_layer=shape.num_layers, n_head=shape.num_heads,
        n_embd=shape.d_model, dropout=0.0, bias=True,
    )  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its number of parameters
        model = module.GPT(config)
    tokens = shape.tokens()
    return _stepper(model, lambda: model(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous())[1], bf16)


def transformers(shape: Shape, bf16: bool) -> Callable[[], float]:
    """GPT2LMHeadModel in a plain loop, its own loss."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=shape.vocab_size, n_positions=shape.context_length + 1, n_embd=shape.d_model, n_layer=shape.num_layers,
        n_head=shape.num_heads, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, use_cache=False,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model, tokens = GPT2LMHeadModel(config), shape.tokens()
    return _stepper(model.train(), lambda: model(tokens[:, :-1], labels=tokens[:, :-1]).loss, bf16)


def litgpt(shape: Shape, bf16: bool, checkout: Path) -> Callable[[], float]:
    """Its GPT-NeoX block in this size and its chunked_cross_entropy as its pretrain command calls it; tied embedding as ours."""
    sys.path.insert(0, str(checkout))
    config = importlib.import_module("litgpt.config").Config(
        block_size=shape.context_length, vocab_size=shape.vocab_size, padded_vocab_size=shape.vocab_size, n_layer=shape.num_layers,
        n_head=shape.num_heads, n_embd=shape.d_model, parallel_residual=False, rotary_percentage=1.0,
    )  # fmt: skip
    model = importlib.import_module("litgpt.model").GPT(config)
    model.transformer.wte.weight = model.lm_head.weight
    model.apply(lambda module: module.weight.data.normal_(0, 0.02) if hasattr(module, "weight") and module.weight.ndim == 2 else None)
    loss, tokens = importlib.import_module("litgpt.utils").chunked_cross_entropy, shape.tokens()
    return _stepper(model, lambda: loss(model(tokens[:, :-1]), tokens[:, 1:], chunk_size=0), bf16)


def check_loss(name: str, nats: float, vocab_size: int) -> None:
    """End unless a fresh model's loss is that of guessing: a peer that computes something else is no peer."""
    if abs(nats - math.log(vocab_size)) > 0.5:
        sys.exit(f"error: the first loss of {name} is {nats:.2f} nats, not ln {vocab_size} = {math.log(vocab_size):.2f}")
