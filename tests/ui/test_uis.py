"""``make ui`` and ``flows.serve`` as their users see them: a browser opens, fills in and cancels; nothing is looked up behind the pages."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows import experiments, servers
from tests.ui.browser import CHROMIUM, Browser, wait_for

pytestmark = [pytest.mark.ui, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
in_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome on this machine")

# `corpus` is tracked and writes a report. `train` says how far it is, as a stage does where there is no terminal, and goes on while
# the file `wait` is there.
GRAPH = """
stages:
  corpus: {cmd: python corpus.py, outs: [report], metrics: [{metrics/corpus.json: {cache: false}}]}
  train:
    matrix: {rung: [r1]}
    cmd: "python train.py; echo model > model"
    deps: [report]
    outs: [model]
"""
CORPUS = """
import os
from pathlib import Path
from flows import params, tracking

class Sections(params.Sections):
    pass

with tracking.run(os.environ["DVC_STAGE"], [], 0, Sections(), ["report", "metrics/corpus.json"]) as run:
    Path("report").mkdir()
    Path("report/index.html").write_text("<h1>found</h1>")
    Path("metrics").mkdir(exist_ok=True)
    Path("metrics/corpus.json").write_text('{"loss_nats": 4.25}')
    run.log_artifact(Path("report"))
"""
TRAIN = """
import os, pathlib, time
pathlib.Path("pid").write_text(str(os.getpid()))
print("model:  40%|####      | 4.00/10.0 [00:01<00:02, 2.0 tokens/s]", flush=True)
while pathlib.Path("wait").exists():
    time.sleep(0.1)
"""
RUNS = """
from pathlib import Path
from flows import params, tracking
from flows.stages.pretrain_model import Sections

def track(cell, apply, seed, loss):
    with tracking.run(cell, apply, seed, params.load(Sections, apply), ["data/target"]) as run:
        run.log_rows([{"step": step, "loss_nats": loss + 1 / (1 + step), "val_loss_nats": loss} for step in range(20)])
        Path("data/target").mkdir(parents=True, exist_ok=True)
        Path("data/target/model.safetensors").write_text(cell)
        run.log_metrics({"loss_nats": loss})
        run.log_model(Path("data/target"))

for arm, seed in (("pre", 0), ("pre", 1), ("post", 0), ("post", 1)):
    places = [f"studies.ln_placement.{place}" for place in ("common", "conditions.usual", f"arms.{arm}", "learning_rate.sweep.usual")]
    track(f"ablate_ln_placement@usual-{arm}-usual-{seed}", places, seed, 5.0 + seed)
track("pretrain_target", ["target"], 0, 4.0)
track("pretrain_target", ["target"], 0, 4.0)  # the same checkpoint again is no second version
"""


class Interfaces:
    """Both servers as ``python -m flows.ui`` started them in ``folder``, a small repository."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, content in (("dvc.yaml", GRAPH), ("corpus.py", CORPUS), ("train.py", TRAIN)):
            (folder / name).write_text(content, encoding="utf-8")
        shutil.copy(ROOT / "params.yaml", folder)
        for package in ("components", "flows"):
            (folder / package).symlink_to(ROOT / package)
        self.ports = (servers.free_port(), servers.free_port())
        self.mlflow, self.prefect = (f"http://127.0.0.1:{port}" for port in self.ports)
        hidden = ("PREFECT_", "MLFLOW_", "DVC_", "PYTHONPATH")
        self.variables = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
        subprocess.run([sys.executable, "-m", "dvc", "init", "--quiet"], cwd=folder, env=self.variables, check=True)
        self.command = [sys.executable, "-m", "flows.ui", "--mlflow-port", str(self.ports[0]), "--prefect-port", str(self.ports[1])]
        self.process = subprocess.Popen(
            self.command, cwd=folder, env=self.variables, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.process.stdout is not None
        self.printed = [self.process.stdout.readline() for _ in range(4)]
        self.variables |= {"PREFECT_API_URL": f"{self.prefect}/api", "MLFLOW_TRACKING_URI": self.mlflow}

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=30)
        return self.process.returncode


@pytest.fixture(scope="module")
def interfaces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interfaces]:
    up = Interfaces(tmp_path_factory.mktemp("ui"))
    yield up
    if up.process.poll() is None:
        up.end()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as one:
        yield one


def is_alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False


def test_addresses_are_printed_once_they_answer(interfaces: Interfaces) -> None:
    mlflow, prefect = interfaces.mlflow, interfaces.prefect
    hint = servers.mlflow().hint
    assert interfaces.printed[1:] == [f"MLflow   {mlflow}{hint}\n", f"Prefect  {prefect}\n", "Ctrl-C ends both\n"]
    assert servers.answers(f"{mlflow}/health")
    assert servers.answers(f"{prefect}/api/health")


