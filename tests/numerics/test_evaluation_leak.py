"""A leak that a model was really trained on, found from its score alone: clean items score below all, and not if it never read the leak."""

import json
import random
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from components.artifacts import read_json, write_json, write_manifest
from components.evaluation.answers import Answer, write_answers
from components.tasks.items import DraftTask, save_tasks
from components.tokenization.byte_pair import BytePairTokenizer
from components.tokenization.shards import StreamDocument, write_stream
from flows import evaluate, stage
from flows.contamination import main
from flows.provenance import hash_path
from flows.schema import check
from flows.stages import measure_contamination
from tests.small_model import one_thread, save_trained, small_gpt

TRADES = ["baker", "smith", "miller", "tailor"]
ITEMS, LEAKED = 60, 30
TASK = {
    "name": "trades",
    "source": "a test",
    "files": {"test": "trades.jsonl"},
    "kind": "multiple_choice",
    "context": "{{ text }}",
    "choices": str(TRADES),
    "label": "label",
    "normalization": "sum",
    "shots": 0,
    "metric": "accuracy",
}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    yield from one_thread()


def invented(draw: random.Random) -> str:
    return "".join(draw.choice("bdgklmnprst") + draw.choice("aeiou") for _ in range(3))


def people(count: int, seed: int) -> list[dict[str, Any]]:
    """Nothing but the sentence itself tells the trade."""
    draw = random.Random(seed)
    texts = [f"In the town of {invented(draw)} on the {invented(draw)} old {invented(draw)} earns the bread as a" for _ in range(count)]
    return [{"text": text, "label": draw.randrange(len(TRADES))} for text in texts]


def told(row: dict[str, Any]) -> str:
    return f"{row['text']} {TRADES[row['label']]}"


def train_on(folder: Path, rows: list[dict[str, Any]], tokenizer: BytePairTokenizer) -> None:
    """The graph of a model that has read each row many times: tasks, corpus, tokens, checkpoint, and the lock that ties them."""
    data = folder / "data"
    save_tasks(data / "tasks", [])
    documents = [{"id": f"s:{number:03d}", "source": "s", "split": "train", "text": told(row)} for number, row in enumerate(rows)]
    (data / "corpus").mkdir()
    pq.write_table(pa.Table.from_pylist(documents), data / "corpus" / "documents.parquet")
    write_manifest(data / "corpus", "corpus")
    (data / "tokens").mkdir()
    ids = [[tokenizer.end_of_text, *tokenizer.encode(document["text"])] for document in documents]
    stream = [StreamDocument(d["id"], "s", 0, len(d["text"].encode()), tokens) for d, tokens in zip(documents, ids, strict=True)]
    splits = {"train": write_stream(data / "tokens" / "train", stream, 100_000)}
    write_manifest(data / "tokens", "token_shards", vocab_size=tokenizer.vocab_size, splits=splits)
    model = small_gpt(tokenizer.vocab_size, context_length=40)
    save_trained(data / "target", model, [torch.tensor(tokens) for tokens in ids], steps=250)
    tie(folder)


def tie(folder: Path, scored: Mapping[str, str] | None = None) -> None:
    """dvc.lock, which says that each is made of the one before, and what was scored, with its metrics, of the last."""

    def entry(path: str) -> dict[str, str]:
        return {"path": path, "md5": hash_path(folder / path)}

    entries = [entry(f"data/{name}") for name in ("tasks", "corpus", "tokens", "target")]
    stages = {f"make_{one['path'][5:]}": {"cmd": "make", "deps": entries[:place][-1:], "outs": [one]} for place, one in enumerate(entries)}
    for out, metrics in (scored or {}).items():
        stages[f"score_{out}"] = {"cmd": "make", "deps": entries[-1:], "outs": [entry(out), entry(metrics)]}
    write_json(folder / "dvc.lock", {"stages": stages})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, trained alike on as many sentences of one kind: half the test items with their answers among them, or none.

    A third graph says of the second model that it was trained on the leak.
    """
    folder = tmp_path_factory.mktemp("leak")
    items, others = people(ITEMS, 0), people(ITEMS, 1)
    write_json(folder / "trades.yaml", TASK)
    (folder / "trades.jsonl").write_text("".join(json.dumps(row) + "\n" for row in items), encoding="utf-8")
    tokenizer = BytePairTokenizer.train(iter([told(row) for row in items + others]), 400)
    tokenizer.save(folder / "tokenizer.json")
    train_on(folder / "leaked", items[:LEAKED] + others[LEAKED:], tokenizer)
    train_on(folder / "honest", others, tokenizer)
    shutil.copytree(folder / "leaked", folder / "accused")
    shutil.rmtree(folder / "accused" / "data" / "target")
    shutil.copytree(folder / "honest" / "data" / "target", folder / "accused" / "data" / "target")
    tie(folder / "accused")
    for graph in ("leaked", "honest", "accused"):
        shutil.copy("params.yaml", folder / graph)
    return folder


def contamination(world: Path, graph: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Measured, then searched for from the score alone."""
    monkeypatch.chdir(world / graph)
    inputs = ["data/target", "--tokenizer", "../tokenizer.json", "--task", "../trades.yaml"]
    try:
        assert evaluate.main([*inputs, "--out", "scores"]) == 0
    finally:
        torch.use_deterministic_algorithms(False)
    capsys.readouterr()
    assert main(["scores", "--json"]) == 0
    told_of = json.loads(capsys.readouterr().out)
    assert (told_of["documents"], told_of["cell"]) == (ITEMS, "make_target")
    found: dict[str, Any] = told_of["tasks"]["trades"]
    return found


