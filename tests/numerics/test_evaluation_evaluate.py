"""The whole evaluation on a small corpus: what it returns, that it repeats itself, and what it refuses."""

import json
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn

from components.artifacts import Corpus, TokenShards, write_manifest
from components.errors import InputError
from components.evaluation.answers import read_answers
from components.evaluation.bits_per_byte import stream_loss
from components.evaluation.config import EvaluationConfig
from components.evaluation.evaluate import evaluate
from components.evaluation.few_shot import few_shot_scores
from components.tasks.evaluated import texts_of
from components.tasks.items import (
    Classification,
    DraftTask,
    Entailment,
    FreeForm,
    Item,
    MultipleChoice,
    Similarity,
    Sourced,
    TaskSet,
    save_tasks,
)
from components.tokenization.byte_pair import BytePairTokenizer
from components.tokenization.shards import StreamDocument, write_stream
from components.training.held_out import held_out_nats
from components.transformer.checkpoint import save_checkpoint
from components.transformer.model import GPT
from flows import stage
from flows.stages import evaluate_model
from tests.configs import gpt_config
from tests.small_model import one_thread

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "then", "ate", "rats", "while", "dogs", "ran", "past", "big", "old", "trees"]
CONFIG = EvaluationConfig.model_validate(
    {
        "seed": 0,
        "batch_sequences": 16,
        "shots": [0, 2],
        "items_per_task": 100,
        "prompt_text_chars": 80,
        "max_answer_tokens": 3,
        "normalization": {
            "classification": "unconditional",
            "entailment": "per_token",
            "similarity": "per_character",
            "multiple_choice": "sum",
        },
        "confidence": 0.999,
        "calibration_bins": 10,
        "xz_preset": 9,
        "ngram_discount": 0.75,
    }
)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    yield from one_thread()


@dataclass(frozen=True)
class World:
    """Inputs of an evaluation."""

    model: GPT
    tokenizer: BytePairTokenizer
    shards: TokenShards
    corpus: Corpus
    tasks: TaskSet

    def evaluate(self, config: EvaluationConfig = CONFIG, progress: Callable[[int, int, str], None] = lambda *_: None) -> dict[str, Any]:
        return evaluate(config, self.model, self.tokenizer, self.shards, self.corpus, self.tasks, progress)[0]


def sentence(draw: random.Random, words: int) -> str:
    return " ".join(draw.choice(WORDS) for _ in range(words))


def random_items(draw: random.Random, kind: str) -> list[Item]:
    """Labels are drawn without a look at the text, so that nothing can beat chance."""
    texts = [(sentence(draw, 6), sentence(draw, 3)) for _ in range(130)]
    match kind:
        case "classification":
            return [Classification(first, draw.randrange(3)) for first, _ in texts]
        case "entailment":
            return [Entailment(first, second, draw.randrange(2)) for first, second in texts]
        case "similarity":
            return [Similarity(first, second, draw.randrange(2)) for first, second in texts]
        case "multiple_choice":
            return [MultipleChoice(first, tuple(draw.sample(WORDS, 4)), draw.randrange(4)) for first, _ in texts]
        case _:
            return [FreeForm(f"\n{first} =", f" {second}") for first, second in texts]


def write_tasks(path: Path) -> None:
    draw, drafts = random.Random(0), []
    for kind, labels in {
        "classification": ("cat", "dogs", "big old trees"),
        "entailment": ("other", "own"),
        "similarity": ("unrelated", "related"),
        "multiple_choice": (),
        "free_form": (),
    }.items():
        rows = [Sourced(item, (f"row {number}", "more")) for number, item in enumerate(random_items(draw, kind))]
        drafts.append(DraftTask(f"random_{kind}", kind, labels, rows[:30], rows[30:]))  # type: ignore[arg-type]
    save_tasks(path, drafts)


