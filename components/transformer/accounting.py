"""Exact counts of parameters and of floating-point operations; needs no torch, so a forecast can ask before anything trains."""

from components.transformer.config import TransformerConfig


def num_parameters(config: TransformerConfig) -> int:
    """V d + T d + L (12 d^2 + 13 d), and 2 d for the final LayerNorm of pre-LN; the tied head adds none.

    Gives 124,439,808 for GPT-2 small and 116,534,784 for GPT-1 (post-LN), as released.
    """
    d = config.d_model
    final_norm = 2 * d if config.norm_placement == "pre" else 0
    return config.vocab_size * d + config.context_length * d + config.num_layers * (12 * d * d + 13 * d) + final_norm


def num_parameters_non_embedding(config: TransformerConfig) -> int:
    """12 L d^2: the weights of the blocks alone (Kaplan 2020 section 2.1)."""
    return 12 * config.num_layers * config.d_model**2


def flops_per_token(config: TransformerConfig) -> int:
    """Training operations per token: 3 x the matrix products of a forward pass.

    Forward: 2 (12 L d^2 + V d) for the weights and the output layer, 4 L T d for the attention scores and their
    use, counted over the full T x T square. Differs from Kaplan 2020 (6 N) in that the output layer and
    attention are counted: in models as small as our ladder they are most of the work.
    """
    weights = num_parameters_non_embedding(config) + config.vocab_size * config.d_model
    attention = 4 * config.num_layers * config.context_length * config.d_model
    return 3 * (2 * weights + attention)


def train_flops(config: TransformerConfig, train_tokens: int) -> int:
    """Operations of a whole run of ``train_tokens`` tokens."""
    return flops_per_token(config) * train_tokens
