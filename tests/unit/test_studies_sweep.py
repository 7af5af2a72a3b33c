"""Which learning rate an arm is judged at, and which cells a study needs."""

from pathlib import Path

import pytest

from components.artifacts import write_json
from components.errors import InputError
from components.studies.config import LearningRate, StudyCell
from components.studies.outcomes import read_study
from components.studies.sweep import choose_rates
from tests.configs import ONE_RATE, study_config

SWEPT = study_config(
    seeds=[7, 0, 1],
    common={"x.y": 0},
    conditions={"deep": {}},
    arms={"a": {}, "b": {"x.y": 1}},
    learning_rate=LearningRate(rule="swept", sweep={"low": {"x.rate *": 0.5}, "high": {}}),
)
UNSWEPT = SWEPT.model_copy(update={"learning_rate": ONE_RATE})


def tried(**losses: float | None) -> dict[StudyCell, float | None]:
    return {StudyCell("deep", *key.split("_"), 7): value for key, value in losses.items()}  # type: ignore[call-arg, arg-type]


def test_the_first_seed_chooses_and_the_others_judge() -> None:
    assert [cell.name for cell in SWEPT.choosing_cells()] == ["deep-a-low-7", "deep-a-high-7", "deep-b-low-7", "deep-b-high-7"]
    chosen = choose_rates(SWEPT, tried(a_low=5.0, a_high=4.0, b_low=4.0, b_high=5.0))
    assert chosen == {("deep", "a"): "high", ("deep", "b"): "low"}
    assert [cell.name for cell in SWEPT.judging_cells(chosen)] == ["deep-a-high-0", "deep-a-high-1", "deep-b-low-0", "deep-b-low-1"]


def test_a_higher_metric_may_be_the_better_one() -> None:
    higher = SWEPT.model_copy(update={"direction": "higher"})
    assert choose_rates(higher, tried(a_low=5.0, a_high=4.0, b_low=4.0, b_high=5.0)) == {("deep", "a"): "low", ("deep", "b"): "high"}


def test_a_rate_that_diverged_is_chosen_only_where_all_did() -> None:
    for direction in ("lower", "higher"):
        config = SWEPT.model_copy(update={"direction": direction})
        chosen = choose_rates(config, tried(a_low=None, a_high=9.0, b_low=None, b_high=None))
        assert chosen == {("deep", "a"): "high", ("deep", "b"): "low"}


def test_with_one_rate_nothing_is_chosen_and_every_seed_judges() -> None:
    assert UNSWEPT.choosing_cells() == []
    cells = UNSWEPT.judging_cells(choose_rates(UNSWEPT, {}))
    assert [cell.name for cell in cells] == [f"deep-{arm}-usual-{seed}" for arm in "ab" for seed in (7, 0, 1)]


def write(folder: Path, **losses: float | None) -> None:
    for key, value in losses.items():
        write_json(folder / f"deep-{key.replace('_', '-')}.json", {"loss_nats": value, "diverged": value is None})


def test_a_study_is_read_at_the_chosen_rates(tmp_path: Path) -> None:
    write(tmp_path, a_low_7=5.0, a_high_7=None, b_low_7=5.0, b_high_7=4.0)
    write(tmp_path, a_low_0=5.1, a_low_1=5.2, b_high_0=4.1, b_high_1=None)
    study = read_study(tmp_path, "s", SWEPT)["deep"]
    assert study.values == {"a": {0: 5.1, 1: 5.2}, "b": {0: 4.1, 1: None}}
    assert study.summary["rates"] == {"a": "low", "b": "high"}
    assert study.summary["sweep"] == {"a": {"low": 5.0, "high": None}, "b": {"low": 5.0, "high": 4.0}}
    assert study.summary["verdict"] == "b diverged on 1 of 2 seeds, a diverged on 0 of 2 seeds"
    assert study.overrides("b") == {"x.y": 1}


def test_a_cell_that_is_missing_or_lacks_the_metric_is_one_line(tmp_path: Path) -> None:
    write(tmp_path, a_low_7=5.0, a_high_7=6.0, b_low_7=5.0, b_high_7=6.0, a_low_0=5.1, a_low_1=5.2, b_low_0=5.0)
    with pytest.raises(InputError, match=r"deep-b-low-1\.json: not there; run the stage that makes it"):
        read_study(tmp_path, "s", SWEPT)
    write_json(tmp_path / "deep-b-low-1.json", {"score": 1.0})
    with pytest.raises(InputError, match=r"deep-b-low-1\.json: loss_nats is missing, which the study compares"):
        read_study(tmp_path, "s", SWEPT)
