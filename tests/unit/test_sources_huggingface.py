"""Data sets in the form of the Hugging Face Hub, from a local folder: the same code path without a network."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.errors import InputError
from components.sources.config import HuggingFaceConfig
from components.sources.documents import Document, Skipped
from components.sources.read import list_units, origins, read_source


def data_set(path: Path, split: str = "train", max_documents: int = 100, text_field: str = "text") -> HuggingFaceConfig:
    return HuggingFaceConfig(
        kind="huggingface",
        role="raw",
        path=str(path),
        name=None,
        split=split,
        revision="1",
        text_field=text_field,
        url_field="url",
        max_documents=max_documents,
        webtext=None,
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    rows = [{"text": f"text {number}", "url": f"http://{number}.example"} for number in range(5)]
    rows[1]["text"] = None  # type: ignore[assignment]
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "set"


def test_rows_of_a_split_are_documents(folder: Path) -> None:
    config = data_set(folder)
    first, second, *others = read_source("hub", config)
    assert first == Document("hub:train::1", "hub", "text 0", {"url": "http://0.example"})
    assert second == Skipped("hub:train::2", "hub", "no_text_field")
    assert len(others) == 3
    assert list_units("hub", config) == ["train"]
    assert origins("hub", config) == [{"path": str(folder), "name": None, "split": "train", "revision": "1"}]


def test_no_more_rows_are_read_than_asked_for(folder: Path) -> None:
    assert [entry.id for entry in read_source("hub", data_set(folder, max_documents=2))] == ["hub:train::1", "hub:train::2"]


def test_parquet_is_read_too(folder: Path) -> None:
    (folder / "train.jsonl").unlink()
    pq.write_table(pa.table({"text": ["one", "two"]}), folder / "train-00000-of-00001.parquet")
    assert [entry.id for entry in read_source("hub", data_set(folder))] == ["hub:train::1", "hub:train::2"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "test"}, r"sources\.hub: .*split test\) cannot be read: .*test.*; mend sources\.hub"),
        ({"path": "nowhere"}, r"sources\.hub: nowhere \(name None, split train\) cannot be read: .*nowhere"),
        ({"name": "de"}, r"\(name de, split train\) cannot be read: .*de"),
        ({"text_field": "body"}, r"has no column 'body'; it has text, url"),
    ],
)
def test_what_is_not_there_is_one_line(folder: Path, change: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_source("hub", data_set(folder).model_copy(update=change))
    assert "\n" not in str(caught.value)


def test_a_stream_that_breaks_is_an_error_and_not_an_end(folder: Path) -> None:
    whole = "".join(json.dumps({"text": "x" * 1000}) + "\n" for _ in range(20_000))
    (folder / "train.jsonl").write_text(whole + "{ broken")
    with pytest.raises(InputError, match=r"row \d+ of .* cannot be read"):
        read_source("hub", data_set(folder, max_documents=10**6))
