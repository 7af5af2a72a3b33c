"""Read what the stages before left: every metrics file by name, as the parameters name them, never by a glob.

Folders of arms, rungs and tasks that were removed from the parameters stay on disk; a glob would report them.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.artifacts import Corpus, read_json, read_manifest
from components.errors import InputError
from components.reporting.capability_results import Capability, CapabilityForecast, CapabilityScore
from components.reporting.curve import Curve, read_curve
from components.reporting.reading import read_record
from components.reporting.results import (
    ContaminationMetrics,
    CorpusMetrics,
    EvaluationMetrics,
    Example,
    FinetuneMetrics,
    FinetunePair,
    ForecastMetrics,
    ForecastScore,
    Results,
    TokensMetrics,
    TrainingMetrics,
)
from components.scaling.config import LadderConfig
from components.studies.config import StudyConfig
from components.studies.outcomes import read_study
from components.tasks.items import TaskSet

if TYPE_CHECKING:
    import pyarrow as pa

EXAMPLES_PER_RULE = 2
EXCERPT_CHARS = 420
KEPT = "kept"


@dataclass(frozen=True)
class Places:
    """Where the stages before put their outputs."""

    corpus: Path
    tasks: Path
    ladder_data: Path
    target_data: Path
    metrics: Path


def gather_results(
    places: Places,
    ladder: LadderConfig,
    studies: Mapping[str, StudyConfig],
    parameters: dict[str, dict[str, Any]],
    confidence: float,
) -> Results:
    """Read and check everything that the report shows.

    Args:
        parameters: section -> key -> value, as the target was trained with.
        confidence: of the intervals over test items.

    Raises:
        InputError: one line that names the first file that is missing or damaged.
    """
    metrics = places.metrics
    forecast = read_record(metrics / "forecast.json", ForecastMetrics)
    cells = _usable_cells(ladder, forecast)
    return Results(
        corpus=read_record(metrics / "corpus.json", CorpusMetrics),
        origins=_origins(places.corpus),
        examples=choose_examples(Corpus(places.corpus).fate(), Corpus(places.corpus).documents()),
        tokens=read_record(metrics / "tokens.json", TokensMetrics),
        ladder={
            rung: [read_record(metrics / "ladder" / f"{cell}.json", TrainingMetrics) for cell in names] for rung, names in cells.items()
        },
        target=read_record(metrics / "target.json", TrainingMetrics),
        curves=_curves(places, cells),
        forecast=forecast,
        forecast_score=read_record(metrics / "forecast_score.json", ForecastScore),
        capability=_capability(metrics),
        finetune=_finetune(places),
        evaluation=read_record(metrics / "evaluation.json", EvaluationMetrics),
        contamination=read_record(metrics / "contamination.json", ContaminationMetrics),
        studies={
            name if len(config.conditions) == 1 else f"{name}_{condition}": study
            for name, config in studies.items()
            for condition, study in read_study(metrics / "studies" / name, name, config).items()
        },
        confidence=confidence,
        parameters=parameters,
    )


def _origins(corpus: Path) -> list[dict[str, Any]]:
    origins: dict[str, list[dict[str, Any]]] = read_manifest(corpus, "corpus")["origins"]
    return [{"source": source, **origin} for source, found in sorted(origins.items()) for origin in found]


def _usable_cells(ladder: LadderConfig, forecast: ForecastMetrics) -> dict[str, list[str]]:
    """Rung -> names of its cells, but for those that the forecast left out because they diverged."""
    excluded = {(run.rung, run.seed) for run in forecast.excluded}
    cells = {rung: [f"{rung}-{seed}" for seed in ladder.seeds if (rung, seed) not in excluded] for rung in ladder.rungs}
    return {rung: names for rung, names in cells.items() if names}


def _curves(places: Places, cells: Mapping[str, list[str]]) -> dict[str, Curve]:
    curves = {cell: read_curve(places.ladder_data / cell / "curve.csv") for names in cells.values() for cell in names}
    return curves | {"target": read_curve(places.target_data / "curve.csv")}


def _capability(metrics: Path) -> Capability:
    forecast = read_record(metrics / "capability_forecast.json", CapabilityForecast)
    return Capability(forecast, read_record(metrics / "capability_score.json", CapabilityScore))


def _finetune(places: Places) -> dict[str, FinetunePair]:
    tasks = TaskSet(places.tasks)
    labelled = [name for name in tasks.names() if tasks.load(name).transformation != "free_form"]
    folder = places.metrics / "finetune"
    return {
        task: FinetunePair(*(_finetune_cell(folder / f"{task}-{init}.json") for init in ("pretrained", "scratch"))) for task in labelled
    }


def _finetune_cell(path: Path) -> FinetuneMetrics:
    if read_json(path).get("diverged"):
        raise InputError(f"{path}: the run diverged, there is no score to report; lower finetuning.learning_rate and run dvc repro")
    return read_record(path, FinetuneMetrics)


def choose_examples(fate: "pa.Table", documents: "pa.Table") -> list[Example]:
    """A few documents kept, then a few for each rule that dropped any: those whose ids have the smallest hash.

    Args:
        fate: columns id, source, rule ("" if kept), score, nearest_duplicate, jaccard.
        documents: columns id, text of those kept; of a document that was cut, of its pieces (``ID#p1`` is the first).
    """
    by_rule: dict[str, list[dict[str, Any]]] = {}
    for row in fate.to_pylist():
        by_rule.setdefault(row["rule"] or KEPT, []).append(row)
    texts = dict(zip(documents["id"].to_pylist(), documents["text"].to_pylist(), strict=True))
    chosen = []
    for rule in sorted(by_rule, key=lambda rule: (rule != KEPT, rule)):
        rows = sorted(by_rule[rule], key=lambda row: _hash(row["id"]))[:EXAMPLES_PER_RULE]
        chosen += [_example(row, rule, texts.get(row["id"]) or texts.get(f"{row['id']}#p1", "")) for row in rows]
    return chosen


def _example(row: dict[str, Any], rule: str, text: str) -> Example:
    return Example(row["id"], row["source"], rule, row["score"], row["nearest_duplicate"], row["jaccard"], _excerpt(text))


def _hash(document_id: str) -> str:
    return hashlib.sha256(document_id.encode()).hexdigest()


def _excerpt(text: str) -> str:
    return text if len(text) <= EXCERPT_CHARS else text[:EXCERPT_CHARS].rstrip() + " …"
