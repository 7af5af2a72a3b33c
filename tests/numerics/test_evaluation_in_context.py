"""In-context learning: made-up episodes, the control with shuffled labels, and a model that does learn from examples."""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from components.artifacts import read_json
from components.errors import InputError
from components.evaluation import in_context
from components.evaluation.config import ProtocolConfig
from components.evaluation.generated import InventedWords, SymbolEpisodes, generate
from components.evaluation.prompting import Prompter
from components.evaluation.protocols import Examiner
from components.evaluation.task_data import load_task
from components.evaluation.task_file import TaskFile
from components.tokenization.byte_pair import BytePairTokenizer
from components.transformer.checkpoint import save_checkpoint
from components.transformer.model import GPT
from flows.in_context import main
from flows.schema import check
from tests.copying_model import copying_gpt
from tests.small_model import one_thread, small_gpt

SYMBOLS, LABELS, SHOWN = 4, 4, 8
PROTOCOL: ProtocolConfig = check().protocol.model_copy(update={"bootstrap_samples": 200, "in_context_shots": [1, 2, 8]})
MAPPING: dict[str, Any] = {
    "name": "mapping",
    "source": "a test",
    "generated": {"rows": "symbol_episodes", "seed": 0, "items": 200, "symbols": SYMBOLS, "labels": LABELS, "syllables": 1, "shown": SHOWN},
    "kind": "multiple_choice",
    "context": "{{ symbol }}",
    "choices": "labels",
    "label": "label",
    "shown": "shown",
    "normalization": "sum",
    "shots": 1,
    "separator": "\n",
    "metric": "accuracy",
}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    yield from one_thread()


def task(**changes: Any) -> TaskFile:
    return TaskFile.model_validate({**MAPPING, **changes})


def episodes(seed: int, items: int) -> list[dict[str, Any]]:
    return list(generate(SymbolEpisodes(**{**MAPPING["generated"], "seed": seed, "items": items}), "test"))


def told(episode: dict[str, Any]) -> str:
    return "".join(f"{row['symbol']} {row['labels'][row['label']]}\n" for row in episode["shown"])


def shown_among_last(rows: list[dict[str, Any]], shots: int) -> float:
    """Share of episodes of which the last K demonstrations show the symbol that is asked."""
    return sum(row["symbol"] in {one["symbol"] for one in row["shown"][SHOWN - shots :]} for row in rows) / len(rows)


@pytest.fixture(scope="module")
def tokenizer() -> BytePairTokenizer:
    return BytePairTokenizer.train(iter([told(episode) for episode in episodes(1, 2000)]), 411)


def test_an_episode_holds_its_own_mapping_and_nothing_gives_it_away() -> None:
    rows = episodes(0, 2000)
    assert rows == episodes(0, 2000) and rows != episodes(1, 2000)
    for row in rows:
        mapping = {one["symbol"]: one["label"] for one in row["shown"]}
        assert len(mapping) == SYMBOLS and len(row["shown"]) == SHOWN and len(set(row["labels"])) == LABELS
        assert mapping[row["symbol"]] == row["label"]
        assert not set(row["labels"]) & set(mapping)
        assert len({one["symbol"] for one in row["shown"][-SYMBOLS:]}) == SYMBOLS  # each once in a round
    labels = Counter(row["label"] for row in rows)
    assert all(abs(labels[label] / 2000 - 1 / LABELS) < 0.04 for label in range(LABELS))  # four standard deviations
    for shots in (1, 2, 3):
        assert abs(shown_among_last(rows, shots) - shots / SYMBOLS) < 0.05


def test_invented_words_never_stand_in_both_splits() -> None:
    config = InventedWords(rows="invented_words", seed=0, items=50, train_items=80)
    test, train = ([row["word"] for row in generate(config, split)] for split in ("test", "train"))
    assert (len(set(test)), len(set(train)), len(set(test) & set(train))) == (50, 80, 0)


def test_shuffled_labels_are_the_same_labels_after_the_same_symbols(tokenizer: BytePairTokenizer) -> None:
    made = task(shots=SHOWN)
    items = load_task(made, Path(), PROTOCOL).test
    right, shuffled = (Prompter(made, [], tokenizer, PROTOCOL, 1000, shuffle) for shuffle in (False, True))
    moved = 0
    for item in items:
        pairs, others = ([line.split(" ") for line in prompter.prompt(item, 0).preamble.split("\n")[:-1]] for prompter in (right, shuffled))
        assert len(pairs) == SHOWN and [a for a, _ in pairs] == [a for a, _ in others]
        assert Counter(b for _, b in pairs) == Counter(b for _, b in others)
        moved += sum(a != b for a, b in zip(pairs, others, strict=True))
    assert 0.5 < moved / (SHOWN * len(items)) < 0.75  # of 4 labels 1/4 stays by chance, and 1/8 is its own; labels may repeat


def test_the_examples_of_a_smaller_k_are_the_last_of_a_larger(tokenizer: BytePairTokenizer) -> None:
    [item, *_] = load_task(task(), Path(), PROTOCOL).test
    preambles = [Prompter(task(shots=shots), [], tokenizer, PROTOCOL, 1000).prompt(item, 0).preamble for shots in (0, 1, 3, 8)]
    assert preambles[0] == "" and all(longer.endswith(shorter) for shorter, longer in pairwise(preambles))


