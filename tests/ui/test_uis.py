"""``make ui``: both pages come up through its command, show what is in the store, and end with it."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import servers

pytestmark = [pytest.mark.ui, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

RUN = """
from components.config import Frozen
from flows import params, tracking

class Sections(params.Sections):
    pass

with tracking.run("pretrain_ladder@r1-0", [], 0, Sections()) as run:
    run.log_rows([{"step": step, "loss_nats": 1 / (1 + step)} for step in range(20)])
"""


class Interfaces:
    """Both servers as ``python -m flows.ui`` started them in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = (servers.free_port(), servers.free_port())
        hidden = ("PREFECT_", "MLFLOW_", "DVC_")
        self.variables = {name: value for name, value in os.environ.items() if not name.startswith(hidden)} | {"PYTHONPATH": str(ROOT)}
        self.command = [sys.executable, "-m", "flows.ui", "--mlflow-port", str(self.ports[0]), "--prefect-port", str(self.ports[1])]
        self.process = subprocess.Popen(
            self.command, cwd=folder, env=self.variables, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.process.stdout is not None
        self.printed = [self.process.stdout.readline() for _ in range(4)]

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=30)
        return self.process.returncode


@pytest.fixture(scope="module")
def interfaces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interfaces]:
    folder = tmp_path_factory.mktemp("ui")
    up = Interfaces(folder)
    yield up
    if up.process.poll() is None:
        up.end()


def page(url: str, folder: Path) -> str:
    """What a browser shows after its scripts have run."""
    if CHROMIUM is None:
        pytest.skip("no chromium")
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={folder}/browser"]
    command = [CHROMIUM, *flags, "--virtual-time-budget=20000", "--dump-dom", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def test_addresses_are_printed_once_they_answer(interfaces: Interfaces) -> None:
    mlflow, prefect = (f"http://127.0.0.1:{port}" for port in interfaces.ports)
    assert interfaces.printed[1:] == [f"MLflow   {mlflow}\n", f"Prefect  {prefect}\n", "Ctrl-C ends both\n"]
    assert servers.answers(f"{mlflow}/health")
    assert servers.answers(f"{prefect}/api/health")


def test_mlflow_shows_a_run(interfaces: Interfaces, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", RUN], cwd=interfaces.folder, env=interfaces.variables, check=True)
    shown = page(f"http://127.0.0.1:{interfaces.ports[0]}/#/experiments/1/runs", tmp_path)
    assert "pretrain_ladder@r1-0" in shown


def test_prefect_shows_its_pages(interfaces: Interfaces, tmp_path: Path) -> None:
    shown = page(f"http://127.0.0.1:{interfaces.ports[1]}/v2/runs", tmp_path)
    assert "Runs" in shown
    assert "Deployments" in shown


def test_a_taken_port_is_one_line(interfaces: Interfaces) -> None:
    second = subprocess.run(interfaces.command, cwd=interfaces.folder, env=interfaces.variables, capture_output=True, text=True)
    assert second.returncode == 2
    assert second.stderr == f"error: port {interfaces.ports[0]} on 127.0.0.1 is taken; end what listens there or give --mlflow-port\n"


def test_ctrl_c_ends_both(interfaces: Interfaces) -> None:
    assert interfaces.end() == 0
    assert servers.port_is_free(interfaces.ports[0])
    assert servers.port_is_free(interfaces.ports[1])
