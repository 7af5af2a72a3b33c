"""What is asked of the models of a capability forecast, how it is measured, and which models are trained."""

from typing import Any

from pydantic import Field

from components.config import Frozen


class ProblemsConfig(Frozen):
    """The tasks, and the lines that the models train on."""

    seed: int = Field(ge=0)
    per_task: int = Field(ge=2, le=1000)
    """Problems of each task; so many sums stand in the text with a wrong answer."""
    alphabet_letters: int = Field(ge=8, le=26)
    """Of the strings to be copied."""
    letter_skew: float = Field(ge=1)
    """A letter's place in the alphabet is this power of a uniform draw, so that some letters are rare, and strings with them hard."""
    addition_parts: int = Field(ge=1)
    """Of the lines so many parts add, so many copy, and so many repeat a falsehood."""
    copying_parts: int = Field(ge=1)
    falsehood_parts: int = Field(ge=1)
    train_tokens: int = Field(ge=1)
    """Length of the stream; the longest run needs so many."""
    held_out_tokens: int = Field(ge=1)


class CapabilityConfig(Frozen):
    """A family of models of one recipe, the smaller ones of which forecast what the largest can do."""

    problems: ProblemsConfig
    samples: int = Field(ge=1)
    """Answers drawn to a problem by each model, once to choose the problems and once more to measure pass rates on them."""
    min_problems: int = Field(ge=1)
    """With fewer problems that every small model solves, a bucket is not forecast."""
    exponent_max: float = Field(gt=0)
    """Greatest k of -E[log pass] = alpha C^-k considered, in place of extrapolation.exponent_max: pass rates change faster than losses."""
    common: dict[str, Any]
    """Overrides of dotted parameters, of every model; then those of a size, or of the target."""
    sizes: dict[str, dict[str, Any]] = Field(min_length=4)
    """A law of two constants, and two models to tell whether it fits."""
    target: dict[str, Any]
