"""All labelled tasks of a run: derived from reserved docstrings, synthetic, and the user's own."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from components.curation.draws import is_reserved, uniform
from components.errors import InputError
from components.sources.documents import Document, Skipped
from components.tasks import derived, synthetic
from components.tasks.config import TasksConfig
from components.tasks.docstrings import Docstring
from components.tasks.items import DraftTask, save_tasks
from components.tasks.own import own_task

if TYPE_CHECKING:
    from components.curation.config import CurationConfig

DERIVED = (derived.library, derived.summary_match, derived.see_also, derived.name_choice)


def derive_tasks(documents: Iterable[Document | Skipped], curation: "CurationConfig", config: TasksConfig, out: Path) -> list[DraftTask]:
    """Make every task and write the folder ``out``; the result is what was written.

    Args:
        documents: those of ``curation.reserved_source``, sorted by id; the ones that are not reserved are passed over.
        curation: says which documents are reserved.
        config: the tasks.
        out: replaced as a whole.

    Raises:
        InputError: the source has no docstrings, or too few for a task; a bad row of the user's file.
    """
    reserved = reserved_docstrings(documents, curation, config)
    splits = {
        "train": [docstring for docstring in reserved if not _is_test(docstring, config)],
        "test": [docstring for docstring in reserved if _is_test(docstring, config)],
    }
    drafts = [make(splits, config) for make in DERIVED]
    drafts += synthetic.arithmetic(config)
    drafts += synthetic.scrambles([docstring.text for docstring in reserved], config)
    drafts += [_own(name, drafts, config) for name in sorted(config.own)]
    save_tasks(out, drafts)
    return drafts


def reserved_docstrings(documents: Iterable[Document | Skipped], curation: "CurationConfig", config: TasksConfig) -> list[Docstring]:
    """Reserved docstrings that are long enough. Of several with the same summary, often near-copies, the first by id is taken.

    Raises:
        InputError: the documents are no docstrings.
    """
    first: dict[str, Docstring] = {}
    for document in documents:
        if isinstance(document, Skipped) or not is_reserved(curation, document.id):
            continue
        try:
            docstring = Docstring.of(document)
        except KeyError:
            raise InputError(
                f"params.yaml: curation.reserved_source {document.source}: choose one of kind distribution_docstrings"
            ) from None
        if len(docstring.text) >= config.min_chars:
            first.setdefault(docstring.summary, docstring)
    return list(first.values())


def _is_test(docstring: Docstring, config: TasksConfig) -> bool:
    return uniform(config.seed, "test", docstring.id) < config.test_share


def _own(name: str, drafts: list[DraftTask], config: TasksConfig) -> DraftTask:
    if name in {draft.name for draft in drafts} or not name.isidentifier():
        raise InputError(f"params.yaml: tasks.own.{name}: the name is taken or not made of letters, digits and _; choose another")
    return own_task(name, config.own[name], config.seed)
