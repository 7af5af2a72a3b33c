"""Nats of single tokens -> loss per token and bits per byte, in all and by source.

Nats count every token of the stream but its first, which has nothing before it and is an ``<|endoftext|>``. Bytes are the
UTF-8 bytes of the documents: the ``<|endoftext|>`` tokens cost nats but bring no bytes, so bits per byte are the price of
the text and of knowing where each document ends. The unit does not depend on the tokenizer (GPT-2 section 3.1).
"""

# Shapes: N tokens of the stream, M = N - 1 of them predicted, S sources.

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class StreamLoss:
    """What a model pays for a stream of tokens."""

    loss_nats: float
    """Per predicted token."""
    bits_per_byte: float
    bits_per_byte_by_source: dict[str, float]


def stream_loss(nats_M: np.ndarray, index: "pa.Table") -> StreamLoss:
    """Sum up the losses of tokens 1..N-1 of a stream whose documents are the rows of ``index`` (TokenStream.index).

    Raises:
        ValueError: ``nats_M`` does not hold one value for each token of the index but the first.
    """
    starts = index.column("start").to_numpy()
    num_tokens, num_bytes = index.column("num_tokens").to_numpy(), index.column("num_bytes").to_numpy()
    if len(nats_M) + 1 != num_tokens.sum():
        raise ValueError(f"{len(nats_M)} losses for {num_tokens.sum()} tokens; one less was expected")
    nats_N = np.concatenate([[0.0], nats_M.astype(np.float64)])
    document_nats = np.add.reduceat(nats_N, starts)
    names = index.column("source").to_pylist()
    sources, of_document = np.unique(names, return_inverse=True)
    nats_S = np.bincount(of_document, document_nats)
    bytes_S = np.bincount(of_document, num_bytes)
    return StreamLoss(
        loss_nats=float(document_nats.sum() / len(nats_M)),
        bits_per_byte=float(document_nats.sum() / (math.log(2) * num_bytes.sum())),
        bits_per_byte_by_source={str(name): float(bits) for name, bits in zip(sources, nats_S / (math.log(2) * bytes_S), strict=True)},
    )
