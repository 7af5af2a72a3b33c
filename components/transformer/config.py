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

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.d_model % self.num_heads:
            raise ValueError(f"d_model {self.d_model} is not divisible by num_heads {self.num_heads}")
        return self


class TransformerConfig(ModelConfig):
    """A whole GPT: its shape and the number of its token ids."""

    vocab_size: int = Field(ge=1)
