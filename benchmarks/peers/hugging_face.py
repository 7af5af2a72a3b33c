"""A GPT-2 of ``transformers`` with random weights, the same model in our class, and a tokenizer for both."""

from typing import Any

import torch

from components.transformer.config import TransformerConfig
from components.transformer.model import GPT


def twins(vocab_size: int, context_length: int, num_layers: int, d_model: int, num_heads: int, sharpness: float) -> tuple[Any, GPT]:
    """Theirs and ours. ``sharpness`` scales the embedding, so that some tokens are far likelier than others."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    shape = {"n_positions": context_length, "n_embd": d_model, "n_layer": num_layers, "n_head": num_heads}
    theirs = GPT2LMHeadModel(GPT2Config(vocab_size=vocab_size, bos_token_id=vocab_size - 1, eos_token_id=vocab_size - 1, **shape)).eval()
    with torch.no_grad():
        theirs.transformer.wte.weight.mul_(sharpness)
    config = TransformerConfig(
        context_length=context_length,
        num_layers=num_layers,
        d_model=d_model,
        num_heads=num_heads,
        norm_placement="pre",
        dropout=0.0,
        vocab_size=vocab_size,
    )
    ours = GPT(config).eval()
    ours.load_state_dict({name: renamed(name, theirs.state_dict()) for name in ours.state_dict()})
    return theirs, ours


NAMES = {
    "token_embedding": "wte",
    "position_embedding": "wpe",
    "final_norm": "ln_f",
    "attention_norm": "ln_1",
    "attention.query_key_value": "attn.c_attn",
    "attention.projection": "attn.c_proj",
    "feed_forward_norm": "ln_2",
    "feed_forward.expansion": "mlp.c_fc",
    "feed_forward.projection": "mlp.c_proj",
}


def renamed(name: str, theirs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Their tensor of our name; their linear layers are stored transposed."""
    path, _, kind = name.rpartition(".")
    if path.startswith("blocks."):
        _, layer, part = path.split(".", 2)
        tensor = theirs[f"transformer.h.{layer}.{NAMES[part]}.{kind}"]
        return tensor.t() if "norm" not in part and kind == "weight" else tensor
    return theirs[f"transformer.{NAMES[path]}.{kind}"]
