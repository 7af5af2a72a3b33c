"""In-context learning: made-up episodes, the control with shuffled labels, and a model that does learn from examples."""

import itertools
import json
from collections import Counter
from collections.abc import Iterator
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
from components.transformer.checkpoint import load_checkpoint
from components.transformer.model import GPT
from flows.in_context import main
from flows.schema import check
from tests.small_model import one_thread, save_trained, small_gpt

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


@pytest.fixture(scope="module")
def tokenizer() -> BytePairTokenizer:
    return BytePairTokenizer.train(iter([told(episode) for episode in episodes(1, 500)]), 400)


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
        share = sum(row["symbol"] in {one["symbol"] for one in row["shown"][-shots:]} for row in rows) / 2000
        assert abs(share - shots / SYMBOLS) < 0.05


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
    assert preambles[0] == "" and all(longer.endswith(shorter) for shorter, longer in itertools.pairwise(preambles))


@pytest.fixture(scope="module")
def learner(tokenizer: BytePairTokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained on other episodes of the kind, to say each label that it has seen before in the episode."""
    folder = tmp_path_factory.mktemp("learner")
    tokenizer.save(folder / "tokenizer.json")
    sequences = [torch.tensor([tokenizer.end_of_text, *ids]) for ids in tokenizer.encode_batch([told(one) for one in episodes(1, 4000)])]
    save_trained(folder / "checkpoint", small_gpt(tokenizer.vocab_size, context_length=64), sequences, steps=500)
    return folder


def test_a_model_that_learns_from_examples_is_shown_to(learner: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "params.yaml").write_text(json.dumps({"protocol": PROTOCOL.model_dump(), "compute": check().compute.model_dump()}))
    (tmp_path / "mapping.yaml").write_text(json.dumps(MAPPING), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        model = [str(learner / "checkpoint"), "--tokenizer", str(learner / "tokenizer.json")]
        assert main([*model, "--task", "mapping.yaml", "--out", "out"]) == 0
    torch.use_deterministic_algorithms(False)
    found = read_json(tmp_path / "out" / "in_context.json")["tasks"]["mapping"]
    scores = {int(shots): row["score"] for shots, row in found["shots"].items()}
    assert found["verdict"] == in_context.LEARNS
    assert found["shots"]["0"]["low"] < found["chance"] < found["shots"]["0"]["high"]
    assert scores[0] < scores[2] < scores[8]
    row = found["shots"]["8"]
    assert row["less_zero"]["low"] > 0 and row["less_control"]["low"] > 0
    assert row["control"]["score"] < row["low"]
    assert "control" not in found["shots"]["1"]
    assert "mapping: learns from the examples" in capsys.readouterr().out
    assert "learns from the examples" in (tmp_path / "out" / "mapping.svg").read_text(encoding="utf-8")


def measured(model: GPT, tokenizer: BytePairTokenizer, made: TaskFile) -> dict[str, Any]:
    data = load_task(made, Path(), PROTOCOL)
    return in_context.measure(Examiner(model.eval(), tokenizer, PROTOCOL), made, data.test, data.train, PROTOCOL)


def test_an_untrained_model_is_not(tokenizer: BytePairTokenizer) -> None:
    found = measured(small_gpt(tokenizer.vocab_size, 64), tokenizer, task())
    assert found["verdict"] == in_context.NONE_SHOWN


def test_what_has_no_labels_to_shuffle_is_refused(learner: Path, tokenizer: BytePairTokenizer) -> None:
    model = load_checkpoint(learner / "checkpoint")
    partial = {"context": "{{ choice }}", "continuation": " so"}
    with pytest.raises(InputError, match="mapping has its choice in the context"):
        measured(model, tokenizer, task(**partial))
    text = {"kind": "text", "context": "{{ symbol }}", "metric": "per_word"}
    with pytest.raises(InputError, match="mapping is of kind text"):
        measured(model, tokenizer, task(**text))
    few = {**MAPPING["generated"], "shown": 5}
    with pytest.raises(InputError, match="asks for 8 demonstrations, but there are only 5"):
        measured(model, tokenizer, task(generated=few))


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
