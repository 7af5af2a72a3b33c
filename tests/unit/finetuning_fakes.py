"""A configuration for tiny fine-tuning runs, shared by the tests."""

from typing import Any

from components.finetuning.config import FinetuningConfig


def finetuning_config(**overrides: Any) -> FinetuningConfig:
    values: dict[str, Any] = {
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
    return FinetuningConfig.model_validate(values | overrides)
