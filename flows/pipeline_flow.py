"""The Prefect flow: one task for each cell of dvc.yaml, in DVC's order, N at once.

DVC decides whether a cell runs, Prefect when; there is no Prefect result cache, for two caches will disagree. A task is
submitted only when all that it needs is done and a worker is free, so that "Running" in the UI means running.
"""

import contextlib
import logging
import os
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prefect import flow, get_client, get_run_logger, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import State, StateType
from prefect.exceptions import ObjectAlreadyExists
from prefect.futures import PrefectFuture
from prefect.states import Completed, Crashed

from flows import database, forms, gpus, graph, provenance, recording, schema, showing, tracking, untracked
from flows.children import Children, Stopped

RETRY_DELAY_SECONDS = 2.0
# DVC's advice about git, the same after every cell.
ADVICE = (
    "To track the changes with git, run:",
    "\tgit add ",
    "To enable auto staging, run:",
    "\tdvc config core.autostage",
    "Use `dvc push`",
)


SKIPPED = "didn't change, skipping"  # as DVC says it
RESTORED = "is cached - skipping run"  # also DVC's: it has run before on the same, and its outputs came from the cache
BUSY = "is busy, it is being blocked by"  # DVC does not wait for a cell that another process runs
BUSY_SECONDS = 3.0
KEPT_LINES = 200  # of the output of a cell


@dataclass(frozen=True)
class Place:
    """Where cells run."""

    root: Path
    """Top folder of the repository."""
    children: Children
    """Where their processes are registered, to be ended with the flow."""
    variables: Mapping[str, str]
    """Of their processes."""


class CellFailed(Exception):
    """A cell ended with an exit status that is not zero."""


def _without_traceback(record: logging.LogRecord) -> bool:
    """A cell that failed has said why; the lines of Prefect's that it passed through would hide it."""
    if record.exc_info and isinstance(record.exc_info[1], CellFailed):
        record.exc_info = None
    return True


@flow(name="pipeline", persist_result=False)
def pipeline(
    targets: forms.Targets = (),
    workers: forms.Workers = 2,
    retries: forms.Retries = 0,
    budget_hours: forms.Hours = None,
) -> list[State[Any]]:
    """Run what DVC says has changed, cell by cell.

    Args:
        targets: stages or cells to bring up to date, with all that they need; none for everything.
        workers: how many cells may run at once.
        retries: how often to try a failed cell again.
        budget_hours: start nothing if it may take longer, as the flow `quote` tells; none for no limit.
    """
    root = Path.cwd()
    logging.getLogger("prefect.task_runs").addFilter(_without_traceback)  # a second time adds nothing
    crash_those_without_process()
    loaded = graph.load(root)
    cells = loaded.cells(targets)
    schema.check_before(cell.command for cell in cells)
    if budget_hours is not None:
        from flows import quote

        quote.refuse_above(budget_hours, targets, workers)
    changed = loaded.changed([cell.name for cell in cells])
    get_run_logger().info("%d cells, %d of them changed", len(cells), len(changed))
    children, beside = Children(), ThreadPoolExecutor(1)
    try:
        # Where MLflow has all that there is, its 4 s, most of such a launch, need wait for nothing.
        incomplete = changed or untracked.pending() or database.is_new(tracking.tracking_uri())
        found = None if incomplete else beside.submit(showing.runs_of, root, children, cells, False)
        finished = [cell.name for cell in cells if cell.name not in changed]
        with _reconciling(root, children, finished, bool(changed)), _recording(root, children, bool(changed)) as variables:
            _offer_gpu_slots([cell for cell in cells if cell.name in changed])
            states = _Schedule(Place(root, children, variables), changed, workers, retries).run(cells)
    except BaseException:  # Ctrl-C, SIGTERM, cancelled in the UI
        children.stop()
        raise
    showing.results(root, cells, states, found.result() if found else showing.runs_of(root, children, cells, bool(changed)))
    return list(states.values())  # states, not data: a flow that returns data ends Completed whatever failed


def crash_those_without_process() -> None:
    """What a killed process left Running in Prefect's database is marked Crashed: runs of this host whose process is gone."""
    left_open = FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.CANCELLING])
    message = "its process is gone: the machine went down, or everything was killed at once"
    with get_client(sync_client=True) as client:
        client.update_flow_run_labels(runtime.flow_run.id, {tracking.PROCESS_TAG: provenance.process(os.getpid())})
        for run in client.read_flow_runs(flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=left_open))):
            if not provenance.is_gone(str(run.labels.get(tracking.PROCESS_TAG, ""))):
                continue
            client.set_flow_run_state(run.id, Crashed(message=message), force=True)
            for cell in client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))):
                if cell.state is not None and not cell.state.is_final():
                    client.set_task_run_state(cell.id, Crashed(message=message), force=True)


@contextlib.contextmanager
def _reconciling(root: Path, children: Children, finished: Sequence[str], changed: bool) -> Iterator[None]:
    """MLflow is brought in line beside the cells, in a process of its own (its import takes seconds), if there may be a need."""
    log = get_run_logger()

    def reconcile(*cells: str) -> None:
        command = [sys.executable, "-m", "flows.reconcile", "--finished", *cells]
        with contextlib.suppress(Stopped):
            children.run(command, root, {}, lambda line: log.info("%s", line))

    uri = tracking.tracking_uri()
    wanted = uri and (changed or untracked.pending() or (finished and database.is_new(uri)))
    beside = threading.Thread(target=reconcile, args=finished)
    if wanted:
        beside.start()
    yield
    if wanted:
        beside.join()
    if uri and untracked.pending():  # MLflow may be back by now
        reconcile()


