"""flows.pipeline as its users run it: a process of its own, a small DVC repository, a Prefect server that only the tests use."""

import copy
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.errors import InputError
from flows import gpus, graph, params, servers
from flows.children import Children
from tests.pipeline.launches import PATIENCE_SECONDS, Server, is_alive, run, running, running_pid, start, wait_for

pytestmark = pytest.mark.pipeline
ROOT = Path(__file__).parents[2]

DIAMOND = """
stages:
  corpus: {cmd: "echo one line of corpus; echo corpus >> order; echo text > corpus", outs: [corpus]}
  rung:
    matrix: {size: [s, m]}
    cmd: "echo rung >> order; cat corpus > rung-${item.size}"
    deps: [corpus]
    outs: ["rung-${item.size}"]
  report:
    cmd: "echo report >> order; mkdir page; cat rung-s rung-m > page/index.html"
    deps: [rung-s, rung-m]
    outs: [page]
"""

# `bad` fails at once and for good; `flaky` once; `sibling` is still running when `bad` fails.
FAILING = """
stages:
  bad: {cmd: "echo 'error: this cell is broken' >&2; exit 3", outs: [x]}
  after: {cmd: "cp x y", deps: [x], outs: [y]}
  flaky: {cmd: "test -e tried || { touch tried; exit 1; }; echo 1 > z", outs: [z]}
  sibling: {cmd: "sleep 3; echo 1 > s", outs: [s]}
"""

# Long enough for a second launch to meet the first at every cell.
SHARED = """
stages:
  cell:
    matrix: {seed: [0, 1]}
    cmd: "echo cell-${item.seed} >> order; sleep 4; echo 1 > cell-${item.seed}"
    outs: ["cell-${item.seed}"]
"""

# A list of commands: the first says which stage it is, the second tells which GPU it was shown.
ON_GPUS = """
stages:
  cell:
    matrix: {seed: [0, 1, 2]}
    cmd:
    - python -m flows.stages.evaluate_model --help > help-${item.seed}
    - "echo start $CUDA_VISIBLE_DEVICES >> log; sleep 2; echo end $CUDA_VISIBLE_DEVICES >> log; echo 1 > cell-${item.seed}"
    outs: ["cell-${item.seed}"]
"""

ONE_PARAMETER = """
stages:
  cell:
    matrix: {seed: [0, 1, 2]}
    cmd: "echo 1 > cell-${item.seed}"
    params: [a]
    outs: ["cell-${item.seed}"]
"""

# `slow` sleeps while the file `wait` is there; its grandchild does not end on SIGTERM.
SLOW = """
stages:
  slow: {cmd: "python slow.py; echo 1 > w", outs: [w]}
  next: {cmd: "cp w v", deps: [w], outs: [v]}
"""
SLOW_SCRIPT = """
import os, pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path("pid").write_text(str(os.getpid()))
while pathlib.Path("wait").exists():
    time.sleep(0.1)
"""


@pytest.fixture(scope="session")
def empty_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("empty")
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], cwd=folder, check=True)
    for package in ("components", "flows"):
        (folder / package).symlink_to(ROOT / package)
    return folder


@pytest.fixture
def repository(empty_repository: Path, tmp_path: Path) -> Callable[[str], Path]:
    def make(dvc_yaml: str) -> Path:
        folder = tmp_path / "repository"
        shutil.copytree(empty_repository, folder, symlinks=True)
        (folder / "dvc.yaml").write_text(dvc_yaml, encoding="utf-8")
        (folder / "slow.py").write_text(SLOW_SCRIPT, encoding="utf-8")
        return folder

    return make


