"""Public-domain book text out of the ``pythonbible-*`` distributions: several translations are natural near-duplicates.

Each distribution holds one generated Python file ``plain_text_readers_bible.py`` (text without verse numbers) of the form
``bible = Bible(version, text, {verse: start}, {verse: end}, {book: ...}, {book: short title}, ...)`` with verse numbers
``book * 1_000_000 + chapter * 1_000 + verse``. It is parsed, not imported.
"""

import ast
import re
from collections.abc import Iterator
from itertools import groupby

from components.errors import InputError
from components.sources import distributions
from components.sources.documents import Document, Entry

TEXT_FILE = "plain_text_readers_bible.py"
# Square brackets mark words that a translator added; the grave accent stands for an apostrophe.
_MARKUP = str.maketrans({"[": None, "]": None, "`": "'"})
_NEXT_HEADING = re.compile(r"\s{2,}(BOOK [IV]+\s+)?Psalm \d+\b.*\Z", re.DOTALL)  # of the next psalm, filed under this one
_LINE_OF_VERSE = re.compile(r" {2,}")


def read(source: str, distribution: str) -> Iterator[Entry]:
    """Of one distribution, a document a chapter: its title, an empty line, its text."""
    for inside, path in distributions.list_files(source, distribution, (TEXT_FILE,)):
        content = distributions.read_bytes(source, distribution, path).decode("utf-8")
        for chapter, title, text in chapters(f"sources.{source}: {distribution}/{inside}", content):
            meta = {"distribution": distribution, "title": title, "work": f"{source}:{chapter}"}
            yield Document(f"{source}:{distribution}/{inside}::{title}", source, f"{title}\n\n{text}", meta)


def chapters(place: str, content: str) -> Iterator[tuple[int, str, str]]:
    """(book and chapter number, title such as ``Genesis 1``, text) of each chapter; InputError names ``place``."""
    try:
        _, text, starts, ends, _, titles, *_ = _arguments(content)
        books = sorted({verse // 1_000_000 for verse in starts})
        title_of = dict(zip(books, titles.values(), strict=True))
    except (SyntaxError, ValueError, TypeError, AttributeError, StopIteration):
        raise InputError(f"{place}: not in the form of pythonbible's generated files; remove the distribution's name") from None
    for chapter, verses in groupby(sorted(starts), key=lambda verse: verse // 1_000):
        numbers = list(verses)
        passage = text[starts[numbers[0]] : ends[numbers[-1]]]
        yield chapter, f"{title_of[chapter // 1_000]} {chapter % 1_000}", _plain(passage)


def _plain(passage: str) -> str:
    passage = _NEXT_HEADING.sub("", passage.translate(_MARKUP).replace("( ", "("))
    return _LINE_OF_VERSE.sub("\n", passage).strip()


def _arguments(content: str) -> list:  # type: ignore[type-arg]  # whatever the call is given
    call = next(node.value for node in ast.parse(content).body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call))
    return [_value(argument) for argument in call.args]


def _value(node: ast.expr) -> object:
    """Constants and dicts of them as they are; a dotted name (``Book.GENESIS``) as its source text."""
    if isinstance(node, ast.Dict):
        return {_value(key): _value(value) for key, value in zip(node.keys, node.values, strict=True) if key is not None}
    return node.value if isinstance(node, ast.Constant) else ast.unparse(node)
