"""Task files: the shipped ones are right; a user's rows become questions; each kind of bad input is one line."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from benchmarks import evaluate_real
from components.errors import InputError
from components.evaluation.config import ProtocolConfig
from components.evaluation.rows import Place, pose, turns_of
from components.evaluation.task_data import labelled_task, load_task
from components.evaluation.task_file import Files, TaskFile
from components.tasks.items import Classification, Entailment, Item, MultipleChoice, Similarity
from flows import params
from flows.evaluate import main
from flows.schema import check
from flows.task_files import read_task_file

SHIPPED = sorted(Path("tasks").rglob("*.yaml"))
PROTOCOL: ProtocolConfig = check().protocol
CHOICE = {
    "name": "own",
    "source": "a test",
    "files": {"test": "test.jsonl", "train": "train.jsonl"},
    "kind": "multiple_choice",
    "context": "{{ text }}\nfeeling:",
    "choices": "['bad', 'good']",
    "label": "stars",
    "normalization": "sum",
    "shots": 1,
    "metric": "accuracy",
}


def task(**changes: Any) -> TaskFile:
    return TaskFile.model_validate({**CHOICE, **changes})


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_files_are_right_and_named_after_their_task(path: Path) -> None:
    assert read_task_file(path).name == path.stem


def test_the_twelve_of_gpt1_have_their_transformations_and_metrics() -> None:
    found = {path.stem: read_task_file(path).finetuning for path in SHIPPED if path.parent.name == "gpt1"}
    assert {name: part.positive for name, part in found.items() if part and part.positive} == {"mrpc": "1", "qqp": "1"}
    assert {name: part.scale for name, part in found.items() if part and part.scale} == {"sts_b": [0, 5]}
    kinds = {name: (part.transformation, part.metric) for name, part in found.items() if part}
    assert len(kinds) == len(found) == 13  # MNLI has two test sets
    assert kinds["cola"] == ("classification", "matthews")
    assert kinds["sts_b"] == ("similarity", "pearson")
    assert kinds["mrpc"] == kinds["qqp"] == ("similarity", "f1")
    assert kinds["race"] == kinds["story_cloze"] == ("multiple_choice", "accuracy")
    assert kinds["snli"] == kinds["scitail"] == ("entailment", "accuracy")


def test_gpt3_s_numbers_of_demonstrations() -> None:
    shots = {path.stem: read_task_file(path).shots for path in SHIPPED if path.parent.name == "gpt3"}
    expected = {
        "hellaswag": 20,
        "lambada_fill_in_blank": 15,
        "story_cloze": 70,
        "triviaqa": 64,
        "winograd": 7,
        "piqa": 50,
        "openbook_qa": 100,
    }
    assert {name: shots[name] for name in expected} == expected
    assert {shots[name] for name in ("boolq", "cb", "copa", "rte", "wic", "wsc", "multirc", "record")} == {32}


ROWS: list[tuple[str, dict[str, Any], tuple[str, ...], tuple[str, ...], int]] = [
    ("gpt3/winograd", {"context_options": ["It ate as the cat", "It ate as the rat"], "continuation": "was fat.", "gold": 1},
     ("It ate as the cat", "It ate as the rat"), (" was fat.", " was fat."), 1),
    ("gpt2/cbt_cn", {"sentences": ["A.", "B."], "question": "It saw a XXXXX there .", "options": ["dog", "cat"], "answer": "cat"},
     ("A. B. It saw a",) * 2, (" dog there.", " cat there."), 1),
    ("gpt3/copa", {"premise": "It rained.", "question": "effect", "choice1": "He got wet.", "choice2": "She ran.", "label": 0},
     ("It rained so",) * 2, (" he got wet.", " she ran."), 0),
    ("gpt3/hellaswag", {"activity_label": "Ice", "ctx_a": "A", "ctx_b": "he falls", "endings": ["[step] up.", "down."], "label": "1"},
     ("Ice: A He falls",) * 2, (" up.", " down."), 1),
    ("gpt2/lambada", {"text": "He said he was happy"}, ("He said he was",), (" happy",), 0),
    ("gpt3/arc_easy", {"question": "Q?", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "B"},
     ("Question: Q?\nAnswer:",) * 2, (" a", " b"), 1),
    ("gpt3/translation_en_fr", {"translation": {"en": "Hello.", "fr": "Salut."}}, ("Hello. =",), (" Salut.",), 0),
    ("gpt3/two_digit_addition", {"context": "\n\nQ: What is 9 plus 4?\n\nA:", "completion": " 13"},
     ("Q: What is 9 plus 4?\n\nA:",), (" 13",), 0),
]  # fmt: skip


@pytest.mark.parametrize(("name", "row", "contexts", "continuations", "right"), ROWS, ids=[row[0] for row in ROWS])
def test_rows_in_words(name: str, row: dict[str, Any], contexts: tuple[str, ...], continuations: tuple[str, ...], right: int) -> None:
    posed = pose(read_task_file(Path("tasks") / f"{name}.yaml"), Place("row 1", row))
    assert (posed.contexts, posed.right) == (contexts, right)
    assert [" ".join(one.split()) for one in posed.continuations] == [" ".join(one.split()) for one in continuations]
    assert all(one.startswith(" ") for one in posed.continuations)


BAD_ROWS = [
    ({"stars": 1}, "'text' is undefined; it has stars"),
    ({"text": "fine", "star": 1}, "names a column that is not there; it has text, star"),
    ({"text": "fine", "stars": 2}, "label of task own is 2; it must be the number of the right choice, 0 to 1"),
    ({"text": "fine", "stars": -1}, "label of task own is -1; it must be"),
    ({"text": "fine", "stars": "good"}, "label of task own is 'good'; it must be"),
    ({"text": "fine", "stars": 0.5}, "label of task own is 0.5; it must be"),
]


@pytest.mark.parametrize(("row", "message"), BAD_ROWS)
def test_a_bad_row_is_one_line(row: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        pose(task(), Place("f.jsonl: line 3", row))
    assert str(caught.value).startswith("f.jsonl: line 3: ") and "\n" not in str(caught.value)


def test_an_empty_text_is_one_line() -> None:
    for empty in (" ", "", None):
        with pytest.raises(InputError, match=r"line 1: context of task own writes text, which is empty; fill it in or take the row out"):
            pose(task(), Place("line 1", {"text": empty, "stars": 0}))
        with pytest.raises(InputError, match="choices of task own holds an empty text"):
            pose(task(choices="['bad', more]"), Place("line 1", {"text": "a", "more": empty, "stars": 0}))
    with pytest.raises(InputError, match="line 1: context of task own is empty"):
        pose(task(context="{{ text or '' }}"), Place("line 1", {"text": "", "stars": 0}))
    assert pose(task(context="{{ text or '' }} is"), Place("line 1", {"text": "", "stars": 0})).contexts == (" is", " is")
    with pytest.raises(InputError, match="choices of task own holds an empty text"):
        pose(task(choices="[text, '']"), Place("line 1", {"text": "a", "stars": 0}))
    with pytest.raises(InputError, match="choices of task own must be a list"):
        pose(task(choices="text"), Place("line 1", {"text": "a", "stars": 0}))


def test_a_template_reaches_nothing_but_the_row() -> None:
    with pytest.raises(InputError, match="unsafe"):
        pose(task(context="{{ ''.__class__.__mro__ }}"), Place("line 1", {"text": "a", "stars": 0}))


BAD_FILES = [
    ({"normalization": None}, "a task of kind multiple_choice needs normalization"),
    ({"metric": "bleu"}, "metric bleu does not fit kind multiple_choice"),
    ({"metric": "f1"}, "metric f1 needs positive"),
    ({"files": None}, "name one of files, hub and generated"),
    ({"shots": -1}, "shots: Input should be greater than or equal to 0"),
    ({"colour": 1}, "colour is not a known parameter"),
    ({"choices": ["bad", "good"]}, "choices: must be an expression over the columns; put quotes around the list"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_FILES)
def test_a_bad_task_file_is_one_line(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(json.dumps({**CHOICE, **changes}), encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        read_task_file(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


def write(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_duplicates_and_test_items_of_the_train_split_are_counted(tmp_path: Path) -> None:
    write(tmp_path, "test.jsonl", [{"text": text, "stars": 0} for text in ("a", "b", "a", "c")])
    write(tmp_path, "train.jsonl", [{"text": text, "stars": 0} for text in ("c", "d")])
    loaded = load_task(task(), tmp_path, PROTOCOL)
    assert (len(loaded.test), loaded.duplicates, loaded.in_train) == (4, 1, 1)
    again = load_task(task(), tmp_path, PROTOCOL.model_copy(update={"max_items": 2}))
    assert again.test == loaded.test[:2]
    assert load_task(task(shots=0), tmp_path, PROTOCOL).in_train == 0  # then the train split is not read


def of(transformation: str, metric: str = "accuracy", **more: Any) -> dict[str, Any]:
    fields = {"classification": {"text": "text"}, "multiple_choice": {"context": "text", "choices": "[a, b]"}}[transformation]
    return {"transformation": transformation, "fields": {**fields, "label": "stars"}, "metric": metric, **more}


def read(folder: Path, finetuning: dict[str, Any] | None, train: list[dict[str, Any]], test: list[dict[str, Any]], **changes: Any) -> Any:
    write(folder, "train.jsonl", train)
    write(folder, "test.jsonl", test)
    return labelled_task(task(finetuning=finetuning, **changes), folder, seed=0)


def test_rows_to_fine_tune_on(tmp_path: Path) -> None:
    rows = [{"text": letter, "stars": number % 2} for number, letter in enumerate("abcdefgh")]
    made = read(tmp_path, of("classification", "f1", positive="1"), rows, [{"text": " z ", "stars": 1}]).draft
    assert (made.task.labels, made.task.metric, made.task.positive, made.task.test) == (("0", "1"), "f1", "1", [Classification("z", 1)])
    assert made.test[0].documents == (f"{tmp_path / 'test.jsonl'}: line 1",)
    assert {(item.text, item.label) for item in made.task.train} == {(row["text"], row["stars"]) for row in rows}
    assert made.task.train != sorted(made.task.train, key=lambda item: item.text)  # files come sorted
    again = read(tmp_path, of("classification", "f1", positive="1"), rows[::-1], [{"text": " z ", "stars": 1}]).draft
    assert again.task.train == made.task.train


def test_scores_are_counted_from_the_lowest_of_the_scale(tmp_path: Path) -> None:
    rows = [{"text": "a", "stars": 1.25}, {"text": "b", "stars": 5}, {"text": "c", "stars": "1"}]
    made = read(tmp_path, of("classification", "pearson", scale=[1, 5]), rows, rows[:1]).draft.task
    assert made.labels == ("1", "2", "3", "4", "5") and made.is_scored and not made.has_classes
    assert {item.text: item.label for item in made.train} == {"a": 0.25, "b": 4.0, "c": 0.0}
    assert all(isinstance(item.label, float) for item in made.train)


def test_rows_that_are_no_items_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = [{"text": letter, "stars": stars} for letter, stars in (("a", 0), ("b", -1), ("c", 1), ("d", -1))]
    found = read(tmp_path, of("classification"), rows, rows[:2], keep="stars != -1")
    assert [len(found.draft.train), len(found.draft.test), found.left_out] == [2, 1, {"train": 2, "test": 1}]
    loaded = load_task(task(keep="stars != -1"), tmp_path, PROTOCOL)
    assert (len(loaded.test), loaded.left_out) == (1, 1)
    with pytest.raises(InputError, match="task own has no test items"):
        read(tmp_path, of("classification"), rows, rows[1:2], keep="stars != -1")


GOOD = [{"text": "a", "stars": 0, "a": "x", "b": "y"}, {"text": "b", "stars": 1, "a": "x", "b": "y"}]
BAD_LABELS = [
    (of("classification"), {"stars": 7}, "label of task own holds '7', which no training row does; take it out or add some"),
    (of("classification"), {"stars": None}, "label of task own holds no text"),
    (of("classification"), {"text": " "}, "text of task own holds no text; fill it in or take the row out"),
    (of("classification"), {"text": "\ud800"}, "text of task own holds half a character"),
    (of("multiple_choice"), {"stars": 2}, "label of task own holds '2'; it must be the number of the right choice, 0 to 1"),
    (of("multiple_choice"), {"stars": -1}, "label of task own holds '-1'; it must be the number of the right choice, 0 to 1"),
    (of("multiple_choice"), {"a": ""}, "choices of task own holds no text"),
    (of("classification", "pearson", scale=[0, 5]), {"stars": 5.5}, "label of task own holds '5.5'; it must be a number from 0 to 5"),
    (of("classification", "pearson", scale=[0, 5]), {"stars": "nan"}, "label of task own holds 'nan'; it must be a number from 0 to 5"),
    (of("classification", "spearman", scale=[0, 5]), {"stars": "good"}, "label of task own holds 'good'; it must be a number from 0 to 5"),
]  # fmt: skip


@pytest.mark.parametrize(("finetuning", "changes", "message"), BAD_LABELS)
def test_a_bad_label_is_named_by_its_row(tmp_path: Path, finetuning: dict[str, Any], changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, finetuning, GOOD, [*GOOD, {**GOOD[0], **changes}])
    assert str(caught.value).startswith(f"{tmp_path / 'test.jsonl'}: line 3: {message}") and "\n" not in str(caught.value)


def test_what_no_row_can_mend_is_named_too(tmp_path: Path) -> None:
    for finetuning, train, message in (
        (None, GOOD, "task own says nothing of fine-tuning; add finetuning"),
        (of("classification", fields={"text": "text"}), GOOD, "finetuning.fields must name label, text for classification"),
        (of("classification"), GOOD[:1], "task own: label of task own holds one class only, '0'"),
        (of("classification", "f1", positive="yes"), GOOD, "task own: positive is 'yes', which is no class; choose one of 0, 1"),
        (of("classification"), [{"text": "a"}], r"train.jsonl: line 1: label of task own names a column that is not there; it has text"),
        (of("multiple_choice", fields={"context": "text", "choices": "a", "label": "stars"}), GOOD, "must be a list of texts, got 'x'"),
    ):
        with pytest.raises(InputError, match=message):
            read(tmp_path, finetuning, train, GOOD[:1])
    with pytest.raises(InputError, match="task own has no train split"):
        read(tmp_path, of("classification"), GOOD, GOOD, files={"test": "test.jsonl"})


BAD_METRICS = [
    (of("multiple_choice", "f1", positive="1"), "finetuning: metric f1 does not fit multiple_choice; take accuracy"),
    (of("classification", "f1"), "finetuning: metric f1 needs positive"),
    (of("classification", positive="1"), "finetuning: metric f1 needs positive, the class that counts, and no other metric has it"),
    (of("classification", "pearson"), "finetuning: metrics pearson and spearman need scale"),
    (of("classification", scale=[0, 5]), "finetuning: metrics pearson and spearman need scale"),
    (of("classification", "pearson", scale=[5, 0]), r"finetuning: scale \[5, 0\] does not rise"),
    (of("classification", "mse"), "finetuning.metric: Input should be"),
]


@pytest.mark.parametrize(("finetuning", "message"), BAD_METRICS)
def test_a_metric_that_does_not_fit_is_one_line(tmp_path: Path, finetuning: dict[str, Any], message: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(json.dumps({**CHOICE, "finetuning": finetuning}), encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        read_task_file(path)
    assert "\n" not in str(caught.value)


PAIR = {"sentence1": "A.", "sentence2": "B."}
GPT1_ITEMS: list[tuple[str, dict[str, Any], Item]] = [
    ("cola", {"sentence": "Ate he.", "label": 0}, Classification("Ate he.", 0)),
    ("sst2", {"sentence": "fine ", "label": 1}, Classification("fine", 1)),
    ("mnli_matched", {"premise": "A.", "hypothesis": "B.", "label": 1}, Entailment("A.", "B.", 1)),
    ("mnli_mismatched", {"premise": "A.", "hypothesis": "B.", "label": 0}, Entailment("A.", "B.", 0)),
    ("snli", {"premise": "A.", "hypothesis": "B.", "label": 1}, Entailment("A.", "B.", 1)),
    ("qnli", {"question": "A?", "sentence": "B.", "label": 1}, Entailment("A?", "B.", 1)),
    ("rte", {**PAIR, "label": 1}, Entailment("A.", "B.", 1)),
    ("scitail", {**PAIR, "gold_label": "neutral"}, Entailment("A.", "B.", 1)),
    ("mrpc", {**PAIR, "label": 1}, Similarity("A.", "B.", 1)),
    ("qqp", {"question1": "A?", "question2": "B?", "label": 0}, Similarity("A?", "B?", 0)),
    ("sts_b", {**PAIR, "label": 3.75}, Similarity("A.", "B.", 3.75)),
    ("race", {"article": "A.", "question": "Q?", "options": ["w", "x", "y", "z"], "answer": "C"},
     MultipleChoice("A. Q?", ("w", "x", "y", "z"), 2)),
    ("story_cloze", {**{f"InputSentence{i}": f"{i}." for i in range(1, 5)}, "RandomFifthSentenceQuiz1": "a",
      "RandomFifthSentenceQuiz2": "b", "AnswerRightEnding": "2"}, MultipleChoice("1. 2. 3. 4.", ("a", "b"), 1)),
]  # fmt: skip


def test_all_of_gpt1_are_tried() -> None:
    assert {name for name, _, _ in GPT1_ITEMS} == {path.stem for path in SHIPPED if path.parent.name == "gpt1"}


@pytest.mark.parametrize(("name", "row", "item"), GPT1_ITEMS, ids=[name for name, _, _ in GPT1_ITEMS])
def test_a_row_of_gpt1_s_data_as_an_item(tmp_path: Path, name: str, row: dict[str, Any], item: Item) -> None:
    shipped = read_task_file(Path(f"tasks/gpt1/{name}.yaml"))
    field = next(key for key in ("label", "gold_label", "answer", "AnswerRightEnding") if key in row)
    others = {"label": (0, 1), "gold_label": ("entailment", "neutral"), "answer": ("A", "B"), "AnswerRightEnding": ("1", "2")}[field]
    write(tmp_path, "train.jsonl", [{**row, field: other} for other in others])
    write(tmp_path, "test.jsonl", [row])
    local = shipped.model_copy(update={"hub": None, "files": Files(train="train.jsonl", test="test.jsonl")})
    assert labelled_task(local, tmp_path, seed=0).draft.task.test == [item]


def test_snli_is_without_the_pairs_that_have_no_label(tmp_path: Path) -> None:
    rows = [{"premise": "A.", "hypothesis": f"{label}.", "label": label} for label in (-1, 0, 1, 2)]
    write(tmp_path, "all.jsonl", rows)
    local = read_task_file(Path("tasks/gpt1/snli.yaml")).model_copy(
        update={"hub": None, "files": Files(train="all.jsonl", test="all.jsonl")}
    )
    assert labelled_task(local, tmp_path, seed=0).left_out == {"train": 1, "test": 1}
    assert len(load_task(local, tmp_path, PROTOCOL).test) == 3


def test_the_command_ends_with_one_line_on_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nowhere", "--task", "tasks/gpt3/none.yaml", "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == "error: tasks/gpt3/none.yaml: no such task file; the shipped ones lie in tasks/\n"
    assert main(["nowhere", "--task", "tasks/gpt3/piqa.yaml", "tasks/gpt3/piqa.yaml", "--out", str(tmp_path / "out")]) == 2
    assert "two of the task files have one name" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_params_describe_is_used_for_both_files() -> None:
    assert params.describe({"type": "missing", "loc": ("a", 1), "msg": "", "input": None}) == "a.1 is missing; add it"  # type: ignore[typeddict-item]


@pytest.fixture
def hub_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TaskFile:
    """One whose data set is a folder beside the task file; nothing reaches the network or the user's cache."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    return task(files=None, hub={"path": "set", "test": "validation", "train": "train"})


