"""Record batches in, record batches out: what ``frames.py`` has the engine run on its documents. No engine inside.

Text stays in Arrow's buffers; only documents beyond ASCII pass through Python's strings, whose ``lower`` and ``split`` define words.
"""

# Shapes: D documents.

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, pairwise
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from components.curation import band_kernels, deduplication, draws, kernels, quality, words
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
SCORE_COLUMNS = "rank bigint, score double, low_quality boolean, sketch binary"


def mapped(frame: "DataFrame", function: Callable[[Batches], Batches], columns: str) -> "DataFrame":
    """A frame's record batches, each partition's in turn, put through a function that gives ``columns``."""
    return frame.mapInArrow(function, columns)


def document_facts(config: CurationConfig) -> Callable[[Batches], Batches]:
    """id, source, role, work, reason, text -> DOCUMENT_COLUMNS: what a document's own id and text decide."""
    return partial(each, partial(_document_facts, config))


def scored(frame: "DataFrame", config: CurationConfig, classifier: quality.Classifier) -> "DataFrame":
    """rank, rule, is_raw, id, text -> SCORE_COLUMNS and ``band_names``: the score, and of what the filter keeps the sketch and the key
    of each band. A band has a column of its own, which can be read without the others."""
    functions = deduplication.hash_functions(config.deduplication.bands * config.deduplication.rows, config.seed)
    columns = [SCORE_COLUMNS, *(f"{name} bigint" for name in band_names(config.deduplication))]
    return mapped(frame, partial(each, partial(_scored, config, classifier, functions)), ", ".join(columns))


def band_names(config: DeduplicationConfig) -> list[str]:
    """Of the columns of band keys."""
    return [f"band_{band}" for band in range(config.bands)]


def hash_texts(texts: pa.Array) -> tuple[Hashes, Offsets]:
    """``words.hash_words`` of an array of strings."""
    offsets, data = buffers(texts)
    if len(data) == 0 or data.max() < 128:
        return kernels.hash_words(data, offsets)
    lengths, view, done = np.diff(offsets), data.data, 0
    pieces: list[bytes | memoryview] = []
    for row in np.flatnonzero(~pc.string_is_ascii(texts).to_numpy(zero_copy_only=False)).tolist():
        encoded = words.utf8(texts[row].as_py())
        pieces += [view[done : offsets[row]], encoded]
        lengths[row], done = len(encoded), offsets[row + 1]
    starts = np.zeros(len(texts) + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    return kernels.hash_words(np.frombuffer(b"".join([*pieces, view[done:]]), np.uint8), starts)


def each(function: Callable[[pa.RecordBatch], pa.RecordBatch], batches: Batches) -> Batches:
    """A function of one record batch, applied to all that hold a row."""
    for batch in batches:
        if batch.num_rows:
            yield function(batch)


def gathered(batches: Batches, rows: int) -> Batches:
    """The same rows in batches of at least ``rows``, but for the last: what costs the same for each batch is paid more seldom."""
    waiting: list[pa.RecordBatch] = []
    for batch in chain(batches, (None,)):
        waiting += [batch] if batch is not None and batch.num_rows else []
        if waiting and (batch is None or sum(part.num_rows for part in waiting) >= rows):
            yield pa.concat_batches(waiting)
            waiting = []


def buffers(texts: pa.Array) -> tuple[Offsets, npt.NDArray[np.uint8]]:
    """Offsets from 0 and the bytes of a string or binary array without nulls, whatever its layout and slice."""
    plain = texts.cast(pa.large_binary())
    _, offsets_buffer, data = plain.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int64)[plain.offset : plain.offset + len(plain) + 1]
    values = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
    return offsets - offsets[0], values[offsets[0] : offsets[-1]]


def binary(offsets: Ints, values: npt.NDArray[np.uint32] | Hashes) -> pa.Array:
    """Binary values, from the numbers of all of them and the bytes where each begins."""
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(np.ascontiguousarray(values))]
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)


def binary_rows(values: npt.NDArray[np.uint32] | Hashes) -> pa.Array:
    """The rows of a matrix as binary values."""
    width = values.shape[1] * values.itemsize
    return binary(np.arange(len(values) + 1) * width, values)


def fixed_rows(column: pa.Array, dtype: type[Bits]) -> npt.NDArray[Bits]:
    """Binary values of equal lengths, as the rows of a matrix."""
    _, data = buffers(column)
    return data.reshape(len(column), -1).view(dtype)


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
    offsets, data = buffers(texts)
    view, bounds = data.data, offsets.tolist()
    digests = [hashlib.blake2b(view[start:end], digest_size=16).digest() for start, end in pairwise(bounds)]
    return np.frombuffer(b"".join(digests), np.int64).reshape(-1, 2)


def _scored(
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
    signatures = kernels.minhash(*kernels.hash_ngrams(*words.take(*hashed, rows), config.deduplication.ngram_words), *functions)
    places = pa.array(np.cumsum(~low) - 1, mask=low)  # of a row among the kept ones
    keys = band_kernels.band_keys(signatures, config.deduplication.rows).view(np.int64)
    columns = {
        "rank": batch.column("rank"),
        "score": pa.array(scores, mask=reserved),
        "low_quality": pa.array(low),
        "sketch": binary_rows(band_kernels.sketches(signatures, SKETCH_BITS)).take(places),
        **{name: pa.array(keys[:, band]).take(places) for band, name in enumerate(band_names(config.deduplication))},
    }
    return pa.RecordBatch.from_pydict(columns)
