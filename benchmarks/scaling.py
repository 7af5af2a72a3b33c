"""Approach 3 on Chinchilla's points: all 4,500 starts and 1,000 bootstrap draws, on one core, beside the public re-fit's way.

Of the peer only some of the 4,500 starts are run, and the seconds of one search are compared.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks import harness
from components.scaling.approach3 import bootstrap_approach3, fit_approach3
from components.scaling.config import ExtrapolationConfig
from components.scaling.surface import Surface
from components.scaling.table import RunTable, read_table
from flows import params

POINTS = Path("../shared/data/scaling/chinchilla-epoch-svg/svg_extracted_data.csv")
STARTS, DRAWS = 4500, 1000
LIMIT_SECONDS = 120.0
PEER_EVERY, QUICK_PEER_EVERY = 50, 250
PEER = [sys.executable, "-m", "benchmarks.peers.plain_huber"]


class Sections(params.Sections):
    """How laws are fitted."""

    extrapolation: ExtrapolationConfig


def main() -> int:
    """Print the rows; exit status 1 when one falls short."""
    quick = harness.is_quick(__doc__)
    if not POINTS.exists():
        sys.exit(f"error: {POINTS} is not there; the benchmark needs the points of the published re-fit")
    table, config = read_table(POINTS, {}), params.load(Sections).extrapolation.surface
    harness.heading()
    begin = time.perf_counter()
    fit = fit_approach3(table, config.model_copy(update={"starts_kept": STARTS}))
    search = (time.perf_counter() - begin) / STARTS
    assert isinstance(fit.law, Surface), "approach 3 fits a surface"
    draws = bootstrap_approach3(table, fit.law, config, DRAWS, seed=0)
    whole = time.perf_counter() - begin
    peer = _peer(table, QUICK_PEER_EVERY if quick else PEER_EVERY)
    rows = [
        harness.Row(f"{STARTS} starts, {DRAWS} draws", "limit of two minutes", "s", (whole,), (LIMIT_SECONDS,), 1.0),
        harness.Row("one search", "no gradient, not centred", "s", (search,), (peer["seconds_per_search"],), 1.0),
    ]
    for row in rows:
        harness.show(row)
    print(f"{fit.failed} searches and {DRAWS - len(draws)} draws did not converge; objective, in delta squared: ", end="")
    print(f"ours {_objective(fit.residuals_P, config.huber_delta):.4f}, peer {peer['objective'] / config.huber_delta**2:.4f}")
    for name, value in fit.law.parameters().items():
        low, high = np.quantile([draw.parameters()[name] for draw in draws], [0.025, 0.975])
        print(f"{name:<6} {value:.4g} ({low:.4g} to {high:.4g})")
    return harness.finish("scaling", rows)


def _peer(table: RunTable, every: int) -> dict[str, float]:
    assert table.n_params_P is not None and table.n_tokens_P is not None, "the points have N"
    points = [np.log(column).tolist() for column in (table.n_params_P, table.n_tokens_P, table.losses_P)]
    done = subprocess.run([*PEER, str(every)], input=json.dumps(points), capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def _objective(residuals_P: np.ndarray, delta: float) -> float:
    size = np.abs(residuals_P)
    return float(np.where(size <= delta, size**2 / 2, delta * (size - delta / 2)).sum()) / delta**2


if __name__ == "__main__":
    sys.exit(main())
