"""What a probe says a pre-training cell will take, beside what it then takes: time, memory, disk, each cell at the size of the default run.

The cells run on invented tokens, with the number that the default run holds out, one after another, each shape once.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import harness
from components.costing.estimate import Estimate
from flows import graph, provenance, quiet, quote_history, quote_probe

ROOT = Path(__file__).parents[1]
QUANTITIES = (("time", "s", 1.0), ("memory", "GB", 1e9), ("disk", "MB", 1e6))
CELLS, CELLS_QUICK = 13, 5  # those of which the probe says that they are the shortest


def main() -> int:
    """Print a line for each cell; exit status 1 when fewer than 70 % of the intervals of time hold the truth."""
    count = CELLS_QUICK if harness.is_quick(__doc__) else CELLS
    quiet.set_variables()
    os.chdir(ROOT)
    cells = {_trained(cell): cell for cell in graph.load(ROOT).cells() if " flows.stages.pretrain_model " in cell.command}
    estimates = quote_probe.estimates(list(cells.values()))
    probed = sorted((cell for cell in cells.values() if cell.name in estimates), key=lambda cell: estimates[cell.name][0].middle)
    if not probed:
        sys.exit("error: no shape was measured in time; is the machine busy?")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for cell in probed[:count]:
            of_each = zip(QUANTITIES, estimates[cell.name], _run(cell, Path(folder)), strict=True)
            rows.append({"cell": cell.name, **{what: _row(estimate, taken) for (what, *_), estimate, taken in of_each}})
            print(_line(rows[-1]), flush=True)
    return _finish(rows)


def _trained(cell: graph.Cell) -> str:
    """Its command but for its seed and its places: of equal ones one is run."""
    return cell.command.partition(" --seed")[0].partition(" --out")[0]


def _run(cell: graph.Cell, folder: Path) -> tuple[float, float, float]:
    """Seconds, peak memory and disk [bytes] of a cell."""
    words, vocab_size = cell.command.split(), quote_history.stream_of(cell.command).vocab_size
    tokens = folder / f"tokens-{vocab_size}"
    if not tokens.exists():
        quote_probe.invent_tokens(tokens, 3_000_000, vocab_size)
    places = {"--tokens": tokens.name, "--out": "out", "--metrics": "metrics.json"}
    for number, word in enumerate(words):
        if word in places:
            words[number + 1] = str(folder / places[word])
    variables = {**os.environ, "MLFLOW_TRACKING_URI": "off"}
    begin_s = time.perf_counter()
    process = subprocess.Popen([sys.executable, *words[1:]], env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    taken_s = time.perf_counter() - begin_s
    if status != 0:
        sys.exit(f"error: {cell.command} ended with status {status}")
    return taken_s, usage.ru_maxrss * 1024.0, float(provenance.size_bytes(folder / "out"))


def _row(estimate: Estimate, taken: float) -> dict[str, float | bool]:
    inside = estimate.low <= taken <= estimate.high
    return {"low": estimate.low, "middle": estimate.middle, "high": estimate.high, "taken": taken, "inside": inside}


def _line(row: dict) -> str:  # type: ignore[type-arg]
    parts = [f"{what} {row[what]['middle'] / unit:.2f} {name}, taken {row[what]['taken'] / unit:.2f}" for what, name, unit in QUANTITIES]
    return f"{row['cell']:<40} " + "; ".join(parts)


def _finish(rows: list[dict]) -> int:  # type: ignore[type-arg]
    held = {what: sum(row[what]["inside"] for row in rows) for what, *_ in QUANTITIES}
    print(f"{len(rows)} cells; inside the interval: " + ", ".join(f"{what} {count}" for what, count in held.items()))
    content = {"machine": harness.machine(), "cells": rows, "inside": held}
    (harness.RESULTS / "quote_probe.json").write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return 0 if held["time"] >= 0.7 * len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
