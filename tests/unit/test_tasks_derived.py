"""The tasks made from docstrings: right labels, nothing that gives them away, no document on both sides."""

import json
from collections import Counter
from pathlib import Path

import pytest

from components.curation.config import CurationConfig, DeduplicationConfig, QualityConfig
from components.curation.draws import is_reserved
from components.errors import InputError
from components.sources.documents import Document, Skipped
from components.tasks.derive import derive_tasks
from components.tasks.items import Classification, DraftTask, Entailment, MultipleChoice, Similarity, Sourced, TaskSet
from tests.unit.tasks_fakes import documents, tasks_config
from tests.unit.test_tasks_synthetic import WORDS

LABELLED = ("library", "summary_match", "see_also", "name_choice")


def curation(reserved_share: float = 0.9) -> CurationConfig:
    return CurationConfig.model_construct(
        seed=0,
        reserved_source="docs",
        reserved_share=reserved_share,
        quality=QualityConfig.model_construct(),
        deduplication=DeduplicationConfig.model_construct(),
    )


def corpus() -> list[Document]:
    """Docstrings, and one with words enough to scramble."""
    text = f"numpy.words\n\n{' '.join(WORDS)}\n\nThat was all."
    meta = {"distribution": "numpy", "module": "numpy", "name": "words", "kind": "module"}
    for i in range(100):
        document = Document(f"docs:numpy/words{i}.py::<module>", "docs", text, meta)
        if is_reserved(curation(), document.id):
            return [*documents(), document]
    raise AssertionError("no reserved id found")


@pytest.fixture(scope="module")
def drafts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DraftTask]:
    made = derive_tasks(corpus(), curation(), tasks_config(), tmp_path_factory.mktemp("derived") / "tasks")
    return {draft.name: draft for draft in made}


def rows(draft: DraftTask) -> list[Sourced]:
    return draft.train + draft.test


def original(document_id: str) -> Document:
    return next(document for document in corpus() if document.id == document_id)


@pytest.mark.parametrize("name", LABELLED)
def test_train_and_test_come_from_different_documents(drafts: dict[str, DraftTask], name: str) -> None:
    train, test = ({document for row in part for document in row.documents} for part in (drafts[name].train, drafts[name].test))
    assert train and test and train.isdisjoint(test)


@pytest.mark.parametrize("name", LABELLED)
def test_only_reserved_documents_are_used(drafts: dict[str, DraftTask], name: str) -> None:
    assert all(is_reserved(curation(), document) for row in rows(drafts[name]) for document in row.documents)


@pytest.mark.parametrize("name", LABELLED)
def test_items_are_as_many_as_asked_for_and_short_enough(drafts: dict[str, DraftTask], name: str) -> None:
    assert (len(drafts[name].train), len(drafts[name].test)) == (30, 10)
    for row in rows(drafts[name]):
        texts = [value for value in vars(row.item).values() if isinstance(value, str)]
        assert texts and all(0 < len(text) <= 120 for text in texts)


def test_library_masks_what_would_be_a_look_up(drafts: dict[str, DraftTask]) -> None:
    draft = drafts["library"]
    for row in rows(draft):
        assert isinstance(row.item, Classification)
        assert draft.labels[row.item.label] == original(row.documents[0]).meta["distribution"]
        assert not any(word in row.item.text for word in ("numpy", "scipy", "pandas", "np."))
    counts = Counter(row.item.label for row in draft.train)  # type: ignore[union-attr]
    assert max(counts.values()) - min(counts.values()) <= 1


def test_summary_match_says_whether_the_summary_is_that_of_the_name(drafts: dict[str, DraftTask]) -> None:
    draft = drafts["summary_match"]
    for row in rows(draft):
        assert isinstance(row.item, Entailment)
        named, summed_up = (original(document) for document in (row.documents[0], row.documents[-1]))
        assert named.text.startswith(f"{row.item.premise}(")
        assert row.item.hypothesis in summed_up.text
        assert (named == summed_up) == (row.item.label == draft.labels.index("own"))
        assert named == summed_up or named.meta["distribution"] != summed_up.meta["distribution"]


def test_see_also_says_whether_the_section_holds_the_line(drafts: dict[str, DraftTask]) -> None:
    draft = drafts["see_also"]
    for row in rows(draft):
        assert isinstance(row.item, Similarity)
        document = original(row.documents[0])
        name, _, summary = row.item.first.partition(" : ")
        assert document.text.startswith(f"{name}(") and summary in document.text
        assert (row.item.second in document.text) == (row.item.label == draft.labels.index("related"))


