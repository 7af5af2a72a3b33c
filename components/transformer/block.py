"""One layer of a GPT: attention and feed-forward, each added to the residual stream, with LayerNorm before or after."""

# Shapes: B batch, T positions, D d_model.

from torch import Tensor, nn

from components.transformer.attention import CausalSelfAttention
from components.transformer.config import TransformerConfig
from components.transformer.gelu import linear_gelu

NORM_EPSILON = 1e-5  # GPT-1 and GPT-2 released code


class FeedForward(nn.Module):
    """D -> 4D -> D with the tanh form of GELU, which the GPT-1 and GPT-2 code uses."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.expansion = nn.Linear(config.d_model, 4 * config.d_model)
        self.projection = nn.Linear(4 * config.d_model, config.d_model)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        return self.projection(linear_gelu(x_BTD, self.expansion.weight, self.expansion.bias))  # type: ignore[no-any-return]


class Block(nn.Module):
    """``post``: x = LN(x + F(x)) (GPT-1 released code); ``pre``: x = x + F(LN(x)) (GPT-2 section 2.3).

    ``band_tokens``: how many positions its attention reads; None for all.
    """

    def __init__(self, config: TransformerConfig, band_tokens: int | None) -> None:
        super().__init__()
        self.norm_placement = config.norm_placement
        self.attention_norm = nn.LayerNorm(config.d_model, eps=NORM_EPSILON)
        self.attention = CausalSelfAttention(config, band_tokens)
        self.feed_forward_norm = nn.LayerNorm(config.d_model, eps=NORM_EPSILON)
        self.feed_forward = FeedForward(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """[B, T, D] -> [B, T, D]."""
        x_BTD = self._add(x_BTD, self.attention, self.attention_norm)
        return self._add(x_BTD, self.feed_forward, self.feed_forward_norm)

    def _add(self, x_BTD: Tensor, branch: nn.Module, norm: nn.LayerNorm) -> Tensor:
        if self.norm_placement == "post":
            return norm(x_BTD + self.dropout(branch(x_BTD)))  # type: ignore[no-any-return]
        return x_BTD + self.dropout(branch(norm(x_BTD)))  # type: ignore[no-any-return]
