"""A progress bar on a terminal, and a line every few seconds where there is none (the log of a Prefect task)."""

import sys
from typing import Self

from tqdm import tqdm

LINE_SECONDS = 5.0  # between two lines where there is no terminal


class Progress:
    """``with Progress("tokenize", "documents") as progress: progress.update(done, total)``.

    The bar stands from the first update on: what fails before it shows its error and no empty bar.
    """

    def __init__(self, name: str, unit: str) -> None:
        self._name, self._unit = name, unit
        self._bar: tqdm[None] | None = None

    def update(self, done: int, total: int, note: str = "") -> None:
        """``done`` of ``total`` units so far; ``note`` is shown behind the bar."""
        if self._bar is None:
            self._bar = self._stood_up(done, total)
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(done - self._bar.n)

    def _stood_up(self, done: int, total: int) -> "tqdm[None]":
        terminal = sys.stderr.isatty()
        return tqdm(
            desc=self._name,
            unit=f" {self._unit}",
            unit_scale=True,
            initial=done,
            total=total,
            mininterval=0.2 if terminal else LINE_SECONDS,
            ncols=None if terminal else 100,
            ascii=not terminal,
            file=sys.stderr if terminal else _Lines(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()


class _Lines:
    """Turns the redrawing of a bar into lines of a log."""

    def write(self, text: str) -> None:
        line = text.strip("\r\n ")
        if line:
            print(line, file=sys.stderr, flush=True)

    def flush(self) -> None:
        """Every line is flushed as it is written."""
