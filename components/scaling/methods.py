"""What the published ways to fit a law say about the target, from the same runs and before it trains, to be held against them later.

Kaplan 2020 counts parameters without embeddings (section 2.1), Hoffmann 2022 all of them (appendix F); each law is fitted and asked in
the counting of its paper. A law with as many constants as there are runs is not fitted. Where the ladder hardly tells a law from
others, the note says why, and the law is fitted all the same: how far off it then is belongs to what this shows.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from components.scaling.approach3 import fit_approach3
from components.scaling.config import ExtrapolationConfig
from components.scaling.estimate import surface_is_told
from components.scaling.fits import Fit
from components.scaling.frontier import fit_approach1, fit_approach2
from components.scaling.kaplan import fit_kaplan_data, fit_kaplan_steps
from components.scaling.table import FLOPS_PER_PARAM_TOKEN, RunTable

APPROACH3_CONSTANTS, KAPLAN_CONSTANTS = 5, 4


@dataclass(frozen=True)
class Target:
    """The run whose loss is asked for."""

    train_flops: float
    parameters: float
    parameters_non_embedding: float
    train_tokens: float


def published_methods(
    all_params: RunTable, non_embedding: RunTable, target: Target, config: ExtrapolationConfig
) -> dict[str, dict[str, Any]]:
    """Method -> ``loss_nats`` at the target (None where the runs cannot tell), the law's ``parameters``, and a ``note``.

    Args:
        all_params: the runs of the ladder with all their parameters as N.
        non_embedding: the same runs with N as Kaplan counts it.
    """
    frontier = FLOPS_PER_PARAM_TOKEN
    return {
        "approach 1 (Hoffmann 2022)": _of_compute(fit_approach1(all_params, frontier, config), target),
        "approach 2 (Hoffmann 2022)": _of_compute(fit_approach2(all_params, frontier, config), target),
        "approach 3 (Hoffmann 2022)": _of_size(
            lambda: fit_approach3(all_params, config.surface), APPROACH3_CONSTANTS, all_params, target.parameters, target
        ),
        "L(N, D) (Kaplan 2020)": _of_size(
            lambda: fit_kaplan_data(non_embedding), KAPLAN_CONSTANTS, non_embedding, target.parameters_non_embedding, target
        ),
        "L(N, S) (Kaplan 2020)": _of_size(
            lambda: fit_kaplan_steps(non_embedding, None), KAPLAN_CONSTANTS, non_embedding, target.parameters_non_embedding, target
        ),
    }


def _of_compute(fit: Fit | str, target: Target) -> dict[str, Any]:
    """A law of compute alone, which the frontier takes as the product of N, D and a factor."""
    if isinstance(fit, str):
        return _untold(fit)
    return _told(fit, target.train_flops / FLOPS_PER_PARAM_TOKEN, 1.0, "")


def _of_size(fit: Callable[[], Fit], constants: int, table: RunTable, n_params: float, target: Target) -> dict[str, Any]:
    if table.num_runs <= constants:
        return _untold(f"{table.num_runs} runs are too few for its {constants} constants")
    return _told(fit(), n_params, target.train_tokens, surface_is_told(table))


def _told(fit: Fit, n_params: float, n_tokens: float, note: str) -> dict[str, Any]:
    loss = float(fit.predict(n_params, n_tokens))
    if not math.isfinite(loss):
        return _untold("the fitted law is not finite at the target")
    constants = {name: value if math.isfinite(value) else None for name, value in fit.law.parameters().items()}
    return {"loss_nats": loss, "parameters": constants, "note": "; ".join([*filter(None, [note]), *fit.warnings])}


def _untold(why: str) -> dict[str, Any]:
    return {"loss_nats": None, "parameters": {}, "note": why}
