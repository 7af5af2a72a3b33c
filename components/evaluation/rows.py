"""Rows of a data set -> questions in words, by the templates of a task file."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, nodes
from jinja2.environment import TemplateExpression
from jinja2.sandbox import ImmutableSandboxedEnvironment

from components.errors import InputError
from components.evaluation.prompts import Question
from components.evaluation.task_file import DataFile, TaskFile
from components.evaluation.text_filters import without_brackets, without_treebank_marks

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """A row and where it stands, for messages."""

    where: str
    row: Row


@dataclass(frozen=True)
class Posed:
    """One item in words: candidate k is ``contexts[k] + continuations[k]``; without candidates there is one of each."""

    where: str
    contexts: tuple[str, ...]
    continuations: tuple[str, ...]
    right: int
    """Number of the right candidate."""
    accepted: tuple[str, ...]
    """Free answers that count as right."""
    separator: str
    answer_context: str
    shown: tuple[Question, ...] = ()
    """Its own demonstrations, where the task has any (``TaskFile.shown``)."""

    @property
    def question(self) -> Question:
        """The right candidate, as a demonstration and as what draws its own demonstrations."""
        return Question(self.separator, self.contexts[self.right], (self.continuations[self.right],), 0, self.answer_context)


def pose(task: TaskFile, place: Place) -> Posed:
    """The item in words.

    Raises:
        InputError: names the row: a missing column, an empty text, an answer that is no number of a choice.
    """
    shared: dict[str, Any] = {
        "where": place.where,
        "separator": task.separator,
        "answer_context": task.answer_context,
        "shown": _shown(task, place),
    }
    if task.kind == "multiple_choice":
        choices = _texts(task, "choices", place)
        right = _label(task, place, len(choices))
        contexts, continuations = (
            tuple(_text(task, key, place, choice=choice) for choice in choices) for key in ("context", "continuation")
        )
        return Posed(contexts=contexts, continuations=continuations, right=right, accepted=(), **shared)
    if task.kind == "text":
        return pose_text(task, [place])
    answers = _texts(task, "answers", place)
    context, continuation = _text(task, "context", place), _text(task, "continuation", place, choice=answers[0])
    return Posed(contexts=(context,), continuations=(continuation,), right=0, accepted=answers, **shared)


def pose_text(task: TaskFile, places: Sequence[Place]) -> Posed:
    """A text to measure perplexity on: the rows one after the other.

    Raises:
        InputError: names the first row where the whole is empty, or one that lacks a column.
    """
    text = "".join(_rendered(task, "context", place) for place in places)
    if not text.strip():
        raise _empty(task, "context", places[0])
    return Posed(places[0].where, ("",), (text,), 0, (), task.separator, task.answer_context)


def turns_of(task: TaskFile, place: Place) -> list[Place]:
    """The items of a row: itself, or each turn of a dialogue.

    Raises:
        InputError: names the row, whose number of turns is none.
    """
    if task.turns is None:
        return [place]
    number = evaluate(task, "turns", task.turns, place)
    if not isinstance(number, int) or number < 1:
        raise InputError(f"{place.where}: turns of task {task.name} is {number!r}; it must be a number from 1 on")
    return [Place(f"{place.where}, turn {turn + 1}", {**place.row, "turn": turn}) for turn in range(number)]


def _shown(task: TaskFile, place: Place) -> tuple[Question, ...]:
    if task.shown is None:
        return ()
    found = evaluate(task, "shown", task.shown, place)
    if not isinstance(found, Sequence) or not all(isinstance(row, Mapping) for row in found):
        raise InputError(f"{place.where}: shown of task {task.name} must be a list of rows, got {str(found)[:60]!r}")
    alone = task.model_copy(update={"shown": None})
    return tuple(pose(alone, Place(f"{place.where}: shown {number}", row)).question for number, row in enumerate(found, start=1))


def _text(task: TaskFile, key: str, place: Place, **more: str) -> str:
    text = _rendered(task, key, place, **more)
    if not text.strip() and getattr(task, key):
        raise _empty(task, key, place)
    return text


def _rendered(task: TaskFile, key: str, place: Place, **more: str) -> str:
    template = getattr(task, key)
    text = str(_evaluated(task, key, place, lambda: _template(template).render(**place.row, **more)))
    for column in _written_as_they_stand(template):
        if column in place.row and not _has_text(place.row[column]):
            raise InputError(
                f"{place.where}: {key} of task {task.name} writes {column}, which is empty; fill it in or take the row out, "
                f"or write {{{{ {column} or '' }}}} if it may be"
            )
    return text


def _has_text(value: Any) -> bool:
    """Neither blank nor missing; a number is text too."""
    return value is not None and bool(str(value).strip())


def _empty(task: TaskFile, key: str, place: Place) -> InputError:
    return InputError(f"{place.where}: {key} of task {task.name} is empty; fill the row in or take it out")


def _texts(task: TaskFile, key: str, place: Place) -> tuple[str, ...]:
    found = evaluate(task, key, getattr(task, key), place)
    if not isinstance(found, Sequence) or isinstance(found, str) or not found:
        raise InputError(f"{place.where}: {key} of task {task.name} must be a list of texts, got {str(found)[:60]!r}")
    if not all(map(_has_text, found)):
        raise InputError(f"{place.where}: {key} of task {task.name} holds an empty text; fill the row in or take it out")
    return tuple(map(str, found))


def _label(task: TaskFile, place: Place, choices: int) -> int:
    found = evaluate(task, "label", task.label or "", place)
    try:
        label = int(found)
    except (TypeError, ValueError):
        label = -1
    if not 0 <= label < choices or str(found).strip() not in (str(label), f"{label}.0", str(bool(label))):
        raise InputError(
            f"{place.where}: label of task {task.name} is {found!r}; it must be the number of the right choice, 0 to {choices - 1}"
        )
    return label


def evaluate(task: DataFile, key: str, expression: str, place: Place) -> Any:
    """Value of one expression over the columns of a row; InputError names the row where it has none."""

    def value() -> Any:
        return _expression(expression)(**place.row)

    found = _evaluated(task, key, place, value)
    if isinstance(found, StrictUndefined):
        of_column = isinstance(found._undefined_obj, Mapping)
        missing = f"finds no {found._undefined_name!r}" if of_column else "names a column that is not there"
        raise InputError(f"{place.where}: {key} of task {task.name} {missing}; it has {', '.join(place.row)}")
    return found


def _evaluated(task: DataFile, key: str, place: Place, work: Callable[[], Any]) -> Any:
    try:
        return work()
    except (TemplateError, TypeError, ValueError, LookupError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{place.where}: {key} of task {task.name}: {reason}; it has {', '.join(place.row)}") from None


@functools.cache
def _template(text: str) -> Template:
    """Compiled once for all rows: that takes longer than a row does."""
    return _environment().from_string(text)


@functools.cache
def _written_as_they_stand(text: str) -> tuple[str, ...]:
    """Columns that a template writes with nothing done to them: ``{{ column }}``."""
    outputs = _environment().parse(text).find_all(nodes.Output)
    return tuple(node.name for output in outputs for node in output.nodes if isinstance(node, nodes.Name))


@functools.cache
def _expression(text: str) -> TemplateExpression:
    return _environment().compile_expression(text, undefined_to_none=False)


@functools.cache
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    environment.filters |= {"without_brackets": without_brackets, "without_treebank_marks": without_treebank_marks}
    return environment
