"""The lines as token shards: one token for each character, and one that ends a line."""

from collections.abc import Iterator
from pathlib import Path

from components.artifacts import atomic_folder, write_manifest
from components.capability.config import ProblemsConfig
from components.capability.problems import LETTERS, training_lines
from components.tokenization.shards import StreamDocument, write_stream

SYMBOLS = f"0123456789+=>{LETTERS}"
END_OF_LINE = 0
VOCAB_SIZE = len(SYMBOLS) + 1


def encode(text: str) -> list[int]:
    """Token ids of the characters."""
    return [SYMBOLS.index(character) + 1 for character in text]


def write_capability_tokens(config: ProblemsConfig, out: Path) -> dict[str, int]:
    """Write the streams ``train`` and ``held_out`` to ``out``; return their numbers of tokens."""
    lengths = {"train": config.train_tokens, "held_out": config.held_out_tokens}
    with atomic_folder(out) as scratch:
        splits = {
            split: write_stream(scratch / split, _documents(training_lines(config, split), split, length), length)
            for split, length in lengths.items()
        }
        write_manifest(scratch, "token_shards", vocab_size=VOCAB_SIZE, splits=splits)
    return {split: int(facts["num_tokens"]) for split, facts in splits.items()}


def _documents(lines: Iterator[str], split: str, length: int) -> Iterator[StreamDocument]:
    """Lines until there are ``length`` tokens and one more, the last one's target."""
    written, number = 0, 0
    while written <= length:
        line = next(lines)
        yield StreamDocument(f"{split}:{number}", split, 0, len(line), [END_OF_LINE, *encode(line)])
        written, number = written + len(line) + 1, number + 1
