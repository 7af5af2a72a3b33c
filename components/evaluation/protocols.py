"""One task file on one model: each kind of question scored by its protocol, item by item."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from components.errors import InputError
from components.evaluation.config import ProtocolConfig
from components.evaluation.generation import answer_text, beam_answers, ends_line
from components.evaluation.metrics import best_f1, exact_match
from components.evaluation.prompting import Prompt, Prompter
from components.evaluation.requests import Encoded
from components.evaluation.rows import Posed
from components.evaluation.scoring import Scores, log_likelihoods, normalized, total_log_likelihoods
from components.evaluation.stop_words import STOP_WORDS
from components.evaluation.task_file import TaskFile
from components.evaluation.units import count_units, detokenized, rolling_requests
from components.tokenization.byte_pair import BytePairTokenizer
from components.transformer.model import GPT


@dataclass(frozen=True)
class Outcome:
    """What came of one item."""

    where: str
    text: str
    """The item's own words with the right answer."""
    value: float
    """1 or 0; F1 of a free answer; nats of a text."""
    predicted: int | str
    right: int | str
    probabilities: tuple[float, ...]
    """Of each candidate, softmax of the compared scores; empty where there are none."""
    log_likelihood: float
    """Of the right answer [nats]."""
    units: int
    """Tokens of the right answer, or units of a text."""
    shots_used: int
    cut_tokens: int
    """Lost from the beginning of the prompt, because it was longer than the context."""


class Examiner:
    """A model, its tokenizer and the settings."""

    def __init__(self, model: GPT, tokenizer: BytePairTokenizer, config: ProtocolConfig) -> None:
        if model.config.vocab_size < tokenizer.vocab_size:
            raise InputError(f"the tokenizer knows {tokenizer.vocab_size} tokens and the model {model.config.vocab_size}; give its own")
        self.model, self.tokenizer, self.config = model, tokenizer, config

    def examine(self, task: TaskFile, items: Sequence[Posed], train: Sequence[Posed], shuffle_labels: bool = False) -> list[Outcome]:
        """One outcome for each item, in order; ``shuffle_labels`` is the control of ``prompting.Prompter``.

        Raises:
            InputError: no items; too few demonstrations; NaN scores.
        """
        if not items:
            raise InputError(f"task {task.name} has no test items; name a file or split that has some")
        prompter = Prompter(task, train, self.tokenizer, self.config, self.model.config.context_length, shuffle_labels)
        protocols: dict[str, Callable[[TaskFile, Sequence[Posed], Prompter], list[Outcome]]] = {
            "multiple_choice": self._choices,
            "completion": self._completions,
            "answer": self._answers,
            "text": self._texts,
        }
        return protocols[task.kind](task, items, prompter)

    def _choices(self, task: TaskFile, items: Sequence[Posed], prompter: Prompter) -> list[Outcome]:
        """GPT-3 section 2.4; also partial scoring and CBT's rest of the sentence (``task_file.Kind``)."""
        prompts = [prompter.prompt(posed, 0) for posed in items]
        given, scores = self._candidates(items, prompter, [prompt.preamble for prompt in prompts])
        alone = [np.zeros(len(values)) for values in scores]
        if task.normalization == "unconditional":
            bare = [Posed(p.where, (p.answer_context,) * len(p.contexts), p.continuations, p.right, (), "", "") for p in items]
            alone = self._candidates(bare, prompter, [""] * len(items))[1]
        assert task.normalization is not None
        return [_choice(task, *parts) for parts in zip(items, prompts, given, scores, alone, strict=True)]

    def _candidates(
        self, items: Sequence[Posed], prompter: Prompter, preambles: Sequence[str]
    ) -> tuple[list[list[Encoded]], list[np.ndarray]]:
        pairs = [
            (preamble + context, answer)
            for posed, preamble in zip(items, preambles, strict=True)
            for context, answer in zip(posed.contexts, posed.continuations, strict=True)
        ]
        encoded = prompter.encode(pairs)
        found = self._scored(encoded).log_likelihoods
        spans = list(pairwise(np.cumsum([0, *(len(posed.contexts) for posed in items)])))
        return [encoded[first:stop] for first, stop in spans], [found[first:stop] for first, stop in spans]

    def _scored(self, encoded: Sequence[Encoded]) -> Scores:
        return total_log_likelihoods(self.model, [(one.request, *one.rest) for one in encoded], self.config.batch_sequences)

    def _completions(self, task: TaskFile, items: Sequence[Posed], prompter: Prompter) -> list[Outcome]:
        """LAMBADA (GPT-2 section 3.3): each token of the last word is the likeliest, or the word is the best one that is no stop word."""
        prompts = [prompter.prompt(posed, 0) for posed in items]
        encoded = prompter.encode([(prompt.preamble + p.contexts[0], p.continuations[0]) for prompt, p in zip(prompts, items, strict=True)])
        scores = self._scored(encoded)
        outcomes = []
        for posed, prompt, one, value, greedy in zip(items, prompts, encoded, scores.log_likelihoods, scores.greedy, strict=True):
            target, said = posed.accepted[0].strip(), ""
            if task.stop_words:
                said = self._last_word(one.request.context)
                greedy = said == target
            right = bool(greedy)
            outcomes.append(_outcome(posed, prompt, one, float(right), said or (target if right else ""), target, float(value)))
        return outcomes

    def _last_word(self, context: tuple[int, ...]) -> str:
        """The likeliest word that can end a sentence: beams of one word each, the best that is no stop word."""
        limit = self.config.max_answer_tokens

        def is_end(tokens: tuple[int, ...]) -> bool:
            text = self.tokenizer.decode(tokens)
            return tokens[-1] == self.tokenizer.end_of_text or bool(_first_word(text)[1])

        beams = beam_answers(
            self.model, context[-(self.model.config.context_length - limit) :], self.config.stop_word_beams, limit, 0.0, is_end
        )
        words = [_first_word(self.tokenizer.decode(beam.tokens))[0] for beam in beams]
        return next((word for word in words if word and word.lower() not in STOP_WORDS), "")

    def _answers(self, task: TaskFile, items: Sequence[Posed], prompter: Prompter) -> list[Outcome]:
        """Greedy or by beams until a newline (GPT-3 section 2.4), compared as SQuAD's script does."""
        assert task.beams is not None
        limit, outcomes = self.config.max_answer_tokens, []
        measure = exact_match if task.metric == "exact_match" else best_f1
        for posed in items:
            prompt = prompter.prompt(posed, limit)
            [one] = prompter.encode([(prompt.preamble + posed.contexts[0], posed.continuations[0])])
            room = self.model.config.context_length - limit
            if room < 1:
                raise InputError(f"protocol.max_answer_tokens {limit} leaves no room in a context of {room + limit}; lower it")
            context = one.request.context[-room:]
            [beam, *_] = beam_answers(self.model, context, task.beams, limit, self.config.length_penalty, ends_line(self.tokenizer))
            said = answer_text(self.tokenizer, beam.tokens)
            cut = one.cut_tokens + max(0, len(one.request.context) - room)
            outcomes.append(
                _outcome(
                    posed, prompt, Encoded(one.request, cut), measure(said, posed.accepted), said, posed.accepted[0], beam.log_likelihood
                )
            )
        return outcomes

    def _texts(self, task: TaskFile, items: Sequence[Posed], _prompter: Prompter) -> list[Outcome]:
        """Nats of whole texts; the metric is their sum over the sum of units (GPT-2 section 3.1)."""
        tokens = self.tokenizer.encode_batch([detokenized(posed.continuations[0], task.detokenizer) for posed in items])
        windows = [rolling_requests(ids, self.tokenizer.end_of_text, self.model.config.context_length) for ids in tokens]
        found = log_likelihoods(self.model, [one for own in windows for one in own], self.config.batch_sequences).log_likelihoods
        ends = np.cumsum([len(own) for own in windows])[:-1]
        return [
            Outcome(
                p.where,
                p.continuations[0],
                -float(own.sum()),
                "",
                "",
                (),
                float(own.sum()),
                count_units(p.continuations[0], task.metric),
                0,
                0,
            )
            for p, own in zip(items, np.split(found, ends), strict=True)
        ]


