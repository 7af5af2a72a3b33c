"""flows.quote on the shipped graph with a history made up here; the estimates themselves: test_quote_estimate.py."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.capability.tokens import VOCAB_SIZE
from components.errors import InputError
from components.transformer.accounting import train_flops
from components.transformer.config import TransformerConfig
from flows import graph, params, provenance, quote, quote_history, quote_probe, tracking
from flows.runs import Recorded
from flows.stages.pretrain_model import Sections

WHOLE = graph.load(Path.cwd()).cells()
BY_NAME = {cell.name: cell for cell in WHOLE}


def recorded(name: str, seconds: float, device: str | None = None, flops: float | None = None) -> Recorded:
    """As its run would have been kept."""
    values, seed = quote_history.cell_values(BY_NAME[name].command)
    tags = {"cell": name, "stage": name.partition("@")[0], "seed": seed, "device": device or provenance.device()}
    costs = {tracking.DURATION_SECONDS: seconds, tracking.PEAK_MEMORY_BYTES: 5e8, tracking.DISK_BYTES: 1e6}
    metrics = costs | ({} if flops is None else {"train_flops": flops})
    return Recorded("id", "1", "FINISHED", seconds, tags, values | {"seed": seed}, metrics)


def flops_of(name: str) -> float:
    return quote_history.History([], {}).flops(BY_NAME[name].command)


@pytest.fixture
def launch(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says which runs there were and which cells have changed."""

    def make(past: list[Recorded], changed: set[str]) -> None:
        class Fake:
            def __init__(self, _: str) -> None: ...

            def all(self, _: str) -> list[Recorded]:
                return past

        monkeypatch.setattr(quote, "Store", Fake)
        monkeypatch.setattr(graph.Graph, "changed", lambda *_: changed)

    return make


def test_what_has_changed_and_all_behind_it_is_quoted_and_the_rest_skipped(launch: Callable[..., None]) -> None:
    names = [cell.name for cell in WHOLE]
    launch([recorded(name, 60.0) for name in names], {"pretrain_target"})
    made = quote.make_quote([], 1, probe=False)
    assert {cell.name for cell in made.cells} >= {"pretrain_target", "evaluate_model", "write_report", "score_forecast"}
    assert {"curate_corpus", "tokenize_corpus", "forecast_loss"} <= set(made.skipped)
    assert len(made.cells) + len(made.skipped) == len(names)
    low, middle, high = made.hours
    assert middle == pytest.approx(len(made.cells) / 60)
    assert low < middle < high
    assert made.unknown == []
    text = "\n".join(quote.lines(made, 1, 2.0))
    assert f"price  {2 * middle:.2f} (" in text
    assert f"{len(made.cells)} cells would run, {len(made.skipped)} are skipped" in text


def test_more_at_once_take_less_time_and_more_memory(launch: Callable[..., None]) -> None:
    launch([recorded(cell.name, 60.0) for cell in WHOLE], {"derive_tasks", "tokenize_corpus"})
    one, four = (quote.make_quote([], workers, probe=False) for workers in (1, 4))
    assert four.hours[1] < one.hours[1] / 2
    assert "at most 0.5 GB" in "\n".join(quote.lines(one, 1, None))
    assert "at most 2.1 GB" in "\n".join(quote.lines(four, 4, None))


def test_a_new_arm_is_quoted_from_runs_of_its_kind_and_by_its_operations(launch: Callable[..., None]) -> None:
    rungs = [cell.name for cell in WHOLE if cell.name.startswith("pretrain_ladder") and cell.name.endswith("-0")]  # seeds cost the same

    def seconds(name: str) -> float:
        return 5 + flops_of(name) / 1e10

    past = [recorded(name, seconds(name), flops=1e10 * (seconds(name) - 5)) for name in rungs]
    launch(past, {"pretrain_target"})
    [target] = [cell for cell in quote.make_quote(["pretrain_target"], 1, probe=False).cells if cell.name == "pretrain_target"]
    assert target.seconds is not None
    assert target.seconds.middle == pytest.approx(seconds("pretrain_target"), rel=0.05)
    assert target.seconds.basis == f"{len(rungs)} of its kind"


def test_operations_are_those_that_the_stage_reports() -> None:
    values, _ = quote_history.cell_values(BY_NAME["pretrain_target"].command)
    model: dict[str, Any] = params.lookup(params.read_yaml(), "model")
    training = params.lookup(params.read_yaml(), "training")
    config = TransformerConfig(**model, vocab_size=params.lookup(params.read_yaml(), "tokenization.vocab_size"))
    tokens = training["train_tokens"] // training["batch_tokens"] * training["batch_tokens"]
    assert quote_history.train_flops(values, config.vocab_size) == train_flops(config, tokens)


