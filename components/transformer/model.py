"""One GPT for all the papers: learned positions, tied embedding, LayerNorm before (GPT-2, GPT-3) or after (GPT-1) each branch."""

# Shapes: B batch, T positions, D d_model, V vocab_size.

import math

import torch
from torch import Tensor, nn

from components.transformer.block import NORM_EPSILON, Block
from components.transformer.config import TransformerConfig
from components.transformer.embedding import TiedGradient, look_up

INIT_STD = 0.02  # GPT-1 section 4.1: N(0, 0.02) for all weights


class GPT(nn.Module):
    """A decoder-only language model.

    Weights start as N(0, 0.02), those of the token embedding with a standard deviation of ``token_embedding_std``, biases as 0;
    the two projections that end in the residual stream are scaled by 1/sqrt(2 L) (GPT-2 section 2.3, "1/sqrt(N)" with N
    residual layers), for both norm placements, so that an ablation of the placement changes nothing else. GPT-1 itself had no such scaling.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.position_embedding = nn.Embedding(config.context_length, config.d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config, config.band_of_layer(layer)) for layer in range(config.num_layers))
        self.final_norm = nn.LayerNorm(config.d_model, eps=NORM_EPSILON) if config.norm_placement == "pre" else nn.Identity()
        self.apply(_initialise)
        self.token_embedding.weight.data.mul_(config.token_embedding_std / INIT_STD)
        for name, parameter in self.named_parameters():
            if name.endswith("projection.weight"):
                nn.init.normal_(parameter, std=INIT_STD / math.sqrt(2 * config.num_layers))

    def hidden(self, tokens_BT: Tensor, tied: TiedGradient | None = None) -> Tensor:
        """Last hidden states: int64 [B, T] -> [B, T, D]; T is at most the context length. ``tied``: as its loss was given."""
        positions_T = torch.arange(tokens_BT.shape[1], device=tokens_BT.device)
        tokens_BTD = look_up(self.token_embedding.weight, tokens_BT, tied)
        x_BTD = self.dropout(tokens_BTD + self.position_embedding(positions_T))
        for block in self.blocks:
            x_BTD = block(x_BTD)
        return self.final_norm(x_BTD)  # type: ignore[no-any-return]

    def logits(self, hidden_D: Tensor) -> Tensor:
        """Hidden states [..., D] -> logits [..., V] in float32; the output layer is the token embedding."""
        return nn.functional.linear(hidden_D, self.token_embedding.weight).float()

    def forward(self, tokens_BT: Tensor) -> Tensor:
        """int64 [B, T] -> logits [B, T, V] in float32; position t predicts token t + 1."""
        return self.logits(self.hidden(tokens_BT))


def grow_vocabulary(model: GPT, num_new: int, generator: torch.Generator) -> None:
    """Append ``num_new`` token ids whose rows start as all did, as GPT-1's code does for start, delimiter and extract."""
    old_VD = model.token_embedding.weight.data
    new_VD = torch.normal(0.0, model.config.token_embedding_std, (num_new, old_VD.shape[1]), generator=generator, dtype=old_VD.dtype)
    grown = nn.Embedding(len(old_VD) + num_new, old_VD.shape[1], device=old_VD.device, dtype=old_VD.dtype)
    grown.weight.data = torch.cat([old_VD, new_VD.to(old_VD.device)])
    model.token_embedding = grown
    model.config = model.config.model_copy(update={"vocab_size": model.config.vocab_size + num_new})


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=INIT_STD)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
