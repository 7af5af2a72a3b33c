"""``python -m flows.fate``: one document's story from the tables that a run left, and one line for what cannot be told."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.reporting.figures import RULE_COLOURS, SKIPPED
from flows import fate, params

CURATION = params.load(fate.Sections).curation
COLUMNS = {"id": "", "source": "", "kept": False, "split": "", "rule": "", "score": None, "nearest_duplicate": None, "jaccard": None}
ROWS: list[dict[str, Any]] = [
    {"id": "docs:numpy/a.py::dot", "split": "train", "score": 0.97, "chars": 1234},
    {"id": "docs:numpy/a.py::dot.more", "split": "held_out", "score": 0.91, "chars": 300},
    {"id": "crawl:x/LICENSE", "split": "train", "score": 0.8, "chars": 900},
    {"id": "crawl:x/noise.js", "rule": "quality", "score": 0.5, "chars": 900},
    {"id": "crawl:x/copy.md", "rule": "near_duplicate", "score": 0.9, "nearest_duplicate": "docs:numpy/a.py::dot", "jaccard": 0.8731},
    {"id": "crawl:x/chain.md", "rule": "near_duplicate", "score": 0.9, "nearest_duplicate": "crawl:x/copy.md", "jaccard": 0.9},
    {"id": "books:web/Genesis 1", "rule": "same_work", "nearest_duplicate": "books:kjv/Genesis 1", "score": 1.0, "chars": 50},
    {"id": "crawl:x/huge.json", "rule": "too_large"},
    {"id": "crawl:x/odd.gz@120", "rule": "truncated_gzip"},
    *({"id": f"crawl:many/{i:02}.txt", "rule": "too_short", "chars": 3} for i in range(30)),
]
PLACES = [("docs:numpy/a.py::dot", 0, 5, 30), ("crawl:x/LICENSE", 0, 35, 10), ("docs:numpy/a.py::dot", 1, 45, 30)]


def write(folder: Path, rows: list[dict[str, Any]] = ROWS, places: list[tuple[str, int, int, int]] = PLACES) -> None:
    """corpus/fate.parquet and tokens/{train,held_out}/index.parquet."""
    full = [{**COLUMNS, "chars": None, "source": row["id"].partition(":")[0], "kept": "rule" not in row, **row} for row in rows]
    (folder / "corpus").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(full), folder / "corpus" / "fate.parquet")
    names = ("id", "epoch", "start", "num_tokens")
    schema = pa.schema([("id", pa.string()), *((name, pa.int64()) for name in names[1:])])
    for split, own in (("train", places), ("held_out", [])):
        (folder / "tokens" / split).mkdir(parents=True)
        table = pa.Table.from_pylist([dict(zip(names, place, strict=True)) for place in own], schema=schema)
        pq.write_table(table, folder / "tokens" / split / "index.parquet")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    write(folder)
    return folder


def ask(folder: Path, wanted: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str], str]:
    """Exit status, lines, and what went to stderr."""
    status = fate.main([wanted, "--corpus", str(folder / "corpus"), "--tokens", str(folder / "tokens")])
    out, err = capsys.readouterr()
    return status, out.splitlines(), err


def test_a_kept_document_is_followed_into_the_stream(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its id is part of another's: the exact one is meant."""
    status, lines, err = ask(run, "docs:numpy/a.py::dot", capsys)
    assert (status, err) == (0, "")
    assert lines == [
        "docs:numpy/a.py::dot",
        "  Read from docs, 1,234 characters.",
        "  Kept, to train on.",
        "  Quality score 0.9700, noted only: docs is reference text, which is not filtered.",
        "  Tokens 5 to 34 of the train stream (30, epoch 0).",
        "  Tokens 45 to 74 of the train stream (30, epoch 1).",
    ]


