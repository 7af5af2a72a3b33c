"""The engine's kernels on record batches against the plain functions that they stand for."""

from itertools import product

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.curation import band_kernels, batches, batches_pairs, words
from tests.reference import duplicates
from tests.unit.test_curation import config


@given(st.lists(st.text() | st.text(st.characters(max_codepoint=127))), st.integers(0, 3))
@settings(deadline=None)
def test_words_of_arrow_text_are_those_of_strings(texts: list[str], start: int) -> None:
    for kind in (pa.string(), pa.large_string()):
        found = batches.hash_texts(pa.array(texts, kind).slice(start))
        expected = words.hash_words(texts[start:])
        assert [part.tolist() for part in found] == [part.tolist() for part in expected]


@given(st.integers(0, 2**32 - 1), st.integers(1, 150), st.floats(0, 1))
@settings(deadline=None)
def test_a_sketch_never_rules_out_a_pair_that_the_signature_lets_through(seed: int, num_hashes: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    left, right = rng.integers(0, 2**32, (2, 20, num_hashes), dtype=np.uint32)
    right = np.where(rng.random(right.shape) < share, left, right)
    most = batches_pairs.most_equal_hashes(*(band_kernels.sketches(side, batches.SKETCH_BITS) for side in (left, right)), num_hashes)
    low = 2**batches.SKETCH_BITS - 1
    assert most.tolist() == ((left & low) == (right & low)).sum(axis=1).tolist()
    assert (most >= (left == right).sum(axis=1)).all()


@given(st.lists(st.integers(0, 5), max_size=12), st.integers(1, 9))
@settings(deadline=None)
def test_gathered_batches_have_the_same_rows_in_fewer_batches(sizes: list[int], rows: int) -> None:
    table = pa.table({"number": range(sum(sizes)), "name": [f"row {number}" for number in range(sum(sizes))]})
    starts = np.cumsum([0, *sizes])
    parts = [batch for start, size in zip(starts, sizes, strict=False) for batch in table.slice(start, size).to_batches()]
    found = list(batches.gathered(iter(parts), rows))
    assert pa.Table.from_batches(found, table.schema).equals(table)
    assert all(rows <= batch.num_rows < rows + 5 for batch in found[:-1])


@pytest.mark.parametrize("window", [1, 3, 50])
def test_candidates_are_those_of_the_plain_search_that_pass_the_sketch(window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches_pairs, "PACKET_ROWS", 80)
    rng = np.random.default_rng(0)
    settings = config().deduplication.model_copy(update={"bucket_window": window})
    num_hashes = settings.bands * settings.rows
    groups = rng.integers(0, 2**32, (15, num_hashes), dtype=np.uint32)[np.repeat(np.arange(15), 20)]
    signatures = np.where(rng.random(groups.shape) < 0.15, rng.integers(0, 2**32, groups.shape, dtype=np.uint32), groups)
    ranks, sketches = rng.permutation(len(signatures)), band_kernels.sketches(signatures, batches.SKETCH_BITS)
    pairs = duplicates.candidate_pairs(signatures, ranks, settings)
    most = batches_pairs.most_equal_hashes(sketches[pairs[:, 0]], sketches[pairs[:, 1]], num_hashes)
    passing = pairs[most / num_hashes >= settings.signature_threshold]
    assert 100 < len(passing) < len(pairs)
    keys = band_kernels.band_keys(signatures, settings.rows)
    bands = dict(zip(batches.band_names(settings), keys.view(np.int64).T, strict=True))
    documents = pa.table({"rank": ranks, "sketch": [row.tobytes() for row in sketches], **bands})
    found = set()
    for band, first in product(range(0, settings.bands, 10), range(0, 6, 3)):
        some = documents.select(["rank", "sketch", *list(bands)[band : band + 10]]).to_batches(50)
        packets = list(batches_pairs.packets(6, first, 3)(iter(some)))
        for batch in batches_pairs.candidates(settings)(iter(packets)):
            found |= set(zip(*batch.to_pydict().values(), strict=True))
    assert found == {tuple(sorted((int(ranks[one]), int(ranks[other])))) for one, other in passing.tolist()}
