"""The probe of flows.quote as a process, on a shape that is small enough for a test."""

from pathlib import Path

import pytest

from flows import quote_probe
from flows.quote_history import Stream
from flows.stages.pretrain_model import Sections
from tests.configs import ONE_CPU, training_config
from tests.two_devices import MODEL, TRAINING

pytestmark = pytest.mark.pipeline


def test_every_shape_is_measured_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    wide = MODEL.model_copy(update={"d_model": 64})
    ramp = TRAINING.model_copy(update={"ramp_tokens": 256, "max_loss_spike_nats": 0.1})
    monkeypatch.setattr(quote_probe, "STEPS_SECONDS", 0.1)
    shapes = [Sections(model=MODEL, training=ramp, compute=ONE_CPU), Sections(model=wide, training=training_config(), compute=ONE_CPU)]
    small, large = quote_probe._probe([(shape, Stream(32, 1000.0)) for shape in shapes])
    assert small.start_seconds == large.start_seconds > small.step_seconds > 0
    assert large.peak_memory_bytes >= small.peak_memory_bytes > 1e8
    assert not list(tmp_path.iterdir())
