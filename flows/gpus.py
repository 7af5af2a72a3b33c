"""A GPU of this machine for one cell at a time, whichever flow it belongs to: a lock on a file for each, given back by any death.

How many cells may use GPUs at once is a Prefect concurrency limit beside it, ``tag:gpu-HOST``, which the UI shows and may lower.
"""

import contextlib
import fcntl
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from components.errors import InputError
from flows import graph, provenance, quote_history

WAIT_SECONDS = 0.5


def tag() -> str:
    """Of a cell that computes on a GPU here."""
    return f"gpu-{platform.node()}"


def visible() -> list[str]:
    """Names of the GPUs that may be used: ``CUDA_VISIBLE_DEVICES``, else all of this machine by their number."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [name.strip() for name in chosen.split(",") if name.strip()]
    return [str(number) for number in range(len(provenance.cards()))]


def needed(cell: graph.Cell) -> int:
    """GPUs that the cell computes on at once, as params.yaml has it now; 0 for a cell on the CPU."""
    if not quote_history.module_of(cell.command).startswith(quote_history.STAGES):
        return 0
    try:
        compute = getattr(quote_history.cell_sections(cell.command)[0], "compute", None)
    except InputError:
        return 0  # the stage will say it
    return int(compute.devices) if compute is not None and compute.accelerator == "gpu" else 0


@contextlib.contextmanager
def taken(count: int) -> Iterator[dict[str, str]]:
    """The variables that show a process ``count`` GPUs which no other cell has; waits for them. None where so many are not here."""
    names = visible()
    if not count or count > len(names):
        yield {}
        return
    with contextlib.ExitStack() as held:
        while len(free := _lock(names, count, held)) < count:
            held.close()  # two cells that each hold one of two would wait for ever
            time.sleep(WAIT_SECONDS)
        yield {"CUDA_VISIBLE_DEVICES": ",".join(free)}


def _lock(names: list[str], count: int, held: contextlib.ExitStack) -> list[str]:
    locked: list[str] = []
    for name in names:
        file: IO[str] = (Path(tempfile.gettempdir()) / f"gpt-lineage-gpu-{name.replace('/', '-')}-{os.getuid()}.lock").open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            continue
        held.enter_context(file)
        locked.append(name)
        if len(locked) == count:
            break
    return locked
