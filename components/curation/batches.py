"""Record batches in, record batches out: what ``frames.py`` has the engine run on its documents. No engine inside.

Text stays in Arrow's buffers; only documents beyond ASCII pass through Python's strings, whose ``lower`` and ``split`` define words.
"""

# Shapes: D documents, H hashes of a signature, R rows, P pairs.

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.curation import deduplication, draws, kernels, quality, words
from components.curation.config import CurationConfig, DeduplicationConfig
from components.curation.words import Hashes, Offsets

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

Batches = Iterator[pa.RecordBatch]
Ints = npt.NDArray[np.int64]
Bits = TypeVar("Bits", np.uint32, np.uint64)
SKETCH_BITS = 2  # of each hash; two documents agree by chance in a quarter of them

DOCUMENT_COLUMNS = (
    "key bigint, id string, source string, is_raw boolean, text string, chars bigint, rule string, held_out boolean, work string,"
    " version_draw bigint, sample_draw bigint, text_hash_1 bigint, text_hash_2 bigint"
)
SET_COLUMNS = "rank bigint, signature binary, grams binary"
PAIR_COLUMNS = "left bigint, right bigint"
EDGE_COLUMNS = "left bigint, right bigint, jaccard double"


def mapped(frame: "DataFrame", function: Callable[[Batches], Batches], columns: str) -> "DataFrame":
    """A frame's record batches, each partition's in turn, put through a function that gives ``columns``."""
    return frame.mapInArrow(function, columns)


def document_facts(config: CurationConfig) -> Callable[[Batches], Batches]:
    """id, source, role, work, reason, text -> DOCUMENT_COLUMNS: what a document's own id and text decide."""
    return partial(each, partial(_document_facts, config))


def scores_and_bands(config: CurationConfig, classifier: quality.Classifier) -> Callable[[Batches], Batches]:
    """rank, rule, is_raw, id, text -> ``band_columns``: the score, and of what the filter keeps the sketch and the hash of each band."""
    functions = deduplication.hash_functions(config.deduplication.bands * config.deduplication.rows, config.seed)
    return partial(each, partial(_scores_and_bands, config, classifier, functions))


def gram_sets(config: CurationConfig) -> Callable[[Batches], Batches]:
    """rank, text -> SET_COLUMNS."""
    functions = deduplication.hash_functions(config.deduplication.bands * config.deduplication.rows, config.seed)
    return partial(each, partial(_gram_sets, config.deduplication, functions))


def candidates(config: DeduplicationConfig) -> Callable[[Batches], Batches]:
    """band, rank, sketch, all of a band on one partition -> PAIR_COLUMNS: as ``deduplication.candidate_pairs``, less what the sketch
    rules out."""
    return partial(_candidates, config)


def verified(config: DeduplicationConfig) -> Callable[[Batches], Batches]:
    """left, right and SET_COLUMNS of both -> EDGE_COLUMNS of the pairs at or above both thresholds."""
    return partial(each, partial(_verified, config))


def band_columns(config: DeduplicationConfig) -> str:
    """The columns that ``scores_and_bands`` gives."""
    bands = "".join(f", band_{band} bigint" for band in range(config.bands))
    return f"rank bigint, score double, low_quality boolean, sketch binary{bands}"


def hash_texts(texts: pa.Array) -> tuple[Hashes, Offsets]:
    """``words.hash_words`` of an array of strings."""
    offsets, data = _buffers(texts)
    if len(data) == 0 or data.max() < 128:
        return kernels.hash_words(data, offsets)
    lengths, plain, pieces, done = np.diff(offsets), data.tobytes(), [], 0
    for row in np.flatnonzero(~pc.string_is_ascii(texts).to_numpy(zero_copy_only=False)).tolist():
        encoded = words.utf8(texts[row].as_py())
        pieces += [plain[done : offsets[row]], encoded]
        lengths[row], done = len(encoded), offsets[row + 1]
    starts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    return kernels.hash_words(np.frombuffer(b"".join([*pieces, plain[done:]]), np.uint8), starts)


def each(function: Callable[[pa.RecordBatch], pa.RecordBatch], batches: Batches) -> Batches:
    """A function of one record batch, applied to all that hold a row."""
    for batch in batches:
        if batch.num_rows:
            yield function(batch)


