"""A progress bar on a terminal, and a line every few seconds where there is none (the log of a Prefect task)."""

import sys
from typing import Self

from tqdm import tqdm

LINE_SECONDS = 5.0  # between two lines where there is no terminal


class Progress:
    """``with Progress("tokenize", "documents") as progress: progress.update(done, total)``."""

    def __init__(self, name: str, unit: str) -> None:
        terminal = sys.stderr.isatty()
        self._bar: tqdm[None] = tqdm(
            desc=name,
            unit=f" {unit}",
            unit_scale=True,
            mininterval=0.2 if terminal else LINE_SECONDS,
            ncols=None if terminal else 100,
            ascii=not terminal,
            file=sys.stderr if terminal else _Lines(),
        )

    def update(self, done: int, total: int, note: str = "") -> None:
        """``done`` of ``total`` units so far; ``note`` is shown behind the bar."""
        self._bar.total = total
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(done - self._bar.n)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()


class _Lines:
    """Turns the redrawing of a bar into lines of a log."""

    def write(self, text: str) -> None:
        line = text.strip("\r\n ")
        if line:
            print(line, file=sys.stderr, flush=True)

    def flush(self) -> None:
        """Every line is flushed as it is written."""
