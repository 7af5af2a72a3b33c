"""The shipped task files against what is known of the data sets that they name: splits, columns, classes, and a row of that shape,
read by the library from a folder laid out as on the Hub."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pytest
from jinja2 import nodes

from components.evaluation.rows import Place, pose
from components.evaluation.rows import _environment as environment
from components.evaluation.task_data import labelled_task, load_task
from components.evaluation.task_file import TaskFile
from flows.params import read_yaml
from flows.schema import check
from flows.task_files import read_task_file

PROTOCOL = check().protocol
KNOWN: dict[str, Any] = read_yaml(Path(__file__).with_name("hub_columns.yaml"))
ON_THE_HUB = [path for path in sorted(Path("tasks").rglob("*.yaml")) if read_task_file(path).hub]
TEMPLATES, EXPRESSIONS = ("context", "continuation"), ("turns", "choices", "label", "answers", "keep", "begins")
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
    "nyu-mll/glue stsb": {"label": 2.5},
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


def row_of(name: str) -> dict[str, Any]:
    """Of a data set by its name and configuration."""
    values = {column: made_up(kind) for column, kind in KNOWN[name]["columns"].items()}
    return values | ROWS.get(name.partition(" ")[0], {}) | ROWS.get(name, {})


def names_read(task: TaskFile) -> Iterator[tuple[str, ...]]:
    """Columns, and columns of columns, that the file's templates and expressions name."""
    expressions = [getattr(task, key) for key in EXPRESSIONS] + list((task.finetuning.fields if task.finetuning else {}).values())
    sources = [getattr(task, key) for key in TEMPLATES] + [f"{{{{ {one} }}}}" for one in expressions if one]
    for source in sources:
        tree = environment().parse(source)
        local = {"choice", "loop", "turn"} | {node.name for node in tree.find_all(nodes.Name) if node.ctx == "store"}
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


OTHER_CLASS = {"class": 0, "gold_label": "entailment"}


def classes(facts: dict[str, Any]) -> dict[str, str]:
    """Columns that name a class -> how to name another one."""
    named = {column: "class" for column, kind in facts["columns"].items() if str(kind).startswith("class of")}
    return named | {column: column for column in facts["columns"] if column in OTHER_CLASS}


def feature(kind: Any, value: Any) -> Any:
    """Of a column, as the library types it."""
    if isinstance(kind, dict):
        return {name: feature(inner, value[name]) for name, inner in kind.items()}
    if isinstance(kind, list):
        return datasets.List(feature(kind[0], value[0]))
    if kind.startswith("class of"):
        return datasets.ClassLabel(int(kind.removeprefix("class of ")))
    return datasets.Value("string" if kind == "text" else "float32" if isinstance(value, float) else "int64")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Every data set as the Hub lays them out: a card that names the files of each configuration's splits, Parquet with typed columns."""
    root = tmp_path_factory.mktemp("hub")
    cards: dict[str, list[str]] = {}
    for name, facts in KNOWN.items():
        path, _, configuration = name.partition(" ")
        row = row_of(name)
        columns = datasets.Features({column: feature(kind, row[column]) for column, kind in facts["columns"].items()})
        folder = configuration or "data"
        (root / path / folder).mkdir(parents=True)
        files = [f"  - split: {split}\n    path: {folder}/{split}-*\n" for split in facts["splits"]]
        cards.setdefault(path, []).append(f"- config_name: {configuration or 'default'}\n  data_files:\n{''.join(files)}")
        for split in facts["splits"]:
            rows = [row, row | {column: OTHER_CLASS.get(kind, row[column]) for column, kind in classes(facts).items()}]
            datasets.Dataset.from_list(rows[: 1 + split.startswith("train")], columns).to_parquet(
                root / path / folder / f"{split}-00000-of-00001.parquet"
            )
    for path, configurations in cards.items():
        (root / path / "README.md").write_text(f"---\nconfigs:\n{''.join(configurations)}---\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", root / "cache")
        yield root


@pytest.mark.parametrize("path", ON_THE_HUB, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_row_read_from_a_folder_like_the_hub_s_becomes_an_item(path: Path, hub: Path) -> None:
    task = read_task_file(path)
    loaded = load_task(task, hub, PROTOCOL)
    assert len(loaded.test) == (2 if task.turns else 1) and loaded.train
    label = known(task)["columns"].get(task.label or "", "")
    if str(label).startswith("class of"):
        assert (len(loaded.test[0].contexts), loaded.test[0].right) == (int(label.removeprefix("class of ")), 1)
    if task.finetuning is not None:
        assert len(labelled_task(task, hub, 0).draft.test) == 1


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
