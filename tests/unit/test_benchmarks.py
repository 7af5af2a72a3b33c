"""The form of a benchmark: the ratio's direction, the verdict, the exit status and the file."""

import json
import re
from pathlib import Path

import pyarrow as pa
import pytest

from benchmarks import curate_memory, harness
from components.sources.documents import Document
from components.sources.read import read_source
from flows import params
from flows.stages.curate_corpus import Sections


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


def cost(text_gb: float, peak_gb: float, cpu_seconds: float, kept_share: float = 0.36) -> curate_memory.Cost:
    return curate_memory.Cost(text_gb, peak_gb, cpu_seconds, wall_seconds=0.0, kept_share=kept_share)


@pytest.mark.parametrize(
    ("most", "verdicts"),
    [
        (cost(8.0, 3.9, 870.0), [True, False, True, True]),
        (cost(8.0, 3.2, 890.0), [True, True, False, True]),
        (cost(8.0, 4.1, 870.0), [False, False, True, True]),
        (cost(8.0, 1.4, 800.0), [True, True, True, True]),  # less memory than at 1 GB is no growth
        (cost(8.0, 1.4, 800.0, 0.46), [True, True, True, False]),  # not the same work
    ],
)
def test_memory_and_cost_have_limits(most: curate_memory.Cost, verdicts: list[bool]) -> None:
    assert [row.ok for row in curate_memory.rows([cost(1.0, 1.5, 100.0), cost(4.0, 9.0, 999.0), most])] == verdicts


def test_a_salted_copy_has_the_form_of_its_text_and_words_of_its_own() -> None:
    texts = pa.array(["The bridge, größer: 12 of Them", "", "the end"])
    assert curate_memory.salted(texts, 0).equals(texts)
    copies = [curate_memory.salted(texts, number).to_pylist() for number in range(1, 300)]
    assert len({copy[0] for copy in copies}) == len(copies)
    for first, empty, last in copies:
        assert re.fullmatch(r"[A-Z][a-z]{2} [a-z]{6}, [a-z]{2}öß[a-z]{2}: 12 [a-z]{2} [A-Z][a-z]{3}", first)
        assert empty == ""
        assert first[:3].lower() == first[-4:-1].lower() == last[:3]


def test_a_salt_of_few_letters_leaves_the_words_without_them() -> None:
    [before] = texts = ["the bag of the Bag, an ant"]
    copies = [curate_memory.salted(pa.array(texts), number, "bg").to_pylist()[0] for number in range(9)]
    assert copies[0] == before and len(set(copies)) == len(copies)
    assert all(re.fullmatch(r"the [a-z]a[a-z] of the [A-Z]a[a-z], an ant", copy) for copy in copies)


def test_the_inputs_of_a_size_are_read_by_the_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"crawl": pa.array(["one", "gown"]), "docs": pa.array(["three"]), "books": pa.array(["four"])}
    written = curate_memory.write_inputs(tmp_path, texts, copies=2)
    monkeypatch.chdir(tmp_path)
    sources = params.load(Sections).sources
    assert {name: source.role for name, source in sources.items()} == {"crawl": "raw", "docs": "reference", "books": "reference"}
    read = {name: [entry.text for entry in read_source(name, source) if isinstance(entry, Document)] for name, source in sources.items()}
    assert {name: len(found) for name, found in read.items()} == {"crawl": 4, "docs": 2, "books": 2}
    assert read["crawl"][:3] == ["one", "gown", "one"] and read["crawl"][3] != "gown"
    assert written == 2 * len("onegownthreefour")
