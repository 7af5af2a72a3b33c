"""The four labelled tasks that the structure of docstrings gives, one for each of GPT-1's input transformations.

Items are balanced by construction: what is a wrong answer for one document is the right one for another of the same
split, so that an answer alone says nothing. All draws are orders by hash of (seed, purpose, id).
"""

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from components.curation.draws import uniform
from components.tasks.config import TasksConfig
from components.tasks.items import Classification, DraftTask, Entailment, MultipleChoice, Similarity, Sourced
from components.tasks.sizes import at_most
from components.tasks.text import SeeAlso, cut, masked, see_also_entries, split_summary, without_see_also

if TYPE_CHECKING:
    from components.sources.documents import Document

T = TypeVar("T")
G = TypeVar("G", bound=Hashable)
Documents = Sequence["Document"]
Splits = Mapping[str, Documents]
"""``train`` and ``test``: documents, none in both."""

MASK = "_"
_SIGNATURE = re.compile(r"[\w.]+\(")
_PUBLIC_NAME = re.compile(r"(?!test)[a-z]\w{3,}", re.IGNORECASE)


def library(splits: Splits, config: TasksConfig) -> DraftTask:
    """Which distribution is this docstring from? Names that would give it away are masked; classes as even as the documents allow."""
    labels = sorted({document.meta["distribution"] for documents in splits.values() for document in documents})
    packages = {document.meta["module"].partition(".")[0] for documents in splits.values() for document in documents}
    giveaways = {*labels, *packages, *config.library.aliases}

    def items(documents: Documents) -> list[Sourced]:
        groups = _groups(documents, _distribution, _id, config.seed, "library")
        ranked = sorted((rank, label, document.id, document.text) for label in groups for rank, document in enumerate(groups[label]))
        return [
            Sourced(Classification(cut(masked(text, giveaways, MASK), config.library.max_chars), labels.index(label)), (document_id,))
            for _, label, document_id, text in ranked
        ]

    draft = DraftTask("library", "classification", tuple(labels), items(splits["train"]), items(splits["test"]))
    return at_most(config.library, draft)


def summary_match(splits: Splits, config: TasksConfig) -> DraftTask:
    """Does this summary line (hypothesis) belong to this body (premise)? A wrong one belongs to another document of the library."""
    max_chars = config.summary_match.max_chars

    def item(document: "Document", other: "Document", label: int) -> Sourced:
        body, summary = split_summary(document.text)[1], split_summary(other.text)[0]
        return Sourced(Entailment(cut(body, max_chars), cut(summary, max_chars), label), _ids(document, other))

    def items(documents: Documents) -> list[Sourced]:
        usable = [document for document in documents if _has_summary_and_body(document.text, config)]
        groups = _groups(usable, _distribution, _id, config.seed, "summary_match").values()
        pairs = [(group[place], group[place + 1]) for group in groups for place in range(0, len(group) - 1, 2)]
        pairs.sort(key=lambda pair: uniform(config.seed, "summary_match pair", pair[0].id))
        return [row for first, second in pairs for row in (item(first, second, 0), item(second, second, 1))]

    draft = DraftTask("summary_match", "entailment", ("other", "own"), items(splits["train"]), items(splits["test"]))
    return at_most(config.summary_match, draft)


def see_also(splits: Splits, config: TasksConfig) -> DraftTask:
    """Does the one docstring name the other under "See Also"? The other is told by the line that the section gives it.

    The section itself is cut out of the docstring; a wrong line is that of another document of the library. The line
    stands for the other docstring because both ends of a link are seldom among the reserved documents.
    """
    max_chars = config.see_also.max_chars

    def item(document: "Document", other: "Document", line: str, label: int) -> Sourced:
        text = cut(without_see_also(document.text), max_chars)
        return Sourced(Similarity(text, cut(line, max_chars), label), _ids(document, other))

    def items(documents: Documents) -> list[Sourced]:
        links = [(document, entry) for document in documents for entry in _described(document.text, config)]
        found = []
        for group in _groups(links, lambda link: _distribution(link[0]), _link_key, config.seed, "see_also").values():
            for place, (document, entry) in enumerate(group):
                own = {entry.description for entry in see_also_entries(document.text)}
                wrong = next((link for link in group[place + 1 :] + group[:place] if link[1].description not in own), None)
                if wrong is not None:
                    found.append((item(document, document, entry.description, 1), item(document, wrong[0], wrong[1].description, 0)))
        found.sort(key=lambda pair: uniform(config.seed, "see_also pair", f"{pair[0].documents} {pair[0].item}"))
        return [row for pair in found for row in pair]

    draft = DraftTask("see_also", "similarity", ("unrelated", "related"), items(splits["train"]), items(splits["test"]))
    return at_most(config.see_also, draft)


def name_choice(splits: Splits, config: TasksConfig) -> DraftTask:
    """Which of these names fits this docstring? It is masked in the text; distractors are names of the same library and kind."""

    def item(document: "Document", others: Documents) -> Sourced:
        name = document.meta["name"]
        names = [other.meta["name"] for other in (document, *others)]
        choices = sorted(names, key=lambda choice: uniform(config.seed, "choice", f"{document.id} {choice}"))
        context = cut(masked(without_see_also(document.text), [name], MASK), config.name_choice.max_chars)
        return Sourced(MultipleChoice(context, tuple(choices), choices.index(name)), _ids(document, *others))

    def items(documents: Documents) -> list[Sourced]:
        named = {(_distribution(document), document.meta["name"]): document for document in documents if _is_named(document)}
        groups = _groups(named.values(), lambda d: (_distribution(d), d.meta["kind"] == "class"), _id, config.seed, "name_choice").values()
        steps = range(1, config.name_choice.choices)
        found = [
            item(document, [group[(place + step) % len(group)] for step in steps])
            for group in groups
            if len(group) > len(steps)
            for place, document in enumerate(group)
        ]
        return sorted(found, key=lambda row: uniform(config.seed, "name_choice item", row.documents[0]))

    draft = DraftTask("name_choice", "multiple_choice", (), items(splits["train"]), items(splits["test"]))
    return at_most(config.name_choice, draft)


def _has_summary_and_body(text: str, config: TasksConfig) -> bool:
    summary, body = split_summary(text)
    return len(summary) >= config.min_summary_chars and len(body) >= config.min_chars and not _SIGNATURE.match(summary)


def _described(text: str, config: TasksConfig) -> list[SeeAlso]:
    if len(without_see_also(text)) < config.min_chars:
        return []
    return [entry for entry in see_also_entries(text) if len(entry.description) >= config.min_summary_chars]


def _is_named(document: "Document") -> bool:
    return document.meta["kind"] != "module" and _PUBLIC_NAME.fullmatch(document.meta["name"]) is not None


def _distribution(document: "Document") -> str:
    return document.meta["distribution"]


def _id(document: "Document") -> str:
    return document.id


def _link_key(link: tuple["Document", SeeAlso]) -> str:
    return f"{link[0].id} {link[1].names} {link[1].description}"


def _ids(*documents: "Document") -> tuple[str, ...]:
    return tuple(dict.fromkeys(document.id for document in documents))


def _groups(members: Iterable[T], group: Callable[[T], G], key: Callable[[T], str], seed: int, purpose: str) -> dict[G, list[T]]:
    """Members by group, each group in the order of the hash of ``key``."""
    groups: dict[G, list[T]] = defaultdict(list)
    for member in sorted(members, key=lambda member: (uniform(seed, purpose, key(member)), key(member))):
        groups[group(member)].append(member)
    return groups
