"""A GPT whose weights are written by hand: after a token it says what came after the same token before.

Two attention layers are enough (the induction head of Olsson 2022): the first puts the token before each position beside it, the
second looks for the position whose token before is the present one, and copies its token. What it scores on symbol_mapping is known.
"""

import torch
from torch import nn

from components.transformer.model import GPT
from tests.configs import gpt_config

CODE = 128  # width of a token's code; three stretches of the stream: own token, token before, position
SHARP = 10.0  # attention to what matches is all but one


@torch.no_grad()
def copying_gpt(vocab_size: int, context_length: int) -> GPT:
    """Feed-forward layers stay at zero."""
    width = 2 * CODE + context_length
    model = GPT(gpt_config(vocab_size, context_length=context_length, num_layers=2, d_model=width, num_heads=1))
    for parameter in model.blocks.parameters():
        if parameter.ndim == 2:
            parameter.zero_()
    own, before, place = torch.eye(model.config.d_model).split([CODE, CODE, context_length])
    codes = torch.randn(vocab_size, CODE, generator=torch.Generator().manual_seed(0))
    model.token_embedding.weight.copy_(nn.functional.normalize(codes) @ own)
    model.position_embedding.weight.copy_(place)
    previous = torch.diag(torch.ones(context_length - 1), diagonal=-1)  # row p is the place p - 1
    _write(model.blocks[0].attention, query=place.T @ previous @ place, key=place.T @ place, value=own.T @ before, stream_norm=2**0.5)
    _write(model.blocks[1].attention, query=own.T @ before, key=before.T @ before, value=5 * own.T @ own, stream_norm=3**0.5)
    return model.eval()


def _write(attention: nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, stream_norm: float) -> None:
    """Each map takes a row of the stream; its norm, which LayerNorm takes away, is put back on what is copied."""
    width = len(query)
    attention.query_key_value.weight.copy_(torch.cat([SHARP * query.T, key.T, torch.eye(width)]))  # type: ignore[union-attr, operator]
    attention.projection.weight.copy_(value.T * stream_norm / width**0.5)  # type: ignore[union-attr, operator]
