"""How well the quality classifier agrees with people: AUC on Common Crawl documents that were labelled good or bad by hand.

    python -m benchmarks.quality_labels

Trained as the curate stage trains it, with the settings of params.yaml: reference text is books, encyclopaedia and news,
raw text is web pages that are none of the labelled ones. Reads ../shared/data; where that is absent it says so and ends.
There is no peer, so nothing to fall short of: the figure is reported as it is.
"""

import bz2
import gzip
import json
import re
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np

from benchmarks import harness
from components.curation import draws, quality, words
from components.curation.config import QualityConfig
from flows import params
from flows.stages.curate_corpus import Sections
from tests.reference import scores

DATA = Path(__file__).parents[1] / ".." / "shared" / "data"
LABELS = Path("web/dclm-human-quality-labels/majority.public350.jsonl")
PASSAGE_CHARS = 1500  # as the source of web-like text in params.yaml; the median labelled document has 1,279
KNOWN_CHARS = 200  # two documents that begin alike are one


def labelled(data: Path) -> tuple[list[str], list[bool]]:
    """Texts, and whether people called them good."""
    rows = [json.loads(line) for line in (data / LABELS).read_text(encoding="utf-8").splitlines()]
    return [row["text"] for row in rows], [str(row["label"]) == "1" for row in rows]


def references(data: Path) -> Iterator[str]:
    """Passages of books, pages of an encyclopaedia, news."""
    for path in sorted((data / "text/classic-books-public").rglob("*.md")):
        yield from passages(path.read_text(encoding="utf-8", errors="replace"))
    [wiki] = (data / "text/gensim-wheel-wiki-sample").glob("*.bz2")
    pages = re.findall(r"<text[^>]*>(.*?)</text>", bz2.decompress(wiki.read_bytes()).decode("utf-8", errors="replace"), re.DOTALL)
    for page in pages:
        yield from passages(plain(page))
    yield from (data / "text/gensim-wheel-wiki-sample/lee_background.cor").read_text(encoding="utf-8", errors="replace").splitlines()


def raw(data: Path) -> Iterator[str]:
    """Text of web pages, whole with menus and footers, as a crawl has it: tags taken off, and a few crawled documents."""
    for path in sorted((data / "web/article-extraction-benchmark/html").glob("*.html.gz")):
        yield from passages(visible(gzip.decompress(path.read_bytes()).decode("utf-8", errors="replace")))
    for path in sorted((data / "web/dolma-cc-warc").glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield from passages(json.loads(line)["text"])


def passages(text: str) -> list[str]:
    """Stretches of equal length, so that length tells nothing; a last one that is much shorter is left out."""
    found = [text[start : start + PASSAGE_CHARS] for start in range(0, len(text), PASSAGE_CHARS)]
    return [passage for passage in found if len(passage) > PASSAGE_CHARS // 5]


def plain(markup: str) -> str:
    """A page of the encyclopaedia without templates, tags and the brackets of links."""
    without = re.sub(r"\{\{[^{}]*\}\}|&lt;.*?&gt;|\{\|.*?\|\}", " ", markup, flags=re.DOTALL)
    return re.sub(r"\[\[(?:[^\]|]*\|)?([^\]]*)\]\]|'{2,}|={2,}", r"\1", without)


def visible(html: str) -> str:
    """A page without scripts, styles and tags."""
    shown = re.sub(r"<(script|style|noscript)\b.*?</\1>|<!--.*?-->", " ", html, flags=re.DOTALL | re.IGNORECASE)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", shown))


def agreement(data: Path, config: QualityConfig, seed: int) -> dict[str, float]:
    """AUC against the labels, that of a document's mere length, that on unseen documents of its own two classes, and the sizes.

    A labelled document is scored, and not learnt from: its id is one of those whose draw falls into the held-out share.
    """
    texts, good = labelled(data)
    known = {text[:KNOWN_CHARS] for text in texts}
    clean = list(references(data))
    crawl = [text for text in raw(data) if text[:KNOWN_CHARS] not in known]
    is_reference = np.array([True] * len(clean) + [False] * (len(crawl) + len(texts)))
    own = len(clean) + len(crawl)
    ids = [f"own:{i}" for i in range(own)] + [_held_out_id(i, config.held_out_share, seed) for i in range(len(texts))]
    hashed = words.hash_words([*clean, *crawl, *texts])
    scored = scores.score_documents(*hashed, ids, is_reference, config, seed)
    without = scores.score_documents(*words.take(*hashed, np.arange(own)), ids[:own], is_reference[:own], config, seed)
    auc = quality.area_under_curve(scored.scores[own:], np.array(good))
    by_length = quality.area_under_curve(np.array([float(len(text)) for text in texts]), np.array(good))
    assert auc is not None and by_length is not None and without.auc is not None and scored.train_documents == without.train_documents
    kept = [quality.is_kept(seed, id, float(score), config.pareto_shape) for id, score in zip(ids[own:], scored.scores[own:], strict=True)]
    return {
        "auc": auc,
        "length_auc": by_length,
        "own_auc": without.auc,
        "reference": len(clean),
        "raw": len(crawl),
        "good": sum(good),
        "bad": len(good) - sum(good),
        "good_kept": sum(k for k, label in zip(kept, good, strict=True) if label),
        "bad_kept": sum(k for k, label in zip(kept, good, strict=True) if not label),
    }


def _held_out_id(number: int, share: float, seed: int) -> str:
    names = (f"labelled:{number}:{attempt}" for attempt in count())
    return next(name for name in names if draws.uniform(seed, "quality_test", name) < share)


def main() -> int:
    """Print the figures."""
    harness.is_quick(__doc__)
    if not (DATA / LABELS).exists():
        print(f"skipped: {DATA / LABELS} is not there")
        return 0
    curation = params.load(Sections).curation
    for name, value in agreement(DATA, curation.quality, curation.seed).items():
        print(f"{name:>12} {value:.5g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
