"""What the shell costs when there is nothing to do, and what a cell pays before it works.

The graph is a small one of its own with as many cells as ours, in a fresh git and DVC repository. A whole study: benchmarks/study.py.
"""

import sys
import tempfile
from pathlib import Path

from benchmarks import harness
from flows import quiet

PY = sys.executable
CELLS = 50
HELP_LIMIT_SECONDS = 1.0
STAGE_SECONDS = 4.0


def dvc_yaml(cells: int) -> str:
    """A graph of so many cells that do next to nothing."""
    seeds = range(cells - 2)
    return f"""
stages:
  corpus: {{cmd: "echo corpus > corpus", outs: [corpus]}}
  cell:
    matrix: {{seed: [{", ".join(map(str, seeds))}]}}
    cmd: "cat corpus > cell-${{item.seed}}"
    deps: [corpus]
    outs: ["cell-${{item.seed}}"]
  report:
    cmd: "cat cell-* > report"
    deps: [{", ".join(f"cell-{seed}" for seed in seeds)}]
    outs: [report]
"""


# The wiring that comes to mind first: a Prefect task for each stage, each a `dvc repro` of its own.
PLAIN_FLOW = """
import subprocess, sys
from dvc.repo import Repo
from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner

@task
def repro(name):
    subprocess.run([sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--single-item", name], check=True)

@flow(task_runner=ThreadPoolTaskRunner(max_workers=2))
def plain():
    import networkx
    graph = Repo().index.graph
    done = {}
    for stage in networkx.dfs_postorder_nodes(graph):
        done[stage] = repro.submit(stage.addressing, wait_for=[done[upstream] for upstream in graph.successors(stage)])
    return [future.wait() or future.state for future in done.values()]

plain()
"""

FIRST_STEP = """
import sys
if "light" in sys.argv:
    from flows import light_imports
    light_imports.install()
import lightning.pytorch
import torch
torch.optim.AdamW(torch.nn.Linear(4, 4).parameters()).zero_grad()
"""

OUR_TRACKED_STAGE = f"""
import time
from flows import params, tracking
class Sections(params.Sections):
    pass
with tracking.run("stage", [], 0, Sections()) as run:
    time.sleep({STAGE_SECONDS})
    run.log_metrics({{"loss_nats": 1.0}})
"""

PLAIN_TRACKED_STAGE = f"""
import os, time
from mlflow import MlflowClient
client = MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
run = client.create_run("0", run_name="stage")
time.sleep({STAGE_SECONDS})
client.log_metric(run.info.run_id, "loss_nats", 1.0)
client.set_terminated(run.info.run_id)
"""


def main() -> int:
    """Print the rows; exit status 1 when one falls short."""
    repeats = 3 if harness.is_quick(__doc__) else 9
    quiet.set_variables()
    files = {"dvc.yaml": dvc_yaml(CELLS)}
    with tempfile.TemporaryDirectory() as folder, harness.repository_beside_prefect(Path(folder), files) as (repository, variables):

        def python(*arguments: str) -> float:
            return harness.seconds([PY, *arguments], repository, variables)

        python("-m", "dvc", "repro")
        python("-c", OUR_TRACKED_STAGE)  # makes the database
        harness.heading()
        rows = [
            harness.compare(
                "python -m flows.pipeline --help", lambda: python("-m", "flows.pipeline", "--help"),
                "the limit of 1 s", lambda: HELP_LIMIT_SECONDS, 1.0, repeats,
            ),
            harness.compare(
                "python -m flows.pipeline --help", lambda: python("-m", "flows.pipeline", "--help"),
                "prefect flow-run --help", lambda: python("-m", "prefect", "flow-run", "--help"), 1.0, repeats,
            ),
            harness.compare(
                f"no-op dvc repro, {CELLS} cells", lambda: python("-m", "dvc", "--wait-for-lock", "repro"),
                "dvc status of the same", lambda: python("-m", "dvc", "status"), 0.3, repeats,
            ),
            harness.compare(
                f"cached flow, {CELLS} cells", lambda: python("-m", "flows.pipeline", "--workers", "2"),
                "Prefect flow of one dvc repro a cell", lambda: python("-c", PLAIN_FLOW), 2.0, 1 if repeats == 3 else 3,
            ),
            harness.compare(
                "imports of a training process", lambda: python("-c", FIRST_STEP, "light"),
                "lightning and torch as they come", lambda: python("-c", FIRST_STEP), 1.5, repeats,
            ),
            harness.compare(
                f"tracked stage of {STAGE_SECONDS:.0f} s", lambda: python("-c", OUR_TRACKED_STAGE),
                "MlflowClient in the stage", lambda: python("-c", PLAIN_TRACKED_STAGE), 1.2, repeats,
            ),
        ]  # fmt: skip
    return harness.finish("shell", rows)


if __name__ == "__main__":
    sys.exit(main())
