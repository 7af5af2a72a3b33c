"""A leak that a model was really trained on: clean items score below all of them, and not if the model never read the leak."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from components.artifacts import read_json, write_json, write_manifest
from components.tokenization.byte_pair import BytePairTokenizer
from components.tokenization.shards import StreamDocument, write_stream
from flows.evaluate import main
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
    """Corpus, tokens and checkpoint of a model that has read each row many times."""
    documents = [{"id": f"s:{number:03d}", "source": "s", "split": "train", "text": told(row)} for number, row in enumerate(rows)]
    (folder / "corpus").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(documents), folder / "corpus" / "documents.parquet")
    write_manifest(folder / "corpus", "corpus")
    (folder / "tokens").mkdir()
    ids = [[tokenizer.end_of_text, *tokenizer.encode(document["text"])] for document in documents]
    stream = [StreamDocument(d["id"], "s", 0, len(d["text"].encode()), tokens) for d, tokens in zip(documents, ids, strict=True)]
    splits = {"train": write_stream(folder / "tokens" / "train", stream, 100_000)}
    write_manifest(folder / "tokens", "token_shards", vocab_size=tokenizer.vocab_size, splits=splits)
    model = small_gpt(tokenizer.vocab_size, context_length=40)
    save_trained(folder / "checkpoint", model, [torch.tensor(tokens) for tokens in ids], steps=400)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, trained alike on as many sentences of one kind: half the test items with their answers among them, or none."""
    folder = tmp_path_factory.mktemp("leak")
    items, others = people(ITEMS, 0), people(ITEMS, 1)
    write_json(folder / "trades.yaml", TASK)
    (folder / "trades.jsonl").write_text("".join(json.dumps(row) + "\n" for row in items), encoding="utf-8")
    tokenizer = BytePairTokenizer.train(iter([told(row) for row in items + others]), 400)
    tokenizer.save(folder / "tokenizer.json")
    train_on(folder / "leaked", items[:LEAKED] + others[LEAKED:], tokenizer)
    train_on(folder / "honest", others, tokenizer)
    return folder


def contamination(world: Path, checkpoint: str, trained_on: str) -> dict[str, Any]:
    out = world / f"{checkpoint}-{trained_on}"
    inputs = [str(world / checkpoint / "checkpoint"), "--tokenizer", str(world / "tokenizer.json"), "--task", str(world / "trades.yaml")]
    text = ["--corpus", str(world / trained_on / "corpus"), "--tokens", str(world / trained_on / "tokens")]
    try:
        assert main([*inputs, *text, "--out", str(out)]) == 0
    finally:
        torch.use_deterministic_algorithms(False)
    found: dict[str, Any] = read_json(out / "scores.json")["tasks"]["trades"]["contamination"]
    return found


def test_a_model_trained_on_a_leak_scores_lower_on_clean_items(world: Path) -> None:
    found = contamination(world, "leaked", "leaked")
    assert (found["dirty_items"], found["clean_items"], found["short_items"]) == (LEAKED, ITEMS - LEAKED, 0)
    assert found["dirty"] > 0.9
    assert found["clean"] < 0.5  # guessing is right on 0.25 of them; 997 of 1,000 draws of 30 lie below
    assert found["clean"] < found["all"]
    assert found["clean_less_all"]["high"] < 0
    assert found["verdict"] == "inflated"


def test_a_model_that_never_read_the_leak_shows_no_difference(world: Path) -> None:
    """The same items are held to be dirty, but this model was trained on other sentences."""
    found = contamination(world, "honest", "leaked")
    assert found["dirty_items"] == LEAKED
    assert found["clean_less_all"]["low"] <= 0 <= found["clean_less_all"]["high"]
    assert found["verdict"] == "no difference shown"


def test_nothing_is_dirty_in_what_it_was_trained_on(world: Path) -> None:
    found = contamination(world, "honest", "honest")
    assert (found["dirty_items"], found["verdict"]) == (0, "cannot tell")