def write_corpus(path: Path) -> list[dict[str, str]]:
    draw = random.Random(1)
    rows = [
        {"id": f"{source}:{number:02d}", "source": source, "split": "held_out" if number < 8 else "train", "text": sentence(draw, 30) + "é"}
        for source in ("books", "docs")
        for number in range(30)
    ]
    path.mkdir()
    pq.write_table(pa.Table.from_pylist(rows), path / "documents.parquet")
    write_manifest(path, "corpus")
    return rows


def write_tokens(path: Path, rows: list[dict[str, str]]) -> BytePairTokenizer:
    tokenizer = BytePairTokenizer.train(iter(row["text"] for row in rows), 300)
    path.mkdir()
    tokenizer.save(path / "tokenizer.json")
    splits = {}
    for split in ("train", "held_out"):
        documents = [
            StreamDocument(row["id"], row["source"], 0, len(row["text"].encode()), [tokenizer.end_of_text, *tokenizer.encode(row["text"])])
            for row in rows
            if row["split"] == split
        ]
        splits[split] = write_stream(path / split, documents, 500)
    write_manifest(path, "token_shards", vocab_size=tokenizer.vocab_size, splits=splits)
    return tokenizer


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    write_tasks(folder / "tasks")
    tokenizer = write_tokens(folder / "tokens", write_corpus(folder / "corpus"))
    torch.manual_seed(0)
    model = GPT(gpt_config(tokenizer.vocab_size, context_length=48, dropout=0.1))
    (folder / "checkpoint").mkdir()
    save_checkpoint(folder / "checkpoint", model)
    return World(model, tokenizer, TokenShards(folder / "tokens"), Corpus(folder / "corpus"), TaskSet(folder / "tasks"))


@pytest.fixture(scope="module")
def measured(world: World) -> dict[str, Any]:
    return world.evaluate()


def test_random_labels_are_answered_at_chance(measured: dict[str, Any]) -> None:
    chances = {"classification": 1 / 3, "entailment": 1 / 2, "similarity": 1 / 2, "multiple_choice": 1 / 4, "free_form": 0}
    assert set(measured["few_shot"]) == {f"random_{kind}" for kind in chances}
    for kind, chance in chances.items():
        rows = measured["few_shot"][f"random_{kind}"]
        assert set(rows) == {"0", "2"}
        for row in rows.values():
            assert row["chance"] == pytest.approx(chance)
            assert row["low"] <= chance <= row["high"]
            assert row["items"] == 100
        assert rows["0"]["mean_shots_used"] == 0
    assert {row["2"]["mean_shots_used"] == 2 for row in measured["few_shot"].values()} == {True, False}  # some did not fit


def test_bits_per_byte_add_up(world: World, measured: dict[str, Any]) -> None:
    stream, manifest = world.shards.stream("held_out"), world.shards.manifest["splits"]["held_out"]
    bits, nats = measured["bits_per_byte"], measured["loss_nats"]
    assert set(bits) == {"target", "xz", "unigram", "bigram"}
    for name in ("target", "unigram", "bigram"):
        assert bits[name] == pytest.approx(nats[name] * (stream.num_tokens - 1) / math.log(2) / manifest["num_bytes"])
    assert nats["target"] == pytest.approx(math.log(world.tokenizer.vocab_size), abs=0.1)  # not trained
    assert bits["bigram"] < bits["unigram"] < bits["target"]
    assert min(measured["bits_per_byte_by_source"].values()) <= bits["target"] <= max(measured["bits_per_byte_by_source"].values())
    assert set(measured["bits_per_byte_by_source"]) == {"books", "docs"}


def test_it_repeats_itself_bit_for_bit_and_reports_each_step(world: World, measured: dict[str, Any]) -> None:
    seen: list[tuple[int, int, str]] = []
    again = world.evaluate(progress=lambda *step: seen.append(step))
    assert json.dumps(again, sort_keys=True) == json.dumps(measured, sort_keys=True)
    assert [step[:2] for step in seen] == [(number, 14) for number in range(1, 15)]


