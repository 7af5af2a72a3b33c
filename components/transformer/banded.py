"""Locally banded attention (Sparse Transformer, released code: "local") at the cost of the band, not of the square."""

# Shapes: B batch, H heads, T positions, K width of one head, w band, N blocks of w positions.

import torch
import torch.nn.functional as F
from torch import Tensor


def banded_attention(q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, band_tokens: int, dropout: float) -> Tensor:
    """[B, H, T, K] three times -> [B, H, T, K]; position t reads positions max(0, t - w + 1)..t.

    Queries are cut into blocks of w. The first block reads itself; each other block reads itself and the block before
    it, which hold all of its band, so that 2 w scores are computed for a query and not T
    (components/transformer/accounting.py counts them).
    """
    length = q_BHTK.shape[2]
    first_q, first_k, first_v = (x[:, :, :band_tokens] for x in (q_BHTK, k_BHTK, v_BHTK))
    y_BHwK = F.scaled_dot_product_attention(first_q, first_k, first_v, dropout_p=dropout, is_causal=True)
    if length <= band_tokens:
        return y_BHwK
    q_BHNwK, k_BHNwK, v_BHNwK = (_blocks(x, band_tokens) for x in (q_BHTK, k_BHTK, v_BHTK))
    rest_BRwK = F.scaled_dot_product_attention(
        q_BHNwK[:, :, 1:].flatten(1, 2),
        _with_block_before(k_BHNwK),
        _with_block_before(v_BHNwK),
        attn_mask=_band_mask(band_tokens, q_BHTK.device),
        dropout_p=dropout,
    )
    rest_BHTK = rest_BRwK.reshape(*q_BHTK.shape[:2], -1, q_BHTK.shape[3])
    return torch.cat([y_BHwK, rest_BHTK[:, :, : length - band_tokens]], dim=2)


def _blocks(x_BHTK: Tensor, band_tokens: int) -> Tensor:
    """[B, H, T, K] -> [B, H, N, w, K]; zeros fill the last block, which no earlier position reads."""
    batch, heads, length, width = x_BHTK.shape
    return F.pad(x_BHTK, (0, 0, 0, -length % band_tokens)).reshape(batch, heads, -1, band_tokens, width)


def _with_block_before(x_BHNwK: Tensor) -> Tensor:
    """[B, H, N, w, K] -> [B, H (N - 1), 2 w, K]: each block but the first, behind the one before it."""
    return torch.cat([x_BHNwK[:, :, :-1], x_BHNwK[:, :, 1:]], dim=3).flatten(1, 2)


def _band_mask(band_tokens: int, device: torch.device) -> Tensor:
    """bool [w, 2 w]: query i stands at key w + i and reads keys i + 1 to w + i."""
    return torch.ones(band_tokens, 2 * band_tokens, dtype=torch.bool, device=device).triu(1).tril(band_tokens)
