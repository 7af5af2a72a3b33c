"""Decontamination of texts in memory, by the rules of ``components/curation/decontamination.py``."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.curation import decontamination
from components.curation.config import DecontaminationConfig
from components.curation.decontamination import Span

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cut:
    """What is cut out of a document, and the pieces that are kept; without pieces the document is dropped."""

    document: int
    windows: list[Span]
    pieces: list[Span]


def decontaminate(texts: Sequence[str], evaluation_texts: Iterable[str], config: DecontaminationConfig) -> tuple[list[Cut], dict[str, int]]:
    """Find what must be cut: one ``Cut`` for each document with a hit, in their order, and counts for the metrics.

    The result for a document depends on the other ones only through the number of documents that hold an n-gram.
    """
    distinct = set(evaluation_texts)
    grams, short_texts = decontamination.evaluation_ngrams(distinct, config.ngram_words)
    hits = decontamination.find_hits(texts, grams, config.ngram_words)
    common = in_many_documents(hits, config.max_documents_per_ngram)
    counted = ~np.isin(hits.grams, common)
    cuts = []
    for document, own in _by_document(hits.documents[counted], hits.begins[counted], hits.ends[counted]):
        windows = decontamination.cut_windows(texts[document], own, config.window_chars)
        cuts.append(Cut(document, windows, decontamination.kept_pieces(len(texts[document]), windows, config)))
    return cuts, {
        "evaluation_texts": len(distinct),
        "short_texts": short_texts,
        "ngrams": len(grams),
        "ignored_ngrams": len(common),
        "documents_cut": sum(bool(cut.pieces) for cut in cuts),
        "documents_dropped": sum(not cut.pieces for cut in cuts),
        "windows": sum(len(cut.windows) for cut in cuts),
    }


def in_many_documents(hits: decontamination.Hits, max_documents: int) -> Ints:
    """Numbers of the n-grams that more than ``max_documents`` documents hold."""
    pairs = np.unique(np.stack([hits.grams, hits.documents]), axis=1)
    numbers, documents = np.unique(pairs[0], return_counts=True)
    return numbers[documents > max_documents]


def _by_document(documents: Ints, begins: Ints, ends: Ints) -> Iterable[tuple[int, list[Span]]]:
    spans: dict[int, list[Span]] = {}
    for document, begin, end in zip(documents.tolist(), begins.tolist(), ends.tolist(), strict=True):
        spans.setdefault(document, []).append((begin, end))
    return spans.items()
