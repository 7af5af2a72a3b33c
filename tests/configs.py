"""Small configurations: a test names the values that it is about, and these are all the others. A new key goes in here once."""

from typing import Any

from components.finetuning.config import FinetuningConfig
from components.sources.config import FilesConfig, UrlConfig
from components.studies.config import LearningRate, StudyConfig
from components.training.config import ComputeConfig, TrainingConfig
from components.transformer.config import ModelConfig, TransformerConfig

ONE_CPU = ComputeConfig(accelerator="cpu", devices=1, nodes=1, strategy="single", precision="32-true", threads=1, loader_workers=0)
ONE_RATE = LearningRate(rule="one rate for all", sweep={"usual": {}})


def model_config(**changes: Any) -> ModelConfig:
    """One layer of 16 that reads 16 tokens."""
    size = {"context_length": 16, "num_layers": 1, "d_model": 16, "num_heads": 2}
    form = {"norm_placement": "pre", "dropout": 0.0, "attention_pattern": "dense", "band_tokens": None, "token_embedding_std": 0.02}
    return ModelConfig.model_validate(size | form | changes)


def gpt_config(vocab_size: int, **changes: Any) -> TransformerConfig:
    """The same with its vocabulary."""
    return TransformerConfig(**model_config(**changes).model_dump(), vocab_size=vocab_size)


def training_config(**changes: Any) -> TrainingConfig:
    """62 steps of 16 tokens."""
    values = {
        "train_tokens": 1000,
        "batch_tokens": 16,
        "ramp_start_batch_tokens": 0,
        "ramp_tokens": 0,
        "order_seed": 3,
        "shuffle_block_windows": 1000,
        "micro_batch_sequences": 4,
        "learning_rate": 1.0,
        "warmup_tokens": 100,
        "decay_tokens": None,
        "final_learning_rate_ratio": 0.1,
        "weight_decay": 0.1,
        "adam_beta1": 0.9,
        "adam_beta2": 0.95,
        "adam_epsilon": 1e-8,
        "grad_clip_norm": 1.0,
        "noise_scale_smoothing": 0.9,
        "max_loss_spike_nats": None,
        "spike_median_steps": 10,
        "curve_points": 2,
        "curve_tokens": 64,
    }
    return TrainingConfig.model_validate(values | changes)


def finetuning_config(**changes: Any) -> FinetuningConfig:
    """One epoch, nothing put aside for validation."""
    values = {
        "epochs": 1,
        "batch_sequences": 4,
        "length_jitter": 0.2,
        "learning_rate": 1e-3,
        "warmup_share": 0.1,
        "weight_decay": 0.01,
        "adam_beta1": 0.9,
        "adam_beta2": 0.999,
        "adam_epsilon": 1e-8,
        "grad_clip_norm": 1.0,
        "dropout": 0.1,
        "classifier_dropout": 0.1,
        "aux_lm_weight": 0.5,
        "train_items": 1000,
        "validation_share": 0.0,
        "data_seed": 0,
        "confidence": 0.95,
        "bootstrap_samples": 200,
    }
    return FinetuningConfig.model_validate(values | changes)


def files_source(glob: str | UrlConfig, **changes: Any) -> FilesConfig:
    """Files of a megabyte at most, whose field ``text`` is read."""
    rest = {"kind": "files", "role": "reference", "text_field": "text", "url_field": None, "max_document_bytes": 10**6, "webtext": None}
    return FilesConfig.model_validate({"glob": glob} | rest | changes)


def study_config(**changes: Any) -> StudyConfig:
    """Arms a and b, three seeds, one condition, one rate."""
    values = {
        "question": "Is it so?",
        "metric": "loss_nats",
        "direction": "lower",
        "confidence": 0.95,
        "baseline": "a",
        "seeds": [0, 1, 2],
        "common": {},
        "conditions": {"usual": {}},
        "arms": {"a": {}, "b": {}},
        "learning_rate": ONE_RATE,
    }
    return StudyConfig.model_validate(values | changes)
