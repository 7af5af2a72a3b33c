"""Rows of tasks that are made up: what an answer is stands in the prompt's demonstrations and nowhere else.

A word is invented from syllables, so that no training text gives a label away; the same settings give the same rows.
"""

import random
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from components.config import Frozen
from components.curation.draws import bits64

CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"


class SymbolEpisodes(Frozen):
    """Each item is an episode of its own: symbols, labels, a mapping drawn at random, demonstrations of it, and one symbol to label.

    Columns: symbol, labels, label (number of the right one), shown (rows of the same columns, to demonstrate with). Every
    ``symbols`` demonstrations in a row show each symbol once. Of the last K <= ``symbols``, K / ``symbols`` of the episodes show
    the symbol that is asked, and whoever copies its label and else guesses is right on a share of (K + (symbols - K) / labels) / symbols.
    """

    rows: Literal["symbol_episodes"]
    seed: int
    items: int = Field(ge=1)
    symbols: int = Field(ge=2)
    """Of an episode."""
    labels: int = Field(ge=2)
    """Of an episode; a symbol has any of them, independently of the others."""
    syllables: int = Field(ge=1)
    """Of a symbol or label; there are 70 words of one syllable."""
    shown: int = Field(ge=1)
    """Demonstrations of an episode, at least the largest K."""


class InventedWords(Frozen):
    """Words of three syllables, none twice. Column: word. What its label is, a rule perhaps, the task file says."""

    rows: Literal["invented_words"]
    seed: int
    items: int = Field(ge=1)
    train_items: int = Field(ge=1, le=100_000)
    """Words to demonstrate with, different from the test items."""


Generated = Annotated[SymbolEpisodes | InventedWords, Field(discriminator="rows")]


def generate(config: SymbolEpisodes | InventedWords, split: str) -> Iterator[dict[str, Any]]:
    """Rows of the split ``test`` or ``train``; episodes bring their own demonstrations and have no train split."""
    if isinstance(config, SymbolEpisodes):
        yield from (_episode(config, number) for number in range(config.items))
    else:
        words = _words(random.Random(bits64(config.seed, "invented words", "")), config.items + config.train_items, 3)
        yield from ({"word": word} for word in (words[: config.items] if split == "test" else words[config.items :]))


def _episode(config: SymbolEpisodes, number: int) -> dict[str, Any]:
    draw = random.Random(bits64(config.seed, "symbol episode", str(number)))
    words = _words(draw, config.symbols + config.labels, config.syllables)
    symbols, labels = words[: config.symbols], words[config.symbols :]
    rows = {symbol: {"symbol": symbol, "labels": labels, "label": draw.randrange(config.labels)} for symbol in symbols}
    order: list[str] = []
    while len(order) < config.shown:
        order = [*draw.sample(symbols, len(symbols)), *order]
    return {**rows[draw.choice(symbols)], "shown": [rows[symbol] for symbol in order[-config.shown :]]}


def _words(draw: random.Random, count: int, syllables: int) -> list[str]:
    """So many different words, in random order."""
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(draw.choice(CONSONANTS) + draw.choice(VOWELS) for _ in range(syllables))] = None
    return list(found)