def _buffers(texts: pa.Array) -> tuple[Offsets, npt.NDArray[np.uint8]]:
    """Offsets from 0 and the bytes of a string or binary array without nulls, whatever its layout and slice."""
    plain = texts.cast(pa.large_binary())
    _, offsets_buffer, data = plain.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int64)[plain.offset : plain.offset + len(plain) + 1]
    values = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    return offsets - offsets[0], values[offsets[0] : offsets[-1]]


def _document_facts(config: CurationConfig, batch: pa.RecordBatch) -> pa.RecordBatch:
    ids, works, reasons = (batch.column(name).to_pylist() for name in ("id", "work", "reason"))
    texts = pc.fill_null(batch.column("text"), "")
    chars = pc.utf8_length(texts).to_pylist()
    rules = [
        reason or ("reserved" if draws.is_reserved(config, id) else "too_short" if length < config.min_document_chars else "")
        for id, reason, length in zip(ids, reasons, chars, strict=True)
    ]
    seed = config.seed
    held_out = [
        not rule and draws.is_held_out(config, id if work is None else work) for id, work, rule in zip(ids, works, rules, strict=True)
    ]
    version = [
        _signed(draws.bits64(seed, "version", id)) if out and work is not None else None
        for id, work, out in zip(ids, works, held_out, strict=True)
    ]
    hashes = _text_hashes(texts)
    columns = {
        "key": pa.array([document_key(seed, id) for id in ids], pa.int64()),
        "id": batch.column("id"),
        "source": batch.column("source"),
        "is_raw": pc.equal(batch.column("role"), "raw"),
        "text": batch.column("text"),
        "chars": pa.array([None if reason else length for reason, length in zip(reasons, chars, strict=True)], pa.int64()),
        "rule": pa.array(rules, pa.string()),
        "held_out": pa.array(held_out, pa.bool_()),
        "work": batch.column("work"),
        "version_draw": pa.array(version, pa.int64()),
        "sample_draw": pa.array(
            [None if rule else _signed(draws.bits64(seed, "quality_sample", id)) for id, rule in zip(ids, rules, strict=True)], pa.int64()
        ),
        "text_hash_1": pa.array(hashes[:, 0]),
        "text_hash_2": pa.array(hashes[:, 1]),
    }
    return pa.RecordBatch.from_pydict(columns)


def document_key(seed: int, document_id: str) -> int:
    """What stands for a document where ids would be too long: 64 bits; of ten million documents two agree once in 400,000 times."""
    return _signed(draws.bits64(seed, "key", document_id))


def _signed(bits: int) -> int:
    """A column of 64 bits is signed; the order stays."""
    return bits - 2**63


def _text_hashes(texts: pa.Array) -> Ints:
    offsets, data = _buffers(texts)
    view, bounds = data.data, offsets.tolist()
    digests = [hashlib.blake2b(view[start:end], digest_size=16).digest() for start, end in pairwise(bounds)]
    return np.frombuffer(b"".join(digests), np.int64).reshape(-1, 2)


def _scores_and_bands(
    config: CurationConfig, classifier: quality.Classifier, functions: deduplication.Functions, batch: pa.RecordBatch
) -> pa.RecordBatch:
    hashed = hash_texts(batch.column("text"))
    scores = classifier.scores(*hashed, config.quality)
    reserved = pc.equal(batch.column("rule"), "reserved").to_numpy(zero_copy_only=False)
    raw = batch.column("is_raw").to_numpy(zero_copy_only=False)
    low = np.zeros(len(scores), bool)
    ids = batch.column("id")
    for row in np.flatnonzero(raw & ~reserved).tolist():
        low[row] = not quality.is_kept(config.seed, ids[row].as_py(), float(scores[row]), config.quality.pareto_shape)
    rows = np.flatnonzero(~low)
    signatures = _signatures(*kernels.hash_ngrams(*words.take(*hashed, rows), config.deduplication.ngram_words), functions)
    keys = kernels.band_keys(signatures, config.deduplication.rows).view(np.int64)
    places = pa.array(np.cumsum(~low) - 1, mask=low)  # of a row among the kept ones
    columns = {
        "rank": batch.column("rank"),
        "score": pa.array(scores, mask=reserved),
        "low_quality": pa.array(low),
        "sketch": _binary_rows(kernels.sketches(signatures, SKETCH_BITS)).take(places),
    }
    for band in range(config.deduplication.bands):
        columns[f"band_{band}"] = pa.array(keys[:, band]).take(places)
    return pa.RecordBatch.from_pydict(columns)


