"""Launches of flows.pipeline as processes of their own, and the Prefect server that they tell."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flows import servers
from flows.children import Children

PATIENCE_SECONDS = 90.0  # a busy machine starts a flow in 15


class Server:
    """A Prefect server, and what it knows of the last flow run."""

    def __init__(self, url: str, home: Path) -> None:
        self.api = f"{url}/api"
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "DVC_", "PYTHONPATH"))}
        self.variables = {**variables, "PREFECT_API_URL": self.api, "PREFECT_HOME": str(home), "MLFLOW_TRACKING_URI": "off"}

    def post(self, path: str, body: Any) -> Any:
        request = urllib.request.Request(f"{self.api}/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.loads(response.read() or b"null")

    def delete(self, path: str) -> None:
        with urllib.request.urlopen(urllib.request.Request(f"{self.api}/{path}", method="DELETE"), timeout=10):
            pass

    def last_run(self) -> dict[str, Any]:
        run: dict[str, Any] = self.post("flow_runs/filter", {"sort": "EXPECTED_START_TIME_DESC", "limit": 1})[0]
        return run

    def tasks(self) -> dict[str, dict[str, Any]]:
        tasks = self.post("task_runs/filter", {"flow_runs": {"id": {"any_": [self.last_run()["id"]]}}})
        return {task["name"]: task for task in tasks}

    def states(self) -> dict[str, str]:
        return {name: task["state"]["name"] for name, task in self.tasks().items()}


@contextmanager
def running(described: servers.Server, home: Path) -> Iterator["subprocess.Popen[str]"]:
    children = Children()
    with (home / "server.log").open("w", encoding="utf-8") as log:
        process = children.start(described.command, home, {**described.variables, "PREFECT_HOME": str(home)}, log)
        try:
            assert servers.wait_until_healthy(described, process), (home / "server.log").read_text(encoding="utf-8")
            yield process
        finally:
            children.stop()


def start(server: Server, folder: Path, *arguments: str, module: str = "flows.pipeline") -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=server.variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def run(server: Server, folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit status and stderr."""
    process = start(server, folder, *arguments)
    _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, errors


def wait_for(true: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (value := true()):
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.1)
    return value


def running_pid(folder: Path) -> int:
    wait_for(lambda: (folder / "pid").exists() and (folder / "pid").read_text())
    return int((folder / "pid").read_text())


def is_alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
