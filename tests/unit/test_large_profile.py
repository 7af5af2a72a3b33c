"""The larger profile that README.md documents: its parameters are allowed, and the forecast then looks over 100 times the compute."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from flows import params, schema
from flows.stages import forecast_loss


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """params.yaml with what the command in README.md sets."""
    command = next(line for line in Path("README.md").read_text(encoding="utf-8").splitlines() if line.startswith("dvc exp run -S '~"))
    values = params.read_yaml()
    found, dropped = re.findall(r"-S (\w+)\.(\w+)=(\S+)", command), re.findall(r"-S '~ladder\.rungs\.(\w+)'", command)
    assert len(found) + len(dropped) == command.count("-S ") == 8 and command.endswith(" score_forecast")
    for rung in dropped:
        del values["ladder"]["rungs"][rung]
    for section, key, value in found:
        assert key in values[section]
        values[section][key] = float(value) if "e" in value else int(value)
    YAML(typ="safe").dump(values, tmp_path / "params.yaml")
    return tmp_path / "params.yaml"


def test_the_documented_profile_is_allowed_and_looks_over_100_times_the_compute(profile: Path) -> None:
    whole = schema.check(profile)
    assert whole.training.tokens_seen < whole.tokenization.stream_tokens

    def flops(place: str) -> float:
        return forecast_loss.planned_target(params.load(forecast_loss.Sections, [place], profile)).train_flops

    largest = max(flops(f"ladder.rungs.{rung}") for rung in whole.ladder.rungs)
    assert round(flops("target") / largest) == 103
    assert flops("target") / forecast_loss.planned_target(params.load(forecast_loss.Sections, ["target"])).train_flops == pytest.approx(
        4.5, abs=0.05
    )
