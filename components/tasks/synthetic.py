"""GPT-3's synthetic tasks (section 3.9.1 and 3.9.2), in the formats of the released files.

Where the paper's text and the files differ the files hold: a composite brackets its first two digits, which are 1 to 9,
and words have 6 to 15 letters. A scramble never equals its word.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count, islice

from components.curation.draws import uniform
from components.errors import InputError
from components.tasks.config import SyntheticConfig, TasksConfig
from components.tasks.items import DraftTask, FreeForm, Sourced

Draw = Callable[[str], float]
"""A number in [0, 1) for a purpose, the same whenever asked."""

INSERTED = " .!/"  # random insertion: one of these between any two letters, each as often (released file)


def arithmetic(config: TasksConfig) -> list[DraftTask]:
    """Tasks whose operands are uniform: ``two_digit_*`` in 0..99, ``three_digit_addition`` in 0..999; no prompt occurs twice.

    Raises:
        InputError: more items are asked for than there are questions.
    """
    questions: dict[str, tuple[int, Callable[[Draw], tuple[str, int]]]] = {
        "two_digit_addition": (100**2, lambda draw: _two_operands(draw, 100, "plus")),
        "two_digit_subtraction": (100**2, lambda draw: _two_operands(draw, 100, "minus")),
        "two_digit_multiplication": (100**2, lambda draw: _two_operands(draw, 100, "times")),
        "three_digit_addition": (1000**2, lambda draw: _two_operands(draw, 1000, "plus")),
        "one_digit_composite": (9**3 * 3**2, _composite),
    }
    return [_task(name, _questions(name, distinct, make, config.seed), config.synthetic) for name, (distinct, make) in questions.items()]


def scrambles(texts: Iterable[str], config: TasksConfig) -> list[DraftTask]:
    """Tasks whose words are the most frequent ones of ``texts``; no word serves both training and test items.

    Raises:
        InputError: there are too few words.
    """
    words = frequent_words(texts, config.synthetic)
    ways: dict[str, Callable[[str, Draw], str]] = {
        "cycle_letters": cycle_letters,
        "anagrams1": lambda word, draw: shuffle_middle(word, 1, draw),
        "anagrams2": lambda word, draw: shuffle_middle(word, 2, draw),
        "random_insertion": random_insertion,
        "reversed_words": lambda word, _: word[::-1],
    }
    return [_task(name, _unscrambles(name, words, make, config.seed), config.synthetic) for name, make in ways.items()]


def frequent_words(texts: Iterable[str], config: SyntheticConfig) -> list[str]:
    """The most frequent lower-case words of a to z of the wanted lengths; words as frequent come in alphabetical order."""
    pattern = re.compile(rf"(?<![\w'])[a-z]{{{config.min_word_chars},{config.max_word_chars}}}(?![\w'])")
    counts = Counter(word for text in texts for word in pattern.findall(text))
    return [word for word, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))][: config.most_frequent_words]


def cycle_letters(word: str, draw: Draw) -> str:
    """``word`` turned by 1 to len - 1 letters: casino -> asinoc."""
    turn = 1 + int(draw("turn") * (len(word) - 1))
    return word[turn:] + word[:turn]


def shuffle_middle(word: str, kept: int, draw: Draw) -> str:
    """``word`` with all but its first and last ``kept`` letters in the order of a hash."""
    middle = range(kept, len(word) - kept)
    order = sorted(middle, key=lambda place: draw(f"place {place}"))
    return word[:kept] + "".join(word[place] for place in order) + word[len(word) - kept :]


def random_insertion(word: str, draw: Draw) -> str:
    """A space or a mark between any two letters: casino -> c.a s/i!n.o."""
    marks = [INSERTED[int(draw(f"mark {place}") * len(INSERTED))] for place in range(len(word) - 1)]
    return "".join(letter + mark for letter, mark in zip(word, [*marks, ""], strict=True))


def _two_operands(draw: Draw, bound: int, word: str) -> tuple[str, int]:
    a, b = int(draw("a") * bound), int(draw("b") * bound)
    return f"{a} {word} {b}", {"plus": a + b, "minus": a - b, "times": a * b}[word]


def _composite(draw: Draw) -> tuple[str, int]:
    a, b, c = (1 + int(draw(name) * 9) for name in "abc")
    first, second = ("+-*"[int(draw(name) * 3)] for name in ("first", "second"))
    return f"({a} {first} {b}) {second} {c}", _apply(second, _apply(first, a, b), c)


def _apply(operator: str, a: int, b: int) -> int:
    return {"+": a + b, "-": a - b, "*": a * b}[operator]


def _questions(task: str, distinct: int, make: Callable[[Draw], tuple[str, int]], seed: int) -> Iterator[FreeForm]:
    """All ``distinct`` questions in the order of a hash; one that comes up again is passed over."""
    asked: set[str] = set()
    for attempt in count():
        if len(asked) == distinct:
            return
        question, answer = make(partial(_drawn, seed, task, str(attempt)))
        if question not in asked:
            asked.add(question)
            yield FreeForm(f"\n\nQ: What is {question}?\n\nA:", f" {answer}")


def _unscrambles(task: str, words: list[str], make: Callable[[str, Draw], str], seed: int) -> Iterator[FreeForm]:
    for word in sorted(words, key=lambda word: uniform(seed, task, word)):
        scrambled = make(word, partial(_drawn, seed, task, word))
        if scrambled != word:
            yield FreeForm(f"\n{scrambled} =", f" {word}")


def _drawn(seed: int, task: str, key: str, purpose: str) -> float:
    return uniform(seed, f"{task} {purpose}", key)


def _task(name: str, rows: Iterator[FreeForm], size: SyntheticConfig) -> DraftTask:
    wanted = size.train_items + size.test_items
    items = [Sourced(row, ()) for row in islice(rows, wanted)]
    if len(items) < wanted:
        raise InputError(
            f"params.yaml: tasks.synthetic asks for {wanted} items, but task {name} has only {len(items)}; "
            "lower tasks.synthetic.train_items or test_items"
        )
    return DraftTask(name, "free_form", (), items[: size.train_items], items[size.train_items :])