def _choice(task: TaskFile, posed: Posed, prompt: Prompt, encoded: Sequence[Encoded], given_A: np.ndarray, alone_A: np.ndarray) -> Outcome:
    assert task.normalization is not None
    scores = np.array(
        [
            normalized(float(value), answer, one.num_tokens, float(alone), task.normalization)
            for value, answer, one, alone in zip(given_A, posed.continuations, encoded, alone_A, strict=True)
        ]
    )
    weights = np.exp(scores - scores.max())
    predicted = int(scores.argmax())
    outcome = _outcome(
        posed, prompt, encoded[posed.right], float(predicted == posed.right), predicted, posed.right, float(given_A[posed.right])
    )
    probabilities = tuple((weights / weights.sum()).tolist())
    return Outcome(**{**vars(outcome), "probabilities": probabilities, "cut_tokens": max(one.cut_tokens for one in encoded)})


def _outcome(
    posed: Posed, prompt: Prompt, one: Encoded, value: float, predicted: int | str, right: int | str, log_likelihood: float
) -> Outcome:
    text = posed.contexts[posed.right] + posed.continuations[posed.right]
    return Outcome(posed.where, text, value, predicted, right, (), log_likelihood, one.num_tokens, prompt.shots_used, one.cut_tokens)


def _first_word(text: str) -> tuple[str, str]:
    """The first word, without the punctuation after it, and what follows it, if anything does yet."""
    word, ending = "", ""
    for character in text.lstrip():
        if ending or not (character.isalnum() or (character in "'-" and word)):
            ending += character
        else:
            word += character
    return word, ending
