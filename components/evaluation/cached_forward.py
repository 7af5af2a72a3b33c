"""A forward pass over rows in which tokens of several texts lie side by side, after a beginning that was read before.

Each token reads its own ancestors only: what is cached of the shared beginning, and those of its row that the mask names.
So a text scores as it would alone, but for rounding, whatever else is in its row or batch. No parameters of its own: it walks
the blocks of ``transformer.model.GPT`` and equals ``GPT.hidden`` (tests/numerics/test_evaluation_cached_forward.py).
"""

# Shapes: B rows, T tokens of a row, P tokens of the cached beginning, S = P + T, D d_model, H heads, K width of a head (D = H K),
# A tokens of a row whose hidden state is asked for.

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.transformer.attention import CausalSelfAttention
from components.transformer.block import Block
from components.transformer.model import GPT

QUERIES = 128  # at once, and no key after the last of them: a row of 1,250 tokens took 0.83 of the time, one of 345 took 0.93


@dataclass(frozen=True)
class Past:
    """What later tokens need of P tokens that were read already, those at depths 0 to P - 1."""

    layers: tuple[tuple[Tensor, Tensor], ...]
    """Keys and values of each layer, each [1, H, P, K]."""
    hidden_PD: Tensor
    """Last hidden states."""

    @property
    def length(self) -> int:
        """P."""
        return len(self.hidden_PD)


def no_past(model: GPT) -> Past:
    """Nothing was read yet."""
    weight = model.token_embedding.weight
    empty = weight.new_empty(1, model.config.num_heads, 0, model.config.d_model // model.config.num_heads)
    return Past(((empty, empty),) * model.config.num_layers, weight.new_empty(0, model.config.d_model))


def extend(model: GPT, past: Past, tokens: tuple[int, ...]) -> Past:
    """Read ``tokens`` after ``past``, one text that goes on."""
    device = model.token_embedding.weight.device
    depths_T = torch.arange(past.length, past.length + len(tokens), device=device)
    reads_TS = torch.arange(past.length + len(tokens), device=device) <= depths_T[:, None]
    hidden_BTD, layers = forward(model, torch.tensor([tokens], device=device), depths_T[None], reads_TS[None], past)
    return Past(tuple(layers), torch.cat([past.hidden_PD, hidden_BTD[0]]))


def forward(
    model: GPT, tokens_BT: Tensor, depths_BT: Tensor, reads_BTS: Tensor, past: Past, asked_BA: Tensor | None = None
) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Last hidden states [B, T, D], and the keys and values [B, H, S, K] of each layer with the past in front.

    Args:
        depths_BT: how many tokens of its own text stand before each token: its position.
        reads_BTS: bool, which keys each token reads: at least one each, and none of a token that comes later in the row.
        asked_BA: places of the tokens whose hidden states are returned, [B, A, D], in place of all. The last layer then gives the
            others their key and value only, for nothing else of them is read.

    Raises:
        RuntimeError: the model is in training mode.
    """
    if model.training:
        raise RuntimeError("a model in training mode drops out at random; call eval() before scoring")
    batch = len(tokens_BT)
    past_depths_BP = torch.arange(past.length, device=tokens_BT.device).expand(batch, -1)
    away_BTS = depths_BT[:, :, None] - torch.cat([past_depths_BP, depths_BT], dim=1)[:, None]
    x_BTD = model.token_embedding(tokens_BT) + model.position_embedding(depths_BT)
    layers = []
    for number, (module, (past_k, past_v)) in enumerate(zip(model.blocks, past.layers, strict=True), start=1):
        block, asked = cast(Block, module), asked_BA if number == len(model.blocks) else None
        attend = _Attend(block.attention, past_k, past_v, reads_BTS, away_BTS, asked)
        x_BTD = _add(block.norm_placement, x_BTD, attend, block.attention_norm, asked)
        x_BTD = _add(block.norm_placement, x_BTD, block.feed_forward, block.feed_forward_norm, None)
        layers.append(attend.keys_values)
    return model.final_norm(x_BTD), layers


class _Attend:
    """Attention of one layer over past and row, for all tokens of the row or the asked ones; ``keys_values`` then holds past and row."""

    def __init__(
        self, attention: CausalSelfAttention, past_k: Tensor, past_v: Tensor, reads_BTS: Tensor, away_BTS: Tensor, asked_BA: Tensor | None
    ) -> None:
        self.attention, self.past_k, self.past_v, self.asked_BA = attention, past_k, past_v, asked_BA
        # A locally banded layer reads the last ``band_tokens`` positions of a text only (GPT-3 section 2.1).
        band = getattr(attention, "band_tokens", None)
        self.reads_B1TS = _taken(reads_BTS if band is None else reads_BTS & (away_BTS < band), asked_BA)[:, None]
        self.keys_values = (past_k, past_v)

    def __call__(self, x_BTD: Tensor) -> Tensor:
        width = x_BTD.shape[-1]
        weight_ED, bias_E = self.attention.query_key_value.weight, self.attention.query_key_value.bias
        q_BHTK = self._heads(F.linear(_taken(x_BTD, self.asked_BA), weight_ED[:width], bias_E[:width]))
        k_BTD, v_BTD = F.linear(x_BTD, weight_ED[width:], bias_E[width:]).chunk(2, dim=-1)
        k_BHSK = torch.cat([self.past_k.expand(len(x_BTD), -1, -1, -1), self._heads(k_BTD)], dim=2)
        v_BHSK = torch.cat([self.past_v.expand(len(x_BTD), -1, -1, -1), self._heads(v_BTD)], dim=2)
        self.keys_values = (k_BHSK, v_BHSK)
        y_BHTK = self._attended(q_BHTK, k_BHSK, v_BHSK)
        projected: Tensor = self.attention.projection(y_BHTK.transpose(1, 2).flatten(2))
        return projected

    def _attended(self, q_BHTK: Tensor, k_BHSK: Tensor, v_BHSK: Tensor) -> Tensor:
        """Asked tokens all at once; the others so many at a time, beside the keys up to the last of them."""
        if self.asked_BA is not None:
            return F.scaled_dot_product_attention(q_BHTK, k_BHSK, v_BHSK, attn_mask=self.reads_B1TS)
        parts = []
        for start in range(0, q_BHTK.shape[2], QUERIES):
            tokens, keys = slice(start, start + QUERIES), slice(self.past_k.shape[2] + start + QUERIES)
            reads_B1TS = self.reads_B1TS[:, :, tokens, keys]
            parts.append(F.scaled_dot_product_attention(q_BHTK[:, :, tokens], k_BHSK[:, :, keys], v_BHSK[:, :, keys], attn_mask=reads_B1TS))
        return torch.cat(parts, dim=2)

    def _heads(self, x_BTD: Tensor) -> Tensor:
        return x_BTD.reshape(*x_BTD.shape[:2], self.past_k.shape[1], -1).transpose(1, 2)


def _taken(x_BTD: Tensor, asked_BA: Tensor | None) -> Tensor:
    """The asked rows of each [T, D]; all where none are named."""
    return x_BTD if asked_BA is None else x_BTD.gather(1, asked_BA[:, :, None].expand(-1, -1, x_BTD.shape[-1]))


def _add(norm_placement: str, x_BTD: Tensor, branch: Callable[[Tensor], Tensor], norm: nn.Module, asked_BA: Tensor | None) -> Tensor:
    """``transformer.block.Block`` without dropout."""
    kept_BTD = _taken(x_BTD, asked_BA)
    added: Tensor = norm(kept_BTD + branch(x_BTD)) if norm_placement == "post" else kept_BTD + branch(norm(x_BTD))
    return added
