"""Bring MLflow in line with what happened: ``python -m flows.reconcile``. The pipeline does it at every launch that needs it.

Runs that could not be told when they ran are told; runs that a process which is gone left open are closed; and a cell that
DVC says is up to date but of which MLflow has no finished run gets one, made of dvc.lock and metrics/.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from components.errors import InputError
from flows import cells, command, database, graph, messages, provenance, quiet, quote_history, recorder, tracking, untracked
from flows.runs import Recorded, Store, answering

METRIC_NAME = re.compile(r"[\w\-. :/]+")  # what MLflow takes; the name of a law, "L(C) = A C^-b", is none
BACKFILLED = "made of dvc.lock and metrics/: MLflow had no run of it"


def main(argv: Sequence[str] | None = None) -> int:
    """One line for each run that was mended. Exit status 0 also where MLflow cannot be reached: a warning says so."""
    parser = argparse.ArgumentParser(prog="python -m flows.reconcile", description=(__doc__ or "").partition(": ``")[0] + ".")
    parser.add_argument("--finished", nargs="*", metavar="CELL", default=None, help="cells known to be up to date; default: DVC is asked")
    args = parser.parse_args(argv)
    quiet.set_variables()
    try:
        for line in reconcile(tracking.tracking_uri(), args.finished):
            print(line, flush=True)
    except InputError as error:
        print(f"warning: {error}", flush=True)
    return 0


def reconcile(uri: str, finished: Sequence[str] | None) -> Iterator[str]:
    """What was mended, a line each; InputError if the store does not answer."""
    if not uri:
        raise InputError("MLFLOW_TRACKING_URI is off, so no run is known; set it to where the runs are")
    stages = _stages(finished)
    if not untracked.pending() and not stages and database.is_new(uri):
        return
    store = Store(uri, create=True)
    yield from _tell_kept(uri)
    for cell in store.end_those_without_process():
        yield f"{cell}: its MLflow run was left open by a process that is gone; closed as KILLED"
    for lost in _without_run(stages, store.all("attributes.status = 'FINISHED'") if stages else ()):
        with answering(uri):
            recorder.replay(_messages(lost), uri)
        yield f"{lost.name}: MLflow had no run of it; made of dvc.lock and metrics/"


def _stages(finished: Sequence[str] | None) -> list[graph.Cell]:
    """Cells that are up to date and whose command is a stage of ours; others report nothing to MLflow."""
    if finished is not None and not finished:
        return []
    loaded = graph.load(Path.cwd())
    known = {cell.name: cell for cell in loaded.everything()}
    names = sorted(set(known) - loaded.changed(list(known))) if finished is None else finished
    return [known[name] for name in names if quote_history.module_of(known[name].command).startswith(quote_history.STAGES)]


def _tell_kept(uri: str) -> Iterator[str]:
    for path in untracked.pending():
        with untracked.taken(path) as messages:
            if messages:
                with answering(uri):
                    recorder.replay(messages, uri)
                yield f"{messages[0]['name']}: MLflow was not told of its run when it ran; told now"


def _without_run(finished: Iterable[graph.Cell], past: Iterable[Recorded]) -> Iterator[graph.Cell]:
    """Cells whose outputs, as dvc.lock has them, are those of no run."""
    lock = provenance.hashes_in_locks()
    known = {(run.cell, path, digest) for run in past for path, digest in run.hashes(messages.OUT_TAG).items()}
    return (cell for cell in finished if cell.outs and not all((cell.name, out, lock.get(out)) in known for out in cell.outs))


def _messages(cell: graph.Cell) -> list[dict[str, Any]]:
    """What a run of the cell would say now. DVC found that code, parameters and data are those of its run."""
    sections, options = quote_history.cell_sections(cell.command)
    lock, now_ms = cells.outs(cell.name), int(time.time() * 1000)
    present = provenance.Watch(options.values).present()
    read = [path for path in present if not any(path == out or path.startswith(f"{out}/") for out in cell.outs)]
    opening = tracking.opening("", cell.name, options.apply, options.seed, sections, read, {recorder.BACKFILLED_TAG: "true"})
    begin = messages.complete({"what": "open", **opening}, locks_are_whole=False)
    del begin[0]["tags"]["device"]  # nobody knows
    metrics = [(name, value, now_ms, 0) for name, value in _numbers(cell.outs)]
    end = {"what": "end", "status": "FINISHED", "reason": BACKFILLED, "outs": {out: lock[out] for out in cell.outs}, "at_ms": now_ms}
    return [*begin, {"what": "metrics", "metrics": metrics}, end]


def _numbers(outs: Iterable[str]) -> Iterator[tuple[str, float]]:
    """Numbers in the JSON files among the outputs, by their dotted names; those of which MLflow takes the name."""
    for path in (Path(out) for out in outs if out.endswith(".json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        values: Mapping[str, Any] = tracking.flatten(content) if isinstance(content, dict) else {}
        yield from (
            (name, float(value)) for name, value in values.items() if isinstance(value, int | float) and METRIC_NAME.fullmatch(name)
        )


if __name__ == "__main__":
    sys.exit(command.run(main))
