"""The models of the papers as data: GPT-1, the four of GPT-2, the eight of GPT-3, with how each was trained as far as it was told.

Slips of the papers, corrected here:

- GPT-2's table 2 calls its models 117M, 345M, 762M and 1542M; with tied embeddings they have 124,439,808, 354,823,168,
  774,030,080 and 1,557,611,200 parameters, and were released as 124M, 355M, 774M and 1558M.
- GPT-3's table 2.1 gives XL 24 heads of width 128, which is 3072 and not its d_model of 2048: 16 heads.
- It gives 13B a d_model of 5140, which 40 heads of width 128 are not: 5120, with which the count is table D.1's.

Batches are printed rounded (0.5M, 1M, 2M, 3.2M tokens): we take the power of two, and 1,568 windows for 3.2M
(1,536 would print as 3.1M). GPT-3's batch grows from 32k tokens over "the first 4-12 billion tokens of training,
depending on the model size" (appendix B): which size takes how many is not told; ours are 4B for a batch of 0.5M, 6B
for 1M, 9B for 2M and 12B for 3.2M. Its band is not told either; 256 is the larger of the strides that the Sparse
Transformer used for text (Child 2019 section 7.2).
"""

from typing import Any

from components.config import Frozen
from components.transformer.accounting import num_parameters
from components.transformer.config import ModelConfig, TransformerConfig

GPT3_BAND_TOKENS = 256
GPT2_VOCABULARY = 50_257  # 256 bytes, 50,000 merges, <|endoftext|>; GPT-3 kept it
# As printed -> windows of 2048 tokens, tokens of the ramp.
GPT3_BATCHES = {
    "0.5M": (256, 4_000_000_000),
    "1M": (512, 6_000_000_000),
    "2M": (1024, 9_000_000_000),
    "3.2M": (1568, 12_000_000_000),
}


# Optimiser and schedule that a paper may tell of, by their names in params.yaml's ``training``. Lengths are in tokens.
# No ramp: the batch does not grow. ``decay_tokens`` None: the cosine ends with the run.
TRAINING_KEYS = (
    "batch_tokens",
    "ramp_start_batch_tokens",
    "ramp_tokens",
    "learning_rate",
    "warmup_tokens",
    "decay_tokens",
    "final_learning_rate_ratio",
    "train_tokens",
    "weight_decay",
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "grad_clip_norm",
)
NO_RAMP = {"ramp_start_batch_tokens": 0, "ramp_tokens": 0}


class Preset(Frozen):
    """One published model."""

    model: ModelConfig
    vocab_size: int
    training: dict[str, int | float | None]
    """Those of TRAINING_KEYS that the paper or the released code tells; what is not here is not told."""
    printed_millions: float
    """Parameters [millions] as the paper prints them; GPT-3's from table D.1."""

    @property
    def transformer(self) -> TransformerConfig:
        """The whole shape."""
        return TransformerConfig(**self.model.model_dump(), vocab_size=self.vocab_size)

    @property
    def parameters(self) -> int:
        """Exact count."""
        return num_parameters(self.transformer)


def _gpt1() -> Preset:
    """GPT-1 section 4.1: batches of 64 x 512 tokens, warm-up over 2,000 updates, cosine to 0, 100 epochs of a corpus of untold length."""
    batch_tokens = 64 * 512
    schedule = {"learning_rate": 2.5e-4, "warmup_tokens": 2000 * batch_tokens, "decay_tokens": None, "final_learning_rate_ratio": 0.0}
    # All but the decay from the defaults of the released fine-tuning code.
    optimizer = {"weight_decay": 0.01, "adam_beta1": 0.9, "adam_beta2": 0.999, "adam_epsilon": 1e-8, "grad_clip_norm": 1.0}
    return Preset(
        model=_shape(12, 768, 12, context_length=512, norm_placement="post", dropout=0.1),
        vocab_size=40_478,
        training={"batch_tokens": batch_tokens, **NO_RAMP, **schedule, **optimizer},
        printed_millions=117,
    )


def _gpt2(num_layers: int, d_model: int, num_heads: int, printed_millions: float) -> Preset:
    """GPT-2 section 2.3 and table 2: batches of 512 x 1024 tokens. Rates, schedule, length and optimiser are not told, nor is a dropout."""
    return Preset(
        model=_shape(num_layers, d_model, num_heads, context_length=1024, norm_placement="pre", dropout=0.0),
        vocab_size=GPT2_VOCABULARY,
        training={"batch_tokens": 512 * 1024, **NO_RAMP},
        printed_millions=printed_millions,
    )


def _gpt3(num_layers: int, d_model: int, num_heads: int, batch: str, learning_rate: float, printed_millions: float) -> Preset:
    """GPT-3 table 2.1 and appendix B; 300B tokens for every size. No dropout is told."""
    windows, ramp_tokens = GPT3_BATCHES[batch]
    batches = {"batch_tokens": windows * 2048, "ramp_start_batch_tokens": 16 * 2048, "ramp_tokens": ramp_tokens}  # from "32k"
    lengths = {"warmup_tokens": 375_000_000, "decay_tokens": 260_000_000_000, "train_tokens": 300_000_000_000}
    optimizer = {"weight_decay": 0.1, "adam_beta1": 0.9, "adam_beta2": 0.95, "adam_epsilon": 1e-8, "grad_clip_norm": 1.0}
    banded = {"attention_pattern": "alternating_banded", "band_tokens": GPT3_BAND_TOKENS}
    return Preset(
        model=_shape(num_layers, d_model, num_heads, context_length=2048, norm_placement="pre", dropout=0.0, **banded),
        vocab_size=GPT2_VOCABULARY,
        training={"learning_rate": learning_rate, "final_learning_rate_ratio": 0.1, **batches, **lengths, **optimizer},
        printed_millions=printed_millions,
    )


def _shape(num_layers: int, d_model: int, num_heads: int, **others: Any) -> ModelConfig:
    shape = {"num_layers": num_layers, "d_model": d_model, "num_heads": num_heads}
    common = {"attention_pattern": "dense", "band_tokens": None, "token_embedding_std": 0.02}
    return ModelConfig.model_validate(shape | common | others)


PRESETS: dict[str, Preset] = {
    "gpt1": _gpt1(),
    "gpt2-small": _gpt2(12, 768, 12, 117),
    "gpt2-medium": _gpt2(24, 1024, 16, 345),
    "gpt2-large": _gpt2(36, 1280, 20, 762),
    "gpt2-xl": _gpt2(48, 1600, 25, 1542),
    "gpt3-small": _gpt3(12, 768, 12, "0.5M", 6.0e-4, 125),
    "gpt3-medium": _gpt3(24, 1024, 16, "0.5M", 3.0e-4, 356),
    "gpt3-large": _gpt3(24, 1536, 16, "0.5M", 2.5e-4, 760),
    "gpt3-xl": _gpt3(24, 2048, 16, "1M", 2.0e-4, 1_320),
    "gpt3-2.7b": _gpt3(32, 2560, 32, "1M", 1.6e-4, 2_650),
    "gpt3-6.7b": _gpt3(32, 4096, 32, "2M", 1.2e-4, 6_660),
    "gpt3-13b": _gpt3(40, 5120, 40, "2M", 1.0e-4, 12_850),
    "gpt3-175b": _gpt3(96, 12288, 96, "3.2M", 0.6e-4, 174_600),
}
