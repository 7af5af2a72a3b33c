"""What a task file says: where its rows are, how a row is put in words, how an answer is chosen and measured.

The file is YAML of a few lines (``tasks/README.md``). Templates and expressions are Jinja's, sandboxed, over the columns of one row.
A key that is left out means that the task has no such thing; numbers that can change a score have no default.
"""

from typing import Literal, Self

from pydantic import Field, NonNegativeInt, field_validator, model_validator

from components.config import Frozen
from components.evaluation.config import Normalization
from components.evaluation.generated import Generated
from components.tasks.config import Labelling

Kind = Literal["multiple_choice", "completion", "answer", "text"]
"""``multiple_choice``: the likeliest of the given continuations. Where the *context* holds the choice and the continuation does not,
this is partial scoring (Winograd: Trinh and Le 2018; GPT-2 section 3.3, GPT-3 section 3.4); where the continuation goes on after the
choice, it is P(candidate) P(rest of the sentence | candidate) (CBT: GPT-2 section 3.2).
``completion``: is the one right continuation what greedy decoding says, and how likely is it (LAMBADA: GPT-2 section 3.3).
``answer``: free text, greedy or by beam search, against the accepted answers (GPT-3 section 2.4).
``text``: perplexity of the text itself, per unit of the original data set (GPT-2 section 3.1)."""
Metric = Literal[
    "accuracy", "matthews", "f1", "f1_macro", "exact_match", "token_f1", "bleu",
    "per_word", "per_character", "per_byte", "bits_per_byte", "bits_per_character",
]  # fmt: skip
METRICS: dict[Kind, tuple[Metric, ...]] = {
    "multiple_choice": ("accuracy", "matthews", "f1", "f1_macro"),
    "completion": ("accuracy",),
    "answer": ("exact_match", "token_f1", "bleu"),
    "text": ("per_word", "per_character", "per_byte", "bits_per_byte", "bits_per_character"),
}
Detokenizer = Literal["none", "ptb", "wikitext"]


class Files(Frozen):
    """CSV, TSV or JSONL files, relative to the task file's folder."""

    test: str
    train: str | None = None
    """Where demonstrations come from; None: from ``test``, never the item itself (GPT-3 section 2.4 of LAMBADA, Winograd)."""


class Hub(Frozen):
    """A data set of the Hugging Face Hub."""

    path: str
    """Its name there; or a folder, from that of the task file: one of data files, or what ``save_to_disk`` wrote."""
    name: str | None = None
    revision: str | None = None
    test: str
    """Name of the split."""
    train: str | None = None


class FineTuning(Labelling):
    """The same rows in one of GPT-1's four transformations (section 3.3), and what they are scored by."""

    fields: dict[str, str]
    """Field of the item (``tasks.items``) -> expression."""


class DataFile(Frozen):
    """Where a task's rows are, and how they are fine-tuned on: all that ``python -m flows.finetune`` reads of a task file."""

    name: str = Field(pattern=r"^[A-Za-z0-9_.-]+$")
    source: str
    """Paper and section of the format, or where else it comes from."""
    files: Files | None = None
    hub: Hub | None = None
    generated: Generated | None = None
    keep: str | None = None
    """Expression: which rows are items; the others are left out, and counted."""
    finetuning: FineTuning | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if sum(data is not None for data in (self.files, self.hub, self.generated)) != 1:
            raise ValueError("name one of files, hub and generated")
        return self


class TaskFile(DataFile):
    """One task as a language model is asked it."""

    kind: Kind
    turns: str | None = None
    """Expression: number of turns of a row that is a dialogue. Each is an item of its own, and the other keys know its number, from 0,
    as ``turn``. Demonstrations are turns of other dialogues."""
    context: str = ""
    """Template of what stands before the answer; ``choice`` is the candidate."""
    choices: str | None = None
    """Expression: list of texts."""
    label: str | None = None
    """Expression: number of the right choice, from 0."""
    continuation: str = " {{ choice }}"
    """Template of a candidate, or of the right answer in a demonstration."""
    answers: str | None = None
    """Expression: list of accepted answers; the first one demonstrates."""
    description: str = ""
    """What stands before the first demonstration."""
    shown: str | None = None
    """Expression: rows to demonstrate this one item with, where an item brings its own; the last K of them are shown, in their order."""
    separator: str = "\n\n"
    """Between description, demonstrations and question (GPT-3 section 2.4: one or two newlines, as the task needs)."""
    answer_context: str = ""
    """For ``unconditional``: what the answer is compared after, such as "Answer:"."""
    normalization: Normalization | None = None
    shots: NonNegativeInt
    """K demonstrations; fewer where they do not fit."""
    metric: Metric
    positive: NonNegativeInt | None = None
    """For ``f1``: the class that counts."""
    stop_words: bool = False
    """For ``completion``: words that cannot end a sentence are no answer (GPT-2 section 3.3)."""
    beams: int | None = Field(default=None, ge=1)
    """For ``answer``: 1 is greedy (GPT-3: 4, with a length penalty of 0.6)."""
    begins: str | None = None
    """For ``text``: expression: is this row the first of a text? The rows up to the next such one are its further lines. None: all are."""
    detokenizer: Detokenizer = "none"
    """For ``text``: undoes the data set's tokenisation before the model reads it."""

    @field_validator("choices", "answers", mode="before")
    @classmethod
    def _expression(cls, value: object) -> object:
        if isinstance(value, list):
            raise ValueError("must be an expression over the columns; put quotes around the list")
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed = {
            "multiple_choice": ("choices", "label", "normalization"),
            "completion": ("answers",),
            "answer": ("answers", "beams"),
            "text": (),
        }[self.kind]
        for key in needed:
            if getattr(self, key) is None:
                raise ValueError(f"a task of kind {self.kind} needs {key}")
        data = self.files or self.hub
        if self.turns is not None and (data is None or data.train is None):
            raise ValueError("turns needs a train split, for a turn tells the answers of those before it; name one")
        if self.begins is not None and self.kind != "text":
            raise ValueError("begins is for kind text; leave it out")
        if self.metric not in METRICS[self.kind]:
            raise ValueError(f"metric {self.metric} does not fit kind {self.kind}; choose {', '.join(METRICS[self.kind])}")
        if self.metric == "f1" and self.positive is None:
            raise ValueError("metric f1 needs positive, the number of the class that counts")
        return self
