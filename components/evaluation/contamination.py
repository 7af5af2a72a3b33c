"""Did the training documents hold the test items? Scores on all, clean and dirty items (GPT-3 appendix C).

An item is dirty if any run of N of its words is in a training document; N is the 5th percentile of the items' lengths in words,
clamped to [8, 13]. Words are those of ``curation.decontamination``. The paper compares percentages; we add an interval and a verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.artifacts import Corpus, TokenShards, read_json
from components.curation import decontamination
from components.errors import InputError
from components.evaluation.answers import SUFFIX, Answer, read_answers, score_of
from components.evaluation.config import ProtocolConfig
from components.evaluation.resampling import ScoreOf, bootstrap_interval


@dataclass(frozen=True)
class Overlap:
    """Which items are dirty."""

    ngram_words: int
    dirty: np.ndarray
    """bool, by item."""
    short_items: int
    """Items of fewer than N words, which cannot be found dirty."""


def find_overlap(items: Sequence[str], documents: Sequence[str], config: ProtocolConfig) -> Overlap:
    """Compare each item with everything the model was trained on."""
    lengths = np.array([count_words(item) for item in items])
    percentile = np.percentile(lengths, config.contamination_percentile, method="lower")
    ngram_words = int(np.clip(percentile, config.contamination_min_words, config.contamination_max_words))
    grams, _ = decontamination.evaluation_ngrams(set(items), ngram_words)
    seen = grams[np.unique(decontamination.find_hits(documents, grams, ngram_words).grams)]
    dirty = np.zeros(len(items), np.bool_)
    dirty[decontamination.find_hits(items, seen, ngram_words).documents] = True
    return Overlap(ngram_words, dirty, int((lengths < ngram_words).sum()))


def count_words(text: str) -> int:
    """Words that n-grams are made of: what white space parts and is not punctuation alone."""
    return sum(any(decontamination.fold(character) >= 0 for character in word) for word in text.split())


def counts(overlap: Overlap) -> dict[str, Any]:
    """N, and how many items are dirty, clean, and too short to be found dirty."""
    return {
        "ngram_words": overlap.ngram_words,
        "dirty_items": int(overlap.dirty.sum()),
        "clean_items": int((~overlap.dirty).sum()),
        "short_items": overlap.short_items,
    }


def clean_against_all(overlap: Overlap, score_of: ScoreOf, config: ProtocolConfig) -> dict[str, Any]:
    """Scores on all, clean and dirty items, the difference clean - all with a paired interval over items, and a verdict.

    ``verdict``: ``inflated`` where the interval lies below 0 (training on test items raised the score), ``deflated`` above,
    ``no difference shown`` where it covers 0; ``nothing dirty``; ``cannot tell`` where all items are dirty, or too short to be found so.
    """
    items, dirty = np.arange(len(overlap.dirty)), overlap.dirty
    facts = {**counts(overlap), "all": score_of(items)}
    if dirty.all() or not dirty.any():
        is_clean = not dirty.any() and overlap.short_items < len(dirty)
        return {**facts, "verdict": "nothing dirty" if is_clean else "cannot tell"}

    def difference(drawn: np.ndarray) -> float:
        clean = drawn[~dirty[drawn]]
        return score_of(clean) - score_of(drawn) if len(clean) else 0.0

    low, high = bootstrap_interval(difference, len(items), config.bootstrap_samples, config.confidence, config.seed)
    verdict = "inflated" if high < 0 else "deflated" if low > 0 else "no difference shown"
    change = difference(items)
    return {
        **facts,
        "clean": score_of(items[~dirty]),
        "dirty": score_of(items[dirty]),
        "clean_less_all": {"difference": change, "low": low, "high": high},
        "verdict": verdict,
    }


def of_fine_tuned(folder: Path, documents: Sequence[str], config: ProtocolConfig) -> dict[str, Any]:
    """``clean_against_all`` of a fine-tuned model's answers, by the task's own metric.

    Args:
        folder: the model's, as ``finetuning.run.write_finetuned`` wrote it.
    """
    task, answers = read_json(folder / "task.json"), read_answers(folder / SUFFIX)
    overlap = find_overlap([one.text for one in answers], documents, config)
    return clean_against_all(overlap, score_of(answers, task["metric"], task["positive"]), config)


def of_prompted(path: Path, documents: Sequence[str], config: ProtocolConfig) -> dict[int, dict[str, Any]]:
    """``clean_against_all`` of the answers to one task's prompts, all of the same items, for each number of demonstrations.

    Args:
        path: file of answers that ``few_shot.few_shot_scores`` gave; a score is the share of right ones.
    """
    by_shots: dict[int, list[Answer]] = {}
    for one in read_answers(path):
        by_shots.setdefault(one.shots, []).append(one)
    overlap = find_overlap([one.text for one in next(iter(by_shots.values()))], documents, config)
    return {shots: clean_against_all(overlap, score_of(answers, "accuracy", None), config) for shots, answers in by_shots.items()}


def trained_texts(corpus: Path, tokens: Path) -> list[str]:
    """Texts of the documents in the training stream, found through the stream's index: what the model may have read.

    Raises:
        InputError: the stream and the corpus do not belong together.
    """
    ids = set(TokenShards(tokens).stream("train").index().column("id").to_pylist())
    table = Corpus(corpus).documents()
    texts = dict(zip(table.column("id").to_pylist(), table.column("text").to_pylist(), strict=True))
    if missing := ids - set(texts):
        raise InputError(f"{tokens}: was not made from {corpus}: document {min(missing)} is not there; name the corpus it was made from")
    return [texts[id] for id in sorted(ids)]
