"""The report: what it says follows from the files, text of documents stays text, equal input gives equal bytes."""

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from components.artifacts import read_json, write_json
from components.errors import InputError
from components.reporting import charts, svg, text
from components.reporting.curve import Curve
from components.reporting.figures import draw_figures, smooth
from components.reporting.gather import Places
from components.reporting.headline import findings, shortcomings
from components.reporting.page import build_page
from components.reporting.results import ContaminationMetrics, Results
from components.reporting.summary import build_summary, ladder_rows
from tests.reporting_example import HOSTILE, LABELLED, LADDER, STUDIES, change, gather_example, write_example


class Elements(HTMLParser):
    """Collects every start tag with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, list[tuple[str, str | None]]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, attrs))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Places:
    return write_example(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def results(places: Places) -> Results:
    return gather_example(places)


@pytest.fixture(scope="module")
def page(results: Results) -> str:
    return build_page(results)


def test_text_of_documents_is_escaped(page: str) -> None:
    assert HOSTILE not in page and "<script" not in page and "<b>js" not in page
    assert "&lt;script&gt;alert(&#39;from a document&#39;)&lt;/script&gt;" in page


def test_page_asks_for_nothing_outside_itself(page: str) -> None:
    elements = Elements()
    elements.feed(page)
    attributes = [(name, value or "") for _, found in elements.seen for name, value in found]
    ids = {value for name, value in attributes if name == "id"}
    assert {value for name, value in attributes if name == "href"} == {"data:,"} | {f"#{name}" for name in ids}
    assert not {name for name, _ in attributes if name in ("src", "srcset", "data", "action") or name.startswith("on")}
    assert not {tag for tag, _ in elements.seen} & {"script", "img", "iframe", "object", "embed"}
    assert "url(" not in page and "@import" not in page and "default-src 'none'" in page


def test_equal_files_give_equal_bytes(results: Results, page: str, tmp_path: Path) -> None:
    again = gather_example(write_example(tmp_path / "elsewhere"))
    assert build_page(again) == page
    assert {n: f.standalone() for n, f in draw_figures(again).items()} == {n: f.standalone() for n, f in draw_figures(results).items()}


def test_page_shows_the_key_figures(page: str, results: Results) -> None:
    score = results.forecast_score
    for number in (results.evaluation.bits_per_byte.target, score.loss_nats, score.low, score.high, score.actual_loss_nats):
        assert f"{number:.3f}" in page
    assert score.seal in page and results.evaluation.weights_sha256 in page
    assert all(study.question in page for study in STUDIES.values())


def test_page_says_how_far_each_method_was_off_and_what_cannot_be_forecast(page: str) -> None:
    assert "approach 2 (Hoffmann 2022)" in page and "0 budgets are too few" in page
    assert "not forecast: only 3 problems are solved by every small model" in page
    assert "97 problems of addition, which some small model never solved (the largest solves 12 of them at least once)" in page
    assert "falls with size, then rises (U-shaped)" in page
    assert "No forecast of pass rates was possible for addition (all), addition (easy), addition (hard)." in page


def test_page_says_which_test_items_the_model_had_read(page: str, results: Results) -> None:
    assert "one of the 41,234 documents" in page and "28 of the prompted items have fewer than N words" in page
    rows = [words for words in page.split("<tr>") if "no difference shown" in words and "of 100</td>" in words]
    assert [re.findall("<td[^>]*>([^<]*)", row)[:4] for row in rows] == [
        ["library", "fine-tuned", "8", "12 of 100"],
        *(["see also", f"K = {shots}", "8", "10 of 100"] for shots in (0, 1, 4)),
    ]
    none = {task: one.model_copy(update={"dirty_items": 0}) for task, one in results.contamination.finetune.items()}
    nothing = ContaminationMetrics(documents=7, few_shot={}, finetune=none)
    assert "No item is dirty." in build_page(dataclasses.replace(results, contamination=nothing))


def test_figures_are_well_formed(results: Results) -> None:
    figures = draw_figures(results)
    capability = {"capability_copying", "capability_falsehood"}  # of addition nothing was forecast
    assert set(figures) == {"bits_per_byte", "kept", "flow", "curves", "scaling", "finetune", "few_shot"} | capability | {
        *(f"study_{name}" for name in STUDIES),
        *(f"reliability_{task}" for task in LABELLED),
    }
    for figure in figures.values():
        root = ElementTree.fromstring(figure.standalone())
        assert root.get("aria-label")
        assert "nan" not in figure.inline()


def test_summary_holds_exactly_the_promised_keys(results: Results) -> None:
    summary = json.loads(json.dumps(build_summary(results), allow_nan=False))
    assert set(summary) == {"documents", "bits_per_byte", "ladder", "forecast", "finetune", "few_shot", "contamination", "studies"}
    assert all(set(row) == {"task", "asked", "dirty_items", "clean_items", "all", "clean", "verdict"} for row in summary["contamination"])
    assert set(summary["documents"]) == {"read", "kept", "dropped"}
    assert set(summary["bits_per_byte"]) == {"target", "xz", "unigram", "bigram"}
    assert all(set(rung) == {"name", "train_flops", "loss_nats", "bits_per_byte"} for rung in summary["ladder"])
    assert set(summary["forecast"]) == {"loss_nats", "low", "high", "actual_loss_nats", "compute_ratio"}
    assert all(set(task) == {"metric", "pretrained", "scratch", "majority"} for task in summary["finetune"].values())
    assert all(set(cell) == {"score", "chance"} for task in summary["few_shot"].values() for cell in task.values())
    for study in summary["studies"].values():
        assert set(study) == {"metric", "arms", "verdict"}
        assert all(set(arm) == {"mean", "low", "high", "seeds"} for arm in study["arms"].values())


def test_summary_copies_the_numbers(results: Results, places: Places) -> None:
    summary = build_summary(results)
    cells = [read_json(places.metrics / "ladder" / f"r2-{seed}.json") for seed in LADDER.seeds]
    assert [rung["name"] for rung in summary["ladder"]] == ["r1", "r2", "r3", "r4", "r5", "target"]
    assert summary["ladder"][1]["loss_nats"] == pytest.approx(sum(cell["loss_nats"] for cell in cells) / 2)
    assert summary["finetune"]["library"]["scratch"] == read_json(places.metrics / "finetune/library-scratch.json")["score"]
    assert set(summary["few_shot"]["library"]) == {"0", "1", "4"}


def test_ladder_is_sorted_by_compute(results: Results) -> None:
    shuffled = dataclasses.replace(results, ladder=dict(reversed(results.ladder.items())))
    assert ladder_rows(shuffled) == ladder_rows(results)


REQUIRED = """capability_forecast.json capability_score.json
    corpus.json tokens.json ladder/r3-1.json target.json forecast.json forecast_score.json evaluation.json contamination.json
    finetune/see_also-scratch.json studies/batch_size/usual-b8k-usual-2.json"""


@pytest.mark.parametrize("name", REQUIRED.split())
def test_a_missing_file_is_named_in_one_line(name: str, places: Places) -> None:
    path = places.metrics / name
    path.rename(path.with_suffix(".away"))
    try:
        with pytest.raises(InputError, match=re.escape(f"{path}: not there")) as error:
            gather_example(places)
    finally:
        path.with_suffix(".away").rename(path)
    assert "\n" not in str(error.value)


def test_a_missing_or_damaged_curve_is_named(tmp_path: Path) -> None:
    places = write_example(tmp_path)
    curve = places.ladder_data / "r1-0" / "curve.csv"
    curve.write_text("step,tokens,loss_nats,learning_rate,grad_norm,val_loss_nats\n1,2048,oops,0,0,\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"curve.csv: row 2 is damaged"):
        gather_example(places)
    curve.unlink()
    with pytest.raises(InputError, match=r"r1-0/curve.csv: not there"):
        gather_example(places)


def test_a_missing_or_mistyped_key_is_named(tmp_path: Path) -> None:
    places = write_example(tmp_path)
    change(places.metrics / "target.json", loss_nats="low")
    with pytest.raises(InputError, match=r"target.json: loss_nats: "):
        gather_example(places)
    write_json(places.metrics / "studies/ln_placement/usual-post-usual-1.json", {})
    change(places.metrics / "target.json", loss_nats=3.4)
    with pytest.raises(InputError, match=r"usual-post-usual-1.json: loss_nats is missing"):
        gather_example(places)


def test_files_of_removed_arms_are_passed_over(tmp_path: Path) -> None:
    places = write_example(tmp_path)
    write_json(places.metrics / "studies/ln_placement/usual-old-usual-0.json", {"loss_nats": 1.0})
    assert set(gather_example(places).studies["ln_placement"].summary["arms"]) == set(STUDIES["ln_placement"].arms)


def test_a_diverged_run_is_reported_and_not_averaged(tmp_path: Path) -> None:
    places = write_example(tmp_path)
    change(places.metrics / "ladder/r5-1.json", diverged=True, loss_nats=None, bits_per_byte=None)
    change(places.metrics / "forecast.json", excluded=[{"rung": "r5", "seed": 1, "reason": "diverged"}])
    change(places.metrics / "studies/batch_size/usual-b8k-usual-0.json", diverged=True, loss_nats=None)
    results = gather_example(places)
    assert len(results.ladder["r5"]) == 1
    said = " ".join(shortcomings(results))
    assert "r5-1 (diverged)" in said and "Training diverged in the study of batch size: b8k" in said
    assert "(1 diverged)" in build_page(results)


def test_a_diverged_cell_of_fine_tuning_is_counted_in_a_study_and_named_elsewhere(tmp_path: Path) -> None:
    places = write_example(tmp_path)
    change(places.metrics / "studies/aux_lm_weight/usual-half-usual-1.json", diverged=True, score=None)
    arms = gather_example(places).studies["aux_lm_weight"].summary["arms"]
    assert arms["half"]["diverged"] == 1 and arms["half"]["mean"] is None
    change(places.metrics / "finetune/library-scratch.json", diverged=True, score=None, low=None, high=None)
    with pytest.raises(InputError, match=r"library-scratch.json: the run diverged, there is no score to report; lower finetuning"):
        gather_example(places)


def test_tasks_of_several_metrics_are_told_apart(tmp_path: Path, results: Results) -> None:
    places = write_example(tmp_path)
    for init in ("pretrained", "scratch"):
        change(places.metrics / f"finetune/see_also-{init}.json", metric="pearson", score=-0.1, low=-0.3, high=0.1)
    figure = draw_figures(gather_example(places))["finetune"].standalone()
    assert "see also (pearson)" in figure and "library (accuracy)" in figure and "accuracy, pearson" in figure
    assert "(accuracy)" not in draw_figures(results)["finetune"].standalone()


def test_poor_results_are_said_plainly(results: Results) -> None:
    bits = results.evaluation.bits_per_byte.model_copy(update={"target": 3.0})
    score = results.forecast_score.model_copy(update={"inside": False, "actual_loss_nats": 9.0})
    poor = dataclasses.replace(results, evaluation=results.evaluation.model_copy(update={"bits_per_byte": bits}), forecast_score=score)
    assert [finding.good for finding in findings(results)] == [True, True, True]
    assert [finding.good for finding in findings(poor)] == [False, False, True]
    said = " ".join(shortcomings(poor))
    assert "no better than xz -9" in said and "no better than a bigram" in said and "unigram" not in said
    assert "The forecast missed: 9.000 lies outside" in said
    assert "fewer examples than were asked for on library;" in said
    assert "The forecast missed" not in " ".join(shortcomings(results))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, "0"), (412, "412"), (9_999, "10.0k"), (94_000, "94.0k"), (1_086_000, "1.09M"), (999_960, "1.00M"), (3e9, "3.00G")],
)
def test_large_numbers(value: float, expected: str) -> None:
    assert text.large(value) == expected


def test_powers_and_signs() -> None:
    assert text.power(1.954e13) == "1.95×10¹³"
    assert text.power(9.999e-3) == "1.00×10⁻²"
    assert text.power(1e12, 0) == "10¹²"
    assert text.signed(-0.0214, 3) == "−0.021"


def test_axis_maps_its_ends_and_has_round_ticks() -> None:
    axis = svg.Axis(3.0, 6.0, 100.0, 0.0, log=True)
    assert axis.at(3.0) == 100.0 and axis.at(6.0) == pytest.approx(0.0)
    assert axis.at(3.0 * 2**0.5) == pytest.approx(50.0)
    assert axis.ticks() == [3.0, 4.0, 5.0, 6.0]
    assert svg.Axis(2e10, 3e13, 0, 1, log=True).ticks() == [1e11, 1e12, 1e13]
    assert svg.Axis(0.0, 1.0, 0, 1).ticks() == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]


def test_names_in_figures_are_escaped() -> None:
    figure = charts.bars('a "label"', [charts.Bar("<i>name</i>", 1.0, "<1>", "blue")])
    assert ElementTree.fromstring(figure.inline()).get("aria-label") == 'a "label"'
    assert "&lt;i&gt;name" in figure.inline()


def test_curves_are_thinned_without_losing_their_ends() -> None:
    tokens = list(range(2048, 2048 * 3001, 2048))
    points = smooth(Curve(tokens, [5.0 + 1000 / t for t in tokens], [], []))
    assert len(points) <= 161
    assert points[0][0] == 2048 and points[-1][0] > 0.95 * tokens[-1]
    assert smooth(Curve([2048], [7.0], [], [])) == [(2048.0, 7.0)]
