"""Held-out runs of any folder of tables: errors and intervals are counted as they are, and a table that tells nothing is named."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import forecast_tables, harness
from components.scaling.surface import Surface
from components.scaling.table import read_table
from tests.scaling_example import CONFIG

TRUTH = Surface(1.7, 400.0, 2000.0, 0.34, 0.37, 1.0, 1.0)


def write(path: Path, noise: float) -> Path:
    rng, lines = np.random.default_rng(0), ["N,D,loss"]
    for flops in (1e17, 1e18, 9e18, 1e20):
        for size in (TRUTH.optimum(flops, 6.0)[0] * np.geomspace(1 / 4, 4, 6)).tolist():
            loss = float(TRUTH.loss_nats(size, flops / 6 / size) * np.exp(rng.normal(0, noise)))
            lines.append(f"{size:.9g},{flops / 6 / size:.9g},{loss:.9g}")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_errors_are_those_of_runs_that_the_fit_has_not_seen(tmp_path: Path) -> None:
    table = read_table(write(tmp_path / "exact.csv", 1e-6), {})
    one = forecast_tables.held_out("exact", table, CONFIG, 30)
    assert (one.num_runs, len(one.actual_H)) == (12, 12)
    assert one.actual_H[-1] == table.losses_P[np.argsort(table.flops_P, kind="stable")[-1]]
    assert np.abs(one.errors_H).max() < 1e-3
    biased = table.losses_P * np.where(table.flops_P > 1e18 * 1.1, 1.5, 1.0)
    moved = forecast_tables.held_out("biased", type(table)(table.flops_P, biased, *list(vars(table).values())[2:]), CONFIG, 30)
    assert np.allclose(moved.forecasts_H, one.forecasts_H), "held-out losses change nothing"
    assert np.allclose(moved.errors_H, 1 / 1.5 - 1, atol=1e-3)
    assert moved.record()["held_out_inside"] == 0


def test_a_folder_of_tables_gives_a_row_for_each_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(harness, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(forecast_tables, "DATA", tmp_path / "nothing")
    write(tmp_path / "mine.csv", 0.003)
    (tmp_path / "short.csv").write_text("N,D,loss\n1e8,2e9,3\n")
    assert forecast_tables.main(["--tables", str(tmp_path), "--quick"]) == 0
    printed = capsys.readouterr().out
    assert "short" in printed and "too few to try" in printed
    written = json.loads((tmp_path / "results/forecast_tables.json").read_text())
    assert set(written) == {"mine", "short"} and written["short"] == {}
    assert written["mine"]["10"]["held_out"] == 6 and abs(written["mine"]["10"]["error"]) < 0.03
    assert "1 cuts: " in printed
