"""Stores elsewhere: MLflow and Prefect on PostgreSQL, DVC's remote in a folder and behind the S3 protocol; an MLflow server that dies.

The servers are real ones, started here. What is not installed is skipped with its name.
"""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows import servers
from flows.children import Children
from flows.runs import Recorded, Store

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120.0

# Says half of what it has to say, waits for the file `go`, and says the rest.
STAGE = """
import time
from pathlib import Path
from components.config import Frozen
from flows import params, tracking

class Sections(params.Sections):
    pass

with tracking.run("pretrain_ladder@r1-0", [], 0, Sections(), ["out/model"]) as run:
    run.log_rows([{"step": step, "loss_nats": 1 / (1 + step)} for step in range(50)])
    Path("out").mkdir()
    Path("out/model").write_text("weights")
    run.log_model(Path("out/model"))
    Path("half").touch()
    while not Path("go").exists():
        time.sleep(0.05)
    run.log_rows([{"step": step, "loss_nats": 1 / (1 + step)} for step in range(50, 100)])
"""
DVC_YAML = """
stages:
  corpus: {cmd: "echo text > corpus", outs: [corpus]}
  model: {cmd: "mkdir model; cp corpus model/weights", deps: [corpus], outs: [model]}
"""


def variables(**more: str) -> dict[str, str]:
    hidden = ("PREFECT_", "MLFLOW_", "DVC_", "AWS_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**kept, "PYTHONPATH": path, "DVC_NO_ANALYTICS": "1", "MLFLOW_TRACKING_URI": "off", **more}


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} was not made"
        time.sleep(0.05)


