"""What is asked of the models of a capability forecast, how it is measured, and which models are trained."""

from typing import Any, Self

from pydantic import Field, model_validator

from components.config import Frozen


class ProblemsConfig(Frozen):
    """The tasks, and the lines that the models train on."""

    seed: int = Field(ge=0)
    per_task: int = Field(ge=2)
    """Problems of each task."""
    max_addend: int = Field(ge=1, le=990)
    """Sums are of a number up to this and one of one digit; both it and the sum are written with three digits."""
    alphabet_letters: int = Field(ge=2, le=26)
    addition_parts: int = Field(ge=1)
    """Of the lines so many parts add, so many copy, and so many are chants."""
    copying_parts: int = Field(ge=1)
    chant_parts: int = Field(ge=1)
    chants: int = Field(ge=1)
    """How many there are; the fewer, the better they are remembered."""
    train_tokens: int = Field(ge=1)
    """Length of the stream; the longest run needs so many."""
    held_out_tokens: int = Field(ge=1)

    @model_validator(mode="after")
    def _enough_of_each(self) -> Self:
        there = min(10 * (self.max_addend + 1), self.alphabet_letters**4, self.chants * (self.alphabet_letters - 1))
        if 2 * self.per_task > there:
            raise ValueError(f"per_task {self.per_task} is more than half of the {there} problems that one of the tasks has")
        return self


class CapabilityConfig(Frozen):
    """A family of models of one recipe, the smaller ones of which forecast what the largest can do."""

    problems: ProblemsConfig
    samples: int = Field(ge=1)
    """Answers drawn to a problem by each model, once to choose the problems and once more to measure pass rates on them."""
    min_problems: int = Field(ge=1)
    """With fewer problems that every small model solves, a bucket is not forecast."""
    common: dict[str, Any]
    """Overrides of dotted parameters, of every model; then those of a size, or of the target."""
    sizes: dict[str, dict[str, Any]] = Field(min_length=4)
    """A law of two constants, and two models to tell whether it fits."""
    target: dict[str, Any]
