"""The report's section on text: the flow adds up, is in the order of the rules, escapes names, and repeats the mixture's warnings."""

import itertools
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from components.artifacts import read_json
from components.reporting.figures import IN_ORDER, document_flow
from components.reporting.headline import shortcomings
from components.reporting.page import build_page
from components.reporting.results import Results
from tests.reporting_example import HOSTILE, change, gather_example, write_example

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return gather_example(write_example(tmp_path))


def lines(results: Results) -> list[str]:
    """What the figure says, line by line."""
    return [element.text or "" for element in ElementTree.fromstring(document_flow(results).standalone()).iter(f"{SVG}text")]


def test_what_is_read_less_what_each_rule_takes_is_what_is_kept(results: Results) -> None:
    said = lines(results)
    for name, source in results.corpus.sources.items():
        own = said[said.index(name) :]
        names, notes = own[1::2], own[2::2]
        steps = names[: names.index("kept")]
        assert steps[0] == "read" and set(steps[1:]) == {rule.replace("_", " ") for rule in source.dropped}
        known = [step for step in steps if step.replace(" ", "_") in IN_ORDER]
        assert known == [rule.replace("_", " ") for rule in IN_ORDER if rule in source.dropped] and steps[-len(known) :] == known
        numbers = [int(re.sub(r"\D", "", re.split(r"[( ]", note)[0])) for note in notes[: len(steps) + 1]]
        assert numbers[0] - sum(numbers[1:-1]) == numbers[-1] == source.kept
        share = results.tokens.sources[name]
        assert notes[len(steps) + 2].endswith(f", {share.epochs:.2f} epochs")


def test_bars_hang_at_the_end_of_what_is_left(results: Results) -> None:
    boxes = list(ElementTree.fromstring(document_flow(results).standalone()).iter(f"{SVG}rect"))
    ends = [(float(box.get("x", "")), float(box.get("x", "")) + float(box.get("width", ""))) for box in boxes]
    first = len(next(iter(results.corpus.sources.values())).dropped)
    for before, after in itertools.pairwise(ends[1 : first + 1]):  # the first source's rules
        assert after[1] == pytest.approx(before[0], abs=1.2)  # a bar is at least a pixel wide
    assert ends[first + 1][1] == pytest.approx(ends[first][0], abs=1.2)


def test_names_of_sources_and_rules_are_text(tmp_path: Path) -> None:
    places = write_example(tmp_path)
    corpus, tokens = read_json(places.metrics / "corpus.json"), read_json(places.metrics / "tokens.json")
    corpus["sources"]["books"]["dropped"] = {HOSTILE: 343}
    change(places.metrics / "corpus.json", sources={HOSTILE: corpus["sources"]["books"]})
    change(places.metrics / "tokens.json", sources={HOSTILE: tokens["sources"]["books"]}, warnings=[HOSTILE])
    results = gather_example(places)
    assert HOSTILE in lines(results) and HOSTILE not in build_page(results)
    assert HOSTILE not in document_flow(results).standalone()


def test_a_source_that_gave_nothing(tmp_path: Path) -> None:
    places = write_example(tmp_path)
    corpus, tokens = read_json(places.metrics / "corpus.json"), read_json(places.metrics / "tokens.json")
    corpus["sources"]["books"] |= {"read": 0, "kept": 0, "held_out": 0, "dropped": {}}
    tokens["sources"]["books"] |= {"weight": 0.0, "tokens_available": 0, "tokens_drawn": 0, "epochs": 0.0}
    change(places.metrics / "corpus.json", sources=corpus["sources"])
    change(places.metrics / "tokens.json", sources=tokens["sources"])
    said = lines(gather_example(places))
    own = said[said.index("books") :]
    assert own[1:5] == ["read", "0 documents", "kept", "0 (0.0\u00a0%)"] and own[8] == "0, 0.00 epochs"


def test_mixture_is_shown_as_in_gpt3s_table_with_its_warnings(tmp_path: Path) -> None:
    places = write_example(tmp_path)
    tokens = read_json(places.metrics / "tokens.json")
    tokens["sources"]["docs"] |= {"weight": 0.5, "weight_given": 50.5, "share_by_size": 0.4321}
    change(
        places.metrics / "tokens.json", sources=tokens["sources"], warnings=["mixture.weights sum to 101, not 1: each was divided by that"]
    )
    results = gather_example(places)
    page = build_page(results)
    assert "<th>share by size</th><th>weight in the mix</th><th>tokens drawn</th><th>epochs</th>" in page
    assert "<td>43.2\u00a0%</td>\n<td>50.0\u00a0% <small>50.5 given</small></td>" in page and page.count("given</small>") == 1
    assert "The mixture: mixture.weights sum to 101, not 1: each was divided by that." in shortcomings(results)
