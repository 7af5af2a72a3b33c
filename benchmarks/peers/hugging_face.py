"""A GPT-2 of ``transformers`` with random weights, and the same model in our class."""

import tempfile
from pathlib import Path
from typing import Any

import torch

from components.transformer.model import GPT
from components.transformer.published import load_published


def twins(vocab_size: int, context_length: int, num_layers: int, d_model: int, num_heads: int, sharpness: float) -> tuple[Any, GPT]:
    """Theirs and ours. ``sharpness`` scales the embedding, so that some tokens are far likelier than others."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    shape = {"n_positions": context_length, "n_embd": d_model, "n_layer": num_layers, "n_head": num_heads}
    theirs = GPT2LMHeadModel(GPT2Config(vocab_size=vocab_size, bos_token_id=vocab_size - 1, eos_token_id=vocab_size - 1, **shape)).eval()
    with torch.no_grad():
        theirs.transformer.wte.weight.mul_(sharpness)
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        return theirs, load_published(Path(folder)).eval()
