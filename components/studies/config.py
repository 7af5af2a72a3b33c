"""A study: one question, its arms, its conditions, its seeds."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from components.config import Frozen

Metric = Literal["loss_nats", "bits_per_byte", "final_train_loss_nats", "score", "validation_score"]


class LearningRate(Frozen):
    """How a study treats the learning rate, which decides many a comparison by itself."""

    rule: str
    """In words, for the reader: what sets the rate of an arm."""
    sweep: dict[str, dict[str, Any]] = Field(min_length=1)
    """Rates that every arm is run at, each a mapping of overrides applied after the arm's own, ``{training.learning_rate *: 0.5}``.
    Where there are several, each arm is judged at the one that was best on the other seeds (components/studies/sweep.py)."""


@dataclass(frozen=True)
class StudyCell:
    """One run of a study."""

    condition: str
    arm: str
    rate: str
    seed: int

    @property
    def name(self) -> str:
        """Of its files, and of its stage in dvc.yaml after the @."""
        return f"{self.condition}-{self.arm}-{self.rate}-{self.seed}"


class StudyConfig(Frozen):
    """An ablation as data: the cells are conditions x arms x rates x seeds, each but the seeds a mapping of dotted parameters to values."""

    question: str
    metric: Metric
    """Key in the cells' metrics file."""
    direction: Literal["lower", "higher"]
    """Which way is better."""
    confidence: float = Field(gt=0, lt=1)
    """Of each arm's interval by itself, and of the intervals of all effects of a condition together."""
    baseline: str
    """The arm that the others are compared with, in each condition."""
    seeds: list[int] = Field(min_length=1)
    common: dict[str, Any]
    """Overrides of every cell, applied before all others."""
    conditions: dict[str, dict[str, Any]] = Field(min_length=1)
    """Under which the question is asked: depths, sizes of the labelled set, ..."""
    arms: dict[str, dict[str, Any]]
    learning_rate: LearningRate

    def cells(self) -> Iterator[StudyCell]:
        """All runs."""
        for condition in self.conditions:
            for arm in self.arms:
                for rate in self.learning_rate.sweep:
                    yield from (StudyCell(condition, arm, rate, seed) for seed in self.seeds)

    @model_validator(mode="after")
    def _compares_something(self) -> Self:
        if len(self.arms) < 2:
            raise ValueError(f"a study needs two arms or more, one of them the baseline; has {', '.join(self.arms) or 'none'}")
        if self.baseline not in self.arms:
            raise ValueError(f"baseline {self.baseline!r} is no arm; name one of {', '.join(self.arms)}")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds {self.seeds} name one twice; a run repeated is no new evidence")
        if len(self.learning_rate.sweep) > 1 and len(self.seeds) < 2:
            raise ValueError("a sweep of learning rates needs two seeds or more: a rate is chosen on others than it is judged on")
        return self
