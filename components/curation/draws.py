"""Random draws keyed by what they are for: a hash, never a stream, so that neither order nor number of workers matters."""

import hashlib

from components.curation.config import CurationConfig


def bits64(seed: int, purpose: str, key: str) -> int:
    """64 random bits that depend on the three arguments only."""
    return int.from_bytes(hashlib.blake2b(f"{seed}\0{purpose}\0{key}".encode(), digest_size=8).digest(), "little")


def uniform(seed: int, purpose: str, key: str) -> float:
    """A number in [0, 1), a multiple of 2**-53."""
    return (bits64(seed, purpose, key) >> 11) * 2.0**-53


def is_reserved(config: CurationConfig, document_id: str) -> bool:
    """Whether a document belongs to the labelled tasks and is never trained on."""
    source = document_id.partition(":")[0]
    return source == config.reserved_source and uniform(config.seed, "reserved", document_id) < config.reserved_share


def is_held_out(config: CurationConfig, key: str) -> bool:
    """Whether a kept document is for measuring; ``key`` is its id, or the work that it shares with others."""
    return uniform(config.seed, "held_out", key) < config.held_out_share
