"""Filters for the templates of task files: marks that a data set's makers put into its text, taken out."""

import re

QUOTES = ((r"`` ?", '"'), (r" ?''", '"'))
BRACKETS = ((r"-L[RSC]B- ?", "("), (r" ?-R[RSC]B-", ")"))
SPACES = ((r" ([,.;:!?])(?=[ \")]|$)", r"\1"), (r" ('(?:s|re|ve|m|ll|d)|n't)\b", r"\1"))


def without_brackets(text: str) -> str:
    """HellaSwag's marks of WikiHow, such as [step]."""
    return re.sub(r"\[.*?\]", "", text)


def without_treebank_marks(text: str) -> str:
    """Text as it was before it was cut in the way of the Penn Treebank: quotation marks, brackets, spaces before punctuation and clitics.

    GPT-2 section 3.2 takes such marks out of CBT and does not print how; this undoes what is seen there. It cannot be undone, which a
    choice between candidates does not need (perplexity does: ``units.RULES``).
    """
    for pattern, replacement in (*QUOTES, *BRACKETS, *SPACES):
        text = re.sub(pattern, replacement, text)
    return text
