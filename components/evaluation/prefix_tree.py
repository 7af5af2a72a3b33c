"""Which token sequences share a beginning, and how they are laid out so that each shared token is read once.

Sorted, sequences that share a beginning lie side by side: they are the leaves of a tree of tokens. Small subtrees are
packed into rows, each token of a row reading its ancestors alone; where much hangs on a long common beginning (the
demonstrations of a prompt), that beginning becomes a trunk, is read once, and its keys and values serve all rows after it.
"""

# Shapes: N sequences, R tokens of a row, P tokens of its trunk, S = P + R.

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

Tokens = tuple[int, ...]

# They change no score but in its last bits, only how fast it comes.
ROW_TOKENS = 128  # shorter subtrees share a row; longer rows make attention dearer than what they save
MIN_TRUNK_TOKENS = 32  # a shorter beginning is not worth a forward pass of its own
MIN_TRUNK_USE_TOKENS = 1024  # what must hang on a trunk before a row of its own for everything is worse
MAX_ROW_GROWTH = 4  # a row holds at most so many times the tokens of its longest sequence: the choices of one question


@dataclass(frozen=True)
class Grove:
    """Sequences that begin with the first ``trunk`` tokens of any of them: in rows, or in groves with a longer trunk."""

    trunk: int
    rows: tuple[range, ...]
    groves: tuple["Grove", ...]


class PrefixTree:
    """Different sequences in ascending order, and how many tokens each shares with the one before."""

    def __init__(self, sequences: Sequence[Tokens]) -> None:
        self.sequences = sequences
        self._lengths_N = np.fromiter(map(len, sequences), np.int64, len(sequences))
        shared = [0, *(_shared(first, second) for first, second in pairwise(sequences))]
        self._shared_N = np.array(shared, np.int64)

    def grove(self) -> Grove:
        """All sequences."""
        return self._grove(range(len(self.sequences)), 0)

    def _grove(self, span: range, trunk: int) -> Grove:
        rows: list[range] = []
        groves = []
        waiting = [span] if span else []
        while waiting:
            part = waiting.pop()
            match self._layout(part, trunk):
                case "row":
                    self._append(rows, part, trunk)
                case "trunk":
                    groves.append(self._grove(part, self._common(part)))
                case "split":
                    waiting += reversed(self._children(part))
        return Grove(trunk, tuple(rows), tuple(groves))

    def _layout(self, part: range, trunk: int) -> str:
        tokens = self._tokens(part, trunk)
        if tokens <= ROW_TOKENS or len(part) == 1:
            return "row"
        common = self._common(part) - trunk
        if common >= MIN_TRUNK_TOKENS and tokens - common >= MIN_TRUNK_USE_TOKENS:
            return "trunk"
        if tokens <= MAX_ROW_GROWTH * (int(self._lengths_N[part.start : part.stop].max()) - trunk):
            return "row"
        return "trunk" if common >= MIN_TRUNK_TOKENS else "split"

    def _append(self, rows: list[range], part: range, trunk: int) -> None:
        """As a row of its own, or to the last row where both are small and side by side."""
        if rows and rows[-1].stop == part.start:
            both = range(rows[-1].start, part.stop)
            if self._tokens(both, trunk) <= ROW_TOKENS:
                rows[-1] = both
                return
        rows.append(part)

    def _common(self, part: range) -> int:
        return int(self._shared_N[part.start + 1 : part.stop].min())

    def _tokens(self, part: range, trunk: int) -> int:
        """Different tokens of the subtree, beyond the trunk."""
        shared = np.maximum(self._shared_N[part.start : part.stop], trunk)
        shared[0] = trunk
        return int((self._lengths_N[part.start : part.stop] - shared).sum())

    def _children(self, part: range) -> list[range]:
        inner = self._shared_N[part.start + 1 : part.stop]
        cuts = [part.start, *(part.start + 1 + np.flatnonzero(inner == inner.min())).tolist(), part.stop]
        return [range(first, last) for first, last in pairwise(cuts)]

    def row(self, part: range, trunk: int) -> "Row":
        """Lay out one row of a grove."""
        tokens: list[int] = []
        depths: list[int] = []
        paths: list[np.ndarray] = []
        path = np.arange(trunk)
        for number in part:
            sequence, shared = self.sequences[number], trunk if number == part.start else max(trunk, int(self._shared_N[number]))
            new = np.arange(trunk + len(tokens), trunk + len(tokens) + len(sequence) - shared)
            path = np.concatenate([path[:shared], new])
            tokens += sequence[shared:]
            depths += range(shared, len(sequence))
            paths.append(path)
        return Row(part, trunk, tokens, depths, paths)


@dataclass(frozen=True)
class Row:
    """A subtree laid out; place 0 to P - 1 are the trunk's tokens, P onwards the row's own."""

    part: range
    trunk: int
    tokens: list[int]
    depths: list[int]
    paths: list[np.ndarray]
    """For each sequence, the places of its tokens."""

    def reads(self) -> np.ndarray:
        """Which places each token of the row reads: its ancestors and itself. bool [R, S]."""
        reads_RS = np.zeros((len(self.tokens), self.trunk + len(self.tokens)), np.bool_)
        done = 0
        for path in self.paths:
            new = path[path >= self.trunk + done]
            triangle = np.tri(len(path), dtype=np.bool_)[len(path) - len(new) :]
            reads_RS[np.ix_(new - self.trunk, path)] = triangle
            done += len(new)
        return reads_RS


def batched(rows: Sequence[Row], max_tokens: int) -> Iterator[list[Row]]:
    """Rows of like length together, at most ``max_tokens`` with their padding, a single row whatever its length."""
    batch: list[Row] = []
    for row in sorted(rows, key=lambda row: (-len(row.tokens), row.part.start)):
        if batch and (len(batch) + 1) * len(batch[0].tokens) > max_tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _shared(first: Tokens, second: Tokens) -> int:
    """Length of the common beginning, by bisection: comparing slices is quick."""
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
