"""Trained models of the family put to the problems: by sampling for their pass rates, by likelihood for the falsehoods."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.artifacts import read_json
from components.capability.config import CapabilityConfig
from components.capability.falsehood import Truthful, measure_truth
from components.capability.forecast import Measured
from components.capability.pass_rates import answer_logprobs, sampled_passes
from components.capability.problems import Problem
from components.errors import InputError
from components.transformer.checkpoint import load_checkpoint


@dataclass(frozen=True)
class Trained:
    """Where one model lies: its checkpoint folder and the file of its metrics."""

    name: str
    checkpoint: Path
    metrics: Path

    def train_flops(self) -> float:
        """Operations of its training.

        Raises:
            InputError: it diverged: there is nothing to measure.
        """
        record = read_json(self.metrics)
        if record.get("diverged") or "train_flops" not in record:
            raise InputError(f"{self.metrics}: the model diverged; lower its training.learning_rate in capability and run dvc repro")
        return float(record["train_flops"])


def measure(trained: Trained, problems: Sequence[Problem], config: CapabilityConfig) -> Measured:
    """Right answers among two sets of samples, one to choose problems by and one to measure on."""
    logprobs = answer_logprobs(load_checkpoint(trained.checkpoint), problems, [problem.answer for problem in problems])
    passes = (
        sampled_passes(logprobs, config.samples, _random(config.problems.seed, trained.name, purpose)) for purpose in ("choose", "measure")
    )
    return Measured(trained.name, trained.train_flops(), *passes)


def measure_truths(trained: Sequence[Trained], problems: Sequence[Problem], confidence: float) -> list[Truthful]:
    """Each model on the falsehoods."""
    return [measure_truth(one.name, one.train_flops(), load_checkpoint(one.checkpoint), problems, confidence) for one in trained]


def _random(seed: int, name: str, purpose: str) -> np.random.Generator:
    key = int.from_bytes(hashlib.sha256(f"{seed} {name} {purpose}".encode()).digest()[:16], "little")
    return np.random.Generator(np.random.Philox(key=key))
