"""The mean log pass rate of a larger model, forecast from smaller ones, sealed before it trains, and scored afterwards.

GPT-4 report, section 3.2: -E[log pass rate(C)] = alpha C^-k, over the problems that every model solves at least once in many samples, in
buckets by how hard the small models find them. As there, the law has no irreducible part and a bucket has problems of like difficulty.
Differs: problems are chosen by one set of samples and measured by another, and the forecast has an interval.
"""

# Shapes: M small models by rising compute, P problems.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.capability.pass_rates import log_pass_rates
from components.capability.problems import Problem
from components.errors import InputError
from components.scaling.config import ExtrapolationConfig
from components.scaling.forecast import seal
from components.scaling.ladder import LadderRun
from components.scaling.uncertainty import fit_ladder

FORECAST_TASKS = ("addition", "copying")
FORM = "-E[log pass rate] = alpha C^-k"
CURVE_POINTS = 8
SOLVED_ALWAYS = 1e-6  # nats; a logarithm of it is still finite


@dataclass(frozen=True)
class Measured:
    """Right answers of one model to every problem, of two sets of ``samples`` samples: int64 [P] each."""

    name: str
    train_flops: float
    choosing_P: np.ndarray
    measuring_P: np.ndarray


@dataclass(frozen=True)
class Bucket:
    """Problems of one task and like difficulty that every small model solves."""

    task: str
    name: str
    problems: tuple[int, ...]


def choose_buckets(problems: Sequence[Problem], models: Sequence[Measured], samples: int) -> list[Bucket]:
    """For each task all problems that every small model solved at least once, and the easy and the hard half of them."""
    solved_P = np.all([model.choosing_P > 0 for model in models], axis=0)
    ease_P = np.mean([log_pass_rates(model.choosing_P, samples) for model in models], axis=0)
    buckets = []
    for task in FORECAST_TASKS:
        chosen = [i for i, problem in enumerate(problems) if problem.task == task and solved_P[i]]
        by_ease = sorted(chosen, key=lambda i: (-ease_P[i], i))
        half = (len(by_ease) + 1) // 2
        parts = {"all": sorted(by_ease), "easy": sorted(by_ease[:half]), "hard": sorted(by_ease[half:])}
        buckets += [Bucket(task, name, tuple(part)) for name, part in parts.items()]
    return buckets


def make_record(
    problems: Sequence[Problem],
    models: Sequence[Measured],
    target_flops: float,
    samples: int,
    min_problems: int,
    config: ExtrapolationConfig,
) -> dict[str, Any]:
    """The forecast of every bucket as JSON values, with its ``seal``; a bucket that cannot be forecast says why.

    Raises:
        InputError: the target has no more compute than the largest small model.
    """
    ordered = sorted(models, key=lambda model: model.train_flops)
    if target_flops <= ordered[-1].train_flops:
        raise InputError("params.yaml: capability.target has no more compute than the largest of capability.sizes; raise its tokens")
    buckets = choose_buckets(problems, ordered, samples)
    chosen = {i for bucket in buckets for i in bucket.problems}
    left_out = {task: [i for i, p in enumerate(problems) if p.task == task and i not in chosen] for task in FORECAST_TASKS}
    content = {
        "form": FORM,
        "confidence": config.confidence,
        "samples": samples,
        "target": {"train_flops": target_flops},
        "compute_ratio": target_flops / ordered[-1].train_flops,
        "models": [{"name": model.name, "train_flops": model.train_flops} for model in ordered],
        "buckets": [_forecast(bucket, ordered, target_flops, samples, min_problems, config) for bucket in buckets],
        "left_out": left_out,
    }
    return {**content, "seal": seal(content)}


def minus_log_pass(measuring_P: np.ndarray, problems: Sequence[int], samples: int) -> float:
    """-E[log pass rate] [nats] over some of the problems."""
    return float(-log_pass_rates(measuring_P[list(problems)], samples).mean())


def _forecast(
    bucket: Bucket, models: Sequence[Measured], target_flops: float, samples: int, min_problems: int, config: ExtrapolationConfig
) -> dict[str, Any]:
    named = {"task": bucket.task, "name": bucket.name, "problems": list(bucket.problems)}
    if len(bucket.problems) < min_problems:
        why = f"only {len(bucket.problems)} problems are solved by every small model, {min_problems} are needed"
        return {**named, "models": [], "forecast": None, "why_not": why}
    values = [max(minus_log_pass(model.measuring_P, bucket.problems, samples), SOLVED_ALWAYS) for model in models]
    runs = [LadderRun(model.name, 0, model.train_flops, value) for model, value in zip(models, values, strict=True)]
    known = {**named, "models": [{"name": run.rung, "minus_log_pass": run.loss_nats} for run in runs]}
    fit = fit_ladder(runs, config, irreducible=False)
    if values[-1] >= values[0]:
        return {**known, "forecast": None, "why_not": "the pass rate does not rise with compute among the small models"}
    try:
        stated = [_point(fit.law.loss_nats(flops), *fit.interval(flops), flops) for flops in _curve_flops(models, target_flops)]
    except InputError:
        return {**known, "forecast": None, "why_not": "the small models scatter so much about the law that it excludes nothing"}
    constants = fit.law.parameters()
    law = {"alpha": constants["A"], "k": constants["b"]}
    return {**known, "forecast": {**stated[-1], "parameters": law, "curve": stated}, "why_not": ""}


def _curve_flops(models: Sequence[Measured], target_flops: float) -> list[float]:
    return [*np.geomspace(models[0].train_flops, target_flops, CURVE_POINTS)[:-1].tolist(), target_flops]


def _point(value: float, low: float, high: float, flops: float) -> dict[str, float]:
    return {"train_flops": flops, "minus_log_pass": value, "low": low, "high": high}


def score_record(record: Mapping[str, Any], target: Measured, samples: int) -> dict[str, Any]:
    """The sealed forecast beside what the target does, bucket by bucket; and what it does where nothing was forecast.

    Raises:
        InputError: the target trained with other compute than the forecast is for.
    """
    if target.train_flops != record["target"]["train_flops"]:
        planned = record["target"]["train_flops"]
        raise InputError(f"the target trained with {target.train_flops} FLOP, the forecast is for {planned}; run dvc repro")
    kept = {key: record[key] for key in ("confidence", "samples", "compute_ratio", "seal", "form")}
    buckets = [_score(bucket, target, samples) for bucket in record["buckets"]]
    left_out = {
        task: {"problems": len(those), "solved_by_target": int((target.measuring_P[those] > 0).sum()) if those else 0}
        for task, those in record["left_out"].items()
    }
    return {**kept, "buckets": buckets, "left_out": left_out}


def _score(bucket: Mapping[str, Any], target: Measured, samples: int) -> dict[str, Any]:
    named = {key: bucket[key] for key in ("task", "name", "why_not")} | {"problems": len(bucket["problems"])}
    actual = minus_log_pass(target.measuring_P, bucket["problems"], samples) if bucket["problems"] else None
    stated = bucket["forecast"]
    if stated is None or actual is None:
        return {**named, "actual": actual, "forecast": None, "low": None, "high": None, "error": None, "inside": None}
    low, high, said = stated["low"], stated["high"], stated["minus_log_pass"]
    return {**named, "actual": actual, "forecast": said, "low": low, "high": high, "error": said - actual, "inside": low <= actual <= high}