def test_cells_run_in_order_and_a_second_time_none_does(server: Server, repository: Callable[[str], Path]) -> None:
    folder = repository(DIAMOND)
    assert run(server, folder, "--workers", "2")[0] == 0
    assert (folder / "order").read_text().split() == ["corpus", "rung", "rung", "report"]
    tasks = server.tasks()
    assert server.states() == dict.fromkeys(["corpus", "rung@s", "rung@m", "report"], "Completed")
    upstream = {parent["id"] for parent in tasks["report"]["task_inputs"]["wait_for"]}
    assert upstream == {tasks["rung@s"]["id"], tasks["rung@m"]["id"]}

    lines = [log["message"] for log in server.post("logs/filter", {"logs": {"task_run_id": {"any_": [tasks["corpus"]["id"]]}}})]
    assert "one line of corpus" in lines
    assert not [line for line in lines if "git add" in line]
    artifacts = server.post("artifacts/filter", {"artifacts": {"flow_run_id": {"any_": [server.last_run()["id"]]}}})
    assert f"The report: `file://{folder}/page/index.html`" in artifacts[0]["data"]
    assert artifacts[0]["description"] == "4 cells: 4 Completed"

    for no_op in ("from flows import pipeline; status = pipeline.main([])", "from dvc.cli import main; status = main(['repro'])"):
        code = f"import sys; {no_op}; print(status, *{{'torch', 'lightning', 'mlflow'}} & {{*sys.modules}})"
        again = subprocess.run([sys.executable, "-c", code], cwd=folder, env=server.variables, capture_output=True, text=True, check=True)
        assert again.stdout.splitlines()[-1] == "0"
    assert set(server.states().values()) == {"Cached"}
    assert len((folder / "order").read_text().split()) == 4

    (folder / "rung-m").unlink()  # DVC has it in its cache: it checks it out and runs nothing
    (folder / "dvc.yaml").write_text(DIAMOND.replace("cat rung-s rung-m", "cat rung-m rung-s"), encoding="utf-8")
    assert run(server, folder, "report")[0] == 0
    assert (folder / "order").read_text().split()[4:] == ["report"]
    assert server.states() == {"corpus": "Cached", "rung@s": "Cached", "rung@m": "Restored", "report": "Completed"}


def test_siblings_of_a_failed_cell_finish_and_the_flow_fails(server: Server, repository: Callable[[str], Path]) -> None:
    folder = repository(FAILING)
    status, errors = run(server, folder, "--workers", "3", "--retries", "1")
    assert status == 1
    assert errors.splitlines()[-1].startswith("error: bad: exit status 255: error: this cell is broken")
    assert "Traceback" not in errors
    assert server.states() == {"bad": "Failed", "after": "NotReady", "flaky": "Completed", "sibling": "Completed"}
    assert server.last_run()["state"]["type"] == "FAILED"
    assert {name: task["run_count"] for name, task in server.tasks().items()} == {"bad": 2, "after": 0, "flaky": 2, "sibling": 1}
    assert (folder / "s").exists()
    assert (folder / "z").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminated"])
def test_an_interrupted_flow_leaves_no_process_and_can_go_on(
    server: Server, repository: Callable[[str], Path], number: signal.Signals
) -> None:
    folder = repository(SLOW)
    (folder / "wait").touch()
    flow = start(server, folder)
    pid = running_pid(folder)
    flow.send_signal(number)
    _, errors = flow.communicate(timeout=PATIENCE_SECONDS)
    assert flow.returncode in (130, 143, -number), errors
    assert not is_alive(pid)
    assert server.last_run()["state"]["type"] in ("CRASHED", "CANCELLED")

    if number == signal.SIGINT:  # the lock and the graph are as after the other
        (folder / "wait").unlink()
        assert run(server, folder)[0] == 0
        assert server.states() == {"slow": "Completed", "next": "Completed"}


