"""The ladder's runs are read by name."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from components.artifacts import write_json
from components.errors import InputError
from components.scaling.config import ExtrapolationConfig, LadderConfig
from components.scaling.ladder import ExcludedRun, LadderRun, read_ladder
from tests.scaling_example import SURFACE

LADDER = LadderConfig(seeds=[0, 1], rungs={"r1": {}, "r2": {}})


def write(folder: Path, name: str, **record: Any) -> None:
    write_json(folder / f"{name}.json", record)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for rung, flops in (("r1", 1e10), ("r2", 2e10), ("removed", 9e10)):
        for seed in (0, 1):
            write(tmp_path, f"{rung}-{seed}", train_flops=flops, loss_nats=4.0 + seed / 100, diverged=False)
    return tmp_path


def test_named_runs_are_read_in_order_and_files_of_removed_rungs_are_not(folder: Path) -> None:
    runs, excluded = read_ladder(folder, LADDER)
    assert runs == [
        LadderRun("r1", 0, 1e10, 4.0),
        LadderRun("r1", 1, 1e10, 4.01),
        LadderRun("r2", 0, 2e10, 4.0),
        LadderRun("r2", 1, 2e10, 4.01),
    ]
    assert excluded == []


def test_a_diverged_run_is_left_out_with_its_reason(folder: Path) -> None:
    write(folder, "r2-1", train_flops=2e10, loss_nats=None, diverged=True)
    runs, excluded = read_ladder(folder, LADDER)
    assert len(runs) == 3
    assert excluded == [ExcludedRun("r2", 1, "diverged")]


@pytest.mark.parametrize("loss", ["NaN", "Infinity", "null", "-1.0", '"4.0"'])
def test_a_loss_that_is_no_positive_number_is_left_out_with_its_reason(folder: Path, loss: str) -> None:
    (folder / "r1-0.json").write_text(f'{{"train_flops": 1e10, "loss_nats": {loss}}}')
    _, excluded = read_ladder(folder, LADDER)
    assert [(run.rung, run.seed) for run in excluded] == [("r1", 0)]
    assert excluded[0].reason.startswith("loss_nats is ")


def test_a_missing_run_is_one_line_that_names_the_file(folder: Path) -> None:
    (folder / "r2-0.json").unlink()
    with pytest.raises(InputError, match=r"r2-0\.json: not there") as caught:
        read_ladder(folder, LADDER)
    assert "\n" not in str(caught.value)


def test_a_run_without_its_compute_is_an_error(folder: Path) -> None:
    write(folder, "r2-0", loss_nats=4.0)
    with pytest.raises(InputError, match=r"r2-0\.json: train_flops is missing"):
        read_ladder(folder, LADDER)


def test_a_seed_cannot_be_named_twice() -> None:
    with pytest.raises(ValidationError, match="names a run twice"):
        LadderConfig(seeds=[0, 0], rungs={"r1": {}})


def test_exponents_must_be_in_order() -> None:
    with pytest.raises(ValidationError, match=r"exponent_min 1\.0 is not below"):
        ExtrapolationConfig(confidence=0.95, exponent_min=1.0, exponent_max=0.5, surface=SURFACE, pooling_level=0.25)