@in_browser
def test_a_launch_from_the_form_shows_its_progress_and_ends_at_the_button(interfaces: Interfaces, browser: Browser) -> None:
    folder = interfaces.folder
    (folder / "wait").touch()
    with (folder / "serve.log").open("w", encoding="utf-8") as log:
        served = subprocess.Popen(
            [sys.executable, "-m", "flows.serve"], cwd=folder, env=interfaces.variables, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        wait_for(lambda: "pipeline/pipeline" in (folder / "serve.log").read_text(encoding="utf-8"))
        browser.open(f"{interfaces.prefect}/deployments")
        browser.see("4 Deployments", "pipeline", "study", "reproduce", "quote")
        browser.open(f"{browser.link('study')}/run")
        browser.see("which one", "how many cells may run at once")
        browser.open(f"{interfaces.prefect}/deployments")
        browser.open(f"{browser.link('pipeline')}/run")
        browser.see("stages or cells to bring up to date")
        browser.choose("train@r1")
        name = browser.run("document.querySelector('input').value")
        browser.click("Submit", name)
        browser.open(browser.link(name))
        browser.click("Artifacts", "progress-train-r1", "4.00/10.0")
        browser.click("Task Runs", "corpus", "train@r1")
        browser.click("Cancel", "Confirm")
        browser.click("Confirm", "Cancelled")
        wait_for(lambda: not is_alive(int((folder / "pid").read_text())))
    finally:
        served.terminate()
        served.wait()


@in_browser
def test_results_lead_to_the_runs_and_to_the_report_and_back(interfaces: Interfaces, browser: Browser) -> None:
    (interfaces.folder / "wait").unlink(missing_ok=True)
    subprocess.run([sys.executable, "-m", "flows.pipeline"], cwd=interfaces.folder, env=interfaces.variables, check=True)
    browser.open(f"{interfaces.prefect}/artifacts/key/results")
    browser.see("2 cells: 1 Cached, 1 Completed")
    browser.open(wait_for(lambda: browser.run("document.querySelector('a[href*=\"/artifacts/artifact/\"]')?.href")))
    browser.see("loss_nats 4.250", "train@r1")
    run, report = browser.link("corpus"), browser.link("The report")
    browser.open(report)
    browser.see("report/index.html")
    wait_for(lambda: browser.run("document.querySelector('iframe') !== null"))  # which holds the page itself
    browser.open(run)
    browser.see("corpus", "python -m flows.reproduce", "dvc repro -s corpus")
    assert browser.link("report") == report
    browser.open(browser.link("Prefect run"))
    browser.see("Task Runs", "pipeline")


@in_browser
def test_mlflow_has_an_experiment_for_a_study_with_its_views_and_the_target(interfaces: Interfaces, browser: Browser) -> None:
    subprocess.run([sys.executable, "-c", RUNS], cwd=interfaces.folder, env=interfaces.variables, check=True)
    browser.open(f"{interfaces.mlflow}/#/experiments?{experiments.TRAINING}")
    browser.see("study-ln_placement", "Does pre-LN (GPT-2) reach a lower loss")
    [study] = re.findall(r"experiments/(\d+)", browser.link("study-ln_placement"))
    page = f"{interfaces.mlflow}/#/experiments/{study}/runs?{experiments.TRAINING}&compareRunsMode=CHART&viewStateShareKey="
    browser.open(page + experiments.CURVES_VIEW)
    browser.see("Curves by arm", "Group: pre", "Group: post", "usual-post-usual-1", "curve/loss_nats")
    browser.open(page + experiments.PARAMETERS_VIEW)
    browser.see("Parameters and result", "Parallel Coordinates", "4 matching runs")
    browser.open(f"{interfaces.mlflow}/#/models/gpt-lineage-target/versions/1")
    browser.see("Version 1", "pretrain_target", "digest")


def test_a_taken_port_is_one_line(interfaces: Interfaces) -> None:
    second = subprocess.run(interfaces.command, cwd=interfaces.folder, env=interfaces.variables, capture_output=True, text=True)
    assert second.returncode == 2
    assert second.stderr == f"error: port {interfaces.ports[0]} on 127.0.0.1 is taken; end what listens there or give --mlflow-port\n"


def test_ctrl_c_ends_both(interfaces: Interfaces) -> None:
    assert interfaces.end() == 0
    assert servers.port_is_free(interfaces.ports[0])
    assert servers.port_is_free(interfaces.ports[1])
