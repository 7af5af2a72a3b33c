"""Labelled items in words: GPT-3's formats (Brown 2020, figures 2.1 and G.1 to G.51) and who demonstrates what to whom.

Each answer begins with a space, so that it is cut into tokens as it would be within running text.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from components.tasks.items import Classification, Entailment, FreeForm, MultipleChoice, Similarity

if TYPE_CHECKING:
    from components.tasks.items import Item, LabelledTask

UNSCRAMBLE = "Please unscramble the letters into a word, and write that word:"
DESCRIPTIONS = dict.fromkeys(("cycle_letters", "anagrams1", "anagrams2", "random_insertion", "reversed_words"), UNSCRAMBLE)
"""What stands before the first demonstration; the other formats explain themselves."""
LABEL_WORDS = {"summary_match": ("False", "True"), "see_also": ("no", "yes")}
"""Labels that mean little on their own, renamed as GPT-3 section 2.4 does; any other task speaks by its own labels."""


@dataclass(frozen=True)
class Question:
    """One item in words. ``context + answers[right]`` is a demonstration; ``context`` alone asks."""

    separator: str
    """Newlines between this and what stands before it (GPT-3 section 2.4: one or two, as the task needs)."""
    context: str
    answers: tuple[str, ...]
    """The candidates; a free-form item holds its only right answer."""
    right: int
    answer_context: str
    """The words right before the answer, on their own: the condition of GPT-3's unconditional normalisation."""

    @property
    def demonstration(self) -> str:
        """The question with its right answer."""
        return self.context + self.answers[self.right]

    @property
    def key(self) -> int:
        """64-bit hash of what is asked, without candidates and answer, so that the same question has the same key."""
        return _hash(self.context)


def ask(task: "LabelledTask", item: "Item") -> Question:
    """The item in the format of its transformation.

    Classification: the text, then the task's name as a word ("library: numpy"). Entailment: as RTE, CB and ANLI.
    Similarity: in the style of WiC. Multiple choice: as ARC and OpenBookQA. Free form: as the item says, its
    leading newlines being the separator. The answer to a label that is a score is the nearest whole number.
    """
    words = LABEL_WORDS.get(task.name, task.labels)
    labels = tuple(f" {word}" for word in words)
    match item:
        case Classification(text, label):
            word = f"{task.name.replace('_', ' ')}:"
            return Question("\n\n", f"{text}\n{word}", labels, round(label), word)
        case Entailment(premise, hypothesis, label):
            return Question("\n\n", f"{premise}\nquestion: {hypothesis} {_listed(words)}?\nanswer:", labels, round(label), "answer:")
        case Similarity(first, second, label):
            question = f"Are the two texts above related, {_listed(words)}?"
            return Question("\n\n", f"{first}\n{second}\nquestion: {question}\nanswer:", labels, round(label), "answer:")
        case MultipleChoice(context, choices, label):
            return Question("\n\n", f"Question: {context}\nAnswer:", tuple(f" {choice}" for choice in choices), label, "Answer:")
        case FreeForm(context, completion):
            text = context.lstrip("\n")
            return Question("\n" * (len(context) - len(text)) or "\n", text, (f" {completion.strip()}",), 0, "")


def _listed(words: Sequence[str]) -> str:
    first, *others = words  # last label first: of two it is the affirmative one, and RTE asks "True or False?"
    return f"{', '.join(reversed(others))} or {first}"


class Demonstrations:
    """The questions of a task's train items, to be drawn for one test question at a time."""

    def __init__(self, seed: int, task: str, questions: Sequence[Question]) -> None:
        self._questions = sorted(questions, key=lambda question: (question.key, question.demonstration, question.answers))
        self._keys = np.array([question.key for question in self._questions], np.uint64)
        self._salt = _salt(seed, f"demonstrations of {task}")

    def draw(self, question: Question, shots: int) -> list[Question]:
        """``shots`` different train items, never one that asks the same or goes on after its answer; fewer only if there are no more.

        The draw is a hash of (seed, task, test item, train item): no order matters, and the draw of K is the end of
        the draw of K + 1. The best-ranked comes last, so that what is dropped from the front for want of room leaves
        the draw of a smaller K.
        """
        ranks = _mix(self._keys ^ _mix(np.array([question.key], np.uint64) ^ self._salt))
        order = np.argsort(ranks, kind="stable")
        allowed = (other for other in map(self._questions.__getitem__, order) if not _tells(other, question))
        return list(islice(allowed, shots))[::-1]


def _tells(other: Question, question: Question) -> bool:
    """Would it show the answer: is it the same, or a later turn of the same dialogue?"""
    return other.context == question.context or other.context.startswith(question.demonstration)


def draw_questions(seed: int, task: str, questions: Sequence[Question], limit: int) -> list[int]:
    """Places of at most ``limit`` test questions, by a hash of (seed, task, item): the same, in the same order, however they came."""
    salt = _salt(seed, f"test items of {task}")

    def rank(place: int) -> tuple[Any, ...]:
        question = questions[place]
        return int(_mix(np.array([question.key], np.uint64) ^ salt)[0]), question.demonstration, question.answers

    return sorted(range(len(questions)), key=rank)[:limit]


def _salt(seed: int, purpose: str) -> np.uint64:
    return np.uint64(_hash(f"{seed}:{purpose}"))


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _mix(keys: np.ndarray) -> np.ndarray:
    """Scramble 64-bit keys: the output function of SplitMix64 (Steele, Lea and Flood 2014)."""
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = keys ^ (keys >> np.uint64(31))
    return mixed
