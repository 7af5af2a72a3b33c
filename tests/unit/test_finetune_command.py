"""A task file drives fine-tuning from the command line; bad input is one line and leaves nothing behind."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from ruamel.yaml import YAML

from components.artifacts import read_json
from components.evaluation.task_file import TaskFile
from components.tokenization.byte_pair import BytePairTokenizer
from components.transformer.checkpoint import load_checkpoint, save_checkpoint, weights_sha256
from components.transformer.model import GPT
from flows import params
from flows.finetune import main, read_data_file
from tests.configs import gpt_config

TEXTS = ["good film", "bad film", "good plot", "bad plot", "good fun", "bad fun"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model and, in the folder itself, its tokenizer."""
    folder = tmp_path_factory.mktemp("pretrained")
    tokenizer = BytePairTokenizer.train(iter(TEXTS), 262)
    torch.manual_seed(7)  # not the seed of a run
    save_checkpoint(folder, GPT(gpt_config(tokenizer.vocab_size, d_model=8)))
    tokenizer.save(folder / "tokenizer.json")
    return folder


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """params.yaml, data and two task files."""
    (tmp_path / "params.yaml").write_bytes(Path("params.yaml").read_bytes())
    monkeypatch.chdir(tmp_path)
    params._parse.cache_clear()
    rows = "".join(f"{text},{'yes' if 'good' in text else 'no'},{len(text) / 2}\n" for text in TEXTS * 5)
    (tmp_path / "reviews.csv").write_text(f"review,liked,score\n{rows}", encoding="utf-8")
    write_task(tmp_path, "liked", {"fields": {"text": "review", "label": "liked"}, "metric": "f1", "positive": "yes"})
    write_task(tmp_path, "score", {"fields": {"text": "review", "label": "score"}, "metric": "spearman", "scale": [3, 5]})
    return tmp_path


def write_task(folder: Path, name: str, finetuning: dict[str, Any], **more: Any) -> None:
    files = {"train": "reviews.csv", "test": "reviews.csv"}
    task = {"name": name, "source": "a test", "files": files, "finetuning": {"transformation": "classification", **finetuning}, **more}
    with (folder / f"{name}.yaml").open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(task, file)


def command(checkpoint: Path, task: str, *more: str) -> int:
    return main([str(checkpoint), "--task", f"{task}.yaml", "--tokenizer", str(checkpoint / "tokenizer.json"), "--out", "out", *more])


