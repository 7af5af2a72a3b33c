"""Leads from page to page: what Prefect shows of a flow names the MLflow runs, and each run's page the flow, the commit, the report.

``python -m flows.links CELL...`` finds the run that made what each cell has now, ran it just now or long ago, tells its page where
the report is, and prints the address of its page, one cell a line. What a cell has is read from dvc.lock: a flow waits for this at its
end, and DVC's own index would take as long as MLflow.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
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
        store = Store(tracking.tracking_uri())
        found = made_by(store, outs_of(args.cells))
    except InputError as error:
        print(f"warning: {error}", file=sys.stderr, flush=True)
        return 0
    reports = {name: page_of(run, place) for name, run in found.items() if (place := report_of(run.hashes(messages.OUT_TAG)))}
    report = next(iter(reports.values()), "")
    for name, run in found.items():
        if not pages.leads_to_report(run.tags.get(experiments.NOTE_TAG, "")):  # else to the first one that it was part of
            store.describe(run, pages.note(run.run_id, run.tags, report))
        print(name, page_of(run), *([report] if name in reports else []), flush=True)
    return 0


def outs_of(cells: Sequence[str]) -> dict[str, Mapping[str, str]]:
    """Cell -> path -> hash of what DVC has of it, of those cells that have run."""
    files = sorted({cell.rpartition(":")[0] for cell in cells})
    locks = {file: provenance.outs_in_lock(Path(file or graph.MAIN_FILE).with_suffix(".lock")) for file in files}
    found = {cell: locks[cell.rpartition(":")[0]].get(cell.rpartition(":")[2], {}) for cell in cells}
    return {cell: outs for cell, outs in found.items() if outs}


def made_by(store: Store, outs: Mapping[str, Mapping[str, str]]) -> dict[str, Recorded]:
    """Cell -> the newest finished run whose outputs are those that the cell has now (path -> hash)."""
    found: dict[str, Recorded] = {}
    for run in store.all("attributes.status = 'FINISHED'"):
        if run.cell in outs and run.hashes(messages.OUT_TAG).items() >= outs[run.cell].items():
            found.setdefault(run.cell, run)
    return found


def report_of(outs: Iterable[str]) -> str:
    """Path of the page among what a cell wrote, "" if it wrote none."""
    return next((f"{out}/{pages.REPORT_PAGE}" for out in outs if Path(out, pages.REPORT_PAGE).is_file()), "")


def page_of(run: Recorded, artifact: str = "") -> str:
    """Address of the run's page, or of one of its artifacts, from ``#`` on: within MLflow it leads there whatever the server's address."""
    place = f"/artifactPath/{artifact}" if artifact else ""
    return f"#/experiments/{run.experiment_id}/runs/{run.run_id}{place}?{experiments.TRAINING}"


if __name__ == "__main__":
    sys.exit(main())
