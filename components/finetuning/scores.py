"""How good the answers to a task are, by the task's own metric."""

# Shapes: N items, C classes, whole numbers of a scale, or answers.

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.evaluation.intervals import clopper_pearson
from components.evaluation.label_scores import label_score
from components.evaluation.resampling import bootstrap_interval
from components.finetuning.config import FinetuningConfig
from components.finetuning.transforms import label_of
from components.tasks.config import LabelMetric
from components.tasks.items import LabelledTask


@dataclass(frozen=True)
class Answers:
    """Predicted and right labels of items: numbers of classes or answers; or scores, counted from the lowest of the scale."""

    predicted_N: np.ndarray
    right_N: np.ndarray


def answers_of(task: LabelledTask, logits_NC: np.ndarray, right_N: np.ndarray) -> Answers:
    """The class or answer of the highest logit, of several as high the first; the expected score where labels are scores."""
    if not task.is_scored:
        return Answers(logits_NC.argmax(axis=1), right_N)
    powers_NC = np.exp(logits_NC - logits_NC.max(axis=1, keepdims=True), dtype=np.float64)
    return Answers(powers_NC @ np.arange(logits_NC.shape[1]) / powers_NC.sum(axis=1), right_N)


def majority_answers(task: LabelledTask) -> Answers:
    """Always the most frequent training label, of several as frequent the smallest; the mean of scores."""
    train, right_N = [label_of(item) for item in task.train], np.array([label_of(item) for item in task.test])
    if task.is_scored:
        return Answers(np.full(len(right_N), np.mean(train)), right_N)
    counts = Counter(train)
    return Answers(np.full(len(right_N), min(counts, key=lambda label: (-counts[label], label))), right_N)


def score(task: LabelledTask, metric: LabelMetric, answers: Answers) -> float:
    """One metric: in [0, 1], correlations in [-1, 1]."""
    positive = task.labels.index(task.positive) if task.positive is not None else None
    return label_score(metric, answers.predicted_N, answers.right_N, positive)


def fitting_metrics(task: LabelledTask) -> list[LabelMetric]:
    """The task's own, first, and the others that its labels have."""
    others: list[LabelMetric] = ["pearson", "spearman"] if task.is_scored else ["accuracy"]
    if task.has_classes:
        others += ["matthews"]
    return [task.metric, *(metric for metric in others if metric != task.metric)]


def scored(task: LabelledTask, answers: Answers, config: FinetuningConfig) -> dict[str, Any]:
    """The task's metric with its interval, that of the majority, and the score by each metric that fits."""
    low, high = interval(task, answers, config)
    scores = {metric: score(task, metric, answers) for metric in fitting_metrics(task)}
    return {
        "metric": task.metric,
        "score": scores[task.metric],
        "low": low,
        "high": high,
        "majority": score(task, task.metric, majority_answers(task)),
        "scores": scores,
    }


def diverged(task: LabelledTask, reason: str, steps: int) -> dict[str, Any]:
    """The same keys for a run that has no score, and why."""
    return {
        "diverged": True,
        "diverged_reason": reason,
        "diverged_step": steps,
        "metric": task.metric,
        **dict.fromkeys(("score", "low", "high", "scores", "validation_score")),
        "majority": score(task, task.metric, majority_answers(task)),
    }


def interval(task: LabelledTask, answers: Answers, config: FinetuningConfig) -> tuple[float, float]:
    """Exact where the score is a share of right items (Clopper and Pearson), else by bootstrap over items."""
    num_items = len(answers.right_N)
    if task.metric == "accuracy":
        return clopper_pearson(int((answers.predicted_N == answers.right_N).sum()), num_items, config.confidence)

    def score_of(numbers_N: np.ndarray) -> float:
        return score(task, task.metric, Answers(answers.predicted_N[numbers_N], answers.right_N[numbers_N]))

    return bootstrap_interval(score_of, num_items, config.bootstrap_samples, config.confidence, config.data_seed)
