"""Prompts of task files: description, K demonstrations drawn by seed, and the question, as one text that fits the context."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from components.curation.draws import bits64
from components.errors import InputError
from components.evaluation.config import ProtocolConfig
from components.evaluation.prompts import Demonstrations, Question
from components.evaluation.requests import Encoded, encode_pairs
from components.evaluation.rows import Posed
from components.evaluation.task_file import TaskFile
from components.tokenization.byte_pair import BytePairTokenizer


@dataclass(frozen=True)
class Prompt:
    """What stands before an item's own words, and how many demonstrations it holds."""

    preamble: str
    shots_used: int


class Prompter:
    """Writes the prompts of one task for one model's context."""

    def __init__(
        self,
        task: TaskFile,
        train: Sequence[Posed],
        tokenizer: BytePairTokenizer,
        config: ProtocolConfig,
        context_length: int,
        shuffle_labels: bool = False,
    ) -> None:
        self.task, self.tokenizer, self.context_length = task, tokenizer, context_length
        self.seed, self.shuffle_labels = config.seed, shuffle_labels
        self.prefix = (tokenizer.end_of_text,) if config.begin_with_end_of_text else ()
        self._pool = Demonstrations(config.seed, task.name, [posed.question for posed in train])
        self._lengths: dict[str, int] = {}

    def prompt(self, posed: Posed, answer_tokens: int) -> Prompt:
        """Demonstrations for this item: the K of its draw that fit beside the longest candidate, never the item itself.

        The last ones stay where not all fit, which are those of the draw of a smaller K. With ``shuffle_labels`` those that
        stay exchange their answers, in an order of a hash (a control: what stands in the prompt is the same, what belongs together is not).

        Raises:
            InputError: fewer than K other items to draw from.
        """
        drawn = self._drawn(posed)
        if len(drawn) < self.task.shots:
            raise InputError(
                f"task {self.task.name}: asks for {self.task.shots} demonstrations, but there are only {len(drawn)} items to draw from; "
                "lower shots or add train rows"
            )
        own = max(self._tokens(context + answer) for context, answer in zip(posed.contexts, posed.continuations, strict=True))
        room = self.context_length + 1 - len(self.prefix) - own - answer_tokens - self._tokens(self.task.description)
        costs = accumulate(self._tokens(self._demonstration(question)) for question in reversed(drawn))
        fitting = sum(cost <= room for cost in costs)
        kept = drawn[len(drawn) - fitting :]
        if self.shuffle_labels:
            kept = self._with_labels_shuffled(posed, kept)
        description = self.task.description + self.task.separator if self.task.description else ""
        return Prompt(description + "".join(map(self._demonstration, kept)), len(kept))

    def _drawn(self, posed: Posed) -> list[Question]:
        if self.task.shown is None:
            return self._pool.draw(posed.question, self.task.shots)
        return list(posed.shown[max(0, len(posed.shown) - self.task.shots) :])

    def _with_labels_shuffled(self, posed: Posed, kept: Sequence[Question]) -> list[Question]:
        purpose = f"shuffled labels of {self.task.name}"
        order = sorted(range(len(kept)), key=lambda number: bits64(self.seed, purpose, f"{posed.question.key} {number}"))
        return [replace(question, answers=kept[other].answers) for question, other in zip(kept, order, strict=True)]

    def encode(self, pairs: Sequence[tuple[str, str]]) -> list[Encoded]:
        """(context, continuation) pairs as requests."""
        return encode_pairs(self.tokenizer.encode_batch, self.prefix, self.tokenizer.end_of_text, pairs, self.context_length)

    def _demonstration(self, question: Question) -> str:
        return question.demonstration + self.task.separator

    def _tokens(self, text: str) -> int:
        """What the text costs in a prompt; one more, for where pieces meet they may be cut into tokens otherwise than alone."""
        if text not in self._lengths:
            self._lengths[text] = len(self.tokenizer.encode(text)) + 1 if text else 0
        return self._lengths[text]