@pytest.mark.parametrize("name", ["summary_match", "see_also"])
def test_neither_text_alone_tells_the_label(drafts: dict[str, DraftTask], name: str) -> None:
    """Each text serves one item of either label, but where the wanted number cut a round in two."""
    for part in (drafts[name].train, drafts[name].test):
        assert Counter(row.item.label for row in part) == {0: len(part) // 2, 1: len(part) // 2}  # type: ignore[union-attr]
        for field in ("premise", "hypothesis") if name == "summary_match" else ("first", "second"):
            uses = Counter((getattr(row.item, field), row.item.label) for row in part)  # type: ignore[union-attr]
            assert set(uses.values()) == {1}
            assert sum((text, 1 - label) not in uses for text, label in uses) <= 2


def test_name_choice_offers_a_name_of_four_libraries_and_hides_the_right_one(drafts: dict[str, DraftTask]) -> None:
    for row in rows(drafts["name_choice"]):
        assert isinstance(row.item, MultipleChoice)
        document = original(row.documents[0])
        assert document.text.startswith(f"{row.item.choices[row.item.label]}(")
        assert document.meta["name"] not in row.item.context
        assert len({choice.partition(".")[0] for choice in row.item.choices}) == 4
    labels = Counter(row.item.label for row in rows(drafts["name_choice"]))  # type: ignore[union-attr]
    assert len(labels) == 4


def test_each_name_is_right_once_and_wrong_as_often_as_any_other(drafts: dict[str, DraftTask]) -> None:
    uses: dict[str, list[bool]] = {}
    for row in drafts["name_choice"].train:
        assert isinstance(row.item, MultipleChoice)
        for index, choice in enumerate(row.item.choices):
            uses.setdefault(choice, []).append(index == row.item.label)
    assert set(map(tuple, map(sorted, uses.values()))) == {(False, False, False, True)}


def test_the_folder_holds_what_was_made(tmp_path: Path) -> None:
    made = derive_tasks(corpus(), curation(), tasks_config(), tmp_path / "tasks")
    tasks = TaskSet(tmp_path / "tasks")
    assert tasks.names() == sorted(draft.name for draft in made)
    for draft in made:
        task = tasks.load(draft.name)
        assert (task.transformation, task.labels) == (draft.transformation, draft.labels)
        assert task.train == [row.item for row in draft.train]
        assert task.test == [row.item for row in draft.test]


def test_the_order_of_documents_changes_no_item(tmp_path: Path) -> None:
    derive_tasks(corpus(), curation(), tasks_config(), tmp_path / "one")
    derive_tasks(corpus()[::-1], curation(), tasks_config(), tmp_path / "two")
    for file in sorted((tmp_path / "one").iterdir()):
        assert file.read_bytes() == (tmp_path / "two" / file.name).read_bytes(), file.name


def test_another_seed_makes_other_items(tmp_path: Path) -> None:
    one, two = (derive_tasks(corpus(), curation(), tasks_config(seed=seed), tmp_path / str(seed)) for seed in (0, 1))
    assert all(a.train != b.train for a, b in zip(one, two, strict=True))


def test_a_repeated_docstring_serves_once(tmp_path: Path) -> None:
    twice = [Document(f"{d.id}@2", d.source, d.text, d.meta) for d in corpus()]
    made = derive_tasks(sorted(corpus() + twice, key=lambda d: d.id), curation(1.0), tasks_config(), tmp_path / "tasks")
    library = next(draft for draft in made if draft.name == "library")
    texts = [row.item.text for row in rows(library)]  # type: ignore[union-attr]
    assert len(set(texts)) == len(texts)


def test_skipped_entries_are_passed_over(tmp_path: Path) -> None:
    skipped = Skipped("docs:numpy/bad.py", "docs", "not_python")
    assert derive_tasks([skipped, *corpus()], curation(), tasks_config(), tmp_path / "tasks")


def test_too_few_documents_name_task_and_parameter(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tasks\.library\.train_items asks for 30, but .* task library only \d+; lower tasks"):
        derive_tasks(corpus()[:20], curation(), tasks_config(), tmp_path / "tasks")
    assert not (tmp_path / "tasks").exists()


def test_a_source_without_docstrings_is_named(tmp_path: Path) -> None:
    books = [Document(f"docs:bible/{i}", "docs", "In the beginning", {"work": "genesis"}) for i in range(20)]
    with pytest.raises(InputError, match=r"curation\.reserved_source docs: choose one of kind distribution_docstrings"):
        derive_tasks(books, curation(), tasks_config(), tmp_path / "tasks")


def test_a_damaged_or_unknown_task_is_named(tmp_path: Path) -> None:
    derive_tasks(corpus(), curation(), tasks_config(), tmp_path / "tasks")
    tasks = TaskSet(tmp_path / "tasks")
    with pytest.raises(InputError, match="no task 'colour' there; choose one of anagrams1"):
        tasks.load("colour")
    file = tmp_path / "tasks" / "library.jsonl"
    file.write_text(file.read_text().replace(json.dumps("train"), json.dumps("test"), 1))
    with pytest.raises(InputError, match=r"library\.jsonl: missing or corrupt"):
        tasks.load("library")
