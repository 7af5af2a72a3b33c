"""How text becomes token ids."""

from pydantic import Field

from components.config import Frozen


class TokenizationConfig(Frozen):
    """The tokenizer and the length of the stream that every run reads from its start."""

    seed: int
    """Of the order of documents."""
    vocab_size: int = Field(ge=257, le=65536)
    """256 bytes, the merges and ``<|endoftext|>`` (GPT-2 section 2.2: 50,257); ids are stored in 16 bits."""
    tokenizer_train_chars: int = Field(ge=1)
    """Characters of the mixture that the merges are learnt from."""
    stream_tokens: int = Field(ge=1)
    """Length of the training stream; no run may train on more."""
    shard_tokens: int = Field(ge=1)
    """Tokens per shard file."""
