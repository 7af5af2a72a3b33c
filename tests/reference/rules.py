"""Every rule of ``components/curation/frames.py``, in its order, on entries in memory."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from components.curation import draws, quality, words
from components.curation.config import CurationConfig
from components.sources.documents import Document, Entry
from tests.reference import cuts, duplicates, scores
from tests.reference.fates import Fates

Report = Callable[[str], None]
Ints = npt.NDArray[np.int64]


def curate(
    entries: Sequence[Entry], roles: Mapping[str, str], evaluation_texts: Iterable[str], config: CurationConfig, report: Report
) -> tuple[Fates, dict[str, Any]]:
    """Apply the rules in order. Returns what became of each entry, and what was measured of ``quality`` and ``decontamination``."""
    fates = Fates(entries)
    ids = [entry.id for entry in fates.entries]
    for previous, repeated in pairwise(ids):
        if previous == repeated:
            raise AssertionError(f"two documents have the id {repeated}")
    for row in fates.rows().tolist():
        if draws.is_reserved(config, ids[row]):
            fates.drop(row, "reserved")
    for row, document in _still_in(fates):
        if len(document.text) < config.min_document_chars:
            fates.drop(row, "too_short")
        fates.held_out[row] = draws.is_held_out(config, document.meta.get("work", document.id))
    _drop_exact_duplicates(fates, roles)
    report(f"dropped {fates.rule.count('too_short'):,} short documents and {fates.rule.count('exact_duplicate'):,} exact duplicates")
    hashed = _Words(fates, fates.rows("reserved"))
    classifier = _drop_low_quality(fates, hashed, roles, config)
    report(f"dropped {fates.rule.count('quality'):,} raw documents of low quality")
    _drop_near_duplicates(fates, hashed, roles, config)
    _keep_one_of_each_held_out_work(fates, config)
    report(f"dropped {fates.rule.count('near_duplicate'):,} near-duplicates, {fates.rule.count('same_work'):,} versions of held-out works")
    found = _cut_out_evaluation_texts(fates, evaluation_texts, config)
    report(f"cut {found['documents_cut']:,} documents, dropped {found['documents_dropped']:,}, for what evaluation sets hold too")
    return fates, {"quality": classifier, "decontamination": found}


def _still_in(fates: Fates) -> list[tuple[int, Document]]:
    rows = fates.rows()
    return list(zip(rows.tolist(), fates.documents(rows), strict=True))


def _drop_exact_duplicates(fates: Fates, roles: Mapping[str, str]) -> None:
    rows = fates.rows("reserved")
    texts = [document.text for document in fates.documents(rows)]
    fates.drop_duplicates(rows, duplicates.exact_duplicates(texts, _ranks(fates, rows, roles)), "exact_duplicate")


class _Words:
    """Hashed words of the documents at ``rows``, made once for the rules that look at words."""

    def __init__(self, fates: Fates, rows: Ints) -> None:
        self._rows = rows
        self._hashed = words.hash_words(document.text for document in fates.documents(rows))

    def at(self, rows: Ints) -> tuple[words.Hashes, words.Offsets]:
        """Those of some of the rows, in their order."""
        return words.take(*self._hashed, np.searchsorted(self._rows, rows))


def _drop_low_quality(fates: Fates, hashed: _Words, roles: Mapping[str, str], config: CurationConfig) -> dict[str, Any]:
    rows = fates.rows()
    documents = fates.documents(rows)
    ids = [document.id for document in documents]
    is_reference = np.array([roles[document.source] == "reference" for document in documents], bool)
    scored = scores.score_documents(*hashed.at(rows), ids, is_reference, config.quality, config.seed)
    for place, row in enumerate(rows.tolist()):
        score = float(scored.scores[place])
        fates.score[row] = score
        if not is_reference[place] and not quality.is_kept(config.seed, ids[place], score, config.quality.pareto_shape):
            fates.drop(row, "quality")
    return {"auc": scored.auc, "train_documents": scored.train_documents, "test_documents": scored.test_documents}


def _drop_near_duplicates(fates: Fates, hashed: _Words, roles: Mapping[str, str], config: CurationConfig) -> None:
    rows = fates.rows("reserved")
    found = duplicates.near_duplicates(*hashed.at(rows), _ranks(fates, rows, roles), config.deduplication, config.seed)
    fates.drop_duplicates(rows, found, "near_duplicate")


def _keep_one_of_each_held_out_work(fates: Fates, config: CurationConfig) -> None:
    """Of the versions of a held-out work, keep the one of the least draw: three translations of one chapter are neither
    independent evidence nor, side by side, a fair text to compare a model of short contexts with a compressor on."""
    versions = defaultdict(list)
    for row, document in _still_in(fates):
        if fates.held_out[row] and "work" in document.meta:
            versions[document.meta["work"]].append((draws.uniform(config.seed, "version", document.id), row, document.id))
    for rows in versions.values():
        _, _, kept = min(rows)
        for _, row, id in rows:
            if id != kept:
                fates.drop(row, "same_work")
                fates.nearest[row] = kept


def _cut_out_evaluation_texts(fates: Fates, evaluation_texts: Iterable[str], config: CurationConfig) -> dict[str, int]:
    rows = fates.rows()
    texts = [document.text for document in fates.documents(rows)]
    found, measured = cuts.decontaminate(texts, evaluation_texts, config.decontamination)
    for cut in found:
        fates.cut(int(rows[cut.document]), cut.windows, cut.pieces)
    return measured


def _ranks(fates: Fates, rows: Ints, roles: Mapping[str, str]) -> Ints:
    """Who survives among duplicates, lowest first: reserved, reference before raw (GPT-3 removed WebText from Common Crawl,
    not the reverse), smallest id. The split has no say, so that held-out documents are a fair sample of all."""

    def key(row: int) -> tuple[bool, bool, str]:
        entry = fates.entries[row]
        return fates.rule[row] != "reserved", roles[entry.source] == "raw", entry.id

    order = sorted(range(len(rows)), key=lambda place: key(int(rows[place])))
    ranks = np.empty(len(rows), np.int64)
    ranks[order] = np.arange(len(rows))
    return ranks
