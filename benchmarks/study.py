"""What orchestration adds to a study of 200 cells that do next to nothing: Prefect, DVC and MLflow, from nothing, two cells at once.

Beside it the same commands, two at once, by themselves. A launch when all is done, and the memory of the flow from the 50th cell to the
last. Four minutes.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks import harness
from flows import quiet

ROOT = Path(__file__).parents[1]
CELLS, CELLS_QUICK, WORKERS = 200, 40, 2
ALONE = 20  # cells without orchestration
LIMIT_SECONDS, NO_OP_LIMIT_SECONDS, GROWTH_LIMIT_MB = 1.0, 10.0, 30.0
DVC_YAML = """
stages:
  cell:
    matrix: {{seed: {seeds}}}
    cmd: python -m cell --out cells/${{item.seed}} --seed ${{item.seed}}
    deps: [cell.py]
    params: [model, training, compute]
    outs: ["cells/${{item.seed}}"]
"""
CELL = '''"""Reports a number, and writes it down."""
import sys
from pathlib import Path
from components.training.config import ComputeConfig, TrainingConfig
from components.transformer.config import ModelConfig
from flows import params, stage

class Sections(params.Sections):
    model: ModelConfig
    training: TrainingConfig
    compute: ComputeConfig

def main(args, loaded, run):
    Path(args.out).parent.mkdir(exist_ok=True)
    Path(args.out).write_text(str(args.seed))
    run.log_rows([{"step": step, "loss_nats": 1 / (1 + step)} for step in range(100)])
    run.log_metrics({"loss_nats": 0.01})

if __name__ == "__main__":
    sys.exit(stage.execute(main, Sections, ["out"]))
'''


def main() -> int:
    """Print the rows; exit status 1 when one falls short, or a cell has not one run in MLflow."""
    cells = CELLS_QUICK if harness.is_quick(__doc__) else CELLS
    quiet.set_variables()
    made = harness.repository_beside_prefect
    with tempfile.TemporaryDirectory() as folder, made(Path(folder), _files(cells)) as (repository, variables):
        alone_s = _alone(repository, variables)
        taken_s, memory = _launch(repository, variables)
        with sqlite3.connect(Path(folder) / "mlflow.db") as database:
            runs = list(database.execute("SELECT count(*), count(DISTINCT name) FROM runs WHERE status = 'FINISHED'"))
        no_op_s, _ = _launch(repository, variables)
    early, late = memory[min(memory, key=lambda done: abs(done - cells // 4))], memory[max(memory)]
    print(
        f"{cells} cells: {taken_s:.0f} s; one by itself, {WORKERS} at once: {alone_s:.2f} s; flow {early:.0f} MB early, {late:.0f} MB late"
    )
    harness.heading()
    rows = [
        _row(f"added to each of {cells} cells", "s", taken_s / cells - alone_s, LIMIT_SECONDS),
        _row(f"launch when all {cells} are done", "s", no_op_s, NO_OP_LIMIT_SECONDS),
        _row("memory that the flow gains", "MB", max(late - early, 0.1), GROWTH_LIMIT_MB),
    ]
    if runs != [(cells, cells)]:
        sys.exit(f"error: {cells} cells have run, MLflow has (finished runs, cells): {runs}")
    return harness.finish("study", rows)


def _row(what: str, unit: str, ours: float, limit: float) -> harness.Row:
    row = harness.Row(what, f"the limit of {limit:g} {unit}", unit, (ours,), (limit,), 1.0)
    harness.show(row)
    return row


def _alone(repository: Path, variables: dict[str, str]) -> float:
    """Seconds of a cell by itself, so many at once."""
    (repository / "cells").mkdir()

    def run(seed: int) -> None:
        command = [sys.executable, "-m", "cell", "--out", f"cells/alone-{seed}", "--seed", str(seed)]
        harness.seconds(command, repository, {**variables, "MLFLOW_TRACKING_URI": "off"})

    begin_s = time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(run, range(ALONE)))
    taken_s = time.perf_counter() - begin_s
    shutil.rmtree(repository / "cells")
    return taken_s / ALONE


def _launch(repository: Path, variables: dict[str, str]) -> tuple[float, dict[int, float]]:
    """Wall time of a launch, and the memory [MB] of the flow's process by the number of cells that were done."""
    memory: dict[int, float] = {}
    command = [sys.executable, "-m", "flows.pipeline", "--workers", str(WORKERS)]
    with (repository.parent / "flow.log").open("w", encoding="utf-8") as log:
        begin_s = time.perf_counter()
        process = subprocess.Popen(command, cwd=repository, env={**os.environ, **variables}, stdout=log, stderr=log)
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
            kilobytes = next((line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")), None)
            if kilobytes is not None:
                memory[len(list(repository.glob("cells/[0-9]*")))] = int(kilobytes) / 1000
            time.sleep(0.1)
        taken_s = time.perf_counter() - begin_s
    if process.returncode != 0:
        sys.exit(f"error: the launch ended with status {process.returncode}:\n{(repository.parent / 'flow.log').read_text()[-3000:]}")
    return taken_s, memory


def _files(cells: int) -> dict[str, str]:
    params_yaml = (ROOT / "params.yaml").read_text(encoding="utf-8")
    dvc_yaml = DVC_YAML.format(seeds=json.dumps(list(range(cells))))
    return {"params.yaml": params_yaml, "cell.py": CELL, "dvc.yaml": dvc_yaml, ".gitignore": "/cells\n"}


if __name__ == "__main__":
    sys.exit(main())
