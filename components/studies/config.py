"""A study: one question, its arms, its conditions, its seeds."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from components.config import Frozen

Metric = Literal["loss_nats", "bits_per_byte", "final_train_loss_nats", "score", "validation_score"]
"""What the cells of some stage report: a slip is found before they have run."""


class LearningRate(Frozen):
    """How a study treats the learning rate, which decides many a comparison by itself."""

    rule: str
    """In words, for the reader: what sets the rate of an arm."""
    sweep: dict[str, dict[str, Any]] = Field(min_length=1)
    """Rates that every arm is run at, from low to high, each a mapping of overrides, ``{training.learning_rate *: 0.5}``, applied after
    the arm's own. Where there are several, the study's first seed chooses one for each arm, and the others judge
    (components/studies/sweep.py)."""


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
    """Of weights and dropout; arms are paired by them. Where rates are swept the first one only chooses."""
    common: dict[str, Any]
    """Overrides of every cell, applied before all others."""
    conditions: dict[str, dict[str, Any]] = Field(min_length=1)
    """Under which the question is asked: depths, sizes of the labelled set, ..."""
    arms: dict[str, dict[str, Any]]
    learning_rate: LearningRate

    @property
    def swept(self) -> bool:
        """Whether arms choose among rates."""
        return len(self.learning_rate.sweep) > 1

    @property
    def judging_seeds(self) -> list[int]:
        """Those whose cells make means and effects."""
        return self.seeds[1:] if self.swept else self.seeds

    def choosing_cells(self) -> list[StudyCell]:
        """The runs that choose a rate for each arm under each condition; none where there is one rate."""
        cells = product(self.conditions, self.arms, self.learning_rate.sweep)
        return [StudyCell(*cell, self.seeds[0]) for cell in cells] if self.swept else []

    def judging_cells(self, chosen: Mapping[tuple[str, str], str]) -> list[StudyCell]:
        """The runs that decide, with the rate ``chosen`` for each (condition, arm)."""
        return [StudyCell(*place, rate, seed) for place, rate in chosen.items() for seed in self.judging_seeds]

    @model_validator(mode="after")
    def _compares_something(self) -> Self:
        if len(self.arms) < 2:
            raise ValueError(f"a study needs two arms or more, one of them the baseline; has {', '.join(self.arms) or 'none'}")
        if self.baseline not in self.arms:
            raise ValueError(f"baseline {self.baseline!r} is no arm; name one of {', '.join(self.arms)}")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds {self.seeds} name one twice; a run repeated is no new evidence")
        if self.swept and len(self.seeds) < 2:
            raise ValueError("a sweep of learning rates needs two seeds or more: the first chooses a rate, the others judge it")
        return self
