"""Bad input through the stage's own path: sources read by the engine's workers, rules, files. Whatever is wrong with a record, it is
counted with the reason that the plain reader gives, the others are read, and read = kept + dropped everywhere."""

import gzip
import json
import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from components.artifacts import Corpus
from components.curation.config import MixtureConfig
from components.curation.corpus import build_corpus
from components.sources.config import SourceConfig
from components.sources.documents import Document
from components.sources.read import read_source
from components.tasks.items import save_tasks
from flows import params, stage
from flows.stages import curate_corpus
from tests.configs import files_source
from tests.unit.test_curation import config, prose
from tests.unit.test_sources_web_archive import DATA, REAL, archive

LABELS = DATA / "dclm-human-quality-labels" / "majority.public350.jsonl"
MEGABYTE = 10**6


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """inputs/good is a source that is whole, so that there is something to keep."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inputs" / "good").mkdir(parents=True)
    (tmp_path / "inputs" / "bad").mkdir(parents=True)
    for number in range(30):
        (tmp_path / "inputs" / "good" / f"{number:02}.txt").write_text(prose(number, "good"))
    return tmp_path / "inputs"


def curate(bad: SourceConfig, **changes: Any) -> dict[str, Any]:
    """The metrics of the source ``bad`` beside one that is whole, after a check that counts add up and agree with the fates."""
    sources = {"bad": bad, "good": files_source("inputs/good/*")}
    mixture = MixtureConfig(weights={"bad": 0.5, "good": 0.5}, max_epochs=4.0)
    metrics = build_corpus(sources, [], config(reserved_source="good", **changes), mixture, Path("corpus"), lambda _: None)
    fate = Corpus(Path("corpus")).fate().select(["source", "rule"])
    for name, counts in metrics["sources"].items():
        rules = Counter(fate.filter(pa.compute.equal(fate["source"], name))["rule"].to_pylist())
        assert counts["read"] == rules.total() == counts["kept"] + sum(counts["dropped"].values())
        assert counts["kept"] == rules.pop("", 0)
        assert counts["dropped"] == rules
    documents = metrics["documents"]
    assert documents["read"] == documents["kept"] + documents["dropped"] == len(fate)
    found: dict[str, Any] = metrics["sources"]["bad"]
    return found


def assert_as_read(bad: SourceConfig) -> Counter[str]:
    """Each record of the source has a fate, the reason of the plain reader if that skips it; returns how many have which."""
    read = {entry.id: "" if isinstance(entry, Document) else entry.reason for entry in read_source("bad", bad)}
    fates = {row["id"]: row["rule"] for row in Corpus(Path("corpus")).fate().to_pylist() if row["source"] == "bad"}
    assert fates.keys() == read.keys()
    assert {id: fates[id] for id, reason in read.items() if reason} == {id: reason for id, reason in read.items() if reason}
    return Counter(read.values())


@pytest.mark.shared_data
def test_real_web_archives_with_all_that_is_wrong_with_them(inputs: Path) -> None:
    """Wrong chunk sizes, records without a length, no HTTP, cut ones, an empty WET: all of them in one source."""
    if not DATA.exists():
        pytest.skip("../shared/data/web is not there")
    for name in REAL:
        (inputs / "bad" / name.replace("/", "-")).symlink_to(DATA / name)
    content = (DATA / "dolma-cc-warc/sample-0000.warc.gz").read_bytes()
    (inputs / "bad" / "cut.warc.gz").write_bytes(content[: len(content) // 2])
    (inputs / "bad" / "empty.warc.wet").write_bytes(b"")
    (inputs / "bad" / "empty.warc.wet.gz").write_bytes(gzip.compress(b""))
    source = archive("inputs/bad/*")
    found = curate(source)
    counted = assert_as_read(source)
    alone: Counter[str] = Counter()
    for documents, reasons in REAL.values():
        alone.update({"": documents, **reasons})
    cut = counted - alone  # what the archive that was cut adds to the others
    assert counted == alone + cut
    assert cut["damaged"] == 1 and cut[""] > 5
    assert found["read"] == counted.total()


@pytest.mark.shared_data
def test_real_rows_of_which_some_are_damaged(inputs: Path) -> None:
    if not LABELS.exists():
        pytest.skip("../shared/data/web is not there")
    rows = LABELS.read_bytes().splitlines(keepends=True)
    latin = json.dumps({"text": "a café and a naïve reader"}, ensure_ascii=False).encode("latin-1") + b"\n"
    lacking = [b'{"body": "text"}\n', b'{"text": 3}\n', b"[1]\n", b'{"text": "open\n']
    (inputs / "bad" / "a.jsonl").write_bytes(b"".join([*rows[:50], latin, *lacking, *rows[50:100]]))
    (inputs / "bad" / "b.jsonl.gz").write_bytes(gzip.compress(b"".join(rows[100:300]))[:-20_000])
    pq.write_table(pa.table({"body": ["text"] * 3}), inputs / "bad" / "c.parquet")
    pq.write_table(pa.table({"text": [json.loads(row)["text"] for row in rows[300:]]}), inputs / "bad" / "d.parquet")
    (inputs / "bad" / "e.txt").write_bytes("Ein Satz mit Umlauten: größer, schöner.".encode("utf-16"))
    source = files_source("inputs/bad/*")
    curate(source)
    counted = assert_as_read(source)
    assert counted.pop("") > 180
    assert counted == {"not_utf8": 2, "no_text_field": 2, "not_text": 1, "not_object": 1, "not_json": 1, "damaged": 1}


@pytest.mark.slow
def test_a_document_of_50_megabytes(inputs: Path) -> None:
    text = " ".join(f"good{number * 7919 % 30_011}" for number in range(5_300_000))
    assert 50 * MEGABYTE < len(text) < 55 * MEGABYTE
    (inputs / "bad" / "large.txt").write_text(text)
    (inputs / "bad" / "larger.txt").write_text(text + text[: 10 * MEGABYTE])
    found = curate(files_source("inputs/bad/*", max_document_bytes=55 * MEGABYTE), reserved_share=0.0)
    assert found["dropped"] == {"too_large": 1}
    assert found["chars_kept"] == found["chars_read"] == len(text)


@pytest.mark.slow
def test_a_million_empty_documents(inputs: Path) -> None:
    number = 10**6
    for part in range(4):
        (inputs / "bad" / f"{part}.jsonl.gz").write_bytes(gzip.compress(b'{"text": ""}\n' * (number // 4), compresslevel=1))
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    before = memory_gb("VmRSS")
    assert curate(files_source("inputs/bad/*"))["dropped"] == {"too_short": number}
    assert memory_gb("VmHWM") - before < 1.5


def memory_gb(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e9 for line in lines if line.startswith(f"{name}:"))


def dies(server: Any) -> Callable[[str], None]:
    return lambda _: server.stop()


@pytest.mark.parametrize("when", ["before", "midway"])
def test_an_endpoint_that_is_down_or_dies_ends_the_stage_with_one_line(
    when: str, inputs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pysail.spark import SparkConnectServer

    monkeypatch.setattr(logging.getLogger("pyspark.sql.connect.logging"), "disabled", False)  # as Prefect's set-up of logging leaves it
    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    _, port = server.listening_address
    if when == "before":
        server.stop()
    monkeypatch.setattr(curate_corpus, "_report", dies(server))  # it speaks when the first source has been read
    values = params.read_yaml(Path(__file__).parents[2] / "params.yaml")
    sources = {name: files_source(f"inputs/{name}/*").model_dump() for name in ("bad", "good")}
    settings = config(reserved_source="good", spark_remote=f"sc://127.0.0.1:{port}").model_dump()
    mixture = {"weights": {"bad": 0.5, "good": 0.5}, "max_epochs": 4.0}
    with Path("params.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump({**values, "sources": sources, "curation": settings, "mixture": mixture}, file)
    (inputs / "bad" / "a.txt").write_text(prose(1, "bad"))
    save_tasks(Path("tasks"), [])
    argv = ["--tasks", "tasks", "--out", "corpus", "--metrics", "corpus.json"]
    assert stage.execute(curate_corpus.main, curate_corpus.Sections, ["tasks", "out", "metrics"], argv) == stage.EXIT_BAD_INPUT
    printed = capsys.readouterr()
    assert printed.err.startswith(
        f"error: curation.spark_remote: no Spark Connect server answers at sc://127.0.0.1:{port}; start the server"
    )
    assert printed.err.count("\n") == 1
    assert sorted(path.name for path in Path().iterdir()) == ["inputs", "params.yaml", "tasks"]