@pytest.fixture(scope="module")
def learner(tokenizer: BytePairTokenizer) -> GPT:
    return copying_gpt(tokenizer.vocab_size, context_length=64)


def test_each_word_is_one_token(tokenizer: BytePairTokenizer) -> None:
    assert all(len(tokenizer.encode(told(episode))) == 3 * SHOWN for episode in episodes(0, 200))


def test_a_model_that_learns_from_examples_is_shown_to(
    learner: GPT, tokenizer: BytePairTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It copies the label of a symbol that it was shown, and else guesses: its score at each K is known."""
    (tmp_path / "params.yaml").write_text(json.dumps({"protocol": PROTOCOL.model_dump(), "compute": check().compute.model_dump()}))
    (tmp_path / "mapping.yaml").write_text(json.dumps(MAPPING), encoding="utf-8")
    (tmp_path / "checkpoint").mkdir()
    save_checkpoint(tmp_path / "checkpoint", learner)
    tokenizer.save(tmp_path / "tokenizer.json")
    monkeypatch.chdir(tmp_path)
    try:
        assert main(["checkpoint", "--tokenizer", "tokenizer.json", "--task", "mapping.yaml", "--out", "out"]) == 0
    finally:
        torch.use_deterministic_algorithms(False)
    found = read_json(tmp_path / "out" / "in_context.json")["tasks"]["mapping"]
    assert found["verdict"] == in_context.LEARNS
    for shots, row in found["shots"].items():
        share_shown = shown_among_last(episodes(0, 200), int(shots))
        assert row["low"] <= share_shown + (1 - share_shown) / LABELS <= row["high"]
    most = found["shots"]["8"]
    assert most["score"] == 1
    assert most["less_zero"]["low"] > 0 and most["less_control"]["low"] > 0
    assert most["control"]["high"] < 0.6  # with shuffled labels the one copied is right where it stayed or repeats
    assert "control" not in found["shots"]["1"]
    assert "mapping: learns from the examples (accuracy, 200 items, chance 0.250)" in capsys.readouterr().out
    assert "learns from the examples" in (tmp_path / "out" / "mapping.svg").read_text(encoding="utf-8")


def measured(model: GPT, tokenizer: BytePairTokenizer, made: TaskFile, protocol: ProtocolConfig = PROTOCOL) -> dict[str, Any]:
    data = load_task(made, Path(), protocol)
    return in_context.measure(Examiner(model.eval(), tokenizer, protocol), made, data.test, data.train, protocol)


def test_untrained_models_are_not(tokenizer: BytePairTokenizer) -> None:
    few = PROTOCOL.model_copy(update={"in_context_shots": [SHOWN], "bootstrap_samples": 20})
    verdicts = []
    for seed in range(8):
        made = task(generated={**MAPPING["generated"], "seed": seed, "items": 60})
        verdicts.append(measured(small_gpt(tokenizer.vocab_size, 64, seed), tokenizer, made, few)["verdict"])
    assert in_context.LEARNS not in verdicts
    assert verdicts.count(in_context.NONE_SHOWN) >= 6  # each other verdict is a false alarm, of which one in 20 is allowed


def test_what_has_no_labels_to_shuffle_is_refused(learner: GPT, tokenizer: BytePairTokenizer) -> None:
    partial = {"context": "{{ choice }}", "continuation": " so"}
    with pytest.raises(InputError, match="mapping has its choice in the context"):
        measured(learner, tokenizer, task(**partial))
    text = {"kind": "text", "context": "{{ symbol }}", "metric": "per_word"}
    with pytest.raises(InputError, match="mapping is of kind text"):
        measured(learner, tokenizer, task(**text))
    few = {**MAPPING["generated"], "shown": 5}
    with pytest.raises(InputError, match="asks for 8 demonstrations, but there are only 5"):
        measured(learner, tokenizer, task(generated=few))


def comparison(difference: float, verdict: str) -> dict[str, Any]:
    return {"difference": difference, "verdict": verdict}


@pytest.mark.parametrize(
    ("less_zero", "less_control", "verdict"),
    [
        ((0.2, "differ"), (0.2, "differ"), in_context.LEARNS),
        ((0.2, "differ"), (0.2, "no difference shown"), in_context.FORM_ONLY),
        ((0.2, "differ"), (-0.2, "differ"), in_context.FORM_ONLY),
        ((0.2, "differ"), None, in_context.FORM_ONLY),
        ((0.2, "no difference shown"), (0.2, "differ"), in_context.NONE_SHOWN),
        ((-0.2, "differ"), (0.2, "differ"), in_context.HURTS),
    ],
)
def test_verdicts(less_zero: tuple[float, str], less_control: tuple[float, str] | None, verdict: str) -> None:
    row = {"less_zero": comparison(*less_zero)} | ({"less_control": comparison(*less_control)} if less_control else {})
    assert in_context.verdict_of(row) == verdict
