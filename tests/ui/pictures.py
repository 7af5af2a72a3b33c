"""The pictures of docs/, of a finished run in this folder with its stores: ``python -m tests.ui.pictures``. Needs Chromium."""

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from flows import experiments, servers
from tests.ui.browser import CHROMIUM, Browser, wait_for

REPORT, DOCS = Path("report/index.html"), Path("docs")
STUDY = "study-ln_placement"
# MLflow opens a pane for its assistant where nobody has closed it.
NO_ASSISTANT = """for (const [name, value] of [['panelOpen', false], ['fab.autoOpenedOnFirstLoad', true]])
  localStorage[`mlflow.assistant.${name}_v1`] = value"""


def main() -> None:
    """Ends with a line on stderr and status 1 where there is no browser or no finished run."""
    if CHROMIUM is None:
        sys.exit("error: no Chromium or Chrome on PATH")
    if not REPORT.exists():
        sys.exit(f"error: {REPORT} is not there; run make repro first")
    mlflow, prefect = servers.mlflow(servers.free_port()), servers.prefect(servers.free_port())
    command = [sys.executable, "-m", "flows.ui", "--mlflow-port", str(mlflow.port), "--prefect-port", str(prefect.port)]
    interfaces = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: all(servers.answers(server.url + server.health) for server in (mlflow, prefect)))
        with Browser() as browser:
            _picture_report(browser)
            _picture_mlflow(browser, mlflow.url)
            _picture_prefect(browser, prefect.url)
    finally:
        interfaces.send_signal(signal.SIGTERM)
        interfaces.wait()


def _picture_report(browser: Browser) -> None:
    browser.size(1200, 1500)
    browser.open(REPORT.absolute().as_uri())
    browser.see("bits per byte")
    browser.picture(DOCS / "report.png")
    browser.size(1400, 1000)


def _picture_mlflow(browser: Browser, url: str) -> None:
    """The loss of each arm of a study."""
    study = _fetch(f"{url}/api/2.0/mlflow/experiments/get-by-name?experiment_name={STUDY}")["experiment"]["experiment_id"]
    browser.open(url)
    browser.see("Experiments")
    browser.run(NO_ASSISTANT)
    browser.open("about:blank")
    browser.open(
        f"{url}/#/experiments/{study}/runs?{experiments.TRAINING}&compareRunsMode=CHART&viewStateShareKey={experiments.CURVES_VIEW}"
    )
    browser.see("Curves by arm", "curve/loss_nats")
    wait_for(lambda: browser.run("document.querySelectorAll('.js-plotly-plot .scatterlayer .trace').length"))
    browser.picture(DOCS / "mlflow.png")


def _picture_prefect(browser: Browser, url: str) -> None:
    """The longest of the flow runs that ended well."""
    runs = _fetch(f"{url}/api/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}})
    longest = max(runs, key=lambda run: float(run["total_run_time"]))
    browser.open(f"{url}/runs/flow-run/{longest['id']}")
    browser.click("Task Runs", "Completed")
    browser.picture(DOCS / "prefect.png")


def _fetch(url: str, body: Any = None) -> Any:
    content = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, content, {"Content-Type": "application/json"}), timeout=30) as answer:
        return json.load(answer)


if __name__ == "__main__":
    main()
