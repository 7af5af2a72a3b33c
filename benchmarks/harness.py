"""The one form of every benchmark: rows of us against a named peer, interleaved, medians, one verdict each.

    what                                     ours     peer   ratio  at least
    first step of a training process       2.61 s   5.40 s    2.07      1.50  ok     peer: lightning as it comes

``ratio`` is the peer's median over ours where less is better (seconds), and ours over the peer's where more is better.
"""

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from flows import servers
from flows.children import Children

RESULTS = Path(__file__).parent / "results"
AUTHOR = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@example.org")


@dataclass(frozen=True)
class Row:
    """One comparison."""

    what: str
    peer: str
    unit: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...]
    at_least: float
    less_is_better: bool = True

    @property
    def ratio(self) -> float:
        """How many times better we are, of the medians."""
        ours, theirs = median(self.ours), median(self.theirs)
        return theirs / ours if self.less_is_better else ours / theirs

    @property
    def ok(self) -> bool:
        """Whether it is as much better as it has to be."""
        return self.ratio >= self.at_least


def compare(what: str, ours: Callable[[], float], peer: str, theirs: Callable[[], float], at_least: float, repeats: int) -> Row:
    """Measure both in turn, so that a busy moment meets both, and print the row.

    Args:
        what: what is measured.
        ours: measures us once [s].
        peer: name of the peer.
        theirs: measures the peer once [s].
        at_least: the ratio below which the row falls short.
        repeats: how often each is measured.
    """
    pairs = [(ours(), theirs()) for _ in range(repeats)]
    row = Row(what, peer, "s", tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs), at_least)
    show(row)
    return row


def show(row: Row) -> None:
    """One line."""
    ours, theirs = (f"{median(values):.3g} {row.unit}" for values in (row.ours, row.theirs))
    verdict = "ok" if row.ok else "SHORT"
    print(f"{row.what:<44} {ours:>9} {theirs:>9} {row.ratio:>7.2f} {row.at_least:>9.2f}  {verdict:<5}  peer: {row.peer}", flush=True)


def heading() -> None:
    """The names of the columns."""
    print(f"{'what':<44} {'ours':>9} {'peer':>9} {'ratio':>7} {'at least':>9}", flush=True)


def finish(name: str, rows: Sequence[Row]) -> int:
    """Write ``results/NAME.json``; exit status 1 when a row falls short."""
    RESULTS.mkdir(exist_ok=True)
    written = {"machine": machine(), "rows": [{**asdict(row), "ratio": row.ratio, "ok": row.ok} for row in rows]}
    (RESULTS / f"{name}.json").write_text(json.dumps(written, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return 0 if all(row.ok for row in rows) else 1


def machine() -> dict[str, object]:
    """What figures are of."""
    return {
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def seconds(command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> float:
    """Wall time of a child process, which must succeed."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env={**os.environ, **variables}, capture_output=True, text=True)
    elapsed = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"error: {' '.join(command)} ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
    return elapsed


@contextmanager
def repository_beside_prefect(folder: Path, files: Mapping[str, str]) -> Iterator[tuple[Path, dict[str, str]]]:
    """A fresh git and DVC repository of ``files``, name -> content; variables of a Prefect server and an MLflow store of its own."""
    repository, home, server = folder / "repository", folder / "prefect", servers.prefect(servers.free_port())
    top = str(Path(__file__).parents[1])
    variables = {**server.variables, "PREFECT_HOME": str(home), "PYTHONPATH": top, "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
    home.mkdir()
    repository.mkdir()
    for name, content in files.items():
        (repository / name).write_text(content, encoding="utf-8")
    make = (["git", "init", "--quiet"], [sys.executable, "-m", "dvc", "init", "--quiet"], ["git", "add", "-A"])
    for command in (*make, ["git", *AUTHOR, "commit", "--quiet", "--message", "made by a benchmark"]):
        seconds(command, repository, variables)
    children = Children()
    try:
        with (folder / "server.log").open("w", encoding="utf-8") as log:
            process = children.start(server.command, folder, variables, log)
            if not servers.wait_until_healthy(server, process):
                sys.exit("error: the Prefect server did not start")
            yield repository, variables
    finally:
        children.stop()


def require_peers(*packages: str) -> None:
    """End with one line unless all are installed: the main install does without them."""
    if missing := [package for package in packages if importlib.util.find_spec(package) is None]:
        sys.exit(
            f"error: {', '.join(missing)} not installed; run .venv/bin/pip install --upgrade pip, then .venv/bin/pip install --group bench"
        )


def is_quick(description: str | None) -> bool:
    """Whether ``--quick`` was given: fewer repeats, within five minutes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="fewer repeats; within five minutes")
    return bool(parser.parse_args().quick)
