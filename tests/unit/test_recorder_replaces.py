"""Which earlier runs of a cell a run takes the place of; with a real store: tests/pipeline/test_study_end_to_end.py."""

from types import SimpleNamespace
from typing import Any

import pytest

from flows.recorder import REPLACED_TAG, Recorder
from flows.tracking import COMMAND_TAG, EXPERIMENT_TAG, WORKSPACE_TAG

TAGS = {"cell": "train@0", WORKSPACE_TAG: "host:/here", "data.data/tokens": "1"}
OUTS = {"out.data/model": "2"}


def run(run_id: str, params: dict[str, str] | None = None, **tags: str | None) -> Any:
    known = {name: value for name, value in {**TAGS, **tags}.items() if value is not None}
    return SimpleNamespace(
        info=SimpleNamespace(run_id=run_id, experiment_id="7"), data=SimpleNamespace(tags=known, params=params or {"seed": "0"})
    )


class Store:
    def __init__(self, own: Any, *others: Any) -> None:
        self.own, self.others, self.removed = own, others, dict[str, str]()

    def get_run(self, run_id: str) -> Any:
        return self.own

    def search_runs(self, experiments: list[str], where: str) -> Any:
        assert where == "attributes.status = 'FINISHED' AND tags.cell = \"train@0\""
        return self.others

    def set_tag(self, run_id: str, name: str, value: str) -> None:
        assert name == REPLACED_TAG
        self.removed[run_id] = value

    def delete_run(self, run_id: str) -> None:
        assert run_id in self.removed


def removed(own: Any, other: Any, had: dict[str, str]) -> bool:
    store, recorder = Store(own, other), Recorder.__new__(Recorder)
    vars(recorder).update(_client=store, _had=had, run_id="own")
    recorder._replace_those_not_taken()
    assert store.removed in ({}, {"other": "own"})
    return bool(store.removed)


def test_a_run_whose_outputs_dvc_did_not_have_is_replaced_by_the_same_again() -> None:
    assert removed(run("own"), run("other", **OUTS), had={})
    assert removed(run("own"), run("other", **OUTS), had={"data/model": "of other parameters"})
    assert not removed(run("own"), run("other", **OUTS), had={"data/model": "2"})  # dvc repro --force


@pytest.mark.parametrize(
    "tags",
    [
        {WORKSPACE_TAG: "host:/there"},
        {WORKSPACE_TAG: None},  # made of a lock
        {EXPERIMENT_TAG: "hot-tea"},
        {COMMAND_TAG: "-m flows.stages.pretrain_model"},
        {"data.data/tokens": "other"},
    ],
    ids=["another folder", "no folder", "an experiment", "by hand", "another input"],
)
def test_what_was_made_of_something_else_stays(tags: dict[str, str | None]) -> None:
    assert not removed(run("own"), run("other", **OUTS, **tags), had={})
    assert not removed(run("own", **tags), run("other", **OUTS), had={})


def test_other_parameters_are_another_result_and_runs_by_hand_replace_nothing() -> None:
    assert not removed(run("own"), run("other", {"seed": "1"}, **OUTS), had={})
    by_hand = {COMMAND_TAG: "-m flows.stages.pretrain_model"}
    assert not removed(run("own", **by_hand), run("other", **OUTS, **by_hand), had={})
