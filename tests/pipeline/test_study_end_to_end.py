"""flows.study as its users run it, its cells tracked: one cell fails whatever is tried, and a kill comes at the worst of moments."""

import copy
import os
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.launches import PATIENCE_SECONDS, Server, start, wait_for
from tests.pipeline.small_repository import Repository, small_params

pytestmark = pytest.mark.pipeline

# After the stage has said its last word to MLflow, and before DVC writes dvc.lock.
HOLD = "touch held; while [ -e wait ]; do sleep 0.1; done"
STUDIES_YAML = """
vars: [../params.yaml]
stages:
  study_tiny:
    wdir: ..
    matrix: {condition: "${full_studies.tiny.conditions}", arm: "${full_studies.tiny.arms}", rate: "${full_studies.tiny.learning_rate.sweep}", seed: "${full_studies.tiny.seeds}"}
    cmd:
    - python -m flows.stages.tiny --apply full_studies.tiny.arms.${item.arm} --seed ${item.seed} --metrics metrics/full_studies/tiny/${item.condition}-${item.arm}-${item.rate}-${item.seed}.json
    - sh hold.sh
    params: [training, "full_studies.tiny.arms.${item.arm}"]
    metrics: [{"metrics/full_studies/tiny/${item.condition}-${item.arm}-${item.rate}-${item.seed}.json": {cache: false}}]
"""  # noqa: E501
STAGE = '''"""A cell that takes no time; that of the slow arm and seed 1 fails while the file ``broken`` is there."""
import sys
from pathlib import Path
from components.artifacts import write_json
from components.errors import InputError
from components.training.config import TrainingConfig
from flows import params, stage

class Sections(params.Sections):
    training: TrainingConfig

def main(args, loaded, run):
    rate = loaded.training.learning_rate
    if Path("broken").exists() and rate < 0.001 and args.seed == 1:
        raise InputError("broken: is there")
    with Path("order").open("a") as order:
        print(Path(args.metrics).stem, file=order)
    write_json(Path(args.metrics), {"loss_nats": 5 - 100 * rate + 0.01 * args.seed * (1 + rate)})
    run.log_metrics({"loss_nats": 5 - 100 * rate + 0.01 * args.seed * (1 + rate)})

if __name__ == "__main__":
    sys.exit(stage.execute(main, Sections, ["metrics"]))
'''
CELL = "studies/dvc.yaml:study_tiny@usual-slow-same-1"


def tiny_params() -> dict[str, Any]:
    values = small_params()
    study = copy.deepcopy(values["full_studies"]["batch_size"])
    arms = {"quick": {"training.learning_rate": 0.01}, "slow": {"training.learning_rate": 0.0001}}
    study |= {"baseline": "quick", "arms": arms, "common": {}, "seeds": [0, 1], "learning_rate": {"rule": "none", "sweep": {"same": {}}}}
    return values | {"full_studies": {"tiny": study}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    repository = Repository(tmp_path / "repository")
    for name, content in {
        "dvc.yaml": "stages: {}\n",
        "studies/dvc.yaml": STUDIES_YAML,
        "flows/stages/tiny.py": STAGE,
        "hold.sh": f"[ ! -e wait ] || {{ {HOLD}; }}\n",
    }.items():
        (repository.path / name).write_text(content, encoding="utf-8")
    repository.write_params(tiny_params())
    repository.commit()
    (repository.path / "broken").touch()
    return repository.path


def runs(folder: Path, stage: str = "active") -> list[tuple[str, str]]:
    """Cell and status of each run, or of those in the bin."""
    with sqlite3.connect(folder / "mlflow.db") as database:
        found = database.execute("SELECT name, status FROM runs WHERE lifecycle_stage = ? ORDER BY name, status", (stage,))
        return [(name.rpartition("@")[2], status) for name, status in found]


def test_what_is_missing_is_finished_and_nothing_is_there_twice(server: Server, folder: Path) -> None:
    own = copy.copy(server)
    own.variables = {name: value for name, value in server.variables.items() if name != "MLFLOW_TRACKING_URI"}

    def study() -> tuple[int, str, str]:
        process = start(own, folder, "tiny", "--workers", "2", module="flows.study")
        said, errors = process.communicate(timeout=2 * PATIENCE_SECONDS)
        return process.returncode, said, errors

    # A cell that always fails: the others' results are kept, there is no verdict, and everybody says why.
    status, said, errors = study()
    assert status == 1
    assert errors.splitlines()[-1] == f"error: {CELL}: exit status 255: error: broken: is there", errors
    assert said.splitlines()[-3:-1] == [
        "study tiny: no verdict, for 1 of 4 cells have no result; the results of the others are kept",
        "  no result: condition usual, arm slow, rate same, seed 1",
    ]
    others = ["usual-quick-same-0", "usual-quick-same-1", "usual-slow-same-0"]
    assert sorted((folder / "order").read_text().split()) == others
    assert runs(folder) == [*((name, "FINISHED") for name in others), ("usual-slow-same-1", "FAILED")]
    with sqlite3.connect(folder / "mlflow.db") as database:
        assert list(database.execute("SELECT value FROM tags WHERE key = 'reason'")) == [("InputError: broken: is there",)]
    assert server.last_run()["state"]["type"] == "FAILED"
    assert {name.rpartition("@")[2]: state for name, state in server.states().items()} == {
        **dict.fromkeys(others, "Completed"),
        "usual-slow-same-1": "Failed",
    }
    assert not (folder / "metrics/full_studies/tiny.json").exists()

    # Everything is killed when the cell's run has ended and DVC has not yet written it down.
    (folder / "broken").unlink()
    (folder / "wait").touch()
    launch = start(own, folder, "tiny", module="flows.study")
    wait_for(lambda: (folder / "held").exists())
    assert runs(folder)[-2:] == [("usual-slow-same-1", "FAILED"), ("usual-slow-same-1", "FINISHED")]
    for process in [path for path in Path("/proc").glob("[0-9]*") if belongs_to(process=path, folder=folder)]:
        os.kill(int(process.name), signal.SIGKILL)
    launch.communicate(timeout=PATIENCE_SECONDS)
    (folder / "wait").unlink()

    # The next launch runs that cell and no other; its run stands once.
    status, said, errors = study()
    assert status == 0, errors
    assert "Traceback" not in errors
    assert said.startswith("study tiny\n  usual: quick better than slow by 0.99 (")
    assert (folder / "order").read_text().split()[3:] == ["usual-slow-same-1"] * 2
    assert runs(folder) == [*((name, "FINISHED") for name in others), ("usual-slow-same-1", "FAILED"), ("usual-slow-same-1", "FINISHED")]
    assert runs(folder, "deleted") == [("usual-slow-same-1", "FINISHED")]
    assert (folder / "metrics/full_studies/tiny.json").exists()


def belongs_to(process: Path, folder: Path) -> bool:
    """Whether it works in the folder: the launch, DVC, the stage, the recorder."""
    try:
        return (process / "cwd").resolve() == folder
    except OSError:
        return False