def test_a_schedule_fires_and_what_it_runs_can_be_cancelled(server: Server, repository: Callable[[str], Path]) -> None:
    """tests/ui fills in the forms."""
    folder = repository(SLOW)
    (folder / "wait").touch()
    serving = Children()
    with (folder / "serve.log").open("w", encoding="utf-8") as log:
        served = serving.start([sys.executable, "-m", "flows.serve"], folder, server.variables, log)
        try:

            def all_four() -> list[dict[str, Any]] | bool:
                found = server.post("deployments/filter", {"sort": "NAME_ASC"})
                return served.poll() is not None or (len(found) == 4 and found)

            forms = {found["name"]: found for found in wait_for(all_four)}
            fields = {name: set(form["parameter_openapi_schema"]["properties"]) for name, form in forms.items()}
            assert fields == {
                "pipeline": {"targets", "workers", "retries", "budget_hours"},
                "quote": {"targets", "workers", "price_per_hour", "probe"},
                "reproduce": {"run_id"},
                "study": {"study", "workers"},
            }
            schema = forms["pipeline"]["parameter_openapi_schema"]["properties"]
            assert all(field["description"] for field in schema.values())
            assert schema["targets"]["items"]["enum"] == ["slow", "next"]
            assert [schedule["active"] for schedule in forms["pipeline"]["schedules"]] == [False]  # the weekly one

            soon = datetime.now(UTC) + timedelta(seconds=8)
            once = {"schedule": {"interval": 1e6, "anchor_date": soon.isoformat()}, "active": True, "parameters": {"targets": ["slow"]}}
            server.post(f"deployments/{forms['pipeline']['id']}/schedules", [once])
            pid = running_pid(folder)
            [launched] = server.post("flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}})
            assert launched["auto_scheduled"]
            server.post(f"flow_runs/{launched['id']}/set_state", {"state": {"type": "CANCELLING", "name": "Cancelling"}})
            now = {"flow_runs": {"id": {"any_": [launched["id"]]}}}
            wait_for(lambda: server.post("flow_runs/filter", now)[0]["state"]["type"] == "CANCELLED")
            wait_for(lambda: not is_alive(pid))
            assert {task["name"] for task in server.post("task_runs/filter", now)} == {"slow"}
        finally:
            serving.stop()
            for deployment in server.post("deployments/filter", {}):  # what is scheduled is no run of a later test
                server.delete(f"deployments/{deployment['id']}")


def test_what_a_kill_leaves_running_is_crashed_by_the_next_flow_which_runs_what_was_missing(
    server: Server, repository: Callable[[str], Path]
) -> None:
    folder = repository(SLOW)
    (folder / "wait").touch()
    flow = start(server, folder)
    pid = running_pid(folder)
    killed = server.last_run()["id"]
    for victim in (flow.pid, pid):  # the machine goes down: nobody can say goodbye
        os.killpg(os.getpgid(victim), signal.SIGKILL)
    flow.communicate(timeout=PATIENCE_SECONDS)
    assert server.last_run()["state"]["type"] == "RUNNING"

    (folder / "wait").unlink()
    assert run(server, folder)[0] == 0
    assert server.states() == {"slow": "Completed", "next": "Completed"}
    left = server.post("flow_runs/filter", {"flow_runs": {"id": {"any_": [killed]}}})[0]["state"]
    assert (left["type"], left["message"].partition(":")[0]) == ("CRASHED", "its process is gone")
    cells = server.post("task_runs/filter", {"flow_runs": {"id": {"any_": [killed]}}})
    assert {cell["state"]["type"] for cell in cells} == {"CRASHED"}


def test_two_launches_at_once_run_every_cell_once(server: Server, repository: Callable[[str], Path]) -> None:
    folder = repository(SHARED)
    both = [start(server, folder, "--workers", "2") for _ in range(2)]
    ended = [(launch.communicate(timeout=PATIENCE_SECONDS)[1], launch.returncode) for launch in both]
    assert [status for _, status in ended] == [0, 0], ended
    assert sorted((folder / "order").read_text().split()) == ["cell-0", "cell-1"]


@pytest.mark.slow
def test_a_prefect_server_that_dies_in_mid_run_stops_no_cell(repository: Callable[[str], Path], tmp_path: Path) -> None:
    folder, home, described = repository(SLOW), tmp_path / "home", servers.prefect(servers.free_port())
    home.mkdir()
    own = Server(described.url, home)
    own.variables["PREFECT_CLIENT_MAX_RETRIES"] = "1"  # by default it is called for a minute
    (folder / "wait").touch()
    with running(described, home) as process:
        flow = start(own, folder)
        running_pid(folder)
        os.killpg(process.pid, signal.SIGKILL)
    (folder / "wait").unlink()
    _, errors = flow.communicate(timeout=2 * PATIENCE_SECONDS)
    assert flow.returncode == 1
    assert f"error: the Prefect server {own.api} went away or does not answer; finished cells are kept: start it and run" in errors
    assert (folder / "v").exists()  # the cell behind it ran too

    with running(described, home):
        before = own.last_run()
        assert before["state"]["type"] == "RUNNING"
        assert run(own, folder)[0] == 0
        assert set(own.states().values()) == {"Cached"}
        left = own.post("flow_runs/filter", {"flow_runs": {"id": {"any_": [before["id"]]}}})[0]["state"]
        assert (left["type"], left["message"].partition(":")[0]) == ("CRASHED", "its process is gone")


def test_cells_that_need_a_gpu_have_one_each(server: Server, repository: Callable[[str], Path]) -> None:
    """Three cells, two GPUs that are not there: nothing but their names is used."""
    folder = repository(ON_GPUS)
    values = params.read_yaml(ROOT / "params.yaml")
    values["compute"]["accelerator"] = "gpu"
    (folder / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")
    server_of_two = copy.copy(server)
    server_of_two.variables = {**server.variables, "CUDA_VISIBLE_DEVICES": "3,5"}
    status, errors = run(server_of_two, folder, "--workers", "3")
    assert status == 0, errors
    used: set[str] = set()
    for line in (folder / "log").read_text().splitlines():
        what, name = line.split()
        assert (name in used) == (what == "end"), (folder / "log").read_text()
        used ^= {name}
    assert {line.split()[1] for line in (folder / "log").read_text().splitlines()} == {"3", "5"}
    assert {tag for task in server.tasks().values() for tag in task["tags"]} == {gpus.tag()}
    limits = server.post("v2/concurrency_limits/filter", {})
    assert [(limit["name"], limit["limit"], limit["active_slots"]) for limit in limits] == [(f"tag:{gpus.tag()}", 2, 0)]


@pytest.mark.slow
def test_a_worker_of_a_process_pool_runs_what_was_deployed(server: Server, repository: Callable[[str], Path]) -> None:
    folder = repository(DIAMOND)
    shutil.copy(ROOT / "prefect.yaml", folder)

    def prefect(*arguments: str) -> str:
        command = [sys.executable, "-m", "prefect", "--no-prompt", *arguments]
        environment = {**server.variables, "PWD": str(folder)}  # as a shell has it: prefect.yaml reads it
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    prefect("work-pool", "create", "--type", "process", "local")
    prefect("deploy", "--all")
    deployed = server.post("deployments/filter", {"deployments": {"name": {"any_": ["pool"]}}})
    assert {found["entrypoint"].rpartition(".")[2] for found in deployed} == {"pipeline", "study", "quote", "reproduce"}
    [pipeline] = [found for found in deployed if found["entrypoint"].endswith(".pipeline")]
    server.post(f"deployments/{pipeline['id']}/create_flow_run", {"parameters": {"targets": ["rung@s"], "workers": 1}})
    said = prefect("worker", "start", "--pool", "local", "--run-once")
    assert server.last_run()["state"]["type"] == "COMPLETED", said
    assert server.states() == {"corpus": "Completed", "rung@s": "Completed"}
    assert (folder / "rung-s").read_text() == "text\n"


def test_what_is_not_there_is_one_line(server: Server, repository: Callable[[str], Path]) -> None:
    folder = repository(DIAMOND)
    assert run(server, folder, "rang") == (2, "error: dvc.yaml has no cell or stage 'rang'; did you mean rung or rung@s or rung@m?\n")
    assert run(server, folder, "--workers", "0")[1].endswith("argument --workers: must be at least 1, got 0\n")
    (folder / "dvc.yaml").write_text("stages: {a: {cmd: x, outs: [o], dep: [y]}}", encoding="utf-8")
    status, errors = run(server, folder)
    assert (status, errors.count("\n")) == (2, 1)
    assert "dvc.yaml" in errors


def test_the_graph_is_dvcs(repository: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = repository(DIAMOND)
    monkeypatch.chdir(folder)
    loaded = graph.Graph(folder)
    cells = {cell.name: cell for cell in loaded.cells()}
    assert list(cells) == ["corpus", "rung@m", "rung@s", "report"]  # longest chain first
    assert cells["report"].upstream == ("rung@m", "rung@s")
    assert cells["report"].outs == ("page",)
    assert [cell.name for cell in loaded.cells(["rung"])] == ["corpus", "rung@m", "rung@s"]
    assert [cell.name for cell in loaded.cells(["rung@s"])] == ["corpus", "rung@s"]
    with pytest.raises(InputError, match="no cell or stage 'rung@x'; did you mean"):
        loaded.cells(["rung@x"])
    assert loaded.changed(list(cells)) == set(cells)
    assert loaded.changed([]) == set()


def test_parameters_are_parsed_once_for_all_cells(repository: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from dvc.dependency import param

    folder = repository(ONE_PARAMETER)
    (folder / "params.yaml").write_text("a: 1\n", encoding="utf-8")
    subprocess.run([sys.executable, "-m", "dvc", "repro", "--quiet"], cwd=folder, check=True)
    monkeypatch.chdir(folder)
    parsed: list[str] = []
    load = param.load_path

    def counted(path: str, *options: Any, **more: Any) -> Any:
        parsed.append(path)
        return load(path, *options, **more)

    monkeypatch.setattr(param, "load_path", counted)
    loaded = graph.Graph(folder)
    names = [cell.name for cell in loaded.cells()]
    assert loaded.changed(names) == set()
    assert len(parsed) == 1
    (folder / "params.yaml").write_text("a: 2\n", encoding="utf-8")
    assert loaded.changed(names) == set(names)
