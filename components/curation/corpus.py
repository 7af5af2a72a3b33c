"""Sources -> the curated corpus, by GPT-3's steps (appendix A): filter by quality, remove duplicates, cut out evaluation sets.

Exact copies go before the filter, so that one text has one draw. Documents reserved for labelled tasks are never kept, but
take part in the search for duplicates, so that no near-copy of them is trained on either. Held-out documents have no
near-copy in training because of two near-copies only one survives. Cutting comes last, as in the paper: duplicates are found by
whole texts, and an n-gram of many documents is one of many different ones. Held-out documents are cut like the others, so that
they stay a fair sample of what is trained on. ``frames.py`` has the rules in their order.
"""

import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from components.artifacts import atomic_folder, write_manifest
from components.curation.config import CurationConfig, MixtureConfig
from components.curation.engine import session
from components.curation.mixture import check_names
from components.errors import InputError
from components.sources.config import SourceConfig
from components.sources.read import origins

Report = Callable[[str], None]


def build_corpus(
    sources: Mapping[str, SourceConfig],
    evaluation_texts: Iterable[str],
    curation: CurationConfig,
    mixture: MixtureConfig,
    out: Path,
    report: Report,
) -> dict[str, Any]:
    """Read the sources, decide on every document, write the folder ``out`` (see ``artifacts.Corpus``) and return the metrics.

    Args:
        evaluation_texts: what must not be trained on (``tasks.evaluated``).
        report: is given one line now and then.

    Raises:
        InputError: sources, weights or settings that do not fit together; an engine that does not answer.
    """
    from components.curation import frames, frames_sources

    check_names(mixture, sources)
    _check_sources(sources, curation)
    with atomic_folder(out) as scratch, session(curation.spark_remote, curation.workers) as spark:
        work = scratch / "work"
        work.mkdir()
        steps = frames.Steps(spark, work.resolve())
        entries = frames_sources.read_sources(steps, sources, report)
        metrics = frames.curate(steps, entries, evaluation_texts, scratch, curation, report)
        shutil.rmtree(work)
        read_from = {name: origins(name, source) for name, source in sources.items()}
        write_manifest(scratch, "corpus", origins=read_from, documents=metrics["documents"], sources=metrics["sources"])
    return metrics


def _check_sources(sources: Mapping[str, SourceConfig], curation: CurationConfig) -> None:
    for name in sources:
        if ":" in name or not name:
            raise InputError(f"sources: {name!r} is no name for a source; leave out the colon, which ends it in the ids of documents")
    if curation.reserved_source not in sources:
        raise InputError(f"curation.reserved_source: {curation.reserved_source!r} is not a source; name one of {', '.join(sources)}")
    if all(source.role == "raw" for source in sources.values()):
        raise InputError("sources: all are raw, so the quality filter has nothing to compare with; set role: reference for one")
