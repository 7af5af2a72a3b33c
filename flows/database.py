"""MLflow's store when it is a file: several processes may meet one that is not there yet."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def store_lock(uri: str) -> Iterator[None]:
    """Let one process create a fresh SQLite database while the others wait; an existing one is opened side by side."""
    if not uri.startswith("sqlite:///"):
        yield
        return
    database = Path(uri.removeprefix("sqlite:///"))
    with database.with_name(f"{database.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH if database.exists() else fcntl.LOCK_EX)
        yield


def is_new(uri: str) -> bool:
    """Whether the store is a database file that nobody has made yet."""
    return uri.startswith("sqlite:///") and not Path(uri.removeprefix("sqlite:///")).exists()
