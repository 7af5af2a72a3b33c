"""A study: one question, its arms, its seeds."""

from typing import Any, Literal

from pydantic import Field

from components.config import Frozen


class StudyConfig(Frozen):
    """An ablation as data: the cells are arms x seeds, each arm a mapping of dotted parameters to values."""

    question: str
    metric: str
    """Key in the cells' metrics file."""
    direction: Literal["lower", "higher"]
    """Which way is better."""
    baseline: str
    """The arm that the others are compared with."""
    seeds: list[int] = Field(min_length=1)
    common: dict[str, Any]
    """Overrides of every cell, applied before the arm's own."""
    arms: dict[str, dict[str, Any]] = Field(min_length=2)
