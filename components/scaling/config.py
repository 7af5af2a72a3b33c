"""The ladder of small runs, and how the loss of a larger one is forecast from it."""

from typing import Any, Self

from pydantic import Field, model_validator

from components.config import Frozen


class LadderConfig(Frozen):
    """The runs that the forecast may use: every rung with every seed."""

    seeds: list[int] = Field(min_length=1)
    """Repeats of each rung; two or more tell the noise of seeds from a misfit of the law."""
    rungs: dict[str, dict[str, Any]]
    """Rung -> overrides of dotted parameters, ``{model.d_model: 64}``."""

    @model_validator(mode="after")
    def _no_run_twice(self) -> Self:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds {self.seeds} names a run twice; each would count as new evidence")
        return self


class ExtrapolationConfig(Frozen):
    """How the law is fitted and how sure the forecast claims to be."""

    confidence: float = Field(gt=0, lt=1)
    """Chance that the prediction interval holds the loss of one new run of the target."""
    exponent_min: float = Field(gt=0)
    """Least exponent b of compute that the fit considers (Kaplan 2020 finds .05 for L(C), GPT-3 figure 3.1 .048)."""
    exponent_max: float = Field(gt=0)
    """Greatest exponent considered. Above 1 the law falls to its floor within the ladder, and the forecast is the floor."""
    pooling_level: float = Field(ge=0, le=1)
    """Level of the F test for misfit. Below it the rungs scatter about the law no more than their seeds do, and both scatters
    are pooled; else rungs, not runs, are the units of evidence. .25 is the usual level for pooling variances; .05 pools too
    readily with two degrees of freedom: the worst of 18 planted cases then covers .82 at nominal .95, at .25 it covers .91."""

    @model_validator(mode="after")
    def _exponents_in_order(self) -> Self:
        if self.exponent_min >= self.exponent_max:
            raise ValueError(f"exponent_min {self.exponent_min} is not below exponent_max {self.exponent_max}")
        return self
