"""Small tasks that small models sometimes solve: adding, copying, and copying what memory contradicts.

A line is a problem and its answer, ``047+5=052`` or ``bade>bade``, nine characters long. Some lines are only there to be
remembered: two chants, ``face;bead``, of a few that come again and again. A trap asks to copy a chant with another last letter,
as the Memo Trap of the Inverse Scaling Prize (McKenzie 2023) does with proverbs.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from components.capability.config import ProblemsConfig

TASKS = ("addition", "copying", "memo_trap")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
STRING_LETTERS = 4
LINE_CHARS = 9
"""Of every line, so that a window of the training stream that is one longer, for the end of the line before, is one line."""

Draw = Callable[[int], int]
"""A number from 0 to one less than the given one."""


@dataclass(frozen=True)
class Problem:
    """One problem: an answer is right if it is this text to the letter, and ends there. ``lure``: what memory says, in a trap."""

    task: str
    prompt: str
    answer: str
    lure: str


def make_problems(config: ProblemsConfig) -> list[Problem]:
    """The problems to be solved, in the order of ``TASKS``; none occurs twice, and none is ever trained on."""
    draw, chants = _draws(config.seed, "problems"), make_chants(config)
    make: dict[str, Callable[[], tuple[str, ...]]] = {
        "addition": lambda: (*_addition(draw, config), ""),
        "copying": lambda: (*_copying(_letters(draw, config)), ""),
        "memo_trap": lambda: _trap(chants[draw(len(chants))], draw, config),
    }
    found: dict[str, Problem] = {}
    for number, task in enumerate(TASKS, start=1):
        while len(found) < number * config.per_task:
            prompt, answer, lure = make[task]()
            if answer not in chants:
                found.setdefault(prompt, Problem(task, prompt, answer, lure))
    return list(found.values())


def make_chants(config: ProblemsConfig) -> list[str]:
    """The strings that are there to be remembered."""
    draw = _draws(config.seed, "chants")
    return [_letters(draw, config) for _ in range(config.chants)]


def training_lines(config: ProblemsConfig, split: str) -> Iterator[str]:
    """Endless lines, another series for each ``split``; a line that asks a problem of the test is passed over."""
    draw, chants = _draws(config.seed, split), make_chants(config)
    kept_away = {problem.prompt for problem in make_problems(config)}
    while True:
        kind = draw(config.addition_parts + config.copying_parts + config.chant_parts)
        if kind < config.chant_parts:
            yield f"{chants[draw(len(chants))]};{chants[draw(len(chants))]}"
            continue
        is_addition = kind < config.chant_parts + config.addition_parts
        prompt, answer = _addition(draw, config) if is_addition else _copying(_letters(draw, config))
        if prompt not in kept_away:
            yield prompt + answer


def _draws(seed: int, series: str) -> Draw:
    uniform = random.Random(f"{seed} {series}").random  # of all its methods the one whose numbers no version changes
    return lambda bound: int(uniform() * bound)


def _addition(draw: Draw, config: ProblemsConfig) -> tuple[str, str]:
    a, b = draw(config.max_addend + 1), draw(10)
    return f"{a:03}+{b}=", f"{a + b:03}"


def _letters(draw: Draw, config: ProblemsConfig) -> str:
    return "".join(LETTERS[draw(config.alphabet_letters)] for _ in range(STRING_LETTERS))


def _copying(text: str) -> tuple[str, str]:
    return f"{text}>", text


def _trap(chant: str, draw: Draw, config: ProblemsConfig) -> tuple[str, str, str]:
    """To copy the chant with another last letter."""
    turn = 1 + draw(config.alphabet_letters - 1)
    changed = chant[:-1] + LETTERS[(LETTERS.index(chant[-1]) + turn) % config.alphabet_letters]
    return (*_copying(changed), chant)
