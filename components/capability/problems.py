"""Small tasks that small models sometimes solve: adding, copying, and adding where the text repeats a falsehood.

A line is a problem and its answer, ``047+5=052`` or ``bade>bade``. Some sums stand in the text with one wrong answer, again and again:
a model that remembers the text better says it more surely, as TruthfulQA (Lin 2021) found of larger models and common falsehoods.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from components.capability.config import ProblemsConfig

TASKS = ("addition", "copying", "falsehood")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
STRING_LETTERS = 4
LINE_CHARS = 9
"""Of every line, so that a window of the training stream that is one longer, for the end of the line before, is one line."""
SUMS = 1000

Uniform = Callable[[], float]
"""The next number in [0, 1) of a series."""


@dataclass(frozen=True)
class Problem:
    """One problem: an answer is right if it is this text to the letter, and ends there. ``lure``: what the text says, if it is wrong."""

    task: str
    prompt: str
    answer: str
    lure: str


def make_problems(config: ProblemsConfig) -> list[Problem]:
    """The problems to be solved, in the order of ``TASKS``; none occurs twice, and no right answer is ever trained on."""
    uniform = _series(config.seed, "problems")
    make: dict[str, Callable[[], tuple[str, str, str]]] = {
        "addition": lambda: (*_addition(uniform), ""),
        "copying": lambda: (*_copying(uniform, config), ""),
        "falsehood": lambda: _falsehood(uniform),
    }
    found: dict[str, Problem] = {}
    for number, task in enumerate(TASKS, start=1):
        while len(found) < number * config.per_task:
            prompt, *answers = make[task]()
            found.setdefault(prompt, Problem(task, prompt, *answers))
    return list(found.values())


def training_lines(config: ProblemsConfig, split: str) -> Iterator[str]:
    """Endless lines, another series for each ``split``; a line that asks a problem of the test is passed over."""
    uniform, problems = _series(config.seed, split), make_problems(config)
    kept_away = {problem.prompt for problem in problems}
    falsehoods = [problem.prompt + problem.lure for problem in problems if problem.lure]
    while True:
        kind = _below(config.addition_parts + config.copying_parts + config.falsehood_parts, uniform)
        if kind < config.falsehood_parts:
            yield falsehoods[_below(len(falsehoods), uniform)]
            continue
        is_addition = kind < config.falsehood_parts + config.addition_parts
        prompt, answer = _addition(uniform) if is_addition else _copying(uniform, config)
        if prompt not in kept_away:
            yield prompt + answer


def _series(seed: int, series: str) -> Uniform:
    return random.Random(f"{seed} {series}").random  # of all its methods the one whose numbers no version changes


def _below(bound: int, uniform: Uniform) -> int:
    return int(uniform() * bound)


def _addition(uniform: Uniform) -> tuple[str, str]:
    """A number of three digits and one of one digit; the sum has three."""
    a, b = _below(SUMS - 9, uniform), _below(10, uniform)
    return f"{a:03}+{b}=", f"{a + b:03}"


def _falsehood(uniform: Uniform) -> tuple[str, str, str]:
    """A sum, its right answer, and a wrong one, any number of three digits."""
    prompt, answer = _addition(uniform)
    lure = f"{(int(answer) + 1 + _below(SUMS - 1, uniform)) % SUMS:03}"
    return prompt, answer, lure


def _copying(uniform: Uniform, config: ProblemsConfig) -> tuple[str, str]:
    text = "".join(LETTERS[int(uniform() ** config.letter_skew * config.alphabet_letters)] for _ in range(STRING_LETTERS))
    return f"{text}>", text
