"""What ``flows.pipeline`` says when Prefect fails it; with Prefect itself: tests/pipeline/test_prefect_flow.py."""

from collections.abc import Callable
from pathlib import Path

import pytest

from components.errors import InputError
from flows import graph, pipeline, schema


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


def test_a_slip_in_any_section_stops_a_launch_before_its_first_cell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the command line, and from a form; the cell itself reads another section."""
    from flows import pipeline_flow

    class Graph:
        def cells(self, _: object) -> list[graph.Cell]:
            return [graph.Cell("tokenize_corpus", (), (), "python -m flows.stages.tokenize_corpus --out data/tokens")]

    monkeypatch.setattr(graph, "load", lambda _: Graph())
    monkeypatch.setattr(pipeline_flow, "crash_those_without_process", lambda: None)
    slip = Path("params.yaml").read_text(encoding="utf-8").replace("calibration_bins: 10", "calibration_bins: ten", 1)
    (tmp_path / "params.yaml").write_text(slip, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    said = "params.yaml: evaluation.calibration_bins: Input should be a valid integer, got 'ten'"
    assert pipeline.main([]) == pipeline.EXIT_BAD_INPUT
    assert capsys.readouterr().err == f"error: {said}\n"
    with pytest.raises(InputError, match=said):
        pipeline_flow.pipeline.fn()


def test_the_parameters_of_another_graph_are_not_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # where there are none
    schema.check_before(["python train.py"])