def test_the_batch_size_changes_no_verdict(world: World, measured: dict[str, Any]) -> None:
    again = world.evaluate(CONFIG.model_copy(update={"batch_sequences": 3}))["few_shot"]
    for task, by_shots in measured["few_shot"].items():
        for shots, row in by_shots.items():
            other = again[task][shots]
            assert {**other, "calibration": None} == {**row, "calibration": None}
            if row["calibration"]:  # probabilities differ in their last bits
                error, other_error = (one["calibration"]["expected_calibration_error"] for one in (row, other))
                assert other_error == pytest.approx(error, abs=1e-5)


def test_choices_say_how_sure_they_were(measured: dict[str, Any]) -> None:
    for task, by_shots in measured["few_shot"].items():
        for row in by_shots.values():
            if task == "random_free_form":
                assert row["calibration"] is None
                continue
            bins = row["calibration"]["bins"]
            assert sum(one["items"] for one in bins) == row["items"]
            assert sum(one["items"] * one["share_right"] for one in bins) == pytest.approx(row["items"] * row["score"])
            assert all(one["probability"] > row["chance"] - 1e-6 for one in bins)  # the likeliest of n has at least 1/n


def test_the_order_of_items_changes_nothing(world: World, measured: dict[str, Any]) -> None:
    task = world.tasks.draft("random_classification")
    shuffled = replace(task, train=task.train[::-1], test=task.test[::-1])
    with torch.inference_mode():
        rows = {str(found.shots): found.facts for found in few_shot_scores(CONFIG, world.model, world.tokenizer, shuffled)}
    assert rows == measured["few_shot"][task.name]


def test_weights_that_change_meanwhile_are_noticed(world: World) -> None:
    def plant(done: int, _total: int, _what: str) -> None:
        if done == 14:
            world.model.blocks[0].attention_norm.bias.data[3] += 1e-7

    before = world.model.blocks[0].attention_norm.bias.data.clone()
    with pytest.raises(RuntimeError, match="weights changed"):
        world.evaluate(progress=plant)
    world.model.blocks[0].attention_norm.bias.data.copy_(before)


class Table(nn.Module):
    """A model whose probabilities are known: each token depends on the one before."""

    def __init__(self, probabilities_VV: np.ndarray, context_length: int) -> None:
        super().__init__()
        self.logits_VV = nn.Parameter(torch.from_numpy(np.log(probabilities_VV)).float())
        self.config = gpt_config(5, context_length=context_length)

    def forward(self, tokens_BT: torch.Tensor) -> torch.Tensor:
        return self.logits_VV[tokens_BT]


@pytest.mark.parametrize("context_length", [2, 3, 7, 100])
def test_known_probabilities_give_known_bits(tmp_path: Path, context_length: int) -> None:
    draw = np.random.default_rng(0)
    probabilities_VV = draw.dirichlet(np.ones(5), 5)
    documents = [StreamDocument(str(n), "xy"[n % 2], 0, 10 + n, [0, *draw.integers(1, 5, 4 + n).tolist()]) for n in range(6)]
    split = write_stream(tmp_path / "held_out", documents, 4)
    write_manifest(tmp_path, "token_shards", vocab_size=5, splits={"held_out": split})
    stream = TokenShards(tmp_path).stream("held_out")
    loss = stream_loss(held_out_nats(Table(probabilities_VV, context_length), stream), stream.index())  # type: ignore[arg-type]
    bits, by_source, previous = 0.0, {"x": 0.0, "y": 0.0}, None
    for document in documents:
        for token in document.tokens:
            if previous is not None:
                bits -= math.log2(probabilities_VV[previous, token])
                by_source[document.source] -= math.log2(probabilities_VV[previous, token])
            previous = token
    assert loss.bits_per_byte == pytest.approx(bits / split["num_bytes"], rel=1e-6)
    assert loss.loss_nats == pytest.approx(bits * math.log(2) / (stream.num_tokens - 1), rel=1e-6)
    bytes_of = {source: sum(document.num_bytes for document in documents if document.source == source) for source in "xy"}
    assert loss.bits_per_byte_by_source == pytest.approx({source: by_source[source] / bytes_of[source] for source in "xy"}, rel=1e-6)


