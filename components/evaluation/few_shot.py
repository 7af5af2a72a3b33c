"""One task, zero- to few-shot: prompts that fit the context, answers by likelihood or greedy decoding, a score with its interval."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.errors import InputError
from components.evaluation.answers import Answer
from components.evaluation.calibration import reliability
from components.evaluation.config import EvaluationConfig
from components.evaluation.free_form import greedy_answers
from components.evaluation.intervals import clopper_pearson
from components.evaluation.prompts import DESCRIPTIONS, Demonstrations, Question, ask, draw_questions
from components.evaluation.scoring import Request, log_likelihoods, normalized
from components.tasks.evaluated import texts_of
from components.tasks.items import DraftTask, LabelledTask, Sourced, shortened
from components.tokenization.byte_pair import BytePairTokenizer
from components.transformer.model import GPT

Encode = Callable[[str], tuple[int, ...]]


@dataclass(frozen=True)
class Prompt:
    """What the model reads before it answers."""

    tokens: tuple[int, ...]
    shots_used: int
    cut: bool
    """The question alone was too long and lost its beginning."""


def write_prompt(
    encode: Encode, end_of_text: int, description: str, demonstrations: Sequence[Question], question: Question, room: int
) -> Prompt:
    """``<|endoftext|>``, where every training document begins, then description, demonstrations and question in at most ``room`` tokens.

    Demonstrations that do not fit are dropped from the front.
    """
    kept = list(demonstrations)
    while len(tokens := _tokens(encode, end_of_text, description, kept, question)) > room and kept:
        kept.pop(0)
    if len(tokens) <= room:
        return Prompt(tokens, len(kept), cut=False)
    return Prompt((end_of_text, *tokens[len(tokens) - room + 1 :]), 0, cut=True)


def _tokens(encode: Encode, end_of_text: int, description: str, kept: Sequence[Question], question: Question) -> tuple[int, ...]:
    pieces = [(other.separator, other.demonstration) for other in kept] + [(question.separator, question.context)]
    if description:
        pieces.insert(0, ("", description))
    # Each piece is encoded with the newlines before it, as the tokenizer would cut the whole text.
    texts = [pieces[0][1], *(separator + text for separator, text in pieces[1:])]
    return (end_of_text, *(token for text in texts for token in encode(text)))


@dataclass(frozen=True)
class ShotScores:
    """One task with K demonstrations in the prompt."""

    shots: int
    facts: dict[str, Any]
    """Share of right answers (score), its interval (low, high), the share that guessing reaches (chance), items, mean_shots_used,
    items_cut (questions too long for the context), and calibration of the answer chosen, whose probability is the softmax of the
    compared scores (None where answers are free)."""
    answers: list[Answer]


def few_shot_scores(config: EvaluationConfig, model: GPT, tokenizer: BytePairTokenizer, draft: DraftTask) -> Iterator[ShotScores]:
    """For each number of shots, one after the other, on the same items.

    Raises:
        InputError: the task has no test items, or a candidate answer is longer than the context.
    """
    task = draft.task
    if not task.test:
        raise InputError(f"task {task.name} has no test items; raise its size in params.yaml and run dvc repro derive_tasks")
    train, test = ([ask(task, shortened(item, config.prompt_text_chars)) for item in items] for items in (task.train, task.test))
    places = draw_questions(config.seed, task.name, test, config.items_per_task)
    questions, sourced = [test[place] for place in places], [draft.test[place] for place in places]
    pool = Demonstrations(config.seed, task.name, train)
    exam = _Exam(config, model, tokenizer, task)
    for shots in config.shots:
        said, facts = exam.score(questions, [pool.draw(question, shots) for question in questions])
        pairs = zip(sourced, questions, said, strict=True)
        yield ShotScores(shots, facts, [_answer(row, question, one, shots) for row, question, one in pairs])


def _answer(row: Sourced, question: Question, said: int | str, shots: int) -> Answer:
    right = question.right if isinstance(said, int) else question.answers[question.right].strip()
    return Answer(", ".join(row.documents), "\n".join(texts_of(row.item)), said, right, shots)


class _Exam:
    """A model before one task."""

    def __init__(self, config: EvaluationConfig, model: GPT, tokenizer: BytePairTokenizer, task: LabelledTask) -> None:
        self.config, self.model, self.tokenizer, self.task = config, model, tokenizer, task
        self.encode: Encode = functools.cache(lambda text: tuple(tokenizer.encode(text)))

    def score(
        self, questions: Sequence[Question], demonstrations: Sequence[Sequence[Question]]
    ) -> tuple[Sequence[int | str], dict[str, Any]]:
        """What was said to each question, by number of the answer or in words, and ``ShotScores.facts``."""
        prompts = [self._prompt(question, drawn) for question, drawn in zip(questions, demonstrations, strict=True)]
        said: Sequence[int | str]
        free_form, calibration = self.task.transformation == "free_form", None
        if free_form:
            targets = [question.answers[question.right] for question in questions]
            said = self._free_form(targets, prompts)
            right = [one == target.strip() for one, target in zip(said, targets, strict=True)]
        else:
            said, probabilities = self._choices(questions, prompts)
            right = [one == question.right for one, question in zip(said, questions, strict=True)]
            calibration = reliability(probabilities, right, self.config.calibration_bins, self.config.confidence)
        low, high = clopper_pearson(sum(right), len(right), self.config.confidence)
        return said, {
            "score": sum(right) / len(right),
            "low": low,
            "high": high,
            "chance": 0.0 if free_form else float(np.mean([1 / len(question.answers) for question in questions])),
            "items": len(right),
            "mean_shots_used": float(np.mean([prompt.shots_used for prompt in prompts])),
            "items_cut": sum(prompt.cut for prompt in prompts),
            "calibration": calibration,
        }

    def _prompt(self, question: Question, drawn: Sequence[Question]) -> Prompt:
        """The same demonstrations for all candidates: there must be room for the longest, but for its last token."""
        if self.task.transformation == "free_form":
            longest = self.config.max_answer_tokens
        else:
            longest = max(len(self.encode(answer)) for answer in question.answers)
        room = self.model.config.context_length - longest + 1
        if room < 1:
            raise InputError(
                f"task {self.task.name}: an answer of {longest} tokens exceeds model.context_length {self.model.config.context_length}; "
                "raise it, or lower evaluation.max_answer_tokens or the task's max_chars"
            )
        description = DESCRIPTIONS.get(self.task.name, "")
        return write_prompt(self.encode, self.tokenizer.end_of_text, description, drawn, question, room)

    def _free_form(self, targets: Sequence[str], prompts: Sequence[Prompt]) -> list[str]:
        tokens = [prompt.tokens for prompt in prompts]
        return greedy_answers(self.model, self.tokenizer, tokens, targets, self.config.max_answer_tokens, self.config.batch_sequences)

    def _choices(self, questions: Sequence[Question], prompts: Sequence[Prompt]) -> tuple[list[int], list[float]]:
        """Number of each answer chosen, and its probability."""
        normalization = getattr(self.config.normalization, self.task.transformation)
        given = self._logprobs([prompt.tokens for prompt in prompts], questions)
        alone = [np.zeros(len(question.answers)) for question in questions]
        if normalization == "unconditional":
            alone = self._logprobs(
                [(self.tokenizer.end_of_text, *self.encode(question.answer_context)) for question in questions], questions
            )
        chosen, probabilities = [], []
        for question, given_A, alone_A in zip(questions, given, alone, strict=True):
            scores_A = np.array(
                [
                    normalized(logprob, answer, len(self.encode(answer)), unconditional, normalization)
                    for answer, logprob, unconditional in zip(question.answers, given_A, alone_A, strict=True)
                ]
            )
            chosen.append(int(scores_A.argmax()))
            probabilities.append(float(1 / np.exp(scores_A - scores_A.max()).sum()))
        return chosen, probabilities

    def _logprobs(self, prompts: Sequence[tuple[int, ...]], questions: Sequence[Question]) -> list[np.ndarray]:
        """For each question, log P of each of its answers."""
        requests = [
            Request(prompt, self.encode(answer)) for prompt, question in zip(prompts, questions, strict=True) for answer in question.answers
        ]
        logprobs = log_likelihoods(self.model, requests, self.config.batch_sequences).log_likelihoods
        return np.split(logprobs, np.cumsum([len(question.answers) for question in questions])[:-1])
