"""The shipped task files against what is known of the data sets that they name: splits, columns, classes, and a row of that shape."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jinja2 import nodes

from components.evaluation.rows import Place, evaluate, pose
from components.evaluation.rows import _environment as environment
from components.evaluation.task_file import TaskFile
from flows.params import read_yaml
from flows.task_files import read_task_file

KNOWN: dict[str, Any] = read_yaml(Path(__file__).with_name("hub_columns.yaml"))
ON_THE_HUB = [path for path in sorted(Path("tasks").rglob("*.yaml")) if read_task_file(path).hub]
TEMPLATES, EXPRESSIONS = ("context", "continuation"), ("choices", "label", "answers", "keep", "begins")
# Values that hang together; all others follow from the type.
ROWS: dict[str, dict[str, Any]] = {
    "allenai/ai2_arc": {"choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "B"},
    "allenai/openbookqa": {"choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "B"},
    "allenai/scitail": {"gold_label": "neutral"},
    "allenai/winogrande": {"sentence": "The dog saw the cat, so the _ fled.", "answer": "2"},
    "aps/super_glue record": {"query": "We saw @placeholder there.", "entities": ["Ann", "Bob"], "answers": ["Bob"]},
    "cam-cst/cbt": {"question": "`` Oh , '' said XXXXX .", "options": ["Ann", "Bob"], "answer": "Bob"},
    "ehovy/race": {"options": ["a", "b", "c", "d"], "answer": "C"},
    "Rowan/hellaswag": {"label": "1", "endings": ["a", "b", "c", "d"]},
    "EleutherAI/lambada_openai": {"text": "She took the last word"},
}


def known(task: TaskFile) -> dict[str, Any]:
    assert task.hub is not None
    found: dict[str, Any] = KNOWN[" ".join(filter(None, (task.hub.path, task.hub.name)))]
    return found


def made_up(kind: Any) -> Any:
    """A value of a type."""
    if isinstance(kind, dict):
        return {name: made_up(inner) for name, inner in kind.items()}
    if isinstance(kind, list):
        return [made_up(kind[0]), made_up(kind[0])]
    return "some words" if kind == "text" else 1


def row_of(task: TaskFile) -> dict[str, Any]:
    assert task.hub is not None
    values = {name: made_up(kind) for name, kind in known(task)["columns"].items()}
    for name in (task.hub.path, f"{task.hub.path} {task.hub.name}"):
        values |= ROWS.get(name, {})
    return values


def names_read(task: TaskFile) -> Iterator[tuple[str, ...]]:
    """Columns, and columns of columns, that the file's templates and expressions name."""
    expressions = [getattr(task, key) for key in EXPRESSIONS] + list((task.finetuning.fields if task.finetuning else {}).values())
    sources = [getattr(task, key) for key in TEMPLATES] + [f"{{{{ {one} }}}}" for one in expressions if one]
    for source in sources:
        tree = environment().parse(source)
        local = {"choice", "loop"} | {node.name for node in tree.find_all(nodes.Name) if node.ctx == "store"}
        yield from ((node.name,) for node in tree.find_all(nodes.Name) if node.name not in local)
        yield from (
            (node.node.name, node.attr)
            for node in tree.find_all(nodes.Getattr)
            if isinstance(node.node, nodes.Name) and node.node.name not in local
        )


@pytest.mark.parametrize("path", ON_THE_HUB, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_splits_and_columns_are_those_of_the_data_set(path: Path) -> None:
    task = read_task_file(path)
    assert task.hub is not None
    assert {task.hub.test, task.hub.train} - {None} <= set(known(task)["splits"])
    columns = known(task)["columns"]
    for first, *inner in names_read(task):
        assert first in columns
        if inner and isinstance(columns[first], dict):
            assert inner[0] in columns[first]
        elif inner:
            assert inner[0] in dir(list if isinstance(columns[first], list) else str)  # a method


@pytest.mark.parametrize("path", ON_THE_HUB, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_row_of_that_shape_becomes_an_item(path: Path) -> None:
    task = read_task_file(path)
    place = Place("row 1", row_of(task))
    posed = pose(task, place)
    label = known(task)["columns"].get(task.label or "", "")
    if str(label).startswith("class of"):
        assert len(posed.contexts) == int(label.removeprefix("class of "))
        assert posed.right == 1
    for field, expression in (task.finetuning.fields if task.finetuning else {}).items():
        assert evaluate(task, field, expression, place) not in ("", None)


def test_all_hub_tasks_are_known_and_nothing_else() -> None:
    assert len(ON_THE_HUB) > 40
    assert {" ".join(filter(None, (hub.path, hub.name))) for path in ON_THE_HUB if (hub := read_task_file(path).hub)} == set(KNOWN)


def test_a_wrong_column_or_split_would_be_found() -> None:
    wrong = read_task_file(Path("tasks/gpt3/quac.yaml")).model_copy(update={"answers": "answers.text[0]"})
    assert ("answers", "text") in set(names_read(wrong))
    assert "text" not in known(wrong)["columns"]["answers"]


def test_cbt_reads_as_text_again() -> None:
    """The example of the data set's card, in parts."""
    row = {
        "sentences": [
            "`` You have asked all the right people , my dear ? ''",
            "said the king -LRB- for the king 's aunts did n't care -RRB- .",
        ],
        "question": "`` They are very kind , '' XXXXX the king ; `` and nice to me . ''",
        "options": ["hear", "said"],
        "answer": "said",
    }
    posed = pose(read_task_file(Path("tasks/gpt2/cbt_cn.yaml")), Place("row 1", row))
    before = '"You have asked all the right people, my dear?" said the king (for the king\'s aunts didn\'t care). "They are very kind,"'
    assert posed.contexts == (before, before)
    assert posed.continuations == (' hear the king; "and nice to me."', ' said the king; "and nice to me."')
