"""All that one study found, as its metrics file and its page have it."""

from pathlib import Path
from typing import Any

from components.studies.config import StudyConfig
from components.studies.knee import LEAST_SIZES, compare_knee
from components.studies.outcomes import Study, change_of_effects, layer_grad_norms, read_batch_run, read_study

BATCH = "training.batch_tokens"


def build_record(name: str, config: StudyConfig, metrics: Path, data: Path, memory_steps: float) -> dict[str, Any]:
    """Read the cells of a study and say what they show.

    Args:
        metrics: folder of the cells' metrics files.
        data: folder of the cells' outputs, for the curves of a study whose arms are batch sizes.
        memory_steps: steps over which the averages behind the gradient noise scale reach back.

    Returns:
        ``conditions``: condition -> what ``effect.summarize`` returns, with ``rates``, ``sweep`` and ``layer_grad_norms``;
        ``at_the_edge``: condition -> arms whose chosen rate is the lowest or highest tried, so that a better one may lie beyond;
        ``change_of_effects`` between the first condition and the last; ``knee``, or None if the arms are no batch sizes or
        fewer than three; ``verdict``: condition -> a sentence.

    Raises:
        InputError: a cell is missing, lacks the metric, or does not tell what the knee needs.
    """
    studies = read_study(metrics, name, config)
    by_batch = len(studies) == 1 and len(config.arms) >= LEAST_SIZES and all(BATCH in arm for arm in config.arms.values())
    return {
        "question": config.question,
        "baseline": config.baseline,
        "learning_rate_rule": config.learning_rate.rule,
        "rates": list(config.learning_rate.sweep),
        "swept": config.swept,
        "conditions": {c: study.summary | {"layer_grad_norms": layer_grad_norms(metrics, study)} for c, study in studies.items()},
        "at_the_edge": {condition: _at_the_edge(config, study) for condition, study in studies.items()},
        "change_of_effects": change_of_effects(studies),
        "knee": _knee(next(iter(studies.values())), data, memory_steps) if by_batch else None,
        "verdict": {condition: study.summary["verdict"] for condition, study in studies.items()},
    }


def _at_the_edge(config: StudyConfig, study: Study) -> list[str]:
    rates = list(config.learning_rate.sweep)
    return [arm for arm, rate in study.summary["rates"].items() if config.swept and rate in (rates[0], rates[-1])]


def _knee(study: Study, data: Path, memory_steps: float) -> dict[str, Any]:
    runs = {
        arm: {
            cell.seed: read_batch_run(data / cell.name / "curve.csv", study.config.arms[arm][BATCH], memory_steps)
            for cell in study.cells(arm)
        }
        for arm in study.config.arms
    }
    return compare_knee(runs, study.config.confidence)
