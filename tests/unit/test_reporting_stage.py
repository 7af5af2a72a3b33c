"""The stage from its command line to its files."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from components.artifacts import read_json, sha256_file
from flows import params, stage
from flows.stages import write_report
from tests.reporting_example import LADDER, STUDIES, change, write_example

PLACES = {
    "corpus": "data/corpus",
    "tasks": "data/tasks",
    "ladder-data": "data/ladder",
    "target-data": "data/target",
    "metrics": "metrics",
    "out": "report",
    "summary": "metrics/summary.json",
}
ARGUMENTS = [part for option, place in PLACES.items() for part in (f"--{option}", place)] + ["--apply", "target"]


def run() -> int:
    return stage.execute(write_report.main, write_report.Sections, list(PLACES), ARGUMENTS)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an invented run and the shipped parameters, but for the ladder and the studies that were invented."""
    values = params.read_yaml() | {"ladder": LADDER.model_dump(), "studies": {name: study.model_dump() for name, study in STUDIES.items()}}
    values["target"] = {"training.train_tokens": 7_000_000}
    YAML(typ="safe").dump(values, tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    write_example(tmp_path)
    return tmp_path


def test_writes_page_figures_and_summary(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    page = Path("report/index.html").read_text(encoding="utf-8")
    assert "<td>training.train_tokens</td><td>7000000</td>" in page
    assert {path.stem for path in Path("report/figures").iterdir()} >= {"scaling", "kept", "study_ln_placement"}
    assert set(read_json(Path("metrics/summary.json"))["studies"]) == set(STUDIES)
    said = capsys.readouterr().out
    assert "report: report/index.html" in said and "13,345 kept of 27,877 read" in said and "pre-trained beats scratch on 4 of 4" in said


def test_twice_gives_the_same_bytes(place: Path) -> None:
    assert run() == 0
    first = {path: sha256_file(path) for path in sorted(Path("report").rglob("*.*"))}
    assert run() == 0
    assert {path: sha256_file(path) for path in sorted(Path("report").rglob("*.*"))} == first


def test_missing_cell_leaves_no_report(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("metrics/studies/aux_lm_weight/usual-half-usual-1.json").unlink()
    assert run() == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: metrics/studies/aux_lm_weight/usual-half-usual-1.json: not there; run the stage that makes it (dvc repro)"
    ]
    assert not Path("report").exists() and not Path("metrics/summary.json").exists()


def test_a_missed_forecast_is_said_aloud(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change(Path("metrics/forecast_score.json"), actual_loss_nats=9.0, inside=False)
    assert run() == 0
    assert "reached 9.000: OUTSIDE" in capsys.readouterr().out
