"""The mixture: GPT-3's table 2.2 with the paper's own numbers, weights that do not sum to 1, repeats, sources left out."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from components.curation import mixture
from components.curation.config import MixtureConfig
from components.errors import InputError
from flows import params
from flows.stages.curate_corpus import Sections
from flows.stages.tokenize_corpus import _table

# GPT-3, table 2.2: tokens in billions, weight in percent as printed.
GPT3 = {"Common Crawl": (410, 60), "WebText2": (19, 22), "Books1": (12, 8), "Books2": (55, 8), "Wikipedia": (3, 3)}
GPT3_TOKENS = {name: size * 10**9 for name, (size, _) in GPT3.items()}
GPT3_STREAM = 300 * 10**9


def config(weights: dict[str, float], max_epochs: float = 4.0) -> MixtureConfig:
    return MixtureConfig(weights=weights, max_epochs=max_epochs)


def gpt3(scale: float) -> MixtureConfig:
    return config({name: percent * scale for name, (_, percent) in GPT3.items()}, 3.4)


@pytest.mark.parametrize("scale", [0.01, 1.0])
def test_gpt3s_weights_of_101_percent_are_scaled_with_a_warning(scale: float) -> None:
    shares = mixture.plan(gpt3(scale), GPT3_STREAM, GPT3_TOKENS)
    assert math.fsum(share.weight for share in shares.values()) == pytest.approx(1, abs=1e-12)
    assert sum(share.tokens for share in shares.values()) == pytest.approx(GPT3_STREAM, abs=3)
    assert [share.weight_given for share in shares.values()] == [percent * scale for _, percent in GPT3.values()]
    first, *repeats = mixture.warnings(gpt3(scale), shares)
    assert first == f"mixture.weights sum to {101 * scale:g}, not 1: each was divided by that"
    assert [line.split(" is repeated ")[0] for line in repeats] == ["source WebText2"]


def test_gpt3s_table_recomputed() -> None:
    """As weights and sizes imply it; the paper prints 2.9 epochs for WebText2 and 3.4 for Wikipedia, which they do not."""
    shares = mixture.plan(gpt3(0.01), GPT3_STREAM, GPT3_TOKENS)
    implied = {"Common Crawl": 0.44, "WebText2": 3.47, "Books1": 2.0, "Books2": 0.44, "Wikipedia": 3.0}
    assert {name: share.epochs * 1.01 for name, share in shares.items()} == pytest.approx(implied, abs=0.005)
    by_size = {"Common Crawl": 0.822, "WebText2": 0.038, "Books1": 0.024, "Books2": 0.110, "Wikipedia": 0.006}
    assert {name: share.share_by_size for name, share in shares.items()} == pytest.approx(by_size, abs=5e-4)
    assert 2.9 * GPT3_TOKENS["WebText2"] / GPT3_STREAM == pytest.approx(0.184, abs=5e-4)  # the weight that its epochs would need


@given(st.dictionaries(st.text(min_size=1, max_size=4), st.floats(1e-6, 1e6), min_size=1, max_size=6))
def test_scaled_weights_keep_their_ratios_and_sum_to_one(weights: dict[str, float]) -> None:
    scaled = mixture.normalised(config(weights))
    assert math.fsum(scaled.values()) == pytest.approx(1)
    total = math.fsum(weights.values())
    assert scaled == pytest.approx({name: weight / total for name, weight in weights.items()})


def test_weights_that_sum_to_one_are_taken_as_they_are() -> None:
    thirds = config({"a": 0.1, "b": 0.2, "c": 0.7})
    assert mixture.normalised(thirds) == thirds.weights
    assert mixture.warnings(thirds, mixture.plan(thirds, 100, dict.fromkeys("abc", 100))) == []
    rounded = config(dict.fromkeys("abc", 0.3333333))
    assert mixture.warnings(rounded, mixture.plan(rounded, 100, dict.fromkeys("abc", 100))) == []


def test_plan_says_how_often_a_source_is_used() -> None:
    weights = config({"crawl": 0.6, "docs": 0.4, "books": 0.0}, 3.0)
    shares = mixture.plan(weights, 1000, {"crawl": 1200, "docs": 100, "books": 700, "not in the mixture": 10**6})
    assert [(name, share.tokens, share.epochs, share.share_by_size) for name, share in shares.items()] == [
        ("crawl", 600, 0.5, 0.6),
        ("docs", 400, 4.0, 0.05),
        ("books", 0, 0.0, 0.35),
    ]
    [warning] = mixture.warnings(weights, shares)
    assert warning.startswith("source docs is repeated 4.0 times (mixture.max_epochs 3)")


def test_a_weighted_source_of_which_nothing_was_kept() -> None:
    with pytest.raises(InputError, match=r"mixture\.weights\.crawl is 60.0, but nothing of that source was kept"):
        mixture.plan(config({"crawl": 60.0, "docs": 40.0}), 1000, {"docs": 100})
    assert mixture.plan(config({"crawl": 0, "docs": 40}), 1000, {"docs": 100})["crawl"].epochs == 0


@pytest.mark.parametrize("weights", [{"a": -0.5, "b": 1.5}, {"a": 0.0}, {"a": math.inf}, {"a": math.nan}, {}])
def test_weights_that_mean_nothing_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        config(weights)


def test_such_weights_are_one_line_that_names_the_file(tmp_path: Path) -> None:
    text = Path("params.yaml").read_text(encoding="utf-8")
    [line] = [line for line in text.splitlines() if line.startswith("  weights:")]
    changed = tmp_path / "params.yaml"
    changed.write_text(text.replace(line, "  weights: {crawl: 0.0, docs: 0.0, books: 0.0}"), encoding="utf-8")
    with pytest.raises(InputError, match=r"mixture: weights are all 0"):
        params.load(Sections, path=changed)


def test_the_terminal_shows_the_table() -> None:
    row = {"share_by_size": 0.038, "weight": 0.2178, "tokens_available": 19_000, "tokens_drawn": 65_346, "epochs": 3.4393}
    heading, line = _table({"WebText2": row})
    assert heading.split() == ["source", "tokens", "by", "size", "weight", "drawn", "epochs"]
    assert line.split() == ["WebText2", "19,000", "3.8%", "21.8%", "65,346", "3.44"]
