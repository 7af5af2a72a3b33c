"""Write the report: one self-contained page, its figures, and the numbers for scripts."""

import argparse
import sys
from pathlib import Path
from typing import Any

from components.evaluation.config import EvaluationConfig
from components.finetuning.config import FinetuningConfig
from components.scaling.config import LadderConfig
from components.studies.config import StudyConfig
from components.training.config import ComputeConfig, TrainingConfig
from components.transformer.config import ModelConfig
from flows import params, stage, tracking


class Sections(params.Sections):
    """What this stage reads of params.yaml; ``--apply target`` makes model, training and compute the target's own."""

    model: ModelConfig
    training: TrainingConfig
    compute: ComputeConfig
    finetuning: FinetuningConfig
    evaluation: EvaluationConfig
    ladder: LadderConfig
    studies: dict[str, StudyConfig]


def main(args: argparse.Namespace, loaded: Sections, run: tracking.Run) -> None:
    """metrics/, the curves and the fate of documents -> report/ and metrics/summary.json."""
    from components.artifacts import atomic_folder, write_json, write_text
    from components.reporting.figures import draw_figures
    from components.reporting.gather import Places, gather_results
    from components.reporting.page import build_page
    from components.reporting.summary import build_summary

    places = Places(*(Path(path) for path in (args.corpus, args.tasks, args.ladder_data, args.target_data, args.metrics)))
    parameters = loaded.model_dump(include={"model", "training", "compute", "finetuning"})
    results = gather_results(places, loaded.ladder, loaded.studies, parameters, loaded.evaluation.confidence)
    summary, page = build_summary(results), build_page(results)
    with atomic_folder(Path(args.out)) as scratch:
        write_text(scratch / "index.html", page)
        for name, figure in draw_figures(results).items():
            write_text(scratch / "figures" / f"{name}.svg", figure.standalone())
    write_json(Path(args.summary), summary)
    print(f"report: {Path(args.out) / 'index.html'}")
    for line in headline_lines(summary):
        print(line)
    run.log_metrics({f"bits_per_byte.{name}": bits for name, bits in summary["bits_per_byte"].items()})
    run.log_artifact(Path(args.out))
    run.log_artifact(Path(args.summary))


def headline_lines(summary: dict[str, Any]) -> list[str]:
    """Five lines that say how the run went."""
    documents, bits, forecast = summary["documents"], summary["bits_per_byte"], summary["forecast"]
    tasks = list(summary["finetune"].values())
    inside = "inside" if forecast["low"] <= forecast["actual_loss_nats"] <= forecast["high"] else "OUTSIDE"
    span = f"{forecast['low']:.3f} to {forecast['high']:.3f}"
    return [
        f"documents     {documents['kept']:,} kept of {documents['read']:,} read",
        f"bits per byte {bits['target']:.3f} target, {bits['xz']:.3f} xz -9, {bits['bigram']:.3f} bigram, {bits['unigram']:.3f} unigram",
        f"forecast      {forecast['loss_nats']:.3f} ({span}), reached {forecast['actual_loss_nats']:.3f}: {inside}",
        f"fine-tuning   pre-trained beats scratch on {sum(t['pretrained'] > t['scratch'] for t in tasks)} of {len(tasks)} tasks",
        f"studies       {'; '.join(f'{name}: ' + study['verdict'] for name, study in summary['studies'].items())}",
    ]


if __name__ == "__main__":
    sys.exit(stage.execute(main, Sections, ["corpus", "tasks", "ladder-data", "target-data", "metrics", "out", "summary"]))
