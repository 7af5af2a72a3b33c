"""Which items meet in a batch. Draws are hashes of (seed, epoch, item), so nothing depends on an order of calls."""

# Shapes: B items, S sequences of an item, T positions.

from collections.abc import Sequence

import torch
from torch.utils.data import Dataset

from components.curation.draws import uniform
from components.finetuning.config import FinetuningConfig
from components.finetuning.heads import Batch
from components.finetuning.transforms import Encoded


class EpochBatches(Dataset[Batch]):
    """The batches of a whole run, epoch after epoch; each epoch holds each item once."""

    def __init__(self, items: Sequence[Encoded], config: FinetuningConfig, seed: int) -> None:
        self._items = items
        self._batches = [batch for epoch in range(config.epochs) for batch in _epoch(items, config, f"{seed} epoch {epoch}", seed)]

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> Batch:
        return collate([self._items[item] for item in self._batches[index]])


def _epoch(items: Sequence[Encoded], config: FinetuningConfig, purpose: str, seed: int) -> list[list[int]]:
    """Indices of items by batch: neighbours in (scattered) length share one, the batches come in the order of a hash."""
    scattered = [item.length * (1 + config.length_jitter * uniform(seed, f"{purpose} length", str(i))) for i, item in enumerate(items)]
    order = sorted(range(len(items)), key=lambda i: (scattered[i], uniform(seed, f"{purpose} tie", str(i))))
    batches = [order[start : start + config.batch_sequences] for start in range(0, len(order), config.batch_sequences)]
    return sorted(batches, key=lambda batch: uniform(seed, f"{purpose} batch", str(batch[0])))


def collate(items: Sequence[Encoded]) -> Batch:
    """Pad to the longest sequence of the batch; the padding is id 0, which nothing reads."""
    longest = max(item.length for item in items)
    padded = [[[*sequence, *[0] * (longest - len(sequence))] for sequence in item.sequences] for item in items]
    lengths = [[len(sequence) for sequence in item.sequences] for item in items]
    return Batch(torch.tensor(padded), torch.tensor(lengths), torch.tensor([item.label for item in items]))
