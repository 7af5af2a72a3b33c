"""Leads from page to page: what Prefect shows of a flow names the MLflow runs, and each run's page the flow, the commit, the report.

``python -m flows.links CELL...`` finds the run that made what each cell has now, ran it just now or long ago, tells its page where
the report is, and prints the address of its page, one cell a line.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from components.errors import InputError
from flows import experiments, graph, messages, pages, provenance, quiet, tracking
from flows.runs import Recorded, Store


def main(argv: Sequence[str] | None = None) -> int:
    """``CELL ADDRESS [REPORT]`` for each cell of which MLflow has the run; exit status 0 also where it has none or does not answer."""
    parser = argparse.ArgumentParser(prog="python -m flows.links", description=__doc__)
    parser.add_argument("cells", nargs="+", metavar="CELL")
    args = parser.parse_args(argv)
    quiet.set_variables()
    try:
        cells = {cell.name: cell for cell in graph.load(Path.cwd()).cells(args.cells)}
        store = Store(tracking.tracking_uri())
        found = made_by(store, [cells[name] for name in args.cells])
    except InputError as error:
        print(f"warning: {error}", file=sys.stderr, flush=True)
        return 0
    report = next((page_of(found[name], place) for name in found if (place := report_of(cells[name]))), "")
    for name, run in found.items():
        store.describe(run, pages.note(run.run_id, run.tags, report))
        print(name, page_of(run), *([report] if report_of(cells[name]) else []), flush=True)
    return 0


def made_by(store: Store, cells: Sequence[graph.Cell]) -> dict[str, Recorded]:
    """Cell -> the newest finished run whose outputs are those that the cell has now."""
    lock = {**provenance.hashes_in_lock(), **provenance.hashes_in_lock(Path("studies/dvc.lock"))}
    wanted = {cell.name: {path: lock.get(path) for path in cell.outs} for cell in cells if cell.outs}
    found: dict[str, Recorded] = {}
    for run in store.all("attributes.status = 'FINISHED'"):
        if run.cell in wanted and run.hashes(messages.OUT_TAG).items() >= wanted[run.cell].items():
            found.setdefault(run.cell, run)
    return found


def report_of(cell: graph.Cell) -> str:
    """Path of the page that the cell writes, "" if it writes none."""
    return next((f"{out}/{pages.REPORT_PAGE}" for out in cell.outs if Path(out, pages.REPORT_PAGE).is_file()), "")


def page_of(run: Recorded, artifact: str = "") -> str:
    """Address of the run's page, or of one of its artifacts, from ``#`` on: within MLflow it leads there whatever the server's address."""
    place = f"/artifactPath/{artifact}" if artifact else ""
    return f"#/experiments/{run.experiment_id}/runs/{run.run_id}{place}?{experiments.TRAINING}"


if __name__ == "__main__":
    sys.exit(main())