def test_a_cell_of_the_small_tasks_is_quoted_for_its_own_vocabulary() -> None:
    text, tasks = (quote_history.stream_of(BY_NAME[name].command) for name in ("pretrain_target", "pretrain_capability_target"))
    assert (text.vocab_size, tasks.vocab_size) == (params.lookup(params.read_yaml(), "tokenization.vocab_size"), VOCAB_SIZE)
    assert tasks.held_out_tokens == params.lookup(params.read_yaml(), "capability.problems.held_out_tokens")
    values, _ = quote_history.cell_values(BY_NAME["pretrain_capability_target"].command)
    assert flops_of("pretrain_capability_target") == quote_history.train_flops(values, VOCAB_SIZE)


def test_runs_of_another_device_are_no_evidence(launch: Callable[..., None]) -> None:
    launch([recorded("derive_tasks", 60.0, device="1 x abacus")], {"derive_tasks"})
    made = quote.make_quote(["derive_tasks"], 1, probe=False)
    assert made.unknown == ["derive_tasks"]
    assert "not counted, for nothing like it was tracked on this device: derive_tasks" in "\n".join(quote.lines(made, 1, None))
    with pytest.raises(InputError, match="no run like derive_tasks was tracked on this device, so no budget can be kept"):
        quote.refuse_above(100, ["derive_tasks"], 1)


def test_what_is_unknown_is_probed_once_a_shape(launch: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def probe(shapes: list[Any]) -> list[quote_probe.Probe]:
        asked.append(len(shapes))
        return [quote_probe.Probe(5.0, 0.1, 1e9) for _ in shapes]

    monkeypatch.setattr(quote_probe, "_probe", probe)
    rungs = {cell.name for cell in WHOLE if cell.name.startswith("pretrain_ladder")}
    launch([], rungs | {"tokenize_corpus"})
    made = {cell.name: cell for cell in quote.make_quote(["pretrain_ladder"], 1, probe=True).cells}
    [shapes] = asked
    assert 1 < shapes < len(rungs)  # two rungs differ in their tokens alone
    assert made["tokenize_corpus"].seconds is None
    rung = made["pretrain_ladder@r1-0"]
    assert rung.seconds is not None and rung.memory_bytes is not None and rung.seconds.basis == "a probe"
    sections = quote_history.cell_sections(BY_NAME[rung.name].command)[0]
    assert isinstance(sections, Sections)
    assert rung.seconds.low == pytest.approx(5 + 0.1 * sections.training.num_steps, rel=0.1)  # and what is held out
    assert rung.seconds.high == pytest.approx(1.6 * rung.seconds.low, rel=0.05)
    assert rung.memory_bytes.middle == pytest.approx(1e9)
    assert rung.flops == flops_of(rung.name)


def test_a_launch_above_the_budget_is_refused_by_its_upper_bound(launch: Callable[..., None]) -> None:
    launch([recorded("derive_tasks", 3600.0)], {"derive_tasks"})
    quote.refuse_above(2, ["derive_tasks"], 1)
    with pytest.raises(InputError, match=r"would take 0\.\d+ to 1\.\d+ h \(80 % interval\), above the budget of 1.1 h"):
        quote.refuse_above(1.1, ["derive_tasks"], 1)


def test_nothing_to_run_is_said(launch: Callable[..., None]) -> None:
    launch([], set())
    made = quote.make_quote([], 2, probe=False)
    assert list(quote.lines(made, 2, 5.0)) == [f"nothing would run: DVC skips all {len(WHOLE)} cells"]
    quote.refuse_above(0.001, [], 2)


def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert quote.main(["pretrain_taget"]) == 2
    assert capsys.readouterr().err.startswith("error: dvc.yaml has no cell or stage 'pretrain_taget'; did you mean pretrain_target")
    monkeypatch.setattr(graph.Graph, "changed", lambda *_: {"derive_tasks"})
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/none.db")
    assert quote.main(["derive_tasks"]) == 2
    assert capsys.readouterr().err.startswith(f"error: {tmp_path}/none.db: not there, so no run is known; set MLFLOW_TRACKING_URI")
    with pytest.raises(SystemExit):
        quote.main(["--price-per-hour", "-1"])
    assert "must be a price, got -1" in capsys.readouterr().err