def test_a_part_of_an_id_is_enough_where_it_is_unique(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, lines, _ = ask(run, "noise", capsys)
    assert status == 0 and lines[0] == "crawl:x/noise.js"
    assert lines[2].startswith("  Dropped by the rule quality: a Pareto(9) draw keyed by its id did not exceed 1 - score")
    assert f"has a chance of {100 * 1.5**-9:.3g} % to pass ((2 - score)^-9), and it was dropped." in lines[3]
    assert len(lines) == 4
    assert "raw text of that score has a chance of 19.4 % to pass ((2 - score)^-9), and it passed." in ask(run, "x/LICENSE", capsys)[1][3]


def test_a_duplicate_names_what_it_repeats_and_what_became_of_that(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(run, "copy.md", capsys)[1][-1] == "  It repeats docs:numpy/a.py::dot, Jaccard similarity 0.873; that one was kept (train)."
    assert ask(run, "chain.md", capsys)[1][-1].endswith("0.900; that one was dropped by the rule near_duplicate.")
    assert ask(run, "web/Genesis", capsys)[1][-1] == "  It repeats books:kjv/Genesis 1."


def test_what_never_became_a_document_says_so(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, lines, _ = ask(run, "huge", capsys)
    assert lines[1:] == [
        "  Read from crawl, as something that is no document.",
        "  Dropped by the rule too_large: its file is larger than its source allows.",
    ]
    assert "its source could not make a document of it (truncated gzip)" in ask(run, "odd.gz", capsys)[1][2]


def test_a_kept_document_may_not_have_had_its_turn(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, lines, _ = ask(run, "dot.more", capsys)
    assert "  Kept, to measure on (held out, never trained on)." in lines
    assert lines[-1] == "  In no token of the held_out stream: the stream ends before the turn of this document comes."
    write(tmp_path)
    (tmp_path / "tokens" / "held_out" / "index.parquet").unlink()
    status, lines, _ = ask(tmp_path, "dot.more", capsys)
    assert status == 0 and "held_out/index.parquet is not there (dvc repro tokenize_corpus)" in lines[-1]


@pytest.mark.parametrize("wanted", ["crawl:a", "crawl:a#p2"])
def test_cut_windows_and_the_pieces_in_the_stream(tmp_path: Path, capsys: pytest.CaptureFixture[str], wanted: str) -> None:
    windows = [{"begin": 10, "end": 420}, {"begin": 5000, "end": 5410}]
    rows = [
        {"id": "crawl:a", "split": "train", "score": 0.9, "chars": 9000, "cut_windows": windows, "pieces": 2},
        {"id": "crawl:ab", "split": "train", "score": 0.9, "chars": 9000, "cut_windows": [], "pieces": 1},
        {"id": "crawl:gone", "rule": "contaminated", "score": 0.9, "chars": 500, "cut_windows": windows[:1], "pieces": 0},
    ]
    write(tmp_path, rows, [("crawl:a#p1", 0, 0, 7), ("crawl:ab", 0, 7, 9), ("crawl:a#p2", 0, 16, 3)])
    _, lines, _ = ask(tmp_path, wanted, capsys)
    assert lines[-3:] == [
        "  Cut out, for evaluation tasks hold the same words: characters 10-420, 5,000-5,410; pieces left: 2.",
        "  Tokens 0 to 6 of the train stream (7, epoch 0).",
        "  Tokens 16 to 18 of the train stream (3, epoch 0).",
    ]
    assert ask(tmp_path, "crawl:ab", capsys)[1][-1] == "  Tokens 7 to 15 of the train stream (9, epoch 0)."
    _, lines, _ = ask(tmp_path, "gone", capsys)
    assert lines[2].startswith("  Dropped by the rule contaminated: it shares word runs with evaluation tasks")
    assert lines[-1].endswith("characters 10-420; pieces left: 0.")


def test_several_matches_are_listed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, lines, err = ask(run, "crawl:many/", capsys)
    assert status == 2 and lines == [f"crawl:many/{i:02}.txt" for i in range(20)]
    assert err == "error: 30 documents have 'crawl:many/' in their id, the first 20 are listed; give more of it\n"
    assert "2 documents have 'a.py' in their id, all are listed" in ask(run, "a.py", capsys)[2]


def test_no_match_no_corpus_and_no_table_are_one_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, wanted, message in ((run, "(none).*", "no document has '(none).*' in its id"), (tmp_path, "a", "not there; run the stage")):
        status, lines, err = ask(folder, wanted, capsys)
        assert (status, lines, err.count("\n")) == (2, [], 1) and message in err
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "fate.parquet").write_bytes(b"not parquet")
    status, _, err = ask(tmp_path, "a", capsys)
    assert status == 2 and "fate.parquet: not a table of documents" in err and err.count("\n") == 1


def test_every_rule_that_the_report_knows_is_explained() -> None:
    for rule in {*RULE_COLOURS, "too_large", "not_utf8"} - {"kept", SKIPPED}:
        assert "could not make a document" not in fate.explain(rule, CURATION), rule


def test_answer_needs_none_of_the_heavy_packages(run: Path) -> None:
    command = f"import sys; from flows import fate; status = fate.main(['noise', '--corpus', {str(run / 'corpus')!r}]); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("crawl:x/noise.js\n")
    loaded = set(done.stdout.split())
    assert "pyarrow.dataset" in loaded and not loaded & {"torch", "mlflow", "numba", "prefect", "dvc", "lightning"}
