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


class SurfaceConfig(Frozen):
    """How L(N, D) = E + A N^-alpha + B D^-beta is fitted to a table of runs."""

    exponent_min: float = Field(gt=0)
    """Least alpha and beta considered (Kaplan 2020 finds .076 and .095, Hoffmann 2022 .34 and .28)."""
    exponent_max: float = Field(gt=0)
    """Greatest alpha and beta considered; above it a term is gone after the smallest runs."""
    huber_sd: float = Field(gt=0)
    """Residuals beyond so many standard deviations count less in the first fit, which finds outliers (1.345: Huber's 95 % efficiency)."""
    outlier_sd: float = Field(gt=3)
    """A run whose residual exceeds so many robust standard deviations is left out, by name; 6 meets a normal run once in 5e8."""
    diverged_excess: float = Field(gt=0)
    """A run is left out as diverged if its loss exceeds by this share that of a run with no more parameters and no more tokens."""
    max_left_out_share: float = Field(gt=0, lt=1)
    """Where more of the runs look like outliers, they are none: the surface is wrong for the table, and all are kept, with a warning."""
    scatter_level: float = Field(gt=0, lt=0.5)
    """Level of the tests for errors that runs share, and for scatter that changes with N or D. What a test finds widens the interval."""
    shared_length: float = Field(gt=0)
    """Shared errors of two runs fade over this distance in ln N and ln D: 2 is a factor of 7.4."""
    huber_delta: float = Field(gt=0)
    """Of the Huber loss of approach 3 (Hoffmann 2022, section 3.3: 1e-3)."""
    starts_kept: int = Field(ge=1)
    """Of approach 3's 4,500 start values (Hoffmann 2022, section 3.3) those of least loss, from which the search runs."""
    warn_compute_ratio: float = Field(gt=1)
    """Beyond so many times the largest run's compute a forecast carries a warning."""
    drift_per_decade: float = Field(ge=0)
    """Standard deviation of the error of a law for each tenfold compute beyond the largest run, as a share of the loss. Runs that lie
    all on the law do not show it: it is what fits to published tables missed held-out runs by (benchmarks/forecast_tables.py)."""

    @model_validator(mode="after")
    def _exponents_in_order(self) -> Self:
        if self.exponent_min >= self.exponent_max:
            raise ValueError(f"exponent_min {self.exponent_min} is not below exponent_max {self.exponent_max}")
        return self


class ExtrapolationConfig(Frozen):
    """How the law is fitted and how sure the forecast claims to be."""

    confidence: float = Field(gt=0, lt=1)
    """Chance that the prediction interval holds the loss of one new run of the target."""
    exponent_min: float = Field(gt=0)
    """Least exponent b of compute that the fit considers (Kaplan 2020 finds .05 for L(C), GPT-3 figure 3.1 .048)."""
    exponent_max: float = Field(gt=0)
    """Greatest exponent considered. Above 1 the law falls to its floor within the ladder, and the forecast is the floor."""
    surface: SurfaceConfig
    """L(N, D), for tables of runs that vary both (flows/forecast.py, flows/plan.py)."""
    pooling_level: float = Field(ge=0, le=1)
    """Level of the F test for misfit. Below it the rungs scatter about the law no more than their seeds do, and both scatters
    are pooled; else rungs, not runs, are the units of evidence. .25 is the usual level for pooling variances; .05 pools too
    readily with two degrees of freedom: the worst of 18 planted cases then covers .82 at nominal .95, at .25 it covers .91."""

    @model_validator(mode="after")
    def _exponents_in_order(self) -> Self:
        if self.exponent_min >= self.exponent_max:
            raise ValueError(f"exponent_min {self.exponent_min} is not below exponent_max {self.exponent_max}")
        return self
