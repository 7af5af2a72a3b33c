"""Shared by all tiers. Markers are declared in pyproject.toml; nothing here reaches the network."""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

from flows import quiet

quiet.set_variables()
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # how fast an example is is no matter
settings.load_profile("busy")
# Started in the background by a script, as a CI may do, a process ignores Ctrl-C and so do all that it starts; our tests send it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _untracked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that does not ask for a store of its own tracks nothing, and no cell it starts believes it runs inside DVC."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "off")
    for name in [name for name in os.environ if name.startswith("DVC_") and name != "DVC_NO_ANALYTICS"]:
        monkeypatch.delenv(name)
