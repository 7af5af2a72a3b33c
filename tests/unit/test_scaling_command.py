"""``python -m flows.forecast`` and ``python -m flows.plan`` from their command lines, on good tables and on bad ones."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.artifacts import write_json
from components.scaling import table_forecast
from components.scaling.surface import Surface
from components.scaling.table import RunTable
from flows import forecast, params, plan
from tests.scaling_example import CONFIG

TRUTH = Surface(1.7, 400.0, 2000.0, 0.34, 0.37, 1.0, 1.0)
KEYS = {"loss_nats", "low", "high", "method", "n_params", "n_tokens", "warnings"}
Rows = list[list[float]]


def runs(noise: float = 0.003) -> Rows:
    """N, D, C and loss of four budgets of six sizes."""
    rng, rows = np.random.default_rng(0), []
    for flops in np.geomspace(1e17, 1e19, 4).tolist():
        for size in (TRUTH.optimum(flops, 6.0)[0] * np.geomspace(1 / 4, 4, 6)).tolist():
            tokens = flops / 6 / size
            rows.append([size, tokens, flops, float(TRUTH.loss_nats(size, tokens) * np.exp(rng.normal(0, noise)))])
    return rows


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., str]:
    def write(rows: Rows, header: str = "N,D,C,loss") -> str:
        path = tmp_path / "runs.csv"
        path.write_text("\n".join([header, *(",".join(f"{value:.9g}" for value in row) for row in rows)]) + "\n")
        return str(path)

    return write


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    """The forecast at 1e20 FLOP from the runs as they are."""
    n_params, n_tokens, flops, losses = np.array(runs()).T
    found = table_forecast.study(RunTable(flops, losses, np.arange(len(flops)), n_params, n_tokens), CONFIG, 0.95, "runs")
    forecast_ = found.forecast(table_forecast.Point(1e20))
    return table_forecast.record(forecast_, forecast_.interval, found.table)


def answer(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    assert forecast.main([*argv, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert set(record) == KEYS
    return dict(record)


def refusal(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert forecast.main(list(argv)) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err


def test_json_holds_the_forecast_at_the_optimum(table: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    record = answer(capsys, table(runs()), "--at-flops", "1e20")
    n, d = TRUTH.optimum(1e20, 6.0)
    assert record["low"] <= record["loss_nats"] <= record["high"]
    assert record["low"] <= TRUTH.loss_nats(n, d) <= record["high"]
    assert record["n_params"] == pytest.approx(n, rel=0.3)
    assert 6 * record["n_params"] * record["n_tokens"] == pytest.approx(1e20)
    wide = answer(capsys, table(runs()), "--at-flops", "1e20", "--confidence", "0.999")
    run = answer(capsys, table(runs()), "--at-flops", "1e20", "--interval", "run")
    for wider in (wide, run):
        assert wider["low"] < record["low"] < record["high"] < wider["high"]


def test_n_and_d_are_taken_as_given(table: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    path = table(runs())
    both = answer(capsys, path, "--n-params", "1e9", "--n-tokens", "1e10")
    one = answer(capsys, path, "--n-params", "1e9", "--at-flops", "6e19")
    assert both["loss_nats"] == pytest.approx(one["loss_nats"])
    assert both["low"] <= TRUTH.loss_nats(1e9, 1e10) <= both["high"]


def test_readable_form_shows_every_method(table: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    assert forecast.main([table(runs()), "--at-flops", "1e20", "--other-n-params-column", "N", "--bootstrap", "100"]) == 0
    text = capsys.readouterr().out
    for name in (
        "variable projection",
        "L(C)",
        "approach 1",
        "approach 2",
        "approach 3",
        "Kaplan L(N, D)",
        "Kaplan L(N, S)",
        "counted by",
        "100 bootstrap draws",
    ):
        assert name in text


def test_same_table_same_bytes_in_any_order(table: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    first = answer(capsys, table(runs()), "--at-flops", "1e20")
    assert answer(capsys, table(runs()), "--at-flops", "1e20") == first
    assert answer(capsys, table(runs()[::-1]), "--at-flops", "1e20")["loss_nats"] == pytest.approx(first["loss_nats"], rel=1e-6)


def changed(index: int, column: int, factor: float) -> Rows:
    rows = runs()
    rows[index][column] *= factor
    return rows


@pytest.mark.parametrize(
    ("rows", "flops", "warning"),
    [
        (runs(), "1e25", r"looks 1e\+06 times beyond the largest run"),
        (runs(), "1e21", "looks 100 times beyond"),
        (changed(5, 3, float("nan")), "1e20", "line 7 left out: loss is missing or not finite"),
        (changed(5, 3, -1), "1e20", "not positive"),
        (changed(20, 3, 2.5), "1e20", "line 22 left out: loss .* diverged"),
        (changed(20, 3, 1.12), "1e20", "line 22 left out: loss .* off the rest"),
        (changed(4, 1, 1 / 2048), "1e20", "line 6 left out: C / N D .* units mixed"),
        ([*runs(), *([n, d, c, 1.05 * loss] for n, d, c, loss in runs()[:4])], "1e20", "4 pairs of N and D .* differ by 5 %"),
        ([*runs(), runs()[0]], "1e20", "line 26 left out: repeats line 2"),
        (changed(5, 3, 0), "1e20", "line 7 left out: loss is 0, not positive"),
        ([[8 * n, d, c, loss] for n, d, c, loss in runs()], "1e20", "far from 6 N D: check the units"),
        (runs(), "1e14", "looks 1e\\+03 times below the smallest run"),
        ([[n, 20 * n, 120 * n * n, TRUTH.loss_nats(n, 20 * n)] for n in np.geomspace(1e6, 1e8, 9)], "1e20", "D is tied to N"),
        ([[n, d, c, np.exp(loss)] for n, d, c, loss in runs()], "1e20", "perplexity"),
        ([*runs(), [50.0, 4e9, 1.2e12, 3.2]], "1e20", r"line 26 left out: 8e\+07 tokens per parameter"),
        (runs()[::5], "1e20", "runs are too few for the 5 parameters"),
    ],
)
def test_what_is_odd_is_a_warning_and_the_forecast_stands(
    rows: Rows, flops: str, warning: str, table: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    record = answer(capsys, table(rows), "--at-flops", flops)
    assert any(re.search(warning, text) for text in record["warnings"]), record["warnings"]
    assert 1.0 < record["low"] <= record["loss_nats"] <= record["high"]
    if "left out" in warning:
        n, d = TRUTH.optimum(float(flops), 6.0)
        assert record["loss_nats"] == pytest.approx(TRUTH.loss_nats(n, d), rel=0.02)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (runs()[:1], r"all runs have one size|too few"),
        (runs()[:4], "too few"),
        ([[1e8, d, 6e8 * d, 3 + 1e3 * d**-0.4] for d in np.geomspace(1e9, 1e11, 8)], "all runs have one size, N = 1e\\+08"),
        ([[n, d, c, 6 - loss] for n, d, c, loss in runs()], "the loss rises with compute"),
        ([[n / 10 ** (6 * (i % 2)), d, 6 * n * d / 10 ** (6 * (i % 2)), y] for i, (n, d, _, y) in enumerate(runs())], "in one unit"),
        ([[n, d, c, 3.0] for n, d, c, _ in runs()], "the loss falls neither with N nor with D"),
        ([[n, d / 2048, c, loss] for n, d, c, loss in runs()], "C is 2048 times 6 N D: does D count sequences of so many tokens"),
        ([[n / 1e6, d / 1e9, c / 1e18, loss] for n, d, c, loss in runs()], "C is 0.001 times 6 N D; write the unit into the name"),
    ],
)
def test_what_no_law_can_carry_is_refused(rows: Rows, message: str, table: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    assert re.search(message, refusal(capsys, table(rows), "--at-flops", "1e20"))


def test_sequences_among_tokens_are_told_where_no_compute_gives_them_away(
    table: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    mixed = [[n, d / 2048 if number % 2 else d, loss] for number, (n, d, _, loss) in enumerate(runs())]
    record = answer(capsys, table(mixed, "N,D,loss"), "--at-flops", "1e20")
    assert any("tokens per parameter: units mixed, sequences for tokens?" in warning for warning in record["warnings"])


def test_runs_of_nearly_one_ratio_of_tokens_to_parameters_tell_no_optimum(
    table: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = [(n, n * ratio) for n, ratio in zip(np.geomspace(1e6, 2e7, 9).tolist(), [20, 28, 24, 30, 19, 26, 21, 29, 23], strict=True)]
    along = [[n, d, 6 * n * d, float(TRUTH.loss_nats(n, d))] for n, d in sizes]
    record = answer(capsys, table(along), "--at-flops", "1e18")
    assert record["method"].startswith("L(C)") and any("D is tied to N" in warning for warning in record["warnings"])
    assert 15 < record["n_tokens"] / record["n_params"] < 35


@pytest.mark.parametrize(
    ("header", "scales", "message"),
    [
        ("N,D,loss", (1e-6, 1e-9, 0), "N is 6.54 to 1.15e+03, which cannot be parameters counted one by one; write the unit into the name"),
        ("N,D,loss", (1e-9, 1e-9, 0), "N is 0.00654 to 1.15"),
        ("N,D,loss", (1, 1e-9, 0), "D is 0.159 to 23.1, which cannot be tokens counted one by one"),
        ("N,D,loss", (1, 1 / 2048, 0), "0.0119 tokens per parameter (median) cannot be: D in sequences"),
        ("N,C,loss", (1, 0, 1e-18), "D is 1.59e-10"),
        ("C,loss", (0, 0, 1e-18), "C is 0.1 to 10, too little for FLOP"),
        ("N,D,c4_loss_a,pile_loss_b", (1, 1, 0), "any of 'c4_loss_a', 'pile_loss_b' may hold loss_nats; name one with --loss-column"),
    ],
)
def test_units_that_nothing_tells_are_refused(
    header: str, scales: tuple[float, ...], message: str, table: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    losses = header.count("loss")
    rows = [[scale * value for scale, value in zip(scales, run, strict=False) if scale] + losses * [run[3]] for run in runs()]
    assert message in refusal(capsys, table(rows, header), "--at-flops", "1e20")


@pytest.mark.parametrize(
    ("header", "scales", "read"),
    [
        ("N,D,C,loss", (1e-6, 1e-9, 1), "N in 1e+06, D in 1e+09"),
        ("N,D,C,loss", (1e-9, 1e-9, 1), "N in 1e+09, D in 1e+09"),
        ("N,D,C,loss", (1, 1, 1e-18), "C in 1e+18"),
        ("N,D,C,loss", (1, 1, 1 / 8.64e19), "C in 8.64e+19"),
        ("N,C,loss", (1e-6, 0, 1), "N in 1e+06"),
        ("D,C,loss", (0, 1e-9, 1), "D in 1e+09"),
        ("N_params_M,D_tokens_B,val_loss", (1e-6, 1e-9, 0), "read in units of 1e+09"),
        ("params (10^6),tokens/1e9,C [EFLOPs],final val loss", (1e-6, 1e-9, 1e-18), "read in units of 1e+18"),
        ("nParamsM,tokensB,compute (PF-days),eval/loss", (1e-6, 1e-9, 1 / 8.64e19), "read in units of 8.64e+19"),
    ],
)
def test_units_that_the_name_or_the_compute_tells_are_read_and_said(
    header: str, scales: tuple[float, ...], read: str, plain: dict[str, Any], table: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [[scale * value for scale, value in zip(scales, run, strict=False) if scale] + [run[3]] for run in runs()]
    record = answer(capsys, table(rows, header), "--at-flops", "1e20")
    assert any(read in text for text in record["warnings"]), record["warnings"]
    for key in ("loss_nats", "low", "high", "n_params", "n_tokens"):
        assert record[key] == pytest.approx(plain[key], rel=1e-6)


def test_an_extrapolation_that_no_law_carries_is_refused(table: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "1e+10 times the largest run's: no forecast; check the units" in refusal(capsys, table(runs()), "--at-flops", "1e29")


def test_a_run_may_lie_further_off_the_further_out_it_is(table: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    """Six thousandths of the loss a tenfold, one standard deviation, beside the law's interval and the scatter of runs."""
    spans = {}
    for kind in ("law", "run"):
        record = answer(capsys, table(runs(noise=1e-5)), "--at-flops", "1e21", "--interval", kind)
        spans[kind] = (record["high"] - record["low"]) / 2 / record["loss_nats"]
    assert spans["run"] == pytest.approx(np.hypot(spans["law"], 1.96 * 0.012), rel=0.01)


