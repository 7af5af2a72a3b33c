"""The two stages from their command line to their files."""

import json
import shutil
from pathlib import Path

import pytest

from components.artifacts import read_json, write_json
from components.transformer.accounting import train_flops
from components.transformer.config import TransformerConfig
from flows import params, stage
from flows.stages import forecast_loss, score_forecast
from tests.configs import model_config

FORECAST = ["--ladder", "metrics/ladder", "--out", "metrics/forecast.json"]
SCORE = ["--forecast", "metrics/forecast.json", "--target", "metrics/target.json", "--out", "metrics/forecast_score.json"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the shipped params.yaml and a finished ladder."""
    shutil.copy("params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    ladder = params.load(forecast_loss.Sections).ladder
    for number, rung in enumerate(ladder.rungs):
        for seed in ladder.seeds:
            flops = 1e11 * 2**number
            write_json(
                Path(f"metrics/ladder/{rung}-{seed}.json"),
                {
                    "train_flops": flops,
                    "loss_nats": 2 + 3 * flops**-0.05 + (-1) ** number / 100 + seed / 200,
                    "parameters": 40_000 + 9_000 * number,
                    "parameters_non_embedding": 6_000 * (number + 1),
                    "train_tokens": 250_000 + 80_000 * number,
                },
            )
    return tmp_path


def run_forecast(*more: str) -> int:
    return stage.execute(forecast_loss.main, forecast_loss.Sections, ["ladder", "out"], [*FORECAST, *more])


def run_score() -> int:
    return stage.execute(score_forecast.main, score_forecast.Sections, ["forecast", "target", "out"], SCORE)


def test_forecast_then_score(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_forecast("--apply", "target") == 0
    forecast = read_json(Path("metrics/forecast.json"))
    write_json(Path("metrics/target.json"), {"loss_nats": forecast["loss_nats"] + 0.01, "train_flops": forecast["target"]["train_flops"]})
    assert run_score() == 0
    score = read_json(Path("metrics/forecast_score.json"))
    assert score["error_nats"] == pytest.approx(-0.01)
    assert score["inside"] is True
    assert score["methods"]["approach 2 (Hoffmann 2022)"]["loss_nats"] is None  # the shipped ladder has one size for each budget
    for method in ("approach 1 (Hoffmann 2022)", "approach 3 (Hoffmann 2022)", "L(N, D) (Kaplan 2020)", "L(N, S) (Kaplan 2020)"):
        assert abs(score["methods"][method]["relative_error"]) < 0.5, method
    assert "inside the interval" in capsys.readouterr().out


def test_the_target_is_model_and_training_with_its_own_overrides(place: Path) -> None:
    loaded = params.load(forecast_loss.Sections)
    model = model_config(context_length=256, num_layers=3, d_model=96, num_heads=4)
    changed = loaded.model_copy(update={"model": model})
    config = TransformerConfig(**model.model_dump(), vocab_size=loaded.tokenization.vocab_size)
    target = forecast_loss.planned_target(changed)
    assert target.train_flops == train_flops(config, loaded.training.tokens_seen)
    assert (target.parameters_non_embedding, target.train_tokens) == (12 * 3 * 96**2, loaded.training.tokens_seen)


def test_a_missing_run_stops_the_forecast_with_one_line(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("metrics/ladder/r3-0.json").unlink()
    assert run_forecast() == stage.EXIT_BAD_INPUT
    assert capsys.readouterr().err == "error: metrics/ladder/r3-0.json: not there; run the stage that makes it (dvc repro)\n"
    assert not Path("metrics/forecast.json").exists()


def test_a_diverged_run_is_left_out_and_named(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_json(Path("metrics/ladder/r2-0.json"), {"train_flops": 2e11, "loss_nats": None, "diverged": True})
    assert run_forecast() == 0
    assert "left out: r2-0, diverged" in capsys.readouterr().out
    assert read_json(Path("metrics/forecast.json"))["excluded"] == [{"rung": "r2", "seed": 0, "reason": "diverged"}]


def test_a_forecast_that_was_touched_is_not_scored(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_forecast() == 0
    path = Path("metrics/forecast.json")
    forecast = json.loads(path.read_text())
    write_json(path, forecast | {"loss_nats": 1.0})
    write_json(Path("metrics/target.json"), {"loss_nats": 1.0, "train_flops": forecast["target"]["train_flops"]})
    assert run_score() == stage.EXIT_BAD_INPUT
    assert "changed since it was sealed" in capsys.readouterr().err
    assert not Path("metrics/forecast_score.json").exists()
