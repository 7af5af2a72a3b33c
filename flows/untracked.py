"""What MLflow did not take: one file a run in ``scratch/untracked``, with all that its stage said, from which it is told later.

A recorder (flows/recorder.py) holds a lock on its file while it writes, so that nobody tells MLflow half of a run.
"""

import contextlib
import fcntl
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from flows import tracking


def folder() -> Path:
    """Where the files lie; it is there only while something is kept."""
    return tracking.repository() / "scratch" / "untracked"


def pending() -> list[Path]:
    """Files of runs that MLflow has not been told of."""
    return sorted(folder().glob("*.jsonl"))


class Journal:
    """What one stage said so far: in memory, and in a file once it has to be kept."""

    def __init__(self) -> None:
        self._said: list[dict[str, Any]] = []
        self._file: IO[str] | None = None

    @property
    def is_kept(self) -> bool:
        """Whether it is written to a file, because MLflow did not take it."""
        return self._file is not None

    def add(self, message: dict[str, Any]) -> None:
        """A message of the stage; OSError where a file cannot be written."""
        self._said.append(message)
        if self._file is not None:
            self._write()

    def keep(self, run_id: str | None) -> None:
        """Write what was said, and from now on each message; ``run_id`` of the run that MLflow has begun, if any."""
        folder().mkdir(parents=True, exist_ok=True)
        self._file = (folder() / f"{uuid.uuid4().hex}.jsonl").open("w", encoding="utf-8")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        opening = {name: value for name, value in self._said[0].items() if name != "uri"}  # it may hold a password
        self._said[0] = {**opening, "run_id": run_id}
        self._write()

    def _write(self) -> None:
        assert self._file is not None
        self._file.writelines(json.dumps(message) + "\n" for message in self._said)
        self._file.flush()
        self._said = []


@contextlib.contextmanager
def taken(path: Path) -> Iterator[list[dict[str, Any]]]:
    """The messages in a file, none if somebody else works on it. It is removed unless the block raises."""
    try:
        with path.open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not path.exists():  # told by another launch just now
                yield []
                return
            yield _whole(file)
            path.unlink()
    except (FileNotFoundError, BlockingIOError):
        yield []
    with contextlib.suppress(OSError):
        folder().rmdir()


def _whole(file: IO[str]) -> list[dict[str, Any]]:
    """Messages up to the first that is cut off: the machine went down."""
    messages: list[dict[str, Any]] = []
    for line in file:
        try:
            messages.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return messages
