"""flows.reproduce as its users run it: two small stages in a copy of this repository, real DVC, real MLflow, real worktrees."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.pipeline.small_repository import Repository

pytestmark = [pytest.mark.pipeline, pytest.mark.slow, pytest.mark.timeout(900)]

DVC_YAML = """
stages:
  make_numbers:
    cmd: python -m flows.stages.make_numbers --out data/numbers --metrics metrics/numbers.json
    params: [numbers]
    outs: [data/numbers]
    metrics: [{metrics/numbers.json: {cache: false}}]
  add_numbers:
    cmd: >-
      python -m flows.stages.add_numbers --numbers data/numbers --counted metrics/numbers.json --out data/total
      --metrics metrics/total.json
    deps: [data/numbers, metrics/numbers.json]
    params: [total]
    outs: [data/total]
    metrics: [{metrics/total.json: {cache: false}}]
"""
PARAMS = "numbers: {count: 3}\ntotal: {scale: 1, noise: false}\n"
STAGE = '''"""A stage."""
import json, os, sys
from pathlib import Path
from components.config import Frozen
from components.errors import InputError
from flows import params, stage
'''
MAKE = f"""{STAGE}
class Numbers(Frozen):
    count: int

class Sections(params.Sections):
    numbers: Numbers

def main(args, loaded, run):
    if os.environ.get("SOURCE_IS_GONE"):
        raise InputError("the source of the numbers is gone")
    Path(args.out).mkdir(parents=True)
    for n in range(loaded.numbers.count):
        (Path(args.out) / f"{{n}}.txt").write_text(str(n))
    Path(args.metrics).parent.mkdir(exist_ok=True)
    Path(args.metrics).write_text(json.dumps({{"count": loaded.numbers.count}}))
    run.log_metrics({{"count": loaded.numbers.count}})

if __name__ == "__main__":
    sys.exit(stage.execute(main, Sections, ["out", "metrics"]))
"""
ADD = f"""{STAGE}
class Total(Frozen):
    scale: int
    noise: bool

class Sections(params.Sections):
    total: Total

def main(args, loaded, run):
    from components.added_by_hand import scaled
    numbers = [int(file.read_text()) for file in sorted(Path(args.numbers).iterdir())]
    assert len(numbers) == json.loads(Path(args.counted).read_text())["count"]
    total = scaled(sum(numbers), loaded.total.scale) + (int.from_bytes(os.urandom(3)) if loaded.total.noise else 0)
    run.log_rows([{{"step": n, "number": number}} for n, number in enumerate(numbers)])
    Path(args.out).mkdir(parents=True)
    (Path(args.out) / "total.txt").write_text(str(total))
    Path(args.metrics).write_text(json.dumps({{"total": total}}))
    run.log_metrics({{"total": total}})

if __name__ == "__main__":
    sys.exit(stage.execute(main, Sections, ["numbers", "counted", "out", "metrics"]))
"""


class Tracked(Repository):
    """With a store of its own, made with what git and DVC do not hold yet: changes, a new file, results that nobody committed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        (path / "studies" / "dvc.yaml").unlink()
        (path / "dvc.yaml").write_text(DVC_YAML, encoding="utf-8")
        (path / "params.yaml").write_text(PARAMS, encoding="utf-8")
        (path / "flows" / "stages" / "make_numbers.py").write_text(MAKE, encoding="utf-8")
        (path / "flows" / "stages" / "add_numbers.py").write_text(ADD, encoding="utf-8")
        self.commit()
        (path / "components" / "added_by_hand.py").write_text("def scaled(total, by):\n    return total * by\n", encoding="utf-8")
        (path / "params.yaml").write_text(PARAMS.replace("scale: 1", "scale: 7"), encoding="utf-8")
        self.dvc("repro")

    def environment(self) -> dict[str, str]:
        """Tracked in the default store, unless the test says otherwise."""
        variables = super().environment() | {"PYTHONWARNINGS": "ignore"}
        del variables["MLFLOW_TRACKING_URI"]
        return variables | ({"MLFLOW_TRACKING_URI": self.uri} if hasattr(self, "uri") else {})

    def run_id(self, cell: str) -> str:
        with sqlite3.connect(self.path / "mlflow.db") as database:
            found = database.execute("SELECT run_uuid FROM runs WHERE name = ? ORDER BY start_time DESC", (cell,)).fetchone()
        return str(found[0])


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Tracked:
    return Tracked(tmp_path_factory.mktemp("reproduce") / "repository")