def test_a_file_of_a_user_is_learnt_and_every_answer_told(place: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(checkpoint, "liked") == 0
    metrics, rows = read_json(Path("out/metrics.json")), [json.loads(line) for line in Path("out/items.jsonl").read_text().splitlines()]
    said = capsys.readouterr()
    assert f"liked pretrained: f1 {metrics['score']:.3f} [{metrics['low']:.3f}, {metrics['high']:.3f}], majority class" in said.out
    assert "task liked: 30 test items stand in the train split too" in said.err
    assert {row["text"] for row in rows} == set(TEXTS)
    assert metrics["checkpoint_sha256"] == read_json(checkpoint / "manifest.json")["sha256"]
    assert read_json(Path("out/task.json"))["positive"] == "yes"
    assert len(rows) == 30 and {row["where"] for row in rows} == {f"reviews.csv: line {n}" for n in range(2, 32)}
    hits = sum(row["predicted"] == row["right"] == "yes" for row in rows)
    misses = sum("yes" in (row["predicted"], row["right"]) for row in rows) - hits
    assert metrics["score"] == pytest.approx(2 * hits / (2 * hits + misses) if hits else 0)
    assert load_checkpoint(Path("out")).config.context_length == 16
    assert read_json(Path("out/task.json"))["labels"] == ["no", "yes"]


def test_scores_are_told_on_their_scale(place: Path, checkpoint: Path) -> None:
    assert command(checkpoint, "score") == 0
    rows = [json.loads(line) for line in Path("out/items.jsonl").read_text().splitlines()]
    assert {row["right"] for row in rows} == {len(text) / 2 for text in TEXTS}
    assert all(3 <= row["predicted"] <= 5 for row in rows)
    assert set(read_json(Path("out/metrics.json"))["scores"]) == {"spearman", "pearson"}


def test_from_scratch_and_the_seed_change_the_weights(place: Path, checkpoint: Path) -> None:
    found = []
    for more in ((), ("--from-scratch",), ("--seed", "1")):
        assert command(checkpoint, "liked", *more) == 0
        found.append(weights_sha256(load_checkpoint(Path("out"))))
        assert (read_json(Path("out/metrics.json"))["checkpoint_sha256"] is None) == ("--from-scratch" in more)
    assert len(set(found)) == 3


def test_rows_left_out_are_said(place: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    part = {"fields": {"text": "review", "label": "liked"}, "metric": "matthews"}
    write_task(place, "kept", part, keep="'fun' not in review")
    assert command(checkpoint, "kept") == 0
    assert "kept: 10 train rows were left out, as the task file says" in capsys.readouterr().out
    metrics = read_json(Path("out/metrics.json"))
    assert metrics["left_out"] == {"train": 10, "test": 10} and metrics["test_items"] == 20 and metrics["metric"] == "matthews"


BAD: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"fields": {"text": "words", "label": "liked"}}, {}, "reviews.csv: line 2: text of task bad names a column that is not there"),
    ({"fields": {"text": "review", "label": "score"}, "metric": "pearson", "scale": [0, 4]}, {},
     "reviews.csv: line 2: label of task bad holds '4.5'; it must be a number from 0 to 4"),
    ({"fields": {"text": "review"}}, {}, "task bad: finetuning.fields must name label, text for classification"),
    ({"metric": "f1"}, {}, "bad.yaml: finetuning: metric f1 needs positive"),
    ({}, {"files": {"test": "reviews.csv"}}, "task bad has no train split; name one"),
    ({}, {"files": {"test": "gone.csv", "train": "reviews.csv"}}, "gone.csv: cannot be read (No such file or directory)"),
    ({}, {"kind": "multiple_choice"}, "bad.yaml: shots is missing; add it"),
    ({}, {"context": "{{ review }}"}, "bad.yaml: context is not a known parameter"),
]  # fmt: skip


@pytest.mark.parametrize(("finetuning", "more", "message"), BAD, ids=[message for _, _, message in BAD])
def test_bad_input_is_one_line(
    place: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str], finetuning: dict[str, Any], more: dict[str, Any], message: str
) -> None:
    write_task(place, "bad", {"fields": {"text": "review", "label": "liked"}, "metric": "accuracy", **finetuning}, **more)
    assert command(checkpoint, "bad") == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and message in said and said.count("\n") == 1
    assert not Path("out").exists() and not list(place.glob(".*partial"))


def test_a_missing_file_or_checkpoint_is_one_line(place: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(checkpoint, "none") == 2
    assert capsys.readouterr().err == "error: none.yaml: no such task file; the shipped ones lie in tasks/\n"
    assert main([str(checkpoint), "--task", "liked.yaml", "--out", "out"]) == 2  # no tokenizer where it is looked for
    assert "data/tokens/tokenizer.json: not there" in capsys.readouterr().err
    assert main(["gone", "--task", "liked.yaml", "--tokenizer", str(checkpoint / "tokenizer.json"), "--out", "out"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: gone/manifest.json: not there") and not Path("out").exists()


def test_a_file_that_says_how_to_prompt_is_checked_as_a_whole() -> None:
    assert isinstance(read_data_file(Path("tasks/gpt1/cola.yaml")), TaskFile)


def test_a_run_that_diverges_is_an_outcome(place: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (place / "params.yaml").open("a", encoding="utf-8") as file:
        file.write("wild: {finetuning.learning_rate: 1.0e+30, finetuning.grad_clip_norm: 1.0e+30}\n")
    assert command(checkpoint, "liked", "--apply", "wild") == 0
    assert "liked pretrained: diverged after step" in capsys.readouterr().out
    metrics = read_json(Path("out/metrics.json"))
    assert metrics["diverged"] and metrics["score"] is None and not Path("out/items.jsonl").exists()
