"""Whatever a model is scored on is decontaminated against: found in dvc.yaml, so that no list of evaluation sets must be kept."""

from dataclasses import replace

import pytest

from tests.contract.test_graph import Stage, covers, stages

CURATION = "flows.stages.curate_corpus"
SCORING = ("flows.stages.finetune_model", "flows.stages.evaluate_model")


def made_from_the_corpus(graph: list[Stage]) -> set[str]:
    """Outputs of curation and of every stage after it."""
    made: set[str] = set()
    while True:
        after = {
            out
            for stage in graph
            if stage.module == CURATION or any(covers(out, dep) or covers(dep, out) for dep in stage.deps for out in made)
            for out in stage.outs
        }
        if after <= made:
            return made
        made |= after


def evaluation_sets(graph: list[Stage]) -> set[str]:
    """What the scoring stages read that is neither code nor made from the corpus."""
    read = {dep for stage in graph if stage.module in SCORING for dep in stage.deps}
    data = {dep for dep in read if not dep.startswith(("components/", "flows/"))}
    return data - made_from_the_corpus(graph)


def assert_walled_off(graph: list[Stage]) -> None:
    [curation] = [stage for stage in graph if stage.module == CURATION]
    given = {value for values in curation.options.values() for value in values}
    for path in sorted(evaluation_sets(graph)):
        assert path in curation.deps, f"curate_corpus: {path} is scored on; add it to deps in dvc.yaml"
        assert path in given, f"curate_corpus: {path} is scored on; pass it on the command line, to be decontaminated against"


def test_every_evaluation_set_of_the_graph_is_decontaminated_against() -> None:
    assert {stage.module for stage in stages()} >= {CURATION, *SCORING}
    assert evaluation_sets(stages()) == {"data/tasks"}
    assert_walled_off(stages())


def test_another_evaluation_set_would_be_found() -> None:
    more = [replace(stage, deps=stage.deps | {"data/more"}) if stage.module in SCORING else stage for stage in stages()]
    with pytest.raises(AssertionError, match="data/more is scored on; add it to deps"):
        assert_walled_off(more)


def test_one_that_curation_depends_on_but_is_not_given_would_be_found() -> None:
    torn = [replace(stage, options={}) if stage.module == CURATION else stage for stage in stages()]
    with pytest.raises(AssertionError, match="data/tasks is scored on; pass it"):
        assert_walled_off(torn)
