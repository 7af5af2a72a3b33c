"""Real stages, the real recorder, a real SQLite store."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

STAGE = """
import os, signal, sys, time
from pathlib import Path
from components.config import Frozen
from flows import params, tracking

class Model(Frozen):
    d_model: int

class Sections(params.Sections):
    model: Model

with tracking.run(sys.argv[1], [], 0, Sections(model=Model(d_model=8))) as run:
    run.log_rows([{"step": step, "loss_nats": 1 / (1 + step)} for step in range(60)])
    Path("note.txt").write_text("hello")
    run.log_artifact(Path("note.txt"))
    Path("note.txt").unlink()
    if sys.argv[1] == "interrupted":
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
    if sys.argv[1] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if sys.argv[1] == "vanished":
        os.killpg(0, signal.SIGKILL)  # with its recorder, as when the machine goes down
assert "mlflow" not in sys.modules
"""


def start(name: str, folder: Path, uri: str) -> "subprocess.Popen[str]":
    folder.mkdir(exist_ok=True)
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": uri}
    return subprocess.Popen(
        [sys.executable, "-c", STAGE, name], cwd=folder, env=variables, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def reconcile(folder: Path, uri: str) -> str:
    command = [sys.executable, "-m", "flows.reconcile", "--finished"]
    variables = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": uri}
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=True).stdout


@pytest.mark.slow
@pytest.mark.pipeline
def test_four_stages_meet_a_fresh_database(tmp_path: Path) -> None:
    """One finishes, one is interrupted, one is killed, one with all it started, one does not find its server: all at once."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    stages = {name: start(name, tmp_path / name, uri) for name in ("finished", "interrupted", "killed", "vanished")}
    stages["dead"] = start("dead", tmp_path / "dead", "http://127.0.0.1:9")
    errors = {name: stage.communicate(timeout=120)[1] for name, stage in stages.items()}
    assert {name: stage.returncode for name, stage in stages.items()} == {
        "finished": 0, "interrupted": -signal.SIGINT, "killed": -signal.SIGKILL, "vanished": -signal.SIGKILL, "dead": 0,
    }  # fmt: skip
    assert errors["finished"] == ""
    assert errors["dead"].startswith("warning: MLflow failed, the next launch will tell it of this run: ")
    assert errors["dead"].count("\n") == 1

    database = sqlite3.connect(tmp_path / "mlflow.db")
    deadline = time.monotonic() + 30  # the recorder of the killed stage works on after it
    while database.execute("SELECT count(*) FROM runs WHERE status = 'RUNNING'").fetchone() != (1,) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert sorted(database.execute("SELECT name, status FROM runs")) == [
        ("finished", "FINISHED"),
        ("interrupted", "KILLED"),
        ("killed", "FAILED"),
        ("vanished", "RUNNING"),
    ]
    swept = reconcile(tmp_path / "vanished", uri)
    assert swept == "vanished: its MLflow run was left open by a process that is gone; closed as KILLED\n"
    assert reconcile(tmp_path / "dead", uri) == "dead: MLflow was not told of its run when it ran; told now\n"
    assert reconcile(tmp_path / "dead", uri) == ""
    assert not (tmp_path / "dead" / "scratch" / "untracked").exists()
    reasons = "SELECT r.name, t.value FROM tags t JOIN runs r USING (run_uuid) WHERE t.key = 'reason' ORDER BY r.name"
    assert list(database.execute(reasons)) == [
        ("interrupted", "interrupted"),
        ("killed", "the process ended without a word: killed, or out of memory"),
        ("vanished", "its process is gone: the machine went down, or everything was killed at once"),
    ]
    points = "FROM metrics m JOIN runs r USING (run_uuid) WHERE m.key = 'curve/loss_nats'"
    curves = f"SELECT r.name, count(*), max(m.step) {points} GROUP BY 1 ORDER BY 1"
    assert list(database.execute(curves)) == [(name, 60, 59) for name in ("dead", "finished", "interrupted", "killed", "vanished")]
    values = "SELECT p.value FROM params p JOIN runs r USING (run_uuid) WHERE p.key = 'model.d_model'"
    assert list(database.execute(values)) == [("8",)] * 5
    dead = "SELECT status, start_time < end_time, end_time < (SELECT max(end_time) FROM runs) FROM runs WHERE name = 'dead'"
    assert list(database.execute(dead)) == [("FINISHED", 1, 1)]  # with the times of the stage, not of the telling
    database.close()
    assert len(list(tmp_path.glob("mlartifacts/gpt-lineage/*/artifacts/note.txt"))) == 4
