"""metrics/summary.json: the run in numbers, for people and scripts."""

from statistics import fmean
from typing import Any

from components.reporting.results import Overlap, Results, TrainingMetrics


def build_summary(results: Results) -> dict[str, Any]:
    """The keys that scripts may rely on; every number is copied from a metrics file or is a mean of such."""
    score = results.forecast_score
    return {
        "documents": results.corpus.documents.model_dump(),
        "bits_per_byte": results.evaluation.bits_per_byte.model_dump(),
        "ladder": ladder_rows(results),
        "forecast": {
            "loss_nats": score.loss_nats,
            "low": score.low,
            "high": score.high,
            "actual_loss_nats": score.actual_loss_nats,
            "compute_ratio": score.compute_ratio,
        },
        "finetune": {task: _finetune(results, task) for task in results.finetune},
        "few_shot": {
            task: {shots: {"score": cell.score, "chance": cell.chance} for shots, cell in by_shots.items()}
            for task, by_shots in results.evaluation.few_shot.items()
        },
        "contamination": [_overlap(*row) for row in results.contamination.scored()],
        "studies": {name: _study(study.summary) for name, study in results.studies.items()},
    }


def ladder_rows(results: Results) -> list[dict[str, Any]]:
    """Rungs by rising compute, each the mean over its seeds, then the target: name, train_flops, loss_nats, bits_per_byte."""
    rungs = [_rung(name, cells) for name, cells in results.ladder.items()]
    return [*sorted(rungs, key=lambda rung: (rung["train_flops"], rung["name"])), _rung("target", [results.target])]


def _rung(name: str, cells: list[TrainingMetrics]) -> dict[str, Any]:
    return {
        "name": name,
        "train_flops": fmean(cell.train_flops for cell in cells),
        "loss_nats": fmean(cell.loss_nats for cell in cells),
        "bits_per_byte": fmean(cell.bits_per_byte for cell in cells),
    }


def _finetune(results: Results, task: str) -> dict[str, Any]:
    pair = results.finetune[task]
    return {
        "metric": pair.pretrained.metric,
        "pretrained": pair.pretrained.score,
        "scratch": pair.scratch.score,
        "majority": pair.pretrained.majority,
    }


def _overlap(task: str, asked: str, overlap: Overlap) -> dict[str, Any]:
    values = overlap.model_dump(include={"dirty_items", "clean_items", "all", "clean", "verdict"})
    return {"task": task, "asked": asked, **values}


def _study(summary: dict[str, Any]) -> dict[str, Any]:
    arms = {arm: {key: values[key] for key in ("mean", "low", "high", "seeds")} for arm, values in summary["arms"].items()}
    return {"metric": summary["metric"], "arms": arms, "verdict": summary["verdict"]}
