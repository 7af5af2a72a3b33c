"""A user's own file as a task, and every way in which its rows can be bad."""

from pathlib import Path
from typing import Any

import pytest

from components.errors import InputError
from components.tasks.config import OwnTaskConfig
from components.tasks.items import Classification, DraftTask, Entailment, FreeForm, MultipleChoice
from components.tasks.own import own_task

SST2 = Path("../shared/data/finetune/sst-2")


def make(
    path: Path,
    columns: dict[str, Any] | None = None,
    transformation: str = "classification",
    test: str | float = 0.25,
    **more: Any,
) -> DraftTask:
    values = {
        "transformation": transformation,
        "metric": "accuracy",
        "columns": columns or {"text": "review", "label": "stars"},
        "train": str(path),
        "test": test,
        "max_chars": 40,
        **more,
    }
    return own_task("mine", OwnTaskConfig.model_validate(values), seed=0)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_csv_with_quotes_line_breaks_and_a_byte_order_mark(tmp_path: Path) -> None:
    rows = "".join(f'"Good, ""very""\ngood {i}",5\nBad {i},1\n' for i in range(20))
    draft = make(write(tmp_path / "reviews.csv", f"\ufeffreview,stars\n{rows}"))
    assert draft.labels == ("1", "5")
    items = [row.item for row in draft.train + draft.test]
    assert len(items) == 40 and 4 <= len(draft.test) <= 16
    assert Classification('Good, "very"\ngood 3', 1) in items and Classification("Bad 3", 0) in items


def test_repeated_rows_stay_on_one_side(tmp_path: Path) -> None:
    rows = "".join(f"Text {i % 10},{i % 2}\n" for i in range(100))
    draft = make(write(tmp_path / "reviews.csv", f"review,stars\n{rows}"), test=0.4)
    train, test = ({row.item for row in part} for part in (draft.train, draft.test))
    assert train and test and train.isdisjoint(test)


def test_jsonl_with_a_file_of_its_own_for_testing(tmp_path: Path) -> None:
    train = write(
        tmp_path / "a.jsonl", '{"p": "It rains.", "h": "It is wet.", "y": true}\n\n{"p": "It rains.", "h": "It is dry.", "y": false}\n'
    )
    test = write(tmp_path / "b.jsonl", '{"p": "Snow falls.", "h": "It is cold.", "y": true, "more": 1}\n')
    draft = make(train, {"premise": "p", "hypothesis": "h", "label": "y"}, "entailment", str(test))
    assert draft.labels == ("False", "True")
    assert [row.item for row in draft.test] == [Entailment("Snow falls.", "It is cold.", 1)]
    assert draft.test[0].documents == (f"{test}: line 1",)


def test_tsv_takes_quotation_marks_as_text(tmp_path: Path) -> None:
    path = write(tmp_path / "copa.tsv", "why\ta\tb\tright\n" + 'The "man" fell.\tIce\tSun\t0\nShe ran.\tRest\t"Late\t1\n' * 10)
    draft = make(path, {"context": "why", "choices": ["a", "b"], "label": "right"}, "multiple_choice", 0.5)
    items = {row.item for row in draft.train + draft.test}
    assert items == {MultipleChoice('The "man" fell.', ("Ice", "Sun"), 0), MultipleChoice("She ran.", ("Rest", '"Late'), 1)}
    assert draft.labels == ()


def test_free_form(tmp_path: Path) -> None:
    rows = "".join(f'{{"q": "{i}?", "a": "{i}"}}\n' for i in range(10))
    draft = make(write(tmp_path / "a.jsonl", rows), {"context": "q", "completion": "a"}, "free_form")
    assert FreeForm("3?", "3") in [row.item for row in draft.train + draft.test]


def test_scores_and_the_class_that_counts(tmp_path: Path) -> None:
    rows = "".join(f"Text {i},{i / 2}\n" for i in range(11))
    draft = make(write(tmp_path / "a.csv", f"review,stars\n{rows}"), metric="spearman", scale=[0, 5])
    assert draft.labels == ("0", "1", "2", "3", "4", "5") and draft.task.is_scored
    assert {row.item for row in draft.train + draft.test} == {Classification(f"Text {i}", i / 2) for i in range(11)}
    draft = make(write(tmp_path / "b.csv", "review,stars\n" + "".join(f"Text {i},{i % 2}\n" for i in range(20))), metric="f1", positive="1")
    assert (draft.task.metric, draft.task.positive, draft.task.labels) == ("f1", "1", ("0", "1"))
    with pytest.raises(InputError, match=r"a\.csv: line 12: column 'stars' holds '5.0'; it must be a number from 0 to 4"):
        make(tmp_path / "a.csv", metric="spearman", scale=[0, 4])


