"""Which documents, from which source, were in a step: index arithmetic and two binary searches, no log."""

from dataclasses import dataclass

import numpy as np

from components.artifacts import TokenStream
from components.training.data_order import DataOrder

RUN_FILE = "run.json"  # of a checkpoint folder: how it was trained, in ``pretrain.run_record``'s words


@dataclass(frozen=True)
class DocumentPart:
    """A stretch of one document in one sequence of a batch; ``start`` and ``stop`` are positions in the stream."""

    sequence: int
    id: str
    source: str
    epoch: int
    """How often the document had come before in the stream."""
    start: int
    stop: int
    offset: int
    """Tokens of the document before ``start``; its first token is the ``<|endoftext|>`` before it."""


class DocumentIndex:
    """The index of a stream in memory: 8 bytes for each document's start, and its columns of id and source.

    Reading it takes as long as there are documents; a look-up after that takes log2 of their number.
    """

    def __init__(self, stream: TokenStream) -> None:
        self._table = stream.index()
        self._starts = self._table.column("start").to_numpy()

    def parts(self, sequence: int, start: int, stop: int) -> list[DocumentPart]:
        """The documents at positions [start, stop) of the stream, in order."""
        first, last = (int(np.searchsorted(self._starts, position, side="right")) - 1 for position in (start, stop - 1))
        found = []
        for row in self._table.slice(first, last + 1 - first).to_pylist():
            begin, end = max(start, row["start"]), min(stop, row["start"] + row["num_tokens"])
            found.append(DocumentPart(sequence, row["id"], row["source"], row["epoch"], begin, end, begin - row["start"]))
        return found


def documents_of_step(index: DocumentIndex, order: DataOrder, step: int) -> list[DocumentPart]:
    """What step ``step`` (1 is the first) read, sequence by sequence: T + 1 tokens each, of which the last is target only.

    The time depends on the size of the batch and not on the length of the stream or the number of the step.

    Raises:
        InputError: the run has no such step.
    """
    length = order.context_length
    starts = (order.windows_of_step(step) * length).tolist()
    return [part for sequence, start in enumerate(starts) for part in index.parts(sequence, start, start + length + 1)]