@contextmanager
def running(server: servers.Server, folder: Path, **more: str) -> Iterator["subprocess.Popen[str]"]:
    children = Children()
    with (folder / f"{server.name}.log").open("a", encoding="utf-8") as log:
        process = children.start(server.command, folder, {**variables(), **server.variables, **more}, log)
        try:
            assert servers.wait_until_healthy(server, process), (folder / f"{server.name}.log").read_text(encoding="utf-8")
            yield process
        finally:
            children.stop()


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    """Address of a server of its own, with the user `lineage` and databases `mlflow` and `prefect`."""
    places = os.pathsep.join([os.environ["PATH"], *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin")))])
    initdb, server = (shutil.which(name, path=places) for name in ("initdb", "postgres"))
    if initdb is None or server is None:
        pytest.skip("no PostgreSQL server on this system (Debian: apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="lineage-pg-", dir="/tmp"))  # the user postgres must be able to reach it
    user = "postgres" if os.getuid() == 0 else None  # it refuses to run as root
    if user:
        shutil.chown(folder, user)
    data, port = folder / "data", servers.free_port()
    options = {"cwd": folder, "user": user, "stdout": subprocess.DEVNULL}
    initialise = [initdb, "--username", "lineage", "--auth", "trust", "--no-sync", "--encoding", "UTF8", "--pgdata", str(data)]
    subprocess.run(initialise, check=True, **options)  # type: ignore[call-overload]
    command = [server, "-D", str(data), "-p", str(port), "-h", servers.HOST, "-k", str(folder), "-F"]
    with (folder / "log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, cwd=folder, user=user, stdout=log, stderr=log)
    try:
        client = [str(Path(server).resolve().with_name("psql")), "-h", servers.HOST, "-p", str(port), "-U", "lineage", "postgres"]
        create = [*client, "--quiet", "-c", "CREATE DATABASE mlflow", "-c", "CREATE DATABASE prefect"]
        deadline = time.monotonic() + PATIENCE_SECONDS
        while subprocess.run(create, capture_output=True).returncode != 0:
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.2)
        yield f"lineage@{servers.HOST}:{port}"
    finally:
        process.send_signal(signal.SIGINT)  # it ends at once, whoever is connected
        process.wait()
        shutil.rmtree(folder)


def start_stage(folder: Path, uri: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", STAGE]
    return subprocess.Popen(command, cwd=folder, env=variables(MLFLOW_TRACKING_URI=uri), stderr=subprocess.PIPE, text=True)


def the_run(uri: str) -> tuple[Store, Recorded]:
    store = Store(uri)
    [run] = store.all("")
    return store, run


def test_mlflow_on_postgresql(tmp_path: Path, postgresql: str) -> None:
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("psycopg is not installed")
    server = servers.mlflow(servers.free_port(), f"postgresql://{postgresql}/mlflow")
    (tmp_path / "go").touch()
    with running(server, tmp_path):
        _, errors = start_stage(tmp_path, server.url).communicate(timeout=PATIENCE_SECONDS)
        assert errors == ""
        store, run = the_run(server.url)
        assert (run.cell, run.status) == ("pretrain_ladder@r1-0", "FINISHED")
        assert len(store.curves(run)["curve/loss_nats"]) == 100
        model = store.file(run, "model/model", tmp_path / "out")
        assert model is not None and model.read_text() == "weights"


def test_an_mlflow_server_that_dies_in_mid_run_loses_nothing(tmp_path: Path) -> None:
    server = servers.mlflow(servers.free_port(), f"sqlite:///{tmp_path}/mlflow.db")
    with running(server, tmp_path) as process:
        stage = start_stage(tmp_path, server.url)
        wait_for(tmp_path / "half")
        process.kill()
    (tmp_path / "go").touch()
    _, errors = stage.communicate(timeout=PATIENCE_SECONDS)
    assert stage.returncode == 0
    assert errors.startswith("warning: MLflow failed, the next launch will tell it of this run: ")
    assert errors.count("\n") == 1

    def reconcile() -> str:
        command = [sys.executable, "-m", "flows.reconcile", "--finished"]
        environment = variables(MLFLOW_TRACKING_URI=server.url)
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout

    assert reconcile().startswith(f"warning: {server.url}: no runs can be read")
    with running(server, tmp_path):
        before = the_run(server.url)[1]
        assert before.status == "RUNNING"
        assert reconcile() == "pretrain_ladder@r1-0: MLflow was not told of its run when it ran; told now\n"
        store, run = the_run(server.url)
        assert (run.run_id, run.status) == (before.run_id, "FINISHED")
        assert [step for step, _ in store.curves(run)["curve/loss_nats"]] == list(range(100))


def repository(folder: Path) -> Path:
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], cwd=folder, check=True)
    (folder / "dvc.yaml").write_text(DVC_YAML, encoding="utf-8")
    return folder


def test_prefect_on_postgresql(tmp_path: Path, postgresql: str) -> None:
    server = servers.prefect(servers.free_port())
    database = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://{postgresql}/prefect", "PREFECT_HOME": str(tmp_path)}
    folder = repository(tmp_path / "repository")
    with running(server, tmp_path, **database):
        command = [sys.executable, "-m", "flows.pipeline"]
        environment = variables(**{**server.variables, "PREFECT_HOME": str(tmp_path)})
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        assert done.returncode == 0, done.stderr
    assert (folder / "model" / "weights").exists()
    port = postgresql.rpartition(":")[2]
    query = ["psql", "-h", servers.HOST, "-p", port, "-U", "lineage", "-d", "prefect", "-tAc"]
    states = subprocess.run([*query, "SELECT state_type, count(*) FROM flow_run GROUP BY 1"], capture_output=True, text=True, check=True)
    assert states.stdout == "COMPLETED|1\n"
    assert not list(tmp_path.glob("*.db"))


def round_trip(folder: Path, url: str, environment: dict[str, str], *settings: tuple[str, str]) -> None:
    """What one clone has made and pushed, a clone without a cache gets, and runs nothing."""

    def dvc(*arguments: str) -> str:
        command = [sys.executable, "-m", "dvc", *arguments]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        assert done.returncode == 0, done.stderr
        return done.stdout

    dvc("remote", "add", "--default", "store", url)
    for name, value in settings:
        dvc("remote", "modify", "store", name, value)
    dvc("repro")
    dvc("push")
    for path in (".dvc/cache", "model"):
        shutil.rmtree(folder / path)
    (folder / "corpus").unlink()
    dvc("pull")
    assert (folder / "model" / "weights").read_text() == "text\n"
    assert json.loads(dvc("status", "--json")) == {}


def test_a_dvc_remote_in_a_folder(tmp_path: Path) -> None:
    round_trip(repository(tmp_path / "repository"), str(tmp_path / "remote"), variables())


def test_a_dvc_remote_that_speaks_s3(tmp_path: Path) -> None:
    for package in ("dvc_s3", "moto", "flask", "flask_cors"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
    port = servers.free_port()
    command = (sys.executable, "-m", "moto.server", "-H", servers.HOST, "-p", str(port))
    server = servers.Server("s3", "S3", port, command, {}, "/moto-api/", "")
    with running(server, tmp_path):
        environment = variables(**credentials)
        create = f"import boto3; boto3.client('s3', endpoint_url={server.url!r}).create_bucket(Bucket='lineage')"
        subprocess.run([sys.executable, "-c", create], env=environment, check=True)
        round_trip(repository(tmp_path / "repository"), "s3://lineage/data", environment, ("endpointurl", server.url))
