"""The local servers of MLflow and Prefect: how to start them and where they are. Both listen on loopback alone."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HOST = "127.0.0.1"
MLFLOW_PORT = 5000
PREFECT_PORT = 4200
START_SECONDS = 180.0  # a first start migrates a database: 15 to 30 s on a busy machine


@dataclass(frozen=True)
class Server:
    """One server process."""

    name: str
    title: str
    port: int
    command: tuple[str, ...]
    variables: Mapping[str, str]
    health: str
    """Path that answers 200 once it can be used."""
    hint: str
    """For whoever opens its pages."""

    @property
    def url(self) -> str:
        """Address of its pages."""
        return f"http://{HOST}:{self.port}"


def mlflow(port: int = MLFLOW_PORT, store: str = "sqlite:///mlflow.db") -> Server:
    """MLflow over ``store``. One worker, no background jobs: it serves one person."""
    command = (sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1")
    hint = "  (choose Model training at the top left, once: it opens with pages for agents, which are empty)"
    variables = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    return Server("mlflow", "MLflow", port, (*command, "--backend-store-uri", store), variables, "/health", hint)


def prefect(port: int = PREFECT_PORT) -> Server:
    """Prefect over the database in ``PREFECT_HOME``."""
    mended = Path(__file__).with_name("prefect_server.py")
    command = (sys.executable, "-P", str(mended), "server", "start", "--host", HOST, "--port", str(port))  # -P: flows/ holds no packages
    return Server("prefect", "Prefect", port, command, {"PREFECT_API_URL": f"http://{HOST}:{port}/api"}, "/api/health", "")


def use_own_prefect_home() -> None:
    """Keep Prefect's database in ``.prefect/`` here, not in the home folder, unless the user has set ``PREFECT_HOME``."""
    os.environ.setdefault("PREFECT_HOME", str(Path.cwd() / ".prefect"))


def use_running_prefect() -> None:
    """Let this process use the server of ``make ui`` if it runs; else Prefect starts one for the length of the flow.

    A ``PREFECT_API_URL`` that the user has set is kept. Both servers keep their runs in the same database. Prefect's own patience with the
    latter, 20 s, is less than a first start takes on a busy machine.
    """
    use_own_prefect_home()
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", f"{START_SECONDS:.0f}")
    if "PREFECT_API_URL" not in os.environ and answers(prefect().url + prefect().health):
        os.environ["PREFECT_API_URL"] = f"{prefect().url}/api"


def wait_until_healthy(server: Server, child: "subprocess.Popen[str]") -> bool:
    """Wait for the server to answer; False when it has ended, or does not within three minutes."""
    deadline = time.monotonic() + START_SECONDS
    while child.poll() is None and time.monotonic() < deadline:
        if answers(server.url + server.health):
            return True
        time.sleep(0.1)
    return False


def answers(url: str) -> bool:
    """Whether a server answers there within a second."""
    try:
        with urllib.request.urlopen(url, timeout=1.0) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def port_is_free(port: int) -> bool:
    """Whether a server could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: an ended connection does not count
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
