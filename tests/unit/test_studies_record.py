"""The record and the page of a whole study, and the command that runs it, on invented cells."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from components.artifacts import read_json, write_json
from components.errors import InputError
from components.studies.config import LearningRate, StudyCell, StudyConfig
from components.studies.record import build_record
from components.studies.sweep import choose_rates
from flows import study
from tests.configs import study_config

ONE_RATE = LearningRate(rule="one rate <for> all", sweep={"same": {}})
LAYERS = study_config(
    question="Does <b>post</b> help?",
    baseline="pre",
    seeds=[0, 1, 2, 3],
    conditions={"shallow": {"model.num_layers": 2}, "deep": {"model.num_layers": 12}},
    arms={"pre": {}, "post": {"model.norm_placement": "post"}},
    learning_rate=LearningRate(rule="swept", sweep={"low": {"training.learning_rate *": 0.5}, "high": {}}),
)
BATCH = LAYERS.model_copy(
    update={
        "baseline": "b128",
        "conditions": {"usual": {}},
        "arms": {f"b{size}": {"training.batch_tokens": size} for size in (128, 256, 512, 1024)},
        "learning_rate": ONE_RATE,
    }
)
WHOLE = SimpleNamespace(full_studies={"layers": LAYERS}, training=SimpleNamespace(noise_scale_smoothing=0.99))


def loss(cell: StudyCell) -> float | None:
    """Post is as good where it is shallow and 1 nat worse where deep; the high rate diverges for post."""
    if (cell.arm, cell.rate) == ("post", "high"):
        return None
    deep = 1.0 if (cell.condition, cell.arm) == ("deep", "post") else 0.0
    return 5.0 + deep - 0.1 * (cell.rate == "high") + 0.01 * math.sin(5 * cell.seed + len(cell.arm) * len(cell.condition))


def write_cells(config: StudyConfig, metrics: Path, data: Path) -> None:
    values = {cell: loss(cell) for cell in config.choosing_cells()}
    for cell in [*values, *config.judging_cells(choose_rates(config, values))]:
        value, norms = loss(cell), [0.001 * (cell.seed + 1), 0.002]
        record = {"loss_nats": value, "diverged": value is None, "layer_grad_norms": {"initial": norms, "final": [0.0, 0.1]}}
        write_json(metrics / f"{cell.name}.json", record)
        (data / cell.name).mkdir(parents=True)
        with (data / cell.name / "curve.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["tokens", "val_loss_nats", "noise_scale_tokens"])
            slowed = 1 + config.arms[cell.arm].get("training.batch_tokens", 0) / (500 + 5 * cell.seed)
            noise = "" if cell.arm == "b128" else 600
            rows.writerows([tokens, 9 + math.log(slowed * 1000 / tokens), noise] for tokens in range(1000, 90000, 1000))


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    monkeypatch.chdir(tmp_path)
    return study.METRICS / "layers", study.DATA / "layers"


def test_each_condition_has_its_verdict_and_the_effect_its_change(folders: tuple[Path, Path]) -> None:
    write_cells(LAYERS, *folders)
    record = build_record("layers", LAYERS, *folders, 100.0)
    assert set(record["conditions"]) == set(record["verdict"]) == {"shallow", "deep"}
    assert record["conditions"]["deep"]["rates"] == {"pre": "high", "post": "low"}
    assert record["conditions"]["deep"]["sweep"]["post"]["high"] is None
    assert record["verdict"]["deep"].startswith("pre better than post by 1.1 (95 % interval")
    change = record["change_of_effects"]["post"]
    assert (change["effect"], change["verdict"]) == (pytest.approx(1.0, abs=0.02), "worse under deep than under shallow")
    assert record["knee"] is None
    assert record["at_the_edge"] == {"shallow": ["pre", "post"], "deep": ["pre", "post"]}  # of two rates either is one


def test_gradient_norms_are_geometric_means_over_the_seeds_that_judge(folders: tuple[Path, Path]) -> None:
    write_cells(LAYERS, *folders)
    norms = build_record("layers", LAYERS, *folders, 100.0)["conditions"]["deep"]["layer_grad_norms"]["post"]
    assert norms["initial"] == [pytest.approx(0.001 * (2 * 3 * 4) ** (1 / 3)), pytest.approx(0.002)]
    assert norms["final"] == [None, pytest.approx(0.1)]  # a zero has no logarithm


def test_arms_that_are_batch_sizes_are_compared_with_the_noise_scale(folders: tuple[Path, Path]) -> None:
    write_cells(BATCH, *folders)
    knee = build_record("layers", BATCH, *folders, 10.0)["knee"]
    assert knee["verdict"].startswith("within a factor of two: knee over noise scale is 0.85")
    (folders[1] / "usual-b256-same-1" / "curve.csv").unlink()
    with pytest.raises(InputError, match=r"usual-b256-same-1/curve\.csv: not there"):
        build_record("layers", BATCH, *folders, 10.0)


def test_two_batch_sizes_are_compared_without_a_knee(folders: tuple[Path, Path]) -> None:
    two = BATCH.model_copy(update={"arms": {name: BATCH.arms[name] for name in list(BATCH.arms)[:2]}})
    write_cells(two, *folders)
    assert build_record("layers", two, *folders, 10.0)["knee"] is None


@pytest.mark.parametrize("config", [LAYERS, BATCH], ids=["layers", "batch"])
def test_the_page_is_made_of_the_record_and_escapes_it(folders: tuple[Path, Path], config: StudyConfig) -> None:
    write_cells(config, *folders)
    record = study.write_result("layers", config, 10.0)
    assert read_json(study.METRICS / "layers.json") == record
    page = (study.DATA / "layers.html").read_text(encoding="utf-8")
    assert "Does &lt;b&gt;post&lt;/b&gt; help?" in page and "<b>post" not in page
    assert ("At the edge of the rates tried: pre, post." in page) == (config is LAYERS)
    assert all(verdict.replace(">", "&gt;") in page for verdict in record["verdict"].values())
    assert (config is BATCH) == ("The knee and the noise scale" in page)
    assert (config is LAYERS) == ("Does the effect change?" in page)


def test_the_command_runs_first_what_chooses_then_what_judges(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[list[str]] = []

    def run(argv: Sequence[str]) -> int:
        asked.append(list(argv[2:]))
        return 0

    monkeypatch.setattr("flows.pipeline.main", run)
    monkeypatch.setattr("flows.schema.check", lambda: WHOLE)
    write_cells(LAYERS, *folders)
    assert study.main(["layers", "--workers", "3"]) == 0
    assert [len(cells) for cells in asked] == [8, 12]
    assert asked[0][0] == "studies/dvc.yaml:study_layers@shallow-pre-low-0"
    assert "studies/dvc.yaml:study_layers@deep-post-low-3" in asked[1] and not any("post-high" in cell for cell in asked[1])
    assert "deep: pre better than post" in capsys.readouterr().out


def test_a_study_with_a_cell_that_fails_has_no_result_and_the_next_one_runs(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pipeline has named the cell by then; nothing is written, and what has run is kept for the next time."""
    whole = SimpleNamespace(full_studies={"torn": LAYERS, "layers": LAYERS}, training=WHOLE.training)
    missing = "studies/dvc.yaml:study_torn@deep-post-low-0"
    monkeypatch.setattr("flows.pipeline.main", lambda argv: int("study_torn" in argv[2]))
    monkeypatch.setattr("flows.graph.load", lambda root: SimpleNamespace(changed=lambda names: {missing} & {*names}))
    monkeypatch.setattr("flows.schema.check", lambda: whole)
    write_cells(LAYERS, *folders)
    assert study.main(["all"]) == 1
    said = capsys.readouterr().out
    assert said.startswith(
        "study torn: no verdict, for 1 of 8 cells have no result; the results of the others are kept\n"
        "  no result: condition deep, arm post, rate low, seed 0\n"
        "  mend what failed and run the same command again, or take the arm out of full_studies.torn in params.yaml\n"
        "study layers\n"
    )
    assert {path.name for path in study.METRICS.glob("*.json")} == {"layers.json"}


def test_an_unknown_study_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("flows.schema.check", lambda: WHOLE)
    assert study.main(["layer"]) == 2
    assert capsys.readouterr().err == "error: params.yaml: full_studies has no study 'layer'; name one of layers or all\n"


@pytest.mark.parametrize(("common", "steps"), [({}, 100), ({"training.noise_scale_smoothing": 0.9}, 10)])
def test_the_memory_of_the_noise_scale_is_that_of_the_cells(
    common: dict[str, float], steps: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = SimpleNamespace(full_studies={"batch": BATCH.model_copy(update={"common": common})}, training=WHOLE.training)
    monkeypatch.setattr("flows.schema.check", lambda: whole)
    monkeypatch.setattr(study, "_run_cells", lambda *_: 0)
    monkeypatch.setattr(study, "write_result", lambda _name, _config, memory_steps: {"steps": memory_steps})
    assert study.run("batch", lambda _: 0) == {"steps": pytest.approx(steps)}
