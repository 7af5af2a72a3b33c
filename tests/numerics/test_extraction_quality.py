"""Text of web pages against what people marked as the article: 181 pages of the article extraction benchmark (Scrapinghub)."""

import gzip
import json
import re
from collections import Counter
from pathlib import Path
from statistics import mean

import pytest

from components.sources.extraction import decode_html, html_to_text

DATA = Path("../shared/data/web/article-extraction-benchmark")
PUBLISHED_F1 = 0.958  # trafilatura 2.0.0 in the benchmark's table, +- .006
MEASURED_F1 = 0.960  # ours, by trafilatura 2.3.1: precision .942, recall .978

pytestmark = [pytest.mark.shared_data, pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not there")]


def shingles(text: str) -> Counter[tuple[str, ...]]:
    """Runs of four words with their counts; of a shorter text, all of it."""
    words = re.findall(r"\w+", text)
    return Counter(tuple(words[start : start + 4]) for start in range(max(1, len(words) - 3)) if words)


def share(common: int, of: int, other: int) -> float:
    """A page without shingles on either side is right."""
    return common / of if of else float(other == 0)


def f1(found: dict[str, str], marked: dict[str, str]) -> float:
    """As the benchmark has it: the harmonic mean of precision and recall, each the mean over pages that have one."""
    precision, recall = [], []
    for page, article in marked.items():
        ours, theirs = shingles(found[page]), shingles(article)
        common = (ours & theirs).total()
        if ours:
            precision.append(share(common, ours.total(), theirs.total()))
        if theirs:
            recall.append(share(common, theirs.total(), ours.total()))
    return 2 * mean(precision) * mean(recall) / (mean(precision) + mean(recall))


@pytest.fixture(scope="module")
def marked() -> dict[str, str]:
    pages = json.loads((DATA / "ground-truth.json").read_text(encoding="utf-8"))
    assert len(pages) == 181
    return {page: row.get("articleBody", "") for page, row in pages.items()}


def test_the_measure_gives_the_published_figure(marked: dict[str, str]) -> None:
    published = json.loads((DATA / "output" / "trafilatura.json").read_text(encoding="utf-8"))["output"]
    assert f1({page: row["articleBody"] or "" for page, row in published.items()}, marked) == pytest.approx(PUBLISHED_F1, abs=0.0006)


def test_our_text_is_as_good_as_the_library_says_of_its_own(marked: dict[str, str]) -> None:
    found = {page: html_to_text(decode_html(gzip.decompress((DATA / "html" / f"{page}.html.gz").read_bytes()), "utf-8")) for page in marked}
    assert f1({page: text or "" for page, text in found.items()}, marked) > MEASURED_F1 - 0.005
