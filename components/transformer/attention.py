"""Masked multi-head self-attention (GPT-1 section 4.1; Vaswani 2017 section 3.2)."""

# Shapes: B batch, T positions, D d_model, H heads, K width of one head (D = H * K).

import torch.nn.functional as F
from torch import Tensor, nn

from components.transformer.banded import banded_attention
from components.transformer.causal_attention import causal_attention, is_faster
from components.transformer.config import TransformerConfig


class CausalSelfAttention(nn.Module):
    """Attention in which position t reads positions 0..t only, or with a band of w the last w of these, scaled by 1/sqrt(K)."""

    def __init__(self, config: TransformerConfig, band_tokens: int | None) -> None:
        super().__init__()
        self.band_tokens = band_tokens
        self.num_heads = config.num_heads
        self.dropout = config.dropout
        self.query_key_value = nn.Linear(config.d_model, 3 * config.d_model)
        self.projection = nn.Linear(config.d_model, config.d_model)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        layer, dropout = self.query_key_value, self.dropout if self.training else 0.0
        if self.band_tokens is None and is_faster(x_BTD, layer.weight, dropout):
            y_BTD = causal_attention(self._heads(F.linear(x_BTD, layer.weight)), self._heads(layer.bias))
        else:
            q_BHTK, k_BHTK, v_BHTK = self._heads(layer(x_BTD)).permute(2, 0, 3, 1, 4).unbind(0)
            if self.band_tokens is None:
                y_BHTK = F.scaled_dot_product_attention(q_BHTK, k_BHTK, v_BHTK, dropout_p=dropout, is_causal=True)
            else:
                y_BHTK = banded_attention(q_BHTK, k_BHTK, v_BHTK, self.band_tokens, dropout)
            y_BTD = y_BHTK.transpose(1, 2).flatten(2)
        return self.projection(y_BTD)  # type: ignore[no-any-return]

    def _heads(self, joined: Tensor) -> Tensor:
        """[..., 3 D] -> [..., 3, H, K]."""
        return joined.view(*joined.shape[:-1], 3, self.num_heads, joined.shape[-1] // (3 * self.num_heads))
