"""What a model answered to each test item, as it is kept beside the scores: one line of JSON for each item."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.artifacts import read_json_lines, write_json_lines
from components.errors import InputError
from components.evaluation.label_scores import Metric, label_score
from components.evaluation.resampling import ScoreOf

SUFFIX = "items.jsonl"
"""With which the name of every file of answers ends."""


@dataclass(frozen=True)
class Answer:
    """One test item and what was said of it."""

    where: str
    """Its file and line, or the documents that it was made from."""
    text: str
    """All of its texts, as a document would hold them."""
    predicted: int | float | str
    """Number of an answer, name of a class, score, or free text: the beginning of it, as far as it took to know it for wrong."""
    right: int | float | str
    shots: int = 0
    """Demonstrations that were asked for."""


def write_answers(path: Path, answers: Iterable[Answer]) -> None:
    """Whole or not at all."""
    write_json_lines(path, map(asdict, answers))


def read_answers(path: Path) -> list[Answer]:
    """InputError where the file is missing or damaged."""
    rows: list[dict[str, Any]] = read_json_lines(path)
    try:
        return [Answer(**row) for row in rows]
    except TypeError:
        raise InputError(f"{path}: holds other keys than those of an answer; run what makes it again") from None


def score_of(answers: Sequence[Answer], metric: Metric, positive: str | None) -> ScoreOf:
    """The metric on some of the answers; ``positive`` names the class that F1 is of."""
    said, right = ([getattr(one, name) for one in answers] for name in ("predicted", "right"))
    numbers = _numbers({*said, *right}, positive)
    said_N, right_N = (np.array([numbers.get(value, value) for value in values]) for values in (said, right))

    def of(items: np.ndarray) -> float:
        return label_score(metric, said_N[items], right_N[items], None if positive is None else numbers[positive])

    return of


def _numbers(values: Iterable[int | float | str], positive: str | None) -> dict[Any, int]:
    """Of texts; numbers stand for themselves."""
    return {text: number for number, text in enumerate(sorted({str(v) for v in (*values, positive) if isinstance(v, str)}))}
