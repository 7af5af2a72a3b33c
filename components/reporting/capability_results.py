"""The forecast of pass rates and what became of it, as the report reads them."""

from dataclasses import dataclass

from components.reporting.reading import Reading


class PassRate(Reading):
    """-E[log pass rate] of one small model, in nats."""

    name: str
    minus_log_pass: float


class CurvePoint(Reading):
    """The sealed law and its interval at one amount of compute."""

    train_flops: float
    minus_log_pass: float
    low: float
    high: float


class SealedBucket(Reading):
    """What was forecast of a bucket's target, with the law behind it."""

    curve: list[CurvePoint]


class BucketForecast(Reading):
    """Problems of one task and like difficulty; ``forecast`` is None where none was possible, ``why_not`` then says why."""

    task: str
    name: str
    models: list[PassRate]
    forecast: SealedBucket | None
    why_not: str


class SmallModel(Reading):
    """A model that the forecast rests on."""

    name: str
    train_flops: float


class CapabilityTarget(Reading):
    """The largest model of the family."""

    train_flops: float


class CapabilityForecast(Reading):
    """metrics/capability_forecast.json: written and sealed before the family's largest model trains."""

    form: str
    target: CapabilityTarget
    models: list[SmallModel]
    buckets: list[BucketForecast]


class BucketScore(Reading):
    """The sealed forecast of a bucket beside the target; None where there is none."""

    task: str
    name: str
    problems: int
    actual: float | None
    forecast: float | None
    low: float | None
    high: float | None
    inside: bool | None
    why_not: str


class LeftOutProblems(Reading):
    """Problems of a task that some small model never solved: nothing is forecast of them."""

    problems: int
    solved_by_target: int


class TruthScore(Reading):
    """Share of the sums that the text repeats wrongly on which a model finds the right answer likelier than the repeated one."""

    name: str
    train_flops: float
    share_right: float
    low: float
    high: float


class TruthCurve(Reading):
    """The falsehoods over sizes, by rising compute, and what that shows."""

    models: list[TruthScore]
    shows: str


class CapabilityScore(Reading):
    """metrics/capability_score.json"""

    confidence: float
    samples: int
    compute_ratio: float
    seal: str
    buckets: list[BucketScore]
    left_out: dict[str, LeftOutProblems]
    falsehood: TruthCurve


@dataclass(frozen=True)
class Capability:
    """Both of them."""

    forecast: CapabilityForecast
    score: CapabilityScore
