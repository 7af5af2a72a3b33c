"""Perplexity per word, character or byte of the *original* text, and de-tokenisers that can be undone (GPT-2 section 3.1).

The model reads text as it was before a data set's tokenisation; its total loss is divided by the units of the data set as it came,
which is fair only if nothing was lost on the way: a rule is applied to a line only where it can be undone.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from components.errors import InputError
from components.evaluation.scoring import Request
from components.evaluation.task_file import Detokenizer, Metric


@dataclass(frozen=True)
class Rule:
    """A substitution and the one that undoes it."""

    pattern: str
    replacement: str
    undo_pattern: str
    undo_replacement: str

    def apply(self, line: str) -> str:
        """The line after the rule; as it was where the rule would lose something."""
        changed = re.sub(self.pattern, self.replacement, line)
        return changed if re.sub(self.undo_pattern, self.undo_replacement, changed) == line else line


# GPT-2 prints none of its de-tokenisers; these undo what is seen in the two data sets.
CLITIC = Rule(r"(?<=\w) ('(?:s|re|ve|m|ll|d))(?= |$)", r"\1", r"(?<=\w)('(?:s|re|ve|m|ll|d))(?= |$)", r" \1")
NEGATION = Rule(r"(?<=\w) n't(?= |$)", "n't", r"(?<=\w)n't(?= |$)", " n't")
COMMA_AND_STOP = Rule(r"(?<=\S) ([,.;:!?])(?= |$)", r"\1", r"(?<=\S)([,.;:!?])(?= |$)", r" \1")
CLOSING = Rule(r"(?<=\S) ([)\]])", r"\1", r"(?<=\S)([)\]])", r" \1")
OPENING = Rule(r"([(\[]) (?=\S)", r"\1", r"([(\[])(?=\S)", r"\1 ")
CURRENCY = Rule(r"([$#]) (?=\w)", r"\1", r"([$#])(?=\w)", r"\1 ")
PER_CENT = Rule(r"(?<=\w) %(?= |$)", "%", r"(?<=\w)%(?= |$)", " %")
JOINED = Rule(r"(?<=\w) @([-,.])@ (?=\w)", r"\1", r"(?<=\w)([-,.])(?=\w)", r" @\1@ ")
RULES: dict[Detokenizer, tuple[Rule, ...]] = {
    "none": (),
    "wikitext": (CLITIC, NEGATION, JOINED, COMMA_AND_STOP, CLOSING, OPENING),
    "ptb": (CLITIC, NEGATION, CURRENCY, PER_CENT),
}


def detokenized(text: str, how: Detokenizer) -> str:
    """Line by line, each rule that can be undone there."""
    lines = text.split("\n")
    for rule in RULES[how]:
        lines = [rule.apply(line) for line in lines]
    return "\n".join(lines)


def rolling_requests(tokens: Sequence[int], end_of_text: int, context_length: int) -> list[Request]:
    """Windows that predict each token of a text once; the first reads ``<|endoftext|>`` before it.

    The windows do not overlap but for the last, which reads as much before it as fits (as lm-evaluation-harness does).

    Raises:
        InputError: the text has no tokens.
    """
    if not tokens:
        raise InputError("a text to measure perplexity on has no tokens; take it out")
    requests = [Request((end_of_text,), tuple(tokens[:context_length]))]
    for start in range(context_length, len(tokens), context_length):
        stop = min(start + context_length, len(tokens))
        requests.append(Request(tuple(tokens[stop - context_length - 1 : start]), tuple(tokens[start:stop])))
    return requests


def count_units(original: str, metric: Metric) -> int:
    """Units of the text as it came; words are parted by white space, and the end of a line counts as the data set's ``<eos>``."""
    match metric:
        case "per_word":
            return len(original.split()) + original.count("\n")
        case "per_byte" | "bits_per_byte":
            return len(original.encode())
        case _:
            return len(original)


def per_unit(total_nats: float, units: int, metric: Metric) -> float:
    """Perplexity exp(nats / units), or bits per unit."""
    return total_nats / units / math.log(2) if metric.startswith("bits") else math.exp(total_nats / units)
