"""The search for near-duplicates on record batches: which documents agree in a band, and how similar they are. No engine inside.

Band keys travel in packets: one row of the engine for all of a batch that fall into one slice, not one for each document and band,
which took more than twice as long.
"""

# Shapes: D documents, N keys of a slice, P pairs, S words of a sketch.

from collections.abc import Callable
from functools import partial

import numpy as np
import pyarrow as pa

from components.curation import band_kernels, deduplication, kernels
from components.curation.batches import SKETCH_BITS, Batches, Ints, binary, binary_rows, buffers, each, fixed_rows, gathered, hash_texts
from components.curation.config import CurationConfig, DeduplicationConfig
from components.curation.words import Hashes

PACKET_ROWS = 32_768  # documents whose keys travel together: some 2 MB for each band
PACKET_COLUMNS = "slice int, packet binary"
SET_COLUMNS = "rank bigint, signature binary, grams binary"
PAIR_COLUMNS = "left bigint, right bigint"
EDGE_COLUMNS = "left bigint, right bigint, jaccard double"


def packets(slices: int, first: int, count: int) -> Callable[[Batches], Batches]:
    """rank, sketch, bands -> PACKET_COLUMNS: rows of ``band_kernels.sliced_rows``, of ``count`` slices from the ``first``.

    A band is a column.
    """
    return partial(_packets, slices, first, count)


def gram_sets(config: CurationConfig) -> Callable[[Batches], Batches]:
    """rank, text -> SET_COLUMNS."""
    functions = deduplication.hash_functions(config.deduplication.bands * config.deduplication.rows, config.seed)
    return partial(each, partial(_gram_sets, config.deduplication, functions))


def candidates(config: DeduplicationConfig) -> Callable[[Batches], Batches]:
    """PACKET_COLUMNS, all of a slice on one partition -> PAIR_COLUMNS: pairs of equal keys that are not too far apart in the order of
    their ranks, less what the sketch rules out."""
    return partial(_candidates, config)


def verified(config: DeduplicationConfig) -> Callable[[Batches], Batches]:
    """left, right and SET_COLUMNS of both -> EDGE_COLUMNS of the pairs at or above both thresholds."""
    return partial(each, partial(_verified, config))


def most_equal_hashes(left: Hashes, right: Hashes, num_hashes: int) -> Ints:
    """At most so many hashes of each pair of documents are equal, as their sketches (P x words) tell: int64 P."""
    differing = left ^ right
    differing = (differing | differing >> np.uint64(1)) & np.uint64(0x5555555555555555)
    unequal: Ints = np.bitwise_count(differing).sum(axis=1, dtype=np.int64)
    return num_hashes - unequal


def _packets(slices: int, first: int, count: int, batches: Batches) -> Batches:
    numbers = pa.array(np.arange(first, first + count, dtype=np.int32))
    for batch in gathered(batches, PACKET_ROWS):
        ranks, _, *bands = (column.to_numpy(zero_copy_only=False) for column in batch.columns)
        keys, sketches = np.stack(bands, axis=1).view(np.uint64), fixed_rows(batch.column("sketch"), np.uint64)
        rows, offsets = band_kernels.sliced_rows(keys, ranks, sketches, slices, first, count)
        yield pa.RecordBatch.from_pydict({"slice": numbers, "packet": binary(offsets * rows.strides[0], rows)})


def _candidates(config: DeduplicationConfig, batches: Batches) -> Batches:
    packets_of: dict[int, list[pa.Scalar]] = {}
    for batch in batches:
        for number, packet in zip(batch.column("slice").to_pylist(), batch.column("packet"), strict=True):
            packets_of.setdefault(number, []).append(packet)
    width = 2 + -(-config.bands * config.rows * SKETCH_BITS // 64)
    for number in sorted(packets_of):
        rows = np.concatenate([np.frombuffer(packet.as_buffer(), np.uint64) for packet in packets_of.pop(number)]).reshape(-1, width)
        yield from _pairs_of_slice(config, rows)


def _pairs_of_slice(config: DeduplicationConfig, rows: Hashes) -> Batches:
    """Batches of PAIR_COLUMNS from rows of (key, rank, sketch): N x (2 + S)."""
    order = np.flatnonzero(band_kernels.maybe_repeated(rows[:, 0]))  # few are, and only those need be sorted
    order = order[np.lexsort((rows[order, 1], rows[order, 0]))]
    keys, ranks, num_hashes = rows[order, 0], rows[order, 1].view(np.int64), config.bands * config.rows
    first = np.arange(len(order))
    for distance in range(1, config.bucket_window + 1):
        first = first[first < len(order) - distance]
        first = first[keys[first] == keys[first + distance]]
        if not len(first):
            return
        most = most_equal_hashes(rows[order[first], 2:], rows[order[first + distance], 2:], num_hashes)
        close = first[most / num_hashes >= config.signature_threshold]
        yield pa.RecordBatch.from_pydict({"left": ranks[close], "right": ranks[close + distance]})


def _gram_sets(config: DeduplicationConfig, functions: deduplication.Functions, batch: pa.RecordBatch) -> pa.RecordBatch:
    grams, offsets = kernels.row_sets(*kernels.hash_ngrams(*hash_texts(batch.column("text")), config.ngram_words))
    signatures = kernels.minhash(grams, offsets, *functions)
    columns = {"rank": batch.column("rank"), "signature": binary_rows(signatures), "grams": binary(offsets * 8, grams)}
    return pa.RecordBatch.from_pydict(columns)


def _verified(config: DeduplicationConfig, batch: pa.RecordBatch) -> pa.RecordBatch:
    left, right = (fixed_rows(batch.column(f"{side}_signature"), np.uint32) for side in ("left", "right"))
    signature_passes = (left == right).mean(axis=1) >= config.signature_threshold
    (left_offsets, left_grams), (right_offsets, right_grams) = (buffers(batch.column(f"{side}_grams")) for side in ("left", "right"))
    grams = np.concatenate([left_grams, right_grams]).view(np.uint64)
    offsets = np.concatenate([left_offsets[:-1], right_offsets + len(left_grams)]) // 8
    pairs = np.arange(batch.num_rows)
    similarities = kernels.jaccard(grams, offsets, pairs, pairs + batch.num_rows)
    passes = np.flatnonzero(signature_passes & (similarities >= config.jaccard_threshold))
    columns = {"left": batch.column("left").take(passes), "right": batch.column("right").take(passes), "jaccard": similarities[passes]}
    return pa.RecordBatch.from_pydict(columns)
