"""The form of a benchmark: the ratio's direction, the verdict, the exit status and the file."""

import json
from pathlib import Path

import pytest

from benchmarks import harness


def row(ours: tuple[float, ...], theirs: tuple[float, ...], at_least: float, less_is_better: bool = True) -> harness.Row:
    return harness.Row("start", "peer", "s", ours, theirs, at_least, less_is_better)


def test_a_ratio_above_one_means_that_we_are_better() -> None:
    assert row((1.0, 9.0, 2.0), (4.0, 4.0, 5.0), 1).ratio == 2  # medians, not means
    assert row((200.0,), (100.0,), 1, less_is_better=False).ratio == 2


def test_one_short_row_ends_with_status_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(harness, "RESULTS", tmp_path)
    good, short = row((1.0,), (2.0,), 2.0), row((1.0,), (2.0,), 2.01)
    assert harness.finish("shell", [good]) == 0
    assert harness.finish("shell", [good, short]) == 1
    written = json.loads((tmp_path / "shell.json").read_text(encoding="utf-8"))
    assert [entry["ok"] for entry in written["rows"]] == [True, False]
    harness.show(short)
    assert "SHORT" in capsys.readouterr().out


def test_both_are_measured_in_turn(capsys: pytest.CaptureFixture[str]) -> None:
    order: list[str] = []

    def measure(name: str, value: float) -> float:
        order.append(name)
        return value

    result = harness.compare("start", lambda: measure("ours", 1.0), "peer", lambda: measure("peer", 3.0), 2.0, 3)
    assert order == ["ours", "peer"] * 3
    assert result.ok
    assert result.ratio == 3
    assert "ok" in capsys.readouterr().out


def test_a_command_that_fails_ends_the_benchmark(tmp_path: Path) -> None:
    assert harness.seconds(["true"], tmp_path, {}) > 0
    with pytest.raises(SystemExit, match="ended with status 1"):
        harness.seconds(["false"], tmp_path, {})
