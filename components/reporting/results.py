"""Everything the report shows, typed: one record per metrics file, checked when it is read."""

from dataclasses import dataclass
from typing import Any

from components.reporting.capability_results import Capability
from components.reporting.curve import Curve
from components.reporting.reading import Reading
from components.studies.outcomes import Study


class DocumentCounts(Reading):
    """read = kept + dropped."""

    read: int
    kept: int
    dropped: int


class SourceCounts(Reading):
    """What became of one source's documents; ``kept`` counts train and held-out ones, ``dropped`` is by rule."""

    read: int
    kept: int
    held_out: int
    dropped: dict[str, int]
    chars_read: int
    chars_kept: int


class CorpusMetrics(Reading):
    """metrics/corpus.json"""

    documents: DocumentCounts
    rules: dict[str, int]
    sources: dict[str, SourceCounts]
    quality: dict[str, Any]


class SplitSize(Reading):
    """Size of one split of the shards."""

    tokens: int
    bytes: int


class MixtureShare(Reading):
    """One source in the training stream: ``epochs`` = tokens_drawn / tokens_available, ``weight`` = its share of the stream,
    ``weight_given`` that of params.yaml."""

    weight: float
    weight_given: float
    share_by_size: float
    tokens_available: int
    tokens_drawn: int
    epochs: float


class TokensMetrics(Reading):
    """metrics/tokens.json"""

    vocab_size: int
    train: SplitSize
    held_out: SplitSize
    bytes_per_token: float
    sources: dict[str, MixtureShare]
    warnings: list[str]


class TrainingMetrics(Reading):
    """metrics/target.json and metrics/ladder/RUNG-SEED.json"""

    loss_nats: float
    bits_per_byte: float
    train_flops: float
    train_tokens: int
    parameters: int
    parameters_non_embedding: int
    final_train_loss_nats: float


class ForecastPoint(Reading):
    """The sealed law and its interval at one amount of compute."""

    train_flops: float
    loss_nats: float
    low: float
    high: float


class ExcludedRun(Reading):
    """A run of the ladder that the forecast could not use."""

    rung: str
    seed: int
    reason: str


class ForecastMetrics(Reading):
    """metrics/forecast.json: written and sealed before the target trains."""

    loss_nats: float
    low: float
    high: float
    confidence: float
    form: str
    excluded: list[ExcludedRun]
    curve: list[ForecastPoint]
    compute_ratio: float
    seal: str


class MethodScore(Reading):
    """What one way to fit a law said of the target, from the same runs: None where it says nothing, ``note`` then says why."""

    loss_nats: float | None
    relative_error: float | None
    note: str


class ForecastScore(Reading):
    """metrics/forecast_score.json: the sealed forecast beside what the target reached; errors are forecast minus actual."""

    loss_nats: float
    low: float
    high: float
    actual_loss_nats: float
    error_nats: float
    relative_error: float
    inside: bool
    compute_ratio: float
    seal: str
    methods: dict[str, MethodScore]


class Scored(Reading):
    """A score with its interval."""

    score: float
    low: float
    high: float


class FinetuneMetrics(Scored):
    """metrics/finetune/TASK-INIT.json"""

    task: str
    transformation: str
    metric: str
    majority: float
    train_items: int
    test_items: int


class CalibrationBin(Reading):
    """Items whose chosen answer has a probability in (bin_low, bin_high]: its mean, the share that is right, with its interval."""

    bin_low: float
    bin_high: float
    probability: float
    share_right: float
    low: float
    high: float
    items: int


class Calibration(Reading):
    """How far the probability of the chosen answers is from the share of them that is right."""

    expected_calibration_error: float
    bins: list[CalibrationBin]


class ShotScore(Scored):
    """Score of one task with K examples asked for in the prompt, of which ``mean_shots_used`` fitted the context.

    ``calibration`` is None where answers are written freely.
    """

    chance: float
    items: int
    mean_shots_used: float
    calibration: Calibration | None


class BitsPerByte(Reading):
    """Bits per byte of the same held-out text by four compressors."""

    target: float
    xz: float
    unigram: float
    bigram: float


class EvaluationMetrics(Reading):
    """metrics/evaluation.json"""

    bits_per_byte: BitsPerByte
    bits_per_byte_by_source: dict[str, float]
    few_shot: dict[str, dict[str, ShotScore]]
    weights_sha256: str


class PairedChange(Reading):
    """Score of the clean items less that of all, with its interval."""

    difference: float
    low: float
    high: float


class Overlap(Reading):
    """How many items of one task stand in the training text, and what they did to the score; None without both clean and dirty ones."""

    ngram_words: int
    dirty_items: int
    clean_items: int
    short_items: int
    all: float
    clean: float | None = None
    dirty: float | None = None
    clean_less_all: PairedChange | None = None
    verdict: str


class ContaminationMetrics(Reading):
    """metrics/contamination.json: task -> shots -> overlap, and task -> overlap of the fine-tuned target."""

    documents: int
    few_shot: dict[str, dict[str, Overlap]]
    finetune: dict[str, Overlap]

    def scored(self) -> list[tuple[str, str, Overlap]]:
        """Task, how it was asked, overlap: every score of the target."""
        prompted = [(task, f"K = {shots}", one) for task, by_shots in self.few_shot.items() for shots, one in by_shots.items()]
        return [(task, "fine-tuned", one) for task, one in self.finetune.items()] + prompted


@dataclass(frozen=True)
class Example:
    """One document and what became of it.

    ``rule`` is "kept" or the rule that dropped it, ``score`` the quality classifier's, ``nearest_duplicate`` the kept
    document that it repeats with that Jaccard similarity, ``excerpt`` the start of its text if it was kept.
    """

    id: str
    source: str
    rule: str
    score: float | None
    nearest_duplicate: str | None
    jaccard: float | None
    excerpt: str


@dataclass(frozen=True)
class FinetunePair:
    """One labelled task, fine-tuned from the target's weights and from random ones."""

    pretrained: FinetuneMetrics
    scratch: FinetuneMetrics


@dataclass(frozen=True)
class Results:
    """All of one run.

    ``ladder``: rung -> its cells in order of seed, without those that diverged. ``curves``: the same cells by name
    (``r1-0``) and ``target``.
    """

    corpus: CorpusMetrics
    origins: list[dict[str, Any]]
    examples: list[Example]
    tokens: TokensMetrics
    ladder: dict[str, list[TrainingMetrics]]
    target: TrainingMetrics
    curves: dict[str, Curve]
    forecast: ForecastMetrics
    forecast_score: ForecastScore
    capability: Capability
    finetune: dict[str, FinetunePair]
    evaluation: EvaluationMetrics
    contamination: ContaminationMetrics
    studies: dict[str, Study]
    confidence: float
    parameters: dict[str, dict[str, Any]]
    """Section -> key -> value of the target's parameters."""
