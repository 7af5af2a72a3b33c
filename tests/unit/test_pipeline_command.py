"""What ``flows.pipeline`` says when Prefect fails it; with Prefect itself: tests/pipeline/test_prefect_flow.py."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flows import pipeline


class Ended(Exception):
    """The process would have."""


def fails_with(message: str) -> Callable[..., None]:
    def flow(**_: object) -> None:
        raise RuntimeError(message)

    return flow


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    def end(_: int) -> None:
        raise Ended

    monkeypatch.setattr("os._exit", end)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    return monkeypatch


def test_a_server_that_does_not_answer_is_one_line(failing: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    failing.setattr("flows.pipeline_flow.pipeline", fails_with("Failed to reach API at http://127.0.0.1:9/api/"))
    with pytest.raises(Ended):
        pipeline._run(pipeline._parse([]))
    said = "error: the Prefect server of this flow went away or does not answer; finished cells are kept: start it and run the same"
    assert capsys.readouterr().err == f"{said} command again\n"


def test_a_database_that_keeps_prefect_from_starting_is_one_line(
    failing: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Its own server waits for a lock on its database until it is given up."""
    failing.setattr("flows.pipeline_flow.pipeline", fails_with(f"{pipeline.NOT_STARTED} Prefect API server."))
    assert pipeline._run(pipeline._parse([])) == 1
    said = f"error: Prefect did not start in 180 s; end what else holds {tmp_path}/prefect.db, and run the same command again\n"
    assert capsys.readouterr().err == said


def test_any_other_error_is_shown_whole(failing: pytest.MonkeyPatch) -> None:
    failing.setattr("flows.pipeline_flow.pipeline", fails_with("a fault of ours"))
    with pytest.raises(RuntimeError, match="a fault of ours"):
        pipeline._run(pipeline._parse([]))
