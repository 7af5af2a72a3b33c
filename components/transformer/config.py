"""What a GPT is made of."""

from typing import Literal, Self

from pydantic import Field, model_validator

from components.config import Frozen


class ModelConfig(Frozen):
    """Shape of a GPT but for its vocabulary, which the tokenizer brings."""

    context_length: int = Field(ge=2)
    """Longest sequence [tokens]; positions are learned (GPT-1 512, GPT-2 1024, GPT-3 2048)."""
    num_layers: int = Field(ge=1)
    d_model: int = Field(ge=2)
    """Width of the residual stream; the feed-forward part is 4 * d_model wide, as in every GPT paper."""
    num_heads: int = Field(ge=1)
    norm_placement: Literal["pre", "post"]
    """``post``: x = LN(x + F(x)), GPT-1. ``pre``: x = x + F(LN(x)) and one LN after the last block, GPT-2 and GPT-3."""
    dropout: float = Field(ge=0, lt=1)
    """On embeddings, attention weights and both residual branches (GPT-1 section 4.1: 0.1)."""
    attention_pattern: Literal["dense", "alternating_banded"]
    """``alternating_banded``: every second layer reads a band only, from the second layer on (GPT-3 section 2.1, "alternating dense
    and locally banded sparse attention patterns"; which layer comes first is not published, we keep the sentence's order)."""
    band_tokens: int | None = Field(ge=1)
    """Positions that a banded layer reads, its own included (Sparse Transformer, released code: "local" attention; GPT-3's width is
    not published). None, and only None, for ``dense``."""

    token_embedding_std: float = Field(gt=0)
    """Standard deviation of the token embedding's first weights, 0.02 in all papers (GPT-1 section 4.1). Tokens that start so small
    are drowned by positions and noise in models narrower than theirs, which then stay at a unigram's loss for long (flows/README.md)."""

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.d_model % self.num_heads:
            raise ValueError(f"d_model {self.d_model} is not divisible by num_heads {self.num_heads}")
        return self

    @model_validator(mode="after")
    def _band_fits_pattern(self) -> Self:
        if self.attention_pattern == "dense":
            if self.band_tokens is not None:
                raise ValueError(f"band_tokens {self.band_tokens} has no meaning for attention_pattern dense; set it to null")
        elif self.band_tokens is None:
            raise ValueError("attention_pattern alternating_banded needs band_tokens")
        elif self.band_tokens > self.context_length:
            raise ValueError(f"band_tokens {self.band_tokens} exceeds context_length {self.context_length}")
        return self

    def band_of_layer(self, layer: int) -> int | None:
        """Positions that layer ``layer`` (from 0) reads, or None where it reads all: even layers are dense, odd ones banded."""
        return self.band_tokens if layer % 2 else None


class TransformerConfig(ModelConfig):
    """A whole GPT: its shape and the number of its token ids."""

    vocab_size: int = Field(ge=1)
