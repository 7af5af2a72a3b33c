"""Do the intervals of ``python -m flows.quote`` hold what cells took? Each finished run of MLflow, estimated from the others alone.

From all others, as when a cell is run again; without those alike, as of a new arm; and, unless --quick, of a cell that pre-trains, from a
probe. Run it where the graph has run.
"""

import json
import sys
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import harness
from components.costing.estimate import Estimate
from components.errors import InputError
from flows import graph, quiet, quote_history, quote_probe, tracking
from flows.runs import Recorded, Store

LEAST_RUNS = 20
LOW, HIGH = 0.7, 0.9  # of intervals of 80 %
QUANTITIES = dict(zip(("time", "memory", "disk"), quote_history.QUANTITIES, strict=True))


@dataclass(frozen=True)
class Held:
    """One run: what was estimated and what it took, None where nothing like it is left."""

    cell: str
    taken: tuple[float, ...]
    estimates: tuple[Estimate | None, ...]

    def inside(self, number: int) -> bool | None:
        """Whether the interval of that quantity holds what was taken."""
        estimate = self.estimates[number]
        return None if estimate is None else estimate.low <= self.taken[number] <= estimate.high


def main() -> int:
    """A line for each run and the shares that were held; exit status 1 when that of the time is not 70 to 90 %."""
    quick = harness.is_quick(__doc__)
    quiet.set_variables()
    try:
        cells = {cell.name: cell for cell in graph.load(Path.cwd()).everything()}
        runs = list(Store(tracking.tracking_uri()).all("attributes.status = 'FINISHED'"))
    except InputError as error:
        sys.exit(f"error: {error}")
    again, new = (list(leave_out(runs, cells, alike)) for alike in (False, True))
    if len(again) < LEAST_RUNS:
        sys.exit(f"error: MLflow has {len(again)} finished runs of this device, {LEAST_RUNS} are needed; run the graph first")
    for held in again:
        print(_line(held))
    return _finish({"run again": again, "a new arm": new} | ({} if quick else {"a probe": list(probed(runs, cells))}))


def leave_out(runs: Sequence[Recorded], cells: Mapping[str, graph.Cell], alike: bool) -> Iterator[Held]:
    """Each run of a cell of the graph, on this device, from the others; ``alike``: without those that differ in their seed alone."""
    modules = {name.partition("@")[0]: quote_history.module_of(cell.command) for name, cell in cells.items()}
    for run in runs:
        if run.cell not in cells or not quote_history.is_evidence(run):
            continue
        others = [other for other in runs if other is not run and not (alike and quote_history.key_of(other) == quote_history.key_of(run))]
        estimates = quote_history.History(others, modules).estimates(cells[run.cell])
        yield Held(run.cell, tuple(run.metrics[name] for name in QUANTITIES.values()), estimates)


def probed(runs: Sequence[Recorded], cells: Mapping[str, graph.Cell]) -> Iterator[Held]:
    """The newest run of each cell that pre-trains, seeds apart, from a few steps made now."""
    newest: dict[Hashable, Recorded] = {}
    for run in runs:
        if run.cell in cells and quote_history.is_evidence(run):
            newest.setdefault(quote_history.key_of(run), run)
    estimates = quote_probe.estimates([cells[run.cell] for run in newest.values()])
    for run in newest.values():
        if run.cell in estimates:
            yield Held(run.cell, tuple(run.metrics[name] for name in QUANTITIES.values()), estimates[run.cell])


def _line(held: Held) -> str:
    seconds = held.estimates[0]
    if seconds is None:
        return f"{held.cell:<44} took {held.taken[0]:7.1f} s, nothing is like it"
    told = f"{seconds.middle:7.1f} ({seconds.low:.1f} to {seconds.high:.1f})"
    return f"{held.cell:<44} took {held.taken[0]:7.1f} s, told {told:<28} {'' if held.inside(0) else 'OUTSIDE '}from {seconds.basis}"


def _finish(held: Mapping[str, Sequence[Held]]) -> int:
    content: dict[str, object] = {"machine": harness.machine()}
    share_of_time = 0.0
    for how, rows in held.items():
        counts = {}
        for number, what in enumerate(QUANTITIES):
            verdicts = [row.inside(number) for row in rows if row.estimates[number] is not None]
            counts[what] = f"{sum(map(bool, verdicts))} of {len(verdicts)}"
            if how == "run again" and what == "time":
                share_of_time = sum(map(bool, verdicts)) / max(len(verdicts), 1)
        print(f"{how}: " + ", ".join(f"{what} {count}" for what, count in counts.items()))
        content[how] = counts
    (harness.RESULTS / "quote_history.json").write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return 0 if LOW <= share_of_time <= HIGH else 1


if __name__ == "__main__":
    sys.exit(main())