@contextlib.contextmanager
def _recording(root: Path, children: Children, changed: bool) -> Iterator[Mapping[str, str]]:
    """Variables for the cells: which flow they belong to, and where what they say to MLflow is written down."""
    log = get_run_logger()
    of_flow = {tracking.FLOW_RUN_VARIABLE: str(runtime.flow_run.id or "")}
    if not (changed and tracking.tracking_uri()):
        yield of_flow
        return
    with recording.shared(root, children, lambda line: log.warning("%s", line)) as variables:
        yield {**of_flow, **variables}


def _offer_gpu_slots(cells: Sequence[graph.Cell]) -> None:
    """The concurrency limit of the cells that compute on a GPU of this machine: one for each GPU, unless somebody has set another."""
    name, slots = f"tag:{gpus.tag()}", len(gpus.visible())
    if not slots or not any(map(gpus.needed, cells)):
        return
    with get_client(sync_client=True) as client, contextlib.suppress(ObjectAlreadyExists):
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=slots))


class _Schedule:
    """Keeps every worker busy with the cells that are ready, first those with the longest chain behind them."""

    def __init__(self, place: "Place", changed: set[str], workers: int, retries: int) -> None:
        self._place, self._changed, self._workers, self._retries = place, changed, workers, retries
        self._futures: dict[str, PrefectFuture[Any]] = {}
        self._states: dict[str, State[Any]] = {}
        self._done: queue.SimpleQueue[graph.Cell] = queue.SimpleQueue()

    def run(self, cells: Sequence[graph.Cell]) -> dict[str, State[Any]]:
        waiting, free = list(cells), self._workers
        while len(self._states) < len(cells):
            ready = [cell for cell in waiting if all(name in self._states for name in cell.upstream)]
            for cell in ready[:free]:
                waiting.remove(cell)
                free -= 1
                self._submit(cell)
            cell = self._done.get()
            free += 1
            self._futures[cell.name].wait()
            self._states[cell.name] = self._futures[cell.name].state
        return {cell.name: self._states[cell.name] for cell in cells}

    def _submit(self, cell: graph.Cell) -> None:
        upstream = [self._states[name] for name in cell.upstream]
        may_skip = cell.name not in self._changed and all(state.name == "Cached" for state in upstream)
        count = 0 if may_skip else gpus.needed(cell)
        tags = [gpus.tag()] if count else []
        named = run_cell.with_options(name=cell.name, task_run_name=cell.name, retries=self._retries, tags=tags)
        wait_for = [self._futures[name] for name in cell.upstream]
        future = named.submit(cell.name, may_skip, count, self._place, wait_for=wait_for, return_state=False)
        self._futures[cell.name] = future
        future.add_done_callback(lambda _: self._done.put(cell))


@task(cache_policy=NO_CACHE, persist_result=False, retry_delay_seconds=RETRY_DELAY_SECONDS)
def run_cell(name: str, may_skip: bool, count: int, place: Place) -> State[Any] | None:
    """Bring one cell up to date through DVC; its lines go to the log of the task.

    Args:
        name: address in dvc.yaml.
        may_skip: the cell was up to date before the flow began and nothing upstream has run since.
        count: GPUs that it needs.
        place: where it runs.

    Raises:
        CellFailed: DVC or the stage ended with a status other than 0.
    """
    log = get_run_logger()
    if may_skip:
        return _cached()
    while True:
        with gpus.taken(count) as shown:
            status, lines = _repro(name, place, shown, log.info)
        if status == 0:
            return _without_run(lines)
        if not any(BUSY in line for line in lines):
            raise CellFailed(f"{name}: exit status {status}: {_telling(lines)}")
        log.info("another process is at this cell, as DVC says; waiting for it")
        time.sleep(BUSY_SECONDS)


def _without_run(lines: Sequence[str]) -> State[Any] | None:
    """How a cell ended that DVC did not run; None for one that it did. What follows one that was restored may have to run."""
    if any(SKIPPED in line for line in lines):
        return _cached()
    if any(RESTORED in line for line in lines):
        return Completed(name="Restored", message="DVC: it has run before on the same, its outputs are from the cache")
    return None


def _cached() -> State[Any]:
    return Completed(name="Cached", message="DVC: nothing that this cell reads has changed")


def _repro(name: str, place: Place, variables: Mapping[str, str], say: Callable[[str, str], None]) -> tuple[int, Sequence[str]]:
    """Exit status of DVC and its last lines."""
    lines: deque[str] = deque(maxlen=KEPT_LINES)
    progress = showing.Progress(name)

    def on_line(line: str) -> None:
        lines.append(line)
        progress.read(line)
        if line and not line.startswith(ADVICE):
            say("%s", line)

    command = [sys.executable, "-m", "flows.repro", name]
    return place.children.run(command, place.root, {**place.variables, **variables}, on_line), lines


def _telling(lines: Sequence[str]) -> str:
    return next((line for line in reversed(lines) if line.startswith("error:")), lines[-1] if lines else "")
