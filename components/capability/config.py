"""What is asked of the models of a capability forecast, and how it is measured and forecast."""

from typing import Any

from pydantic import Field

from components.config import Frozen


class ProblemsConfig(Frozen):
    """The tasks and the lines that the models train on."""

    seed: int = Field(ge=0)
    per_task: int = Field(ge=1)
    """Problems of each task."""
    max_addend: int = Field(ge=1)
    """Sums are of a number up to this and one of one digit."""
    alphabet_letters: int = Field(ge=2, le=26)
    min_letters: int = Field(ge=1)
    max_letters: int = Field(ge=2)
    addition_parts: int = Field(ge=1)
    """Of the lines: so many parts add, so many copy, so many are chants."""
    copying_parts: int = Field(ge=1)
    chant_parts: int = Field(ge=1)
    chants: int = Field(ge=1)
    """How many there are; the fewer, the better they are remembered."""
    train_tokens: int = Field(ge=1)
    """Length of the stream, at least that of the longest run."""
    held_out_tokens: int = Field(ge=1)
