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


def flops_per_sequence(config: TransformerConfig) -> int:
    """Training operations for one sequence of T = context_length tokens: 3 x the matrix products of a forward pass.

    Forward: 2 (12 L d^2 + V d) for each token for the weights and the output layer, and 4 d for each attention score
    (the score and its use). Differs from Kaplan 2020 (6 N) in that the output layer and attention are counted: in
    models as small as our ladder they are most of the work.
    """
    weights = num_parameters_non_embedding(config) + config.vocab_size * config.d_model
    scores = sum(attention_scores(config.context_length, config.band_of_layer(layer)) for layer in range(config.num_layers))
    return 3 * (2 * weights * config.context_length + 4 * config.d_model * scores)


def attention_scores(length: int, band_tokens: int | None) -> int:
    """Scores that a layer computes for a sequence, in one head, masked ones included.

    Dense: the full square. Banded: w^2 for the first block of w positions and 2 w^2 for each other one, the last block
    counted whole (components/transformer/banded.py). Of both about half is masked.
    """
    if band_tokens is None or length <= band_tokens:
        return length**2
    return (2 * -(-length // band_tokens) - 1) * band_tokens**2


def flops_per_token(config: TransformerConfig) -> float:
    """Training operations per token of a whole sequence; for dense attention 6 (12 L d^2 + V d) + 12 L T d, a whole number."""
    return flops_per_sequence(config) / config.context_length


def train_flops(config: TransformerConfig, train_tokens: int) -> int:
    """Operations of a whole run of ``train_tokens`` tokens, rounded down."""
    return flops_per_sequence(config) * train_tokens // config.context_length
