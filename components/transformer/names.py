"""What OpenAI and Hugging Face call the parts of a GPT, beside our names.

All of them keep a linear layer as [inputs, outputs], torch's transposed.
"""

from components.transformer.config import TransformerConfig

# In the order of GPT-1's release. LayerNorm 1 belongs to attention and 2 to the feed-forward part, before or after it.
BLOCK_PARTS = {
    "attention.query_key_value": "attn.c_attn",
    "attention.projection": "attn.c_proj",
    "attention_norm": "ln_1",
    "feed_forward.expansion": "mlp.c_fc",
    "feed_forward.projection": "mlp.c_proj",
    "feed_forward_norm": "ln_2",
}
# By norm placement: GPT2LMHeadModel, OpenAIGPTLMHeadModel.
HUGGING_FACE_TOP = {
    "pre": {"token_embedding": "wte", "position_embedding": "wpe", "final_norm": "ln_f"},
    "post": {"token_embedding": "tokens_embed", "position_embedding": "positions_embed"},
}
HUGGING_FACE_PREFIX = "transformer."


def hugging_face_names(config: TransformerConfig) -> dict[str, str]:
    """Our name of each tensor -> its name in ``transformers``, without the prefix of the model inside the language model."""
    names: dict[str, str] = {}
    for ours, theirs in HUGGING_FACE_TOP[config.norm_placement].items():
        names |= {f"{ours}.{leaf}": f"{theirs}.{leaf}" for leaf in (["weight", "bias"] if ours == "final_norm" else ["weight"])}
    for layer in range(config.num_layers):
        for ours, theirs in BLOCK_PARTS.items():
            names |= {f"blocks.{layer}.{ours}.{leaf}": f"h.{layer}.{theirs}.{leaf}" for leaf in ("weight", "bias")}
    return names


def openai_gpt1_names(num_layers: int) -> list[tuple[str, str]]:
    """(name in the released GPT-1, our name) of each array, in the order of its release.

    Positions and tokens are the two arrays that the released code stacks into its one matrix ``we``.
    """
    pairs = [("model/we:0", "position_embedding.weight"), ("model/we:0", "token_embedding.weight")]
    for layer in range(num_layers):
        for ours, theirs in BLOCK_PARTS.items():
            weight = "g" if ours.endswith("norm") else "w"
            path = f"model/h{layer}/{theirs.replace('.', '/')}"
            pairs += [(f"{path}/{weight}:0", f"blocks.{layer}.{ours}.weight"), (f"{path}/b:0", f"blocks.{layer}.{ours}.bias")]
    return pairs


def is_transposed(name: str) -> bool:
    """Whether the tensor of this name of ours is the weight of a linear layer of a block."""
    return name.endswith(("query_key_value.weight", "projection.weight", "expansion.weight"))
