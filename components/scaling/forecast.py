"""The forecast of a larger run: made before it trains, sealed by a hash, scored when it has trained.

GPT-4 report, section 3.1: L(C) = a C^b + c, fitted to smaller runs of the same recipe, stated before the large run ended.
Ours adds an interval, the plain power law of GPT-3 and the other published methods beside it, and the seal.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.errors import InputError
from components.scaling.config import ExtrapolationConfig
from components.scaling.ladder import ExcludedRun, LadderRun
from components.scaling.uncertainty import Fit, fit_ladder

FORM = "L(C) = E + A C^-b"
PLAIN_FORM = "L(C) = A C^-b"
CURVE_POINTS = 25


@dataclass(frozen=True)
class Forecast:
    """The forecast for one new run of the target and everything that it rests on."""

    target_flops: float
    fit: Fit
    plain: Fit
    others: Mapping[str, Mapping[str, Any]]
    """What other methods say (``methods.published_methods``), by name."""
    runs: tuple[LadderRun, ...]
    excluded: tuple[ExcludedRun, ...]

    @property
    def compute_ratio(self) -> float:
        """Operations of the target per operation of the largest run that the forecast uses."""
        return self.target_flops / max(run.train_flops for run in self.runs)

    def record(self) -> dict[str, Any]:
        """The forecast as JSON values, with ``seal``: the sha256 of the canonical JSON of everything else."""
        scatter = self.fit.scatter
        content = {
            **_statement(self.fit, self.target_flops),
            "confidence": self.fit.config.confidence,
            "form": FORM,
            "methods": self._methods(),
            "scatter": {
                "unit": scatter.unit,
                "degrees_of_freedom": scatter.degrees_of_freedom,
                "new_run_relative_sd": scatter.new_run_variance**0.5,
                "seed_relative_sd": scatter.seed_variance**0.5,
            },
            "runs": [asdict(run) for run in self.runs],
            "excluded": [asdict(run) for run in self.excluded],
            "target": {"train_flops": self.target_flops},
            "compute_ratio": self.compute_ratio,
            "curve": self._curve(),
        }
        return {**content, "seal": seal(content)}

    def _methods(self) -> dict[str, dict[str, Any]]:
        """Every method's loss at the target; the two laws of compute have an interval, the others have none."""
        laws = {form: {**_statement(fit, self.target_flops), "note": ""} for form, fit in ((FORM, self.fit), (PLAIN_FORM, self.plain))}
        return laws | {name: {**other, "low": None, "high": None} for name, other in self.others.items()}

    def _curve(self) -> list[dict[str, float]]:
        """The law and its interval from the smallest run to the target, for a plot."""
        smallest = min(run.train_flops for run in self.runs)
        rows = []
        for flops in np.geomspace(smallest, self.target_flops, CURVE_POINTS).tolist():
            low, high = self.fit.interval(flops)
            rows.append({"train_flops": flops, "loss_nats": self.fit.law.loss_nats(flops), "low": low, "high": high})
        return rows


def make_forecast(
    runs: list[LadderRun],
    excluded: list[ExcludedRun],
    target_flops: float,
    config: ExtrapolationConfig,
    others: Mapping[str, Mapping[str, Any]],
) -> Forecast:
    """Forecast the loss of one new run of ``target_flops`` operations from the runs of the ladder.

    The interval is that of the law with an irreducible loss, of which the plain power law is the case E = 0: it holds both
    forecasts unless the ladder refutes the plain one.

    Raises:
        InputError: fewer than four rungs are left, a run of the ladder is as large as the target, or the runs scatter too much.
    """
    fits = fit_ladder(runs, config, True), fit_ladder(runs, config, False)
    forecast = Forecast(target_flops, *fits, others, tuple(runs), tuple(excluded))
    if forecast.compute_ratio <= 1:
        raise InputError(
            f"params.yaml: the target's {target_flops:.3g} FLOP are no more than the largest rung's; "
            "raise model or training.train_tokens, or drop the rung from ladder"
        )
    return forecast


def _statement(fit: Fit, train_flops: float) -> dict[str, Any]:
    low, high = fit.interval(train_flops)
    return {"loss_nats": fit.law.loss_nats(train_flops), "low": low, "high": high, "parameters": fit.law.parameters()}


def seal(content: Mapping[str, Any]) -> str:
    """sha256 of the canonical JSON (sorted keys, no spaces) of everything but the seal itself."""
    unsealed = {key: value for key, value in content.items() if key != "seal"}
    canonical = json.dumps(unsealed, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


def verify_seal(record: Any, path: Path) -> None:
    """Check that nobody touched the forecast since it was made.

    Raises:
        InputError: there is no seal, or it does not fit the rest.
    """
    try:
        intact = isinstance(record, Mapping) and record.get("seal") == seal(record)
    except ValueError:  # NaN, which we never write
        intact = False
    if not intact:
        raise InputError(f"{path}: changed since it was sealed; restore it with git checkout {path} or make it again with dvc repro")


def score_forecast(forecast: Mapping[str, Any], target: Mapping[str, Any], target_path: Path) -> dict[str, Any]:
    """The sealed forecast beside the loss that the target reached; errors are forecast minus actual.

    Raises:
        InputError: the target diverged, or did not train with the operations that the forecast is for.
    """
    actual, flops, planned = target.get("loss_nats"), target.get("train_flops"), forecast["target"]["train_flops"]
    if target.get("diverged") or not isinstance(actual, int | float):
        raise InputError(f"{target_path}: the target diverged, there is no loss to score; lower training.learning_rate and run dvc repro")
    if flops != planned:
        raise InputError(f"{target_path}: trained with {flops} FLOP, the forecast is for {planned}; run dvc repro")
    kept = {key: forecast[key] for key in ("confidence", "compute_ratio", "seal")}
    methods = {name: _score(method, actual) | {"note": method["note"]} for name, method in forecast["methods"].items()}
    return {**kept, "actual_loss_nats": actual, **_score(forecast, actual), "methods": methods}


def _score(stated: Mapping[str, Any], actual: float) -> dict[str, Any]:
    """None where the method says nothing, or has no interval."""
    loss, low, high = (stated[key] for key in ("loss_nats", "low", "high"))
    error_nats = None if loss is None else loss - actual
    return {
        "loss_nats": loss,
        "low": low,
        "high": high,
        "error_nats": error_nats,
        "relative_error": None if error_nats is None else error_nats / actual,
        "inside": None if low is None else low <= actual <= high,
    }
