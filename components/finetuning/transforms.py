"""GPT-1's input transformations (section 3.3, figure 1): any labelled item becomes token sequences with one extract state each.

| task            | sequences                                                    |
|-----------------|--------------------------------------------------------------|
| classification  | [start] text [extract]                                       |
| entailment      | [start] premise [delimiter] hypothesis [extract]             |
| similarity      | the pair in both orders, as for entailment                   |
| multiple choice | [start] context [delimiter] answer [extract], for each answer |
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from components.errors import InputError
from components.tasks.items import Classification, Entailment, FreeForm, Item, Label, LabelledTask, MultipleChoice, Similarity

NUM_SPECIALS = 3


class Encoder(Protocol):
    """What is needed of a tokenizer."""

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text."""


@dataclass(frozen=True)
class Specials:
    """Ids of the three new tokens, in the order of GPT-1's released code, behind the ``vocab_size`` ordinary ones."""

    start: int
    delimiter: int
    extract: int

    @classmethod
    def after(cls, vocab_size: int) -> "Specials":
        """The three ids that follow the ordinary ones."""
        return cls(vocab_size, vocab_size + 1, vocab_size + 2)


@dataclass(frozen=True)
class Encoded:
    """An item as the model reads it; every item of a task has as many sequences. ``cut``: a text of it was too long."""

    sequences: tuple[tuple[int, ...], ...]
    label: Label
    cut: bool = False

    @property
    def length(self) -> int:
        """Tokens of the longest sequence."""
        return max(map(len, self.sequences))


def encode_items(items: Sequence[Item], tokenizer: Encoder, specials: Specials, context_length: int) -> list[Encoded]:
    """Tokenize and transform.

    Of a text that is too long the first tokens are kept and the end is cut off: each of two segments to
    ``context_length // 2 - 2`` tokens, as in GPT-1's released code; a single segment, which that code does not have, to
    ``context_length - 2``. The items it happened to are marked.

    Raises:
        InputError: items without labels; a context that leaves no room for text; a tokenizer of another checkpoint, whose ids
            reach into the special tokens.
    """
    readings = [item_readings(item) for item in items]
    texts = list(dict.fromkeys(text for reading in readings for segments in reading for text in segments))
    tokens = dict(zip(texts, tokenizer.encode_batch(texts), strict=True))
    largest = max((max(ids, default=0) for ids in tokens.values()), default=0)
    if largest >= specials.start:
        raise InputError(f"the tokenizer gives token {largest}, the checkpoint's vocabulary ends at {specials.start - 1}; use its own")
    encoded = []
    for item, reading in zip(items, readings, strict=True):
        room = room_tokens(len(reading[0]), context_length)
        sequences = tuple(_sequence([tokens[text][:room] for text in segments], specials) for segments in reading)
        cut = any(len(tokens[text]) > room for segments in reading for text in segments)
        encoded.append(Encoded(sequences, label_of(item), cut))
    return encoded


def room_tokens(num_segments: int, context_length: int) -> int:
    """Tokens that a segment may have beside one other or none; InputError where that is none at all."""
    room = context_length - 2 if num_segments == 1 else context_length // 2 - 2
    if room < 1:
        raise InputError(f"a context of {context_length} tokens has no room for an item; take a checkpoint of 6 or more")
    return room


def item_readings(item: Item) -> list[tuple[str, ...]]:
    """The sequences of an item as their text segments, in the order of GPT-1's figure 1."""
    match item:
        case Classification(text=text):
            return [(text,)]
        case Entailment(premise=premise, hypothesis=hypothesis):
            return [(premise, hypothesis)]
        case Similarity(first=first, second=second):
            return [(first, second), (second, first)]
        case MultipleChoice(context=context, choices=choices):
            return [(context, choice) for choice in choices]
        case FreeForm():
            raise _no_label()


def num_outputs(task: LabelledTask) -> int:
    """Width of the linear layer on the extract state: a score for each class or whole number of a scale, or one for each answer."""
    return 1 if task.transformation == "multiple_choice" else len(task.labels)


def label_of(item: Item) -> Label:
    """The item's label; InputError for one that has none."""
    if isinstance(item, FreeForm):
        raise _no_label()
    return item.label


def _no_label() -> InputError:
    return InputError("a free_form task has no labels to fine-tune on; choose a task of another transformation")


def _sequence(segments: list[list[int]], specials: Specials) -> tuple[int, ...]:
    if len(segments) == 1:
        return (specials.start, *segments[0], specials.extract)
    first, second = segments
    return (specials.start, *first, specials.delimiter, *second, specials.extract)
