"""Shortening and masking of texts."""

import re
from collections.abc import Iterable


def cut(text: str, max_chars: int) -> str:
    """``text`` up to ``max_chars`` characters, ended between words where there is more than one word."""
    text = text.strip()
    if len(text) <= max_chars:
        return text
    head = text[:max_chars]
    if not text[max_chars].isspace():
        head = re.sub(r"\s+\S*\Z", "", head)
    return head.rstrip()


def masked(text: str, words: Iterable[str], mask: str) -> str:
    """``text`` with each of ``words`` replaced, whatever its case, where no letter stands on either side (``np`` in ``np_array`` too)."""
    alternatives = "|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word)))
    return re.sub(rf"(?<![A-Za-z])(?:{alternatives})(?![A-Za-z])", mask, text, flags=re.IGNORECASE)