def test_a_finished_cell_without_its_run_gets_one_that_can_be_reproduced(repository: Tracked, tmp_path: Path) -> None:
    repository.uri = f"sqlite:///{tmp_path}/mlflow.db"
    try:
        told = repository.run("python", "-m", "flows.reconcile").splitlines()
        again = repository.run("python", "-m", "flows.reconcile")
        with sqlite3.connect(tmp_path / "mlflow.db") as database:
            runs = list(database.execute("SELECT name, status, run_uuid FROM runs ORDER BY name"))
            [total] = database.execute("SELECT m.value FROM latest_metrics m JOIN runs r USING (run_uuid) WHERE m.key = 'total'")
        output = repository.run("python", "-m", "flows.reproduce", runs[0][2])
    finally:
        del repository.uri
    assert told == [f"{name}: MLflow had no run of it; made of dvc.lock and metrics/" for name in ("add_numbers", "make_numbers")]
    assert again == ""
    assert [run[:2] for run in runs] == [("add_numbers", "FINISHED"), ("make_numbers", "FINISHED")]
    assert total == (21.0,)
    assert output.splitlines()[-1] == "4 equal, 0 differs, 0 unchecked"


def test_a_dirty_run_comes_out_the_same_after_its_data_is_gone_and_the_store_has_moved(repository: Tracked, tmp_path: Path) -> None:
    run_id = repository.run_id("add_numbers")
    for name in ("mlflow.db", "mlartifacts"):
        shutil.move(repository.path / name, tmp_path / name)
    for folder in (".dvc/cache", "data", "metrics"):
        shutil.rmtree(repository.path / folder)
    (repository.path / "components" / "added_by_hand.py").unlink()
    repository.run("git", "checkout", "-q", "--", ".")
    repository.uri = f"sqlite:///{tmp_path}/mlflow.db"
    try:
        output = repository.run("python", "-m", "flows.reproduce", run_id)
    finally:
        del repository.uri
        for name in ("mlflow.db", "mlartifacts"):
            shutil.move(tmp_path / name, repository.path / name)
    assert "make_numbers: its outputs are in no cache or remote; made again" in output
    rows = {tuple(line.split()[:2]): line.split()[2] for line in output.splitlines() if line.startswith(("input", "output", "metric"))}
    assert rows == {
        ("input", "data/numbers"): "equal",
        ("input", "metrics/numbers.json"): "equal",
        ("output", "data/total"): "equal",
        ("output", "metrics/total.json"): "equal",
        ("metric", "curve/number"): "equal",
        ("metric", "total"): "equal",
    }
    assert output.splitlines()[-1] == "6 equal, 0 differs, 0 unchecked"
    assert len(repository.run("git", "worktree", "list").splitlines()) == 1
    assert not list((repository.path / "scratch").iterdir())


def test_an_experiment_that_cannot_come_out_the_same_is_told_by_the_status(repository: Tracked) -> None:
    (repository.path / "components" / "added_by_hand.py").write_text("def scaled(total, by):\n    return total * by\n", encoding="utf-8")
    repository.commit()
    repository.dvc("exp", "run", "-S", "total.noise=true")
    output = repository.run("python", "-m", "flows.reproduce", repository.run_id("add_numbers"), status=1)
    assert [line.split()[1] for line in output.splitlines() if " DIFFERS " in line] == ["data/total", "metrics/total.json", "total"]
    assert output.splitlines()[-1] == "3 equal, 3 differs, 0 unchecked"


def test_a_run_whose_data_is_gone_and_cannot_be_made_again_is_one_line(repository: Tracked, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = repository.run_id("add_numbers")
    shutil.rmtree(repository.path / ".dvc" / "cache")
    monkeypatch.setenv("SOURCE_IS_GONE", "1")
    output = repository.run("python", "-m", "flows.reproduce", run_id, status=2)
    assert output.splitlines()[-1].startswith(
        "error: data/numbers, metrics/numbers.json: gone from every cache, and make_numbers cannot make"
    )
    assert output.splitlines()[-1].endswith("error: the source of the numbers is gone")
    assert not list((repository.path / "scratch").iterdir())


def test_a_run_that_is_not_there_is_one_line(repository: Tracked) -> None:
    output = repository.run("python", "-m", "flows.reproduce", "0" * 32, status=2)
    assert output.splitlines()[-1].startswith("error: sqlite:///")
    assert "has no run '00000000000000000000000000000000'; give the id" in output
