"""Child processes that can be ended with everything they started.

Each child leads a session of its own, so that a signal to its group reaches DVC, the shell that DVC starts, the stage
inside it, and nothing else; and so that Ctrl-C in a terminal reaches the parent alone, which then decides.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from flows.tracking import redact

GRACE_SECONDS = 5.0  # for a stage to clean up after SIGTERM, before SIGKILL


class Stopped(Exception):
    """No child may start any more."""


class Children:
    """All running children of one flow."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopped = False

    def run(self, command: Sequence[str], root: Path, variables: Mapping[str, str], on_line: Callable[[str], None]) -> int:
        """Run to the end, give each line of stdout and stderr to ``on_line`` as it comes, without passwords, and return the exit status.

        Raises:
            Stopped: ``stop`` was called before it could start.
        """
        child = self.start(command, root, variables, subprocess.PIPE)
        try:
            for line in child.stdout or ():
                on_line(redact(line.rstrip()))
            return child.wait()
        finally:
            with self._lock:
                self._running.discard(child)

    def start(
        self, command: Sequence[str], root: Path, variables: Mapping[str, str], output: int | IO[str] | None
    ) -> subprocess.Popen[str]:
        """Start a child and leave it running until ``stop``."""
        with self._lock:  # a child must not slip in between the last look of `stop` and its end
            if self._stopped:
                raise Stopped
            child = subprocess.Popen(
                command,
                cwd=root,
                env=environment(variables),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if output is not None else None,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            self._running.add(child)
            return child

    def stop(self) -> None:
        """End every child and all that it started: SIGTERM, then SIGKILL for what is left after 5 s. None can start any more."""
        with self._lock:
            self._stopped = True
            groups = [child.pid for child in self._running]
        for number in (signal.SIGTERM, signal.SIGKILL):
            for group in groups:
                _signal_group(group, number)
            deadline = time.monotonic() + GRACE_SECONDS
            while groups and time.monotonic() < deadline:
                self._reap()
                groups = [group for group in groups if _signal_group(group, 0)]
                time.sleep(0.02)

    def _reap(self) -> None:
        with self._lock:
            for child in self._running:
                child.poll()


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """This process's variables and ``variables``; ``python`` means the interpreter that runs now, as dvc.yaml's commands need."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", **variables}


def _signal_group(group: int, number: int) -> bool:
    """Whether there was still a process in the group."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True