SPLITS = {"validation": [{"text": "fine", "stars": 1}, {"text": "poor", "stars": 0}], "train": [{"text": "good", "stars": 1}]}


def assert_it_is_read(made: TaskFile, folder: Path) -> None:
    loaded = load_task(made, folder, PROTOCOL)
    assert sorted(posed.contexts[0] for posed in loaded.test) == ["fine\nfeeling:", "poor\nfeeling:"]
    assert [posed.where for posed in loaded.train] == ["set train: row 1"]


def test_a_folder_of_data_files_stands_for_the_hub(hub_task: TaskFile, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    for split, rows in SPLITS.items():
        write(tmp_path / "set", f"{split}.jsonl", rows)
    assert_it_is_read(hub_task, tmp_path)


def test_what_save_to_disk_wrote_stands_for_the_hub(hub_task: TaskFile, tmp_path: Path) -> None:
    import datasets

    splits = datasets.DatasetDict({split: datasets.Dataset.from_list(rows) for split, rows in SPLITS.items()})
    splits.save_to_disk(str(tmp_path / "set"))
    assert_it_is_read(hub_task, tmp_path)
    with pytest.raises(InputError, match=r"set \(name None, split test\) cannot be read: it has the splits validation, train; mend hub"):
        load_task(task(files=None, hub={"path": "set", "test": "test"}), tmp_path, PROTOCOL)


# Of a process of its own: the libraries set how much they log when they are first imported.
ASK_NOBODY = """
import sys, time
from pathlib import Path
from components.errors import InputError
from components.evaluation.hub_rows import hub_rows
from components.evaluation.task_file import Hub
time.sleep = lambda _: None  # between its attempts
try:
    hub_rows("own", Hub(path="nobody/nothing", test="test"), "test", Path.cwd())
except InputError as error:
    sys.exit(str(error))
"""


def test_a_hub_that_cannot_be_reached_is_one_line(tmp_path: Path) -> None:
    nobody = "http://127.0.0.1:9"  # the port of discard, where nothing answers
    variables = {**os.environ, "HF_ENDPOINT": nobody, "HF_HOME": str(tmp_path), "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run([sys.executable, "-c", ASK_NOBODY], cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert re.fullmatch("task own: the Hugging Face Hub cannot be reached for nobody/nothing; .* save_to_disk wrote\n", done.stderr)
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize("path", [path for path in SHIPPED if path.parent.name == "in_context"], ids=lambda path: path.stem)
def test_tasks_of_in_context_learning_have_items_and_demonstrations(path: Path) -> None:
    made = read_task_file(path)
    loaded = load_task(made, path.parent, PROTOCOL)
    assert len(loaded.test) >= 200 and (loaded.duplicates, loaded.in_train) == (0, 0)
    assert max(PROTOCOL.in_context_shots) <= made.shots
    if made.shown:
        assert all(len(posed.shown) >= made.shots for posed in loaded.test)
    if made.kind == "multiple_choice":
        shares = [sum(posed.right == label for posed in loaded.test) / len(loaded.test) for label in range(len(loaded.test[0].contexts))]
        assert all(abs(share - 1 / len(shares)) < 0.1 for share in shares)


DIALOGUE = {"story": "It rained.", "questions": ["Was it wet?", "Who knew?"], "answers": {"input_text": ["yes", "Ann"]}}


def test_each_turn_of_a_dialogue_is_an_item_after_the_gold_answers_before_it(tmp_path: Path) -> None:
    write(tmp_path, "test.jsonl", [DIALOGUE])
    write(tmp_path, "train.jsonl", [DIALOGUE, {**DIALOGUE, "story": "It shone."}])
    files = Files(test="test.jsonl", train="train.jsonl")
    loaded = load_task(read_task_file(Path("tasks/gpt3/coqa.yaml")).model_copy(update={"hub": None, "files": files}), tmp_path, PROTOCOL)
    first = "It rained.\n\nQ: Was it wet?\n\nA:"
    assert sorted((one.where, one.contexts[0], one.accepted) for one in loaded.test) == [
        (f"{tmp_path}/test.jsonl: line 1, turn 1", first, ("yes",)),
        (f"{tmp_path}/test.jsonl: line 1, turn 2", f"{first} yes\n\nQ: Who knew?\n\nA:", ("Ann",)),
    ]
    assert (len(loaded.train), loaded.in_train) == (4, 2)


def test_quac_goes_on_from_the_answers_of_the_dialogue_itself() -> None:
    made = read_task_file(Path("tasks/gpt3/quac.yaml"))
    answers = {"texts": [["sang", "She sang"], ["CANNOTANSWER"]]}
    said = {"answers": answers, "orig_answers": {"texts": ["She sang", "CANNOTANSWER"]}, "questions": ["What?", "Where?"]}
    row = {"wikipedia_page_title": "Ann", "section_title": "Life", "context": "She sang.", **said}
    first, second = (pose(made, place) for place in turns_of(made, Place("row 1", row)))
    assert first.contexts == ("TITLE: Ann - Life\nPARAGRAPH: She sang.\n\nQ: What?\n\nA:",) and first.accepted == ("sang", "She sang")
    assert second.contexts == (f"{first.contexts[0]} She sang\n\nQ: Where?\n\nA:",) and second.accepted == ("CANNOTANSWER",)


def test_a_dialogue_without_turns_or_a_task_without_train_split_is_one_line() -> None:
    made = read_task_file(Path("tasks/gpt3/coqa.yaml"))
    with pytest.raises(InputError, match="row 1: turns of task coqa is 0; it must be a number from 1 on"):
        turns_of(made, Place("row 1", {**DIALOGUE, "questions": []}))
    with pytest.raises(ValidationError, match="turns needs a train split"):
        task(turns="stars", files={"test": "own.jsonl"})


def test_own_demonstrations_are_rows_like_the_item() -> None:
    made = task(shown="shown")
    row = {"text": "fine", "stars": 1, "shown": [{"text": "poor", "stars": 0}]}
    assert [one.demonstration for one in pose(made, Place("line 1", row)).shown] == ["poor\nfeeling: bad"]
    with pytest.raises(InputError, match="line 1: shown of task own must be a list of rows, got 'poor'"):
        pose(made, Place("line 1", {**row, "shown": "poor"}))
    with pytest.raises(InputError, match="line 1: shown 1: label of task own is 5"):
        pose(made, Place("line 1", {**row, "shown": [{"text": "poor", "stars": 5}]}))


@pytest.mark.shared_data
@pytest.mark.skipif(not (evaluate_real.DATA / evaluate_real.FOUNDRY).exists(), reason="no shared data beside the repository")
def test_six_public_sets_are_read_by_the_shipped_tasks(tmp_path: Path) -> None:
    paths = evaluate_real.write_task_files(tmp_path, evaluate_real.DATA, shots=0, items=20)
    posed = {path.stem: load_task(read_task_file(path), tmp_path, PROTOCOL).test for path in paths}
    assert {name: len(items) for name, items in posed.items()} == dict.fromkeys(
        ["lambada", "piqa", "copa", "openbook_qa", "arc_easy", "hellaswag"], 20
    )
    assert {name: {len(item.contexts) for item in items} for name, items in posed.items()} == {
        "lambada": {1}, "piqa": {2}, "copa": {2}, "openbook_qa": {4}, "arc_easy": {4}, "hellaswag": {4}
    }  # fmt: skip
    for name in ("piqa", "openbook_qa", "arc_easy"):
        assert all(item.contexts[0].startswith("Question: ") and item.contexts[0].endswith("\nAnswer:") for item in posed[name])
    assert all("[" not in text for item in posed["hellaswag"] for text in (*item.contexts, *item.continuations))