def test_a_corpus_that_the_tokens_were_not_made_from_is_refused(world: World, tmp_path: Path) -> None:
    rows = world.corpus.documents().to_pylist()
    rows[0]["text"] += "!"
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "documents.parquet")
    write_manifest(tmp_path, "corpus")
    with pytest.raises(InputError, match="books:00 is not what was made into tokens"):
        evaluate(CONFIG, world.model, world.tokenizer, world.shards, Corpus(tmp_path), world.tasks, lambda *_: None)


def test_nan_scores_are_refused(world: World) -> None:
    broken = GPT(world.model.config).eval()
    with torch.inference_mode():
        broken.token_embedding.weight.fill_(math.nan)
        with pytest.raises(InputError, match="the model gives NaN scores"):
            evaluate(CONFIG, broken, world.tokenizer, world.shards, world.corpus, world.tasks, lambda *_: None)
        for kind in ("classification", "free_form"):
            with pytest.raises(InputError, match="the model gives NaN scores"):
                list(few_shot_scores(CONFIG, broken, world.tokenizer, world.tasks.draft(f"random_{kind}")))


def test_a_model_of_another_vocabulary_is_refused(world: World) -> None:
    config = world.model.config.model_copy(update={"vocab_size": 299})
    with pytest.raises(InputError, match="299 tokens"):
        evaluate(CONFIG, GPT(config), world.tokenizer, world.shards, world.corpus, world.tasks, lambda *_: None)


def test_an_answer_longer_than_the_context_is_refused(world: World) -> None:
    with pytest.raises(InputError, match="task random_free_form: an answer of 50 tokens"):
        world.evaluate(CONFIG.model_copy(update={"max_answer_tokens": 50}))


def test_the_stage_writes_what_the_function_returns(
    world: World, measured: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = world.shards.path.parent
    sections = {
        "evaluation": CONFIG.model_dump(),
        "compute": {"accelerator": "cpu", "devices": 1, "nodes": 1, "strategy": "single", "precision": "32-true"}
        | {"threads": torch.get_num_threads(), "loader_workers": 0},
    }
    (tmp_path / "params.yaml").write_text(json.dumps(sections))
    monkeypatch.chdir(tmp_path)
    options = ["tokens", "corpus", "tasks", "checkpoint", "out", "metrics"]
    values = [folder / "tokens", folder / "corpus", folder / "tasks", folder / "checkpoint", "answers", "evaluation.json"]
    argv = [text for option, value in zip(options, values, strict=True) for text in (f"--{option}", str(value))]
    try:
        assert stage.execute(evaluate_model.main, evaluate_model.Sections, options, argv) == 0
    finally:
        torch.use_deterministic_algorithms(False)
    assert json.loads((tmp_path / "evaluation.json").read_text()) == measured
    assert "random_entailment: 0 shots" in capsys.readouterr().out
    assert_answers_are_those_that_were_scored(tmp_path / "answers", world.tasks, measured)


def assert_answers_are_those_that_were_scored(folder: Path, tasks: TaskSet, measured: dict[str, Any]) -> None:
    assert {path.name for path in folder.iterdir()} == {f"{name}.items.jsonl" for name in tasks.names()}
    for name, by_shots in measured["few_shot"].items():
        answers = read_answers(folder / f"{name}.items.jsonl")
        assert {one.where for one in answers} <= {f"row {number}, more" for number in range(30, 130)}
        assert {one.text for one in answers} <= {"\n".join(texts_of(item)) for item in tasks.load(name).test}
        for shots, row in by_shots.items():
            of_these = [one for one in answers if one.shots == int(shots)]
            assert len(of_these) == row["items"]
            assert sum(one.predicted == one.right for one in of_these) / row["items"] == row["score"]
