"""Decontamination on record batches: where n-grams of evaluation texts are found, what is cut, what is left. No engine inside."""

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.curation import decontamination
from components.curation.batches import Batches, each
from components.curation.config import DecontaminationConfig
from components.curation.decontamination import Grams, Span

HIT_COLUMNS = "key bigint, hits binary"
GRAM_COLUMNS = "gram bigint"
CUT_COLUMNS = "key bigint, windows binary, num_windows bigint, pieces binary, num_pieces bigint, piece_chars bigint"
KEPT_COLUMNS = "id string, source string, split string, text string"


def hits(grams: Grams, config: DecontaminationConfig) -> Callable[[Batches], Batches]:
    """key, text -> HIT_COLUMNS, of documents with a hit: int64 rows of (number of the n-gram in ``grams``, begin, end)."""
    return partial(_hits, grams, config.ngram_words)


def grams_of_hits() -> Callable[[Batches], Batches]:
    """HIT_COLUMNS -> GRAM_COLUMNS: each n-gram of a document, once."""
    return partial(each, _grams_of_hits)


def cuts(common: npt.NDArray[np.int64], config: DecontaminationConfig) -> Callable[[Batches], Batches]:
    """HIT_COLUMNS and text -> CUT_COLUMNS of the documents with a hit that is no ``common`` n-gram."""
    return partial(each, partial(_cuts, common, config))


def kept_texts() -> Callable[[Batches], Batches]:
    """id, source, split, text, pieces (null where nothing was cut) -> KEPT_COLUMNS: a document, or its pieces ``ID#p1``, ``ID#p2``, ..."""
    return partial(each, _kept_texts)


def spans(found: list[Span]) -> bytes:
    """Spans as a binary value: pairs of int64."""
    return np.array(found, np.int64).tobytes()


def span_list() -> pa.DataType:
    """Type of a column of spans as a reader sees it."""
    return pa.list_(pa.struct([("begin", pa.int64()), ("end", pa.int64())]))


def with_span_lists(batch: pa.RecordBatch) -> pa.RecordBatch:
    """``cut_windows`` as lists of {begin, end} instead of binary values; none where nothing was cut."""
    lists = [[{"begin": begin, "end": end} for begin, end in _rows(value, 2)] for value in batch["cut_windows"].to_pylist()]
    place = batch.schema.get_field_index("cut_windows")
    columns: list[pa.Array] = [*batch.columns]
    columns[place] = pa.array(lists, span_list())
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _rows(value: bytes | None, width: int) -> list[list[int]]:
    return [] if value is None else np.frombuffer(value, np.int64).reshape(-1, width).tolist()


def _hits(grams: Grams, ngram_words: int, batches: Batches) -> Batches:
    for batch in batches:
        found = decontamination.find_hits(batch["text"].to_pylist(), grams, ngram_words)
        rows = np.stack([found.grams, found.begins, found.ends], axis=1)
        documents, starts = np.unique(found.documents, return_index=True)
        values = [part.tobytes() for part in np.split(rows, starts[1:])] if len(documents) else []
        yield pa.RecordBatch.from_arrays([batch["key"].take(pa.array(documents)), pa.array(values, pa.binary())], ["key", "hits"])


def _grams_of_hits(batch: pa.RecordBatch) -> pa.RecordBatch:
    distinct = [np.unique(np.frombuffer(value, np.int64).reshape(-1, 3)[:, 0]) for value in batch["hits"].to_pylist()]
    return pa.RecordBatch.from_arrays([pa.array(np.concatenate(distinct))], ["gram"])


def _cuts(common: npt.NDArray[np.int64], config: DecontaminationConfig, batch: pa.RecordBatch) -> pa.RecordBatch:
    rows = []
    for key, value, text in zip(*(batch[name].to_pylist() for name in ("key", "hits", "text")), strict=True):
        own = np.frombuffer(value, np.int64).reshape(-1, 3)
        counted = own[~np.isin(own[:, 0], common), 1:]
        if not len(counted):
            continue
        windows = decontamination.cut_windows(text, map(tuple, counted.tolist()), config.window_chars)
        pieces = decontamination.kept_pieces(len(text), windows, config)
        chars = sum(end - begin for begin, end in pieces)
        rows.append((key, spans(windows), len(windows), spans(pieces), len(pieces), chars))
    types = [pa.int64(), pa.binary(), pa.int64(), pa.binary(), pa.int64(), pa.int64()]
    columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in types]
    names = [column.split()[0] for column in CUT_COLUMNS.split(", ")]
    return pa.RecordBatch.from_arrays([pa.array(column, kind) for column, kind in zip(columns, types, strict=True)], names)


def _kept_texts(batch: pa.RecordBatch) -> pa.RecordBatch:
    names = ["id", "source", "split", "text"]
    if batch["pieces"].null_count == batch.num_rows:
        return batch.select(names)
    rows = []
    for id, source, split, text, pieces in zip(*(batch[name].to_pylist() for name in (*names, "pieces")), strict=True):
        if pieces is None:
            rows.append((id, source, split, text))
        else:
            rows += [(f"{id}#p{number}", source, split, text[begin:end]) for number, (begin, end) in enumerate(_rows(pieces, 2), start=1)]
    return pa.RecordBatch.from_arrays([pa.array(column, pa.string()) for column in zip(*rows, strict=True)], names)
