"""The four labelled tasks that the structure of docstrings gives, one for each of GPT-1's input transformations.

Documents are taken in rounds of one from each library, so that libraries are even, and within a round what is a wrong
answer for one document is the right one for the next: a question alone, or an answer alone, says nothing. So a wrong
answer is always from another library; to tell apart those of one library is beyond a model of a million parameters.
All draws are orders by hash of (seed, purpose, id).
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from components.curation.draws import uniform
from components.tasks.config import TasksConfig
from components.tasks.docstrings import Docstring, SeeAlso, see_also_entries
from components.tasks.items import Classification, DraftTask, Entailment, MultipleChoice, Similarity, Sourced
from components.tasks.sizes import at_most
from components.tasks.text import cut, masked

T = TypeVar("T")
Link = tuple[Docstring, SeeAlso]
Splits = Mapping[str, Sequence[Docstring]]
"""``train`` and ``test``: docstrings, none in both."""

MASK = "_"
_SIGNATURE = re.compile(r"[\w.]+\(")
_PUBLIC_NAME = re.compile(r"(?!test)[a-z]\w{3,}", re.IGNORECASE)


def library(splits: Splits, config: TasksConfig) -> DraftTask:
    """Which distribution is this docstring from? Names that would give it away are masked."""
    everything = [docstring for docstrings in splits.values() for docstring in docstrings]
    labels = sorted({docstring.library for docstring in everything})
    giveaways = {*labels, *(docstring.package for docstring in everything), *config.library.aliases}

    def items(docstrings: Sequence[Docstring]) -> list[Sourced]:
        found = []
        for docstring in _flat(_rounds(docstrings, lambda d: d.library, lambda d: d.id, config.seed, "library")):
            text = cut(masked(docstring.text, giveaways, MASK), config.library.max_chars)
            found.append(Sourced(Classification(text, labels.index(docstring.library)), (docstring.id,)))
        return found

    draft = DraftTask("library", "classification", tuple(labels), items(splits["train"]), items(splits["test"]))
    return at_most(config.library, draft)


def summary_match(splits: Splits, config: TasksConfig) -> DraftTask:
    """Does this summary (hypothesis) belong to this name (premise)? The name's last part is masked in the summary."""
    max_chars = config.summary_match.max_chars

    def item(docstring: Docstring, other: Docstring, label: int) -> Sourced:
        summary = cut(masked(other.summary, [other.name], MASK), max_chars)
        return Sourced(Entailment(cut(docstring.dotted_name, max_chars), summary, label), _ids(docstring, other))

    def items(docstrings: Sequence[Docstring]) -> list[Sourced]:
        usable = [d for d in docstrings if _is_named(d) and len(d.summary) >= config.min_summary_chars and not _SIGNATURE.match(d.summary)]
        found = []
        for of_round in _rounds(usable, lambda d: d.library, lambda d: d.id, config.seed, "summary_match"):
            for own, other in _with_next(of_round, 1):
                found += [item(own, own, 1), item(own, other, 0)]
        return found

    draft = DraftTask("summary_match", "entailment", ("other", "own"), items(splits["train"]), items(splits["test"]))
    return at_most(config.summary_match, draft)


def see_also(splits: Splits, config: TasksConfig) -> DraftTask:
    """Does the one docstring name the other under "See Also"? Both are told by name and summary, the other as that section tells it.

    The line of the section stands for the other docstring because both ends of a link are seldom among the reserved documents.
    """
    max_chars = config.see_also.max_chars

    def item(docstring: Docstring, link: Link, label: int) -> Sourced:
        first, second = f"{docstring.dotted_name} : {docstring.summary}", f"{link[1].names} : {link[1].description}"
        return Sourced(Similarity(cut(first, max_chars), cut(second, max_chars), label), _ids(docstring, link[0]))

    def items(docstrings: Sequence[Docstring]) -> list[Sourced]:
        links = [(docstring, entry) for docstring in docstrings for entry in _described(docstring, config)]
        found = []
        for of_round in _rounds(links, lambda link: link[0].library, _link_key, config.seed, "see_also"):
            for own, other in _with_next(of_round, 1):
                found += [item(own[0], own, 1), item(own[0], other, 0)]
        return found

    draft = DraftTask("see_also", "similarity", ("unrelated", "related"), items(splits["train"]), items(splits["test"]))
    return at_most(config.see_also, draft)


def name_choice(splits: Splits, config: TasksConfig) -> DraftTask:
    """Which of these dotted names fits this docstring? Its last part is masked in the text."""

    def item(docstring: Docstring, *others: Docstring) -> Sourced:
        names = [other.dotted_name for other in (docstring, *others)]
        choices = sorted(names, key=lambda name: uniform(config.seed, "choice", f"{docstring.id} {name}"))
        context = cut(masked(docstring.text, [docstring.name], MASK), config.name_choice.max_chars)
        return Sourced(MultipleChoice(context, tuple(choices), choices.index(docstring.dotted_name)), _ids(docstring, *others))

    def items(docstrings: Sequence[Docstring]) -> list[Sourced]:
        rounds = _rounds(filter(_is_named, docstrings), lambda d: d.library, lambda d: d.id, config.seed, "name_choice")
        return [item(*docstrings) for of_round in rounds for docstrings in _with_next(of_round, config.name_choice.choices - 1)]

    draft = DraftTask("name_choice", "multiple_choice", (), items(splits["train"]), items(splits["test"]))
    return at_most(config.name_choice, draft)


def _is_named(docstring: Docstring) -> bool:
    return docstring.kind != "module" and _PUBLIC_NAME.fullmatch(docstring.name) is not None


def _described(docstring: Docstring, config: TasksConfig) -> list[SeeAlso]:
    return [entry for entry in see_also_entries(docstring.text) if len(entry.description) >= config.min_summary_chars]


def _link_key(link: Link) -> str:
    return f"{link[0].id} {link[1].names} {link[1].description}"


def _ids(*docstrings: Docstring) -> tuple[str, ...]:
    return tuple(dict.fromkeys(docstring.id for docstring in docstrings))


def _rounds(members: Iterable[T], group: Callable[[T], str], key: Callable[[T], str], seed: int, purpose: str) -> list[list[T]]:
    """Round r holds the r-th member, in the order of a hash of its key, of each group that has so many."""
    rounds: dict[int, list[T]] = defaultdict(list)
    seen: dict[str, int] = defaultdict(int)
    for member in sorted(members, key=lambda member: (uniform(seed, purpose, key(member)), key(member))):
        rounds[seen[group(member)]].append(member)
        seen[group(member)] += 1
    return [rounds[number] for number in sorted(rounds)]


def _flat(rounds: list[list[T]]) -> list[T]:
    return [member for of_round in rounds for member in of_round]


def _with_next(of_round: list[T], number: int) -> list[tuple[T, ...]]:
    """Each member with the ``number`` next ones, in a circle; nothing when the round is too small for that."""
    size = len(of_round)
    return [tuple(of_round[(place + step) % size] for step in range(number + 1)) for place in range(size)] if size > number else []
