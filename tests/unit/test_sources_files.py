"""The user's own files: compressed, damaged, at a URL. Whatever is found is a document or counted with its reason and place."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from pydantic import ValidationError

from components.errors import InputError
from components.sources.config import UrlConfig
from components.sources.documents import Document, Entry
from components.sources.read import list_units, origins, read_source, read_unit
from tests.configs import files_source


def told(entries: Iterator[Entry]) -> dict[str, str]:
    """Text, or reason in angle brackets, by id."""
    return {entry.id: entry.text if isinstance(entry, Document) else f"<{entry.reason}>" for entry in entries}


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inputs").mkdir()
    return tmp_path / "inputs"


def write_lines(path: Path, rows: list[object]) -> bytes:
    content = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    path.write_bytes(content)
    return content


def test_every_kind_is_read_compressed_too(inputs: Path) -> None:
    pq.write_table(pa.table({"text": ["row"]}), inputs / "d.parquet")
    plain = {"a.txt": b"text", "b.md": b"# mark", "c.jsonl": b'{"text": "line"}\n', "d.parquet": (inputs / "d.parquet").read_bytes()}
    for name, content in plain.items():
        (inputs / name).write_bytes(content)
        (inputs / f"{name}.gz").write_bytes(gzip.compress(content))
        (inputs / f"{name}.zst").write_bytes(zstandard.compress(content))
    found = told(read_source("mine", files_source("inputs/*")))
    for ending in ("", ".gz", ".zst"):
        assert found[f"mine:inputs/a.txt{ending}"] == "text"
        assert found[f"mine:inputs/b.md{ending}"] == "# mark"
        assert found[f"mine:inputs/c.jsonl{ending}::1"] == "line"
        assert found[f"mine:inputs/d.parquet{ending}::1"] == "row"
    assert len(found) == 12


def test_bad_lines_are_counted_with_reason_and_number_and_the_rest_is_read(inputs: Path) -> None:
    lines = [
        b'{"text": "first"}',
        b'{"text": ',
        b'["text"]',
        b'{"body": "x"}',
        b'{"text": null}',
        b'{"text": 5}',
        b'{"text": "\xff"}',
        b'{"text": "' + b"x" * 200 + b'"}',
        b"",
        b"[" * 100 + b"]" * 100,
        b'{"text": "half \\ud800"}',
        b'{"text": "last"}',
    ]
    (inputs / "a.jsonl").write_bytes(b"\n".join(lines))
    assert told(read_source("mine", files_source("inputs/*", max_document_bytes=200))) == {
        "mine:inputs/a.jsonl::1": "first",
        "mine:inputs/a.jsonl::2": "<not_json>",
        "mine:inputs/a.jsonl::3": "<not_object>",
        "mine:inputs/a.jsonl::4": "<no_text_field>",
        "mine:inputs/a.jsonl::5": "<no_text_field>",
        "mine:inputs/a.jsonl::6": "<not_text>",
        "mine:inputs/a.jsonl::7": "<not_utf8>",
        "mine:inputs/a.jsonl::8": "<too_large>",
        "mine:inputs/a.jsonl::10": "<not_object>",
        "mine:inputs/a.jsonl::11": "half ?",
        "mine:inputs/a.jsonl::12": "last",
    }


def test_a_line_as_deep_as_a_stack_is_not_json(inputs: Path) -> None:
    (inputs / "a.jsonl").write_bytes(b"[" * 100_000 + b'\n{"text": "x"}')
    assert told(read_source("mine", files_source("inputs/*"))) == {"mine:inputs/a.jsonl::1": "<not_json>", "mine:inputs/a.jsonl::2": "x"}


def test_truncated_gzip_costs_its_last_row_only(inputs: Path) -> None:
    content = gzip.compress(b"".join(b'{"text": "row %d"}\n' % number for number in range(10_000)), mtime=0)
    (inputs / "a.jsonl.gz").write_bytes(content[: len(content) // 2])
    found = told(read_source("mine", files_source("inputs/*")))
    assert list(found.values()).count("<damaged>") == 1
    assert found[f"mine:inputs/a.jsonl.gz::{len(found)}"] == "<damaged>"
    assert all(found[f"mine:inputs/a.jsonl.gz::{number}"] == f"row {number - 1}" for number in range(1, len(found)))
    assert len(found) > 1000


def test_members_behind_a_damaged_one_are_read(inputs: Path) -> None:
    one, two, three = (gzip.compress(b'{"text": "%s"}\n' % word, mtime=0) for word in (b"one", b"two", b"three"))
    (inputs / "a.jsonl.gz").write_bytes(one + two[:-9] + b"\xff" + two[-8:] + three)
    assert "three" in told(read_source("mine", files_source("inputs/*"))).values()
    (inputs / "a.jsonl.gz").write_bytes(b"\x1f\x8b\x08broken")
    with pytest.raises(InputError, match=r"skipped: 1 damaged; the first is mine:inputs/a\.jsonl\.gz::1"):
        read_source("mine", files_source("inputs/*"))


def test_large_and_damaged_texts_are_counted(inputs: Path) -> None:
    (inputs / "good.txt").write_text("x" * 100)
    (inputs / "large.txt").write_text("x" * 101)
    (inputs / "cut.txt.gz").write_bytes(gzip.compress(b"text that is cut")[:-5])
    assert told(read_source("mine", files_source("inputs/*", max_document_bytes=100))) == {
        "mine:inputs/good.txt": "x" * 100,
        "mine:inputs/large.txt": "<too_large>",
        "mine:inputs/cut.txt.gz": "<damaged>",
    }


def test_parquet_of_another_schema_or_none_is_counted_beside_those_that_are_read(inputs: Path) -> None:
    pq.write_table(pa.table({"text": ["good", None, "x" * 101]}), inputs / "a.parquet")
    pq.write_table(pa.table({"body": ["x"]}), inputs / "b.parquet")
    pq.write_table(pa.table({"text": [1]}), inputs / "c.parquet")
    (inputs / "d.parquet").write_bytes(b"PAR1 nonsense PAR1")
    (inputs / "e.parquet.gz").write_bytes(gzip.compress(b"PAR1")[:-5])
    (inputs / "f.parquet").write_bytes(b"")
    assert told(read_source("mine", files_source("inputs/*", max_document_bytes=100))) == {
        "mine:inputs/a.parquet::1": "good",
        "mine:inputs/a.parquet::2": "<no_text_field>",
        "mine:inputs/a.parquet::3": "<too_large>",
        "mine:inputs/b.parquet": "<no_text_field>",
        "mine:inputs/c.parquet::1": "<not_text>",
        "mine:inputs/d.parquet": "<not_parquet>",
        "mine:inputs/e.parquet.gz": "<damaged>",
        "mine:inputs/f.parquet": "<not_parquet>",
    }


def test_row_groups_behind_a_damaged_one_are_read_under_their_own_numbers(inputs: Path) -> None:
    path = inputs / "a.parquet"
    texts = [f"text number {number} " * 20 for number in range(300)]
    pq.write_table(pa.table({"text": texts}), path, row_group_size=100, compression="zstd", use_dictionary=False)
    column = pq.ParquetFile(path).metadata.row_group(1).column(0)
    content = bytearray(path.read_bytes())
    for place in range(column.data_page_offset, column.data_page_offset + column.total_compressed_size):
        content[place] ^= 255
    path.write_bytes(content)
    found = told(read_source("mine", files_source("inputs/*")))
    damaged = [id for id, text in found.items() if text == "<damaged>"]
    assert damaged == ["mine:inputs/a.parquet::101"]
    assert found["mine:inputs/a.parquet::201"] == texts[200]
    assert len(found) == 201


def test_units_together_are_the_source(inputs: Path) -> None:
    for name in ("b", "a"):
        write_lines(inputs / f"{name}.jsonl", [{"text": name}, {}])
    config = files_source("inputs/*")
    assert list_units("mine", config) == ["inputs/a.jsonl", "inputs/b.jsonl"]
    apart = [entry for unit in reversed(list_units("mine", config)) for entry in read_unit("mine", config, unit)]
    assert sorted(apart, key=lambda entry: entry.id) == list(read_source("mine", config))


def test_files_at_a_url_have_ids_without_the_place_they_lie_at(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/crawl/2019/a.jsonl.gz", gzip.compress(b'{"text": "one"}\n'))
    memory.pipe("/crawl/2020/b.txt", b"two")
    (tmp_path / "c.txt").write_text("three")
    try:
        config = files_source(UrlConfig(url="memory://crawl/*/*", revision="first"))
        assert told(read_source("mine", config)) == {"mine:2019/a.jsonl.gz::1": "one", "mine:2020/b.txt": "two"}
        assert origins("mine", config) == [{"url": "memory://crawl/*/*", "revision": "first", "files": 2}]
    finally:
        memory.rm("/crawl", recursive=True)
    assert told(read_source("mine", files_source(UrlConfig(url=f"{tmp_path.as_uri()}/c.txt", revision="1")))) == {"mine:c.txt": "three"}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("memory://nowhere/*.txt", r"no file matches memory://nowhere/\*\.txt; mend sources\.mine\.glob\.url"),
        ("memory://nowhere/a.txt", r"a\.txt cannot be read \(.*\); mend its place"),
        ("nonsense://host/*.txt", r"nonsense://host/\*\.txt cannot be read \(Protocol not known: nonsense"),
    ],
)
def test_url_that_leads_nowhere_is_one_line(url: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_source("mine", files_source(UrlConfig(url=url, revision="1")))
    assert "\n" not in str(caught.value)


def test_a_path_of_this_machine_is_no_url() -> None:
    with pytest.raises(ValidationError, match="does not begin with a protocol"):
        UrlConfig(url="/data/a.txt", revision="1")


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValidationError, match="take it out") as caught:
        UrlConfig(url="https://reader:hidden@host/a.txt", revision="1")
    assert "hidden" not in caught.value.errors()[0]["msg"]
    assert UrlConfig(url="https://reader@host:80/a:b.txt", revision="1")


def test_a_disk_that_fails_is_an_error_and_not_damage(inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (inputs / "a.txt").mkdir()
    monkeypatch.setattr(Path, "is_file", lambda _self: True)  # gone between listing and reading
    with pytest.raises(InputError, match=r"sources\.mine: inputs/a\.txt cannot be read \(.*Is a directory"):
        read_source("mine", files_source("inputs/*.txt"))


def test_many_empty_documents_are_documents(inputs: Path) -> None:
    (inputs / "a.jsonl.gz").write_bytes(gzip.compress(b'{"text": ""}\n' * 100_000, compresslevel=1))
    entries = read_unit("mine", files_source("inputs/*"), "inputs/a.jsonl.gz")
    assert sum(isinstance(entry, Document) and entry.text == "" for entry in entries) == 100_000
