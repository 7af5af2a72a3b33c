"""A small token folder for tests: a stream with some structure to learn, in two shards."""

from pathlib import Path

import numpy as np

from components.artifacts import TokenShards, write_manifest
from components.tokenization.shards import StreamDocument, write_stream

VOCAB_SIZE = 32


def write_tiny_tokens(folder: Path, num_documents: int = 40, document_tokens: int = 60) -> TokenShards:
    """Documents of token ids that count upwards from a random start, with noise; id 0 separates them; 3 bytes a token."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    splits = {}
    for split, count in (("train", num_documents), ("held_out", max(2, num_documents // 10))):
        documents = []
        for number in range(count):
            ids = (rng.integers(1, VOCAB_SIZE) + np.arange(document_tokens - 1) + (rng.random(document_tokens - 1) < 0.1)) % (
                VOCAB_SIZE - 1
            ) + 1
            tokens = [0, *ids.tolist()]
            documents.append(StreamDocument(f"s:{split}{number}", "s", 0, 3 * (document_tokens - 1), tokens))
        splits[split] = write_stream(folder / split, documents, shard_tokens=1000)
    write_manifest(folder, "token_shards", vocab_size=VOCAB_SIZE, splits=splits)
    return TokenShards(folder)