def test_bad_input_ends_the_process_with_status_2_and_one_line(tmp_path: Path) -> None:
    (tmp_path / "runs.csv").write_text("N,D,loss\n70,1.4,3.1\n160,3.2,2.9\n410,8.2,2.7\n")
    command = [sys.executable, "-m", "flows.forecast", str(tmp_path / "runs.csv"), "--at-flops", "1e20"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "runs.csv: N is 70 to 410" in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give --at-flops"),
        (["--at-flops", "-1"], "--at-flops -1.0 is not a positive number"),
        (["--at-flops", "nan"], "not a positive number"),
        (["--at-flops", "1e20", "--confidence", "95"], "--confidence 95.0 is not between 0 and 1"),
        (["--at-flops", "1e20", "--n-params", "1e9", "--n-tokens", "1e9"], "one too many"),
        (["--at-flops", "1e20", "--bootstrap", "5"], "--bootstrap 5 draws are too few"),
        (["--at-flops", "1e20", "--loss-column", "perplexity"], "no column 'perplexity'"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(
    options: list[str], message: str, table: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refusal(capsys, table(runs()), *options)


def test_losses_against_compute_alone_give_a_forecast_without_n_and_d(
    table: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [[c, 1.5 + 3 * (c / 1e17) ** -0.15 + (-1) ** i / 500] for i, c in enumerate(np.geomspace(1e17, 1e19, 7).tolist())]
    record = answer(capsys, table(rows, "compute,loss"), "--at-flops", "1e20")
    assert record["n_params"] is None
    assert record["low"] <= 1.5 + 3 * 1e3**-0.15 <= record["high"]


def plan_text(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert plan.main(list(argv)) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def test_hours_money_and_compute_that_are_equal_give_one_plan(table: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    own = ["--table", table(runs()), "--device", "h100-80gb", "--mfu", "0.5", "--peak-flops", "1e15", "--price-per-hour", "2"]
    plans = [plan_text(capsys, *own, *budget) for budget in (["--flops", "1.8e19"], ["--hours", "10"], ["--money", "20"])]
    assert len(set(plans)) == 1
    assert "10 hours on 1 x h100-80gb, 20.00 USD" in plans[0]
    for part in ("N ", "batch ", "learning rate", "weights and optimiser", "Kaplan 2020: N", "Chinchilla: N", "95 % interval"):
        assert part in plans[0]


def test_the_compute_for_a_loss_reaches_it(table: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    first = plan_text(capsys, "--table", table(runs()), "--loss", "3.0").splitlines()[0].split()
    flops = float(first[3])
    n, d = TRUTH.optimum(flops, 6.0)
    assert TRUTH.loss_nats(n, d) == pytest.approx(3.0, rel=0.01)
    hours = plan_text(capsys, "--table", table(runs()), "--loss", "3.0", "--device", "h100-80gb").splitlines()[0]
    assert re.fullmatch(r"loss 3 takes \S+ FLOP \(\S+ to \S+\), \S+ hours \(\S+ to \S+\)", hours)
    assert plan.main(["--table", table(runs()), "--loss", "1.0"]) == 2
    assert "does not reach it" in capsys.readouterr().err


def test_a_plan_from_the_graphs_ladder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy("params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert plan.main(["--flops", "1e14"]) == 2
    assert "metrics/ladder" in capsys.readouterr().err
    ladder = params.load(plan.Sections).ladder
    for number, rung in enumerate(ladder.rungs):
        for seed in ladder.seeds:
            n, d = 4e4 * 1.5**number, 2.5e5 * 1.2**number
            loss = 2 + 3 * (n * d / 1e10) ** -0.2 + (-1) ** number / 200 + seed / 400
            write_json(
                Path(f"metrics/ladder/{rung}-{seed}.json"),
                {"train_flops": 6.7 * n * d, "loss_nats": loss, "parameters": n, "train_tokens": d},
            )
    text = plan_text(capsys, "--flops", "1e14")
    assert "by those of the ladder" in text
    assert "warning: looks" in text and "Kaplan 2020: 2.1e8 tokens" in text
    assert "such a batch leaves" in text, "the law's batch is of other models"
    largest = Path(f"metrics/ladder/{list(ladder.rungs)[-1]}-{ladder.seeds[-1]}.json")
    write_json(largest, {**json.loads(largest.read_text()), "noise_scale_tokens": 700.0})
    assert "batch 700 tokens (the measured noise scale)" in plan_text(capsys, "--flops", "1e14")
    assert plan.main(["--hours", "1"]) == 2
    assert "need --device" in capsys.readouterr().err


def test_a_plan_for_scripts_is_json_that_says_what_the_text_says(table: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    own = ["--table", table(runs()), "--device", "a100-40gb", "--noise-scale", "5e5"]
    text = plan_text(capsys, *own, "--flops", "1.8e19")
    told = json.loads(plan_text(capsys, *own, "--flops", "1.8e19", "--json"))
    assert f"loss {told['loss_nats']:.4f} nats per token" in text and told["low"] < told["loss_nats"] < told["high"]
    for name, key in (("N", "n_params"), ("D", "n_tokens")):
        bounds = told[f"{key}_interval"]
        assert f"{name} {told[key]:.3g} ({bounds[0]:.3g} to {bounds[1]:.3g})" in text
    assert told["learning_rates"]["the ladder"] is None, "its models are too small to say anything of this one"
    assert (told["flops"], told["batch_tokens"], told["flops_interval"]) == (1.8e19, 5e5, None)
    assert told["cost_usd"] is None and told["hours"] > 0  # no source states its price
    assert set(told["published"]) == {"Kaplan 2020", "Chinchilla"} and set(told["learning_rates"]) >= {"GPT-3"}
    assert [f"warning: {warning}" for warning in told["warnings"]] == [line for line in text.splitlines() if line.startswith("warning: ")]
    low, high = json.loads(plan_text(capsys, *own, "--loss", "3.0", "--json"))["flops_interval"]
    assert low < high