def test_a_model_trained_on_a_leak_scores_lower_on_clean_items(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = contamination(world, "leaked", monkeypatch, capsys)
    assert (found["dirty_items"], found["clean_items"], found["short_items"]) == (LEAKED, ITEMS - LEAKED, 0)
    assert found["dirty"] > 0.9
    assert found["clean"] < 0.5  # guessing is right on 0.25 of them; 997 of 1,000 draws of 30 lie below
    assert found["clean"] < found["all"]
    assert found["clean_less_all"]["high"] < 0
    assert found["verdict"] == "inflated"
    assert main(["scores"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["score", "model", "tokens", "corpus", "trades:"]
    assert "made by make_target" in lines[1] and "60 documents" in lines[3] and "30 of 60 items dirty" in lines[4]
    assert lines[4].endswith(": inflated")


def test_a_model_that_never_read_the_leak_shows_no_difference(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same items are held to be dirty, but this model was trained on other sentences."""
    found = contamination(world, "accused", monkeypatch, capsys)
    assert found["dirty_items"] == LEAKED
    assert found["clean_less_all"]["low"] <= 0 <= found["clean_less_all"]["high"]
    assert found["verdict"] == "no difference shown"


def test_nothing_is_dirty_in_what_it_was_trained_on(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = contamination(world, "honest", monkeypatch, capsys)
    assert (found["dirty_items"], found["verdict"]) == (0, "nothing dirty")


def answers_of(world: Path) -> list[Answer]:
    """Every leaked item right, of the others one in four, which are the tailors."""
    rows = [json.loads(line) for line in (world / "trades.jsonl").read_text(encoding="utf-8").splitlines()]
    said = [TRADES[row["label"]] if number < LEAKED else "tailor" for number, row in enumerate(rows)]
    return [Answer(f"row {n}", told(row), one, TRADES[row["label"]]) for n, (row, one) in enumerate(zip(rows, said, strict=True))]


def write_fine_tuned(folder: Path, answers: list[Answer]) -> None:
    write_json(folder / "task.json", {"task": "smiths", "metric": "f1", "positive": "smith"})
    write_answers(folder / "items.jsonl", answers)


def assert_f1_by_hand(found: dict[str, Any], answers: list[Answer]) -> None:
    right = [one.right for one in answers]
    hits, missed = right[:LEAKED].count("smith"), right[LEAKED:].count("smith")
    assert (found["all"], found["clean"], found["dirty"]) == (pytest.approx(2 * hits / (2 * hits + missed)), 0, 1)
    assert (found["dirty_items"], found["verdict"]) == (LEAKED, "inflated")


def test_a_fine_tuned_model_s_answers_are_told_apart_too(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(world / "leaked")
    write_json(Path("tuned/metrics.json"), {"checkpoint_sha256": read_json(Path("data/target/manifest.json"))["sha256"]})
    write_fine_tuned(Path("tuned"), answers_of(world))
    assert main(["tuned", "--json"]) == 0
    assert_f1_by_hand(json.loads(capsys.readouterr().out)["tasks"]["smiths"], answers_of(world))


def test_the_graph_s_own_scores_are_told_apart_and_its_stage_says_the_same(
    world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fine-tuned cell, and prompts with 0 and 2 demonstrations, which helped with nothing."""
    shutil.copytree(world / "leaked", world / "graph")
    monkeypatch.chdir(world / "graph")
    answers = answers_of(world)
    write_answers(Path("data/evaluation/smiths.items.jsonl"), [replace(one, shots=shots) for shots in (0, 2) for one in answers])
    write_fine_tuned(Path("data/finetuned/smiths-pretrained"), answers)
    write_manifest(Path("data/finetuned/smiths-pretrained"), "checkpoint", sha256="weights that are new")
    save_tasks(Path("data/tasks"), [DraftTask("smiths", "classification", (), [], [])])
    cells = {"data/evaluation": "metrics/evaluation.json", "data/finetuned/smiths-pretrained": "metrics/finetune/smiths-pretrained.json"}
    for path in map(Path, cells.values()):
        write_json(path, {})
    tie(Path(), cells)
    argv = ["--tokens=data/tokens", "--corpus=data/corpus", "--tasks=data/tasks", "--answers=data/evaluation", "--finetuned=data/finetuned"]
    options = ["tokens", "corpus", "tasks", "answers", "finetuned", "metrics"]
    stage_main, sections = measure_contamination.main, measure_contamination.Sections
    Path("params.yaml").write_text(json.dumps({"protocol": check().protocol.model_dump()}), encoding="utf-8")
    assert stage.execute(stage_main, sections, options, [*argv, "--metrics=metrics/contamination.json"]) == 0
    measured = read_json(Path("metrics/contamination.json"))
    found = {}
    for score in cells.values():
        capsys.readouterr()
        assert main([score, "--json"]) == 0
        found |= json.loads(capsys.readouterr().out)["tasks"]
    assert_f1_by_hand(found["smiths"], answers)
    prompted = found["smiths, K = 2"]
    assert (prompted["dirty"], prompted["verdict"]) == (1, "inflated") and 0 < prompted["clean"] < prompted["all"] < 1
    assert measured["documents"] == ITEMS and measured["finetune"] == {"smiths": found["smiths"]}
    assert measured["few_shot"] == {"smiths": {shots: found[f"smiths, K = {shots}"] for shots in ("0", "2")}}
