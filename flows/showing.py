"""What a flow shows in the Prefect UI: how far a long cell is, and at its end the results with links to MLflow and the report."""

import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect.artifacts import create_markdown_artifact, create_progress_artifact, update_progress_artifact
from prefect.client.schemas.objects import State
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from flows import graph, links, pages, tracking
from flows.children import Children

PERCENT = re.compile(r"^(?P<what>[^|]*?): +(?P<percent>\d+)%\|[^|]*\| *(?P<detail>.*)$")  # a bar of tqdm without a terminal
# Of the numbers that a cell writes: those worth a column, in this order.
RESULTS = (
    *("documents.read", "documents.kept", "train.tokens", "held_out.tokens"),
    *("loss_nats", "actual_loss_nats", "low", "high", "bits_per_byte", "bits_per_byte.target", "score", "majority"),
)


class Progress:
    """A bar in the Prefect UI for a cell that says how far it is (flows/progress.py); none for one that is done before that."""

    def __init__(self, cell: str) -> None:
        self._cell = cell
        self._bar: UUID | None = None
        self._gone = False

    def read(self, line: str) -> None:
        """A line of the cell's output."""
        found = PERCENT.match(line)
        if found is None or self._gone:
            return
        percent, said = float(found["percent"]), f"{self._cell}: {found['detail']}"
        self._gone = True
        with _server_may_be_gone():
            if self._bar is None:
                key = re.sub("[^a-z0-9]+", "-", f"progress-{self._cell.lower()}").strip("-")
                self._bar = _id(create_progress_artifact(percent, key, said))
            else:
                update_progress_artifact(self._bar, percent, said)
            self._gone = False


def results(root: Path, cells: Sequence[graph.Cell], states: Mapping[str, State[Any]], runs: Mapping[str, Sequence[str]]) -> None:
    """One table as an artifact of the flow run: each cell's state, result and MLflow run (``runs_of``), under a link to the report."""
    with _server_may_be_gone():
        rows = [_row(root, cell, str(states[cell.name].name), runs.get(cell.name, [])) for cell in cells]
        reports = [line for cell in cells if (line := _report(root, cell, runs.get(cell.name, [])))]
        head = ["| cell, its run in MLflow | state | result |", "| --- | --- | --- |"]
        counts = ", ".join(f"{sum(state.name == name for state in states.values())} {name}" for name in sorted(_names(states)))
        markdown = "\n".join([*reports, "", *head, *rows])
        create_markdown_artifact(key="results", markdown=markdown, description=f"{len(cells)} cells: {counts}")


def _names(states: Mapping[str, State[Any]]) -> set[str]:
    return {str(state.name) for state in states.values()}


def _row(root: Path, cell: graph.Cell, state: str, run: Sequence[str]) -> str:
    numbers = ", ".join(f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value:,}" for name, value in _results(root, cell))
    name = f"[{cell.name}]({pages.mlflow_page(run[0])})" if run else f"`{cell.name}`"
    return f"| {name} | {state if state == 'Completed' else f'**{state}**'} | {numbers} |"


def _results(root: Path, cell: graph.Cell) -> Iterator[tuple[str, float]]:
    for path in (root / out for out in cell.outs if out.endswith(".json")):
        with contextlib.suppress(OSError, json.JSONDecodeError):
            content = json.loads(path.read_text(encoding="utf-8"))
            values = tracking.flatten(content) if isinstance(content, dict) else {}
            yield from ((name, values[name]) for name in RESULTS if isinstance(values.get(name), int | float))


def _report(root: Path, cell: graph.Cell, run: Sequence[str]) -> str:
    """A browser opens no file from a page that a server sent, so the link leads to the copy in MLflow."""
    place = links.report_of(cell.outs)
    if not place:
        return ""
    link = f"[The report]({pages.mlflow_page(run[1])}); " if len(run) > 1 else "The report: "
    return f"{link}`{(root / place).as_uri()}`"


def runs_of(root: Path, children: Children, cells: Sequence[graph.Cell], changed: bool) -> dict[str, list[str]]:
    """Cell -> page of the run that made what it has, and of its report; asked for in a process that imports MLflow.

    None where nothing has changed and nobody will look: the server ends with the flow.
    """
    said: list[str] = []
    if tracking.tracking_uri() and (changed or "PREFECT_API_URL" in os.environ):
        children.run([sys.executable, "-m", "flows.links", *(cell.name for cell in cells)], root, {}, said.append)
    found = {cell: places.split() for cell, _, places in (line.partition(" ") for line in said)}
    return {cell.name: found[cell.name] for cell in cells if cell.name in found}


@contextlib.contextmanager
def _server_may_be_gone() -> Iterator[None]:
    """The cells are run all the same."""
    with contextlib.suppress(httpx.HTTPError), temporary_settings({PREFECT_CLIENT_MAX_RETRIES: 1}):
        yield


def _id(created: Any) -> UUID:
    assert isinstance(created, UUID)
    return created
