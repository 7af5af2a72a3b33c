"""A run beside its re-run: hash by hash, metric by metric, one row each."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Curve = Sequence[tuple[int, float]]  # step, value
Verdict = Literal["equal", "differs", "unchecked"]


@dataclass(frozen=True)
class Row:
    """What was compared, and how it came out."""

    kind: Literal["input", "output", "metric"]
    name: str
    verdict: Verdict
    detail: str

    def line(self) -> str:
        """For a terminal."""
        return f"{self.kind:<7} {self.name:<44} {self.verdict.upper() if self.verdict != 'equal' else 'equal':<10} {self.detail}".rstrip()


def hashes(kind: Literal["input", "output"], recorded: Mapping[str, str], found: Mapping[str, str]) -> Iterator[Row]:
    """Every path that either side has; ``found`` holds "" for what is not there."""
    for path in sorted({*recorded, *found}):
        before, now = recorded.get(path, ""), found.get(path, "")
        if not before:
            yield Row(kind, path, "unchecked", "the run kept no hash of it")
        elif before == now:
            yield Row(kind, path, "equal", before)
        else:
            yield Row(kind, path, "differs", f"{before}, now {now or 'not there'}")


def metrics(recorded: Mapping[str, Curve], found: Mapping[str, Curve]) -> Iterator[Row]:
    """Every metric that either side has, point by point.

    Points that only the re-run has do not count: a run that went on after an interruption kept the later part of its curves.
    """
    for name in sorted({*recorded, *found}):
        if name not in recorded:
            yield Row("metric", name, "unchecked", "the run did not report it")
        elif name not in found:
            yield Row("metric", name, "differs", "no longer reported")
        else:
            yield _curve(name, recorded[name], found[name])


def _curve(name: str, recorded: Curve, found: Curve) -> Row:
    now = dict(found)
    wrong = [(step, value) for step, value in recorded if step not in now or not _same(value, now[step])]
    if wrong:
        step, value = wrong[0]
        where = f"at step {step} " if len(recorded) > 1 else ""
        return Row("metric", name, "differs", f"{where}{value!r}, now {now.get(step, math.nan)!r}; {len(wrong)} of {len(recorded)} points")
    return Row("metric", name, "equal", repr(recorded[-1][1]) if len(recorded) == 1 else f"{len(recorded)} points")


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))