def _grams(hashed: Hashes, offsets: Offsets, config: DeduplicationConfig) -> tuple[Hashes, Offsets]:
    return kernels.row_sets(*kernels.hash_ngrams(hashed, offsets, config.ngram_words))


def _signatures(grams: Hashes, offsets: Offsets, functions: deduplication.Functions) -> npt.NDArray[np.uint32]:
    return kernels.minhash(grams, offsets, *functions)


def most_equal_hashes(left: Hashes, right: Hashes, num_hashes: int) -> Ints:
    """At most so many hashes of each pair of documents are equal, as their sketches (P x words) tell: int64 P."""
    differing = left ^ right
    differing = (differing | differing >> np.uint64(1)) & np.uint64(0x5555555555555555)
    unequal: Ints = np.bitwise_count(differing).sum(axis=1, dtype=np.int64)
    return num_hashes - unequal


def _candidates(config: DeduplicationConfig, batches: Batches) -> Batches:
    rows = [batch for batch in batches if batch.num_rows]
    if not rows:
        return
    table = pa.Table.from_batches(rows)
    del rows
    bands, ranks = (table[name].to_numpy() for name in ("band", "rank"))
    sketches = _fixed_rows(table["sketch"].combine_chunks(), np.uint64)
    order = np.flatnonzero(kernels.maybe_repeated(bands))  # few are, and only those need be sorted
    order = order[np.lexsort((ranks[order], bands[order]))]
    bands, ranks, num_hashes = bands[order], ranks[order], config.bands * config.rows
    first = np.arange(len(bands))
    for distance in range(1, config.bucket_window + 1):
        first = first[first < len(bands) - distance]
        first = first[bands[first] == bands[first + distance]]
        if not len(first):
            break
        most = most_equal_hashes(sketches[order[first]], sketches[order[first + distance]], num_hashes)
        close = first[most / num_hashes >= config.signature_threshold]
        yield pa.RecordBatch.from_pydict({"left": ranks[close], "right": ranks[close + distance]})


def _gram_sets(config: DeduplicationConfig, functions: deduplication.Functions, batch: pa.RecordBatch) -> pa.RecordBatch:
    grams, offsets = _grams(*hash_texts(batch.column("text")), config)
    signatures = _signatures(grams, offsets, functions)
    columns = {"rank": batch.column("rank"), "signature": _binary_rows(signatures), "grams": _binary(offsets * 8, grams)}
    return pa.RecordBatch.from_pydict(columns)


def _verified(config: DeduplicationConfig, batch: pa.RecordBatch) -> pa.RecordBatch:
    left, right = (_fixed_rows(batch.column(f"{side}_signature"), np.uint32) for side in ("left", "right"))
    signature_passes = (left == right).mean(axis=1) >= config.signature_threshold
    (left_offsets, left_grams), (right_offsets, right_grams) = (_buffers(batch.column(f"{side}_grams")) for side in ("left", "right"))
    grams = np.concatenate([left_grams, right_grams]).view(np.uint64)
    offsets = np.concatenate([left_offsets[:-1], right_offsets + len(left_grams)]) // 8
    pairs = np.arange(batch.num_rows)
    similarities = kernels.jaccard(grams, offsets, pairs, pairs + batch.num_rows)
    passes = np.flatnonzero(signature_passes & (similarities >= config.jaccard_threshold))
    columns = {"left": batch.column("left").take(passes), "right": batch.column("right").take(passes), "jaccard": similarities[passes]}
    return pa.RecordBatch.from_pydict(columns)


def _binary(offsets: Ints, values: npt.NDArray[np.uint32] | Hashes) -> pa.Array:
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(np.ascontiguousarray(values))]
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)


def _binary_rows(values: npt.NDArray[np.uint32] | Hashes) -> pa.Array:
    """The rows of a matrix as binary values."""
    width = values.shape[1] * values.itemsize
    return _binary(np.arange(len(values) + 1) * width, values)


def _fixed_rows(column: pa.Array, dtype: type[Bits]) -> npt.NDArray[Bits]:
    """Binary values of equal lengths, as the rows of a matrix."""
    _, data = _buffers(column)
    return data.reshape(len(column), -1).view(dtype)
