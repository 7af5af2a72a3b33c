"""The probe of flows.quote as a process, on a shape that is small enough for a test."""

from pathlib import Path

import pytest
import yaml

from flows import quote_probe
from flows.stages.pretrain_model import Sections
from tests.two_devices import MODEL, ONE, TRAINING
from tests.unit.test_data_order import CONFIG

pytestmark = pytest.mark.pipeline


def test_every_shape_is_measured_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"tokenization": {"vocab_size": 32}}), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    wide = MODEL.model_copy(update={"d_model": 64})
    ramp = TRAINING.model_copy(update={"ramp_tokens": 256, "max_loss_spike_nats": 0.1})
    monkeypatch.setattr(quote_probe, "STEPS_SECONDS", 0.1)
    small, large = quote_probe._probe(
        [Sections(model=MODEL, training=ramp, compute=ONE), Sections(model=wide, training=CONFIG, compute=ONE)]
    )
    assert small.start_seconds == large.start_seconds > small.step_seconds > 0
    assert large.peak_memory_bytes >= small.peak_memory_bytes > 1e8
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]