GOOD = "review,stars\nFine,1\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", GOOD + ",2\n", r"a\.csv: line 3: column 'review' holds no text"),
        ("a.csv", GOOD + "Fine\n", r"a\.csv: line 3: no column 'stars'"),
        ("a.csv", GOOD + "Fine,1,2\n", r"a\.csv: line 3: more cells than the first line has columns"),
        ("a.csv", 'review,stars\n"Fine,1\n', r"a\.csv: line 2: unexpected end of data"),
        ("a.csv", "text,stars\nFine,1\n", r"a\.csv: line 2: no column 'review'; it has 'text', 'stars'"),
        ("a.csv", "review,stars\n", "tasks.own.mine has no train rows"),
        ("a.csv", GOOD * 1 + "Good,1\nSo so,1\nBetter,1\nBest,1\nWorst,1\n", r"column 'stars' holds one class only, '1'"),
        ("a.jsonl", '{"review": "Fine", "stars": 1}\n{"review": \n', r"a\.jsonl: line 2: not JSON"),
        ("a.jsonl", '{"review": "Fine", "stars": 1}\n[1, 2]\n', r"a\.jsonl: line 2: not an object"),
        ("a.jsonl", '{"review": ["Fine"], "stars": 1}\n', r"a\.jsonl: line 1: column 'review' holds no text"),
        ("a.jsonl", '{"review": null, "stars": 1}\n', r"a\.jsonl: line 1: no column 'review'"),
        ("a.jsonl", '{"review": "\\ud800", "stars": 1}\n', r"a\.jsonl: line 1: column 'review' holds half a character"),
        ("a.xml", "<a/>", r"a\.xml: of an unknown kind"),
    ],
)
def test_a_bad_row_is_named_by_file_line_and_column(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        make(write(tmp_path / name, text))
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_one_that_is_not_utf8_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.csv: cannot be read \(No such file or directory\)"):
        make(tmp_path / "gone.csv")
    (tmp_path / "latin.csv").write_bytes(b"review,stars\nFine,1\nCaf\xe9,2\n")
    with pytest.raises(InputError, match=r"latin\.csv: line 3: not UTF-8"):
        make(tmp_path / "latin.csv")


def test_a_label_that_is_no_choice_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "q,a,b,right\nWhy?,So,Thus,0\nHow?,So,Thus,2\n")
    test = write(tmp_path / "b.csv", "q,a,b,right\nWho?,So,Thus,0\n")
    with pytest.raises(InputError, match=r"line 3: column 'right' holds '2'; it must be the number of the right choice, 0 to 1"):
        make(path, {"context": "q", "choices": ["a", "b"], "label": "right"}, "multiple_choice", str(test))


def test_a_class_that_training_lacks_is_named(tmp_path: Path) -> None:
    train = write(tmp_path / "a.csv", "review,stars\nFine,5\nBad,1\n")
    test = write(tmp_path / "b.csv", "review,stars\nSo so,3\n")
    with pytest.raises(InputError, match=r"b\.csv: line 2: column 'stars' holds '3', which no training row does"):
        make(train, test=str(test))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": "review"}, "columns must name label, text for classification"),
        ({"text": ["review"], "label": "stars"}, "columns.text must be one column"),
    ],
)
def test_columns_that_do_not_fit_the_transformation(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=rf"tasks\.own\.mine\.{message}"):
        make(write(tmp_path / "a.csv", GOOD), columns)


@pytest.mark.shared_data
def test_a_published_file_of_sentences_becomes_a_task() -> None:
    if not SST2.exists():
        pytest.skip(f"{SST2} is not here")
    columns = {"text": "sentence", "label": "label"}
    header = (SST2 / "dev.tsv").read_text(encoding="utf-8").split("\n", 1)[0]
    assert set(columns.values()) <= set(header.split("\t"))
    draft = make(SST2 / "dev.tsv", columns, test=0.2)
    assert draft.labels == ("0", "1")
    assert len(draft.train) + len(draft.test) == len((SST2 / "dev.tsv").read_text(encoding="utf-8").splitlines()) - 1
