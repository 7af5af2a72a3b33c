"""Scores of labels against scikit-learn and SciPy, also where an answer never changes."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, matthews_corrcoef

from components.evaluation.label_scores import label_score
from components.finetuning.scores import Answers, answers_of, fitting_metrics, majority_answers, score, scored
from components.tasks.config import LabelMetric
from components.tasks.items import Classification, LabelledTask, MultipleChoice
from tests.configs import finetuning_config

CLASSES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30)


@settings(deadline=None, max_examples=50)  # the first call imports the libraries
@given(CLASSES)
def test_scores_of_classes_are_scikit_learn_s(pairs: list[tuple[int, int]]) -> None:
    predicted, right = np.array(pairs).T
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of one class only
        assert label_score("matthews", predicted, right) == pytest.approx(matthews_corrcoef(right, predicted), abs=1e-6)
        f1 = f1_score(right == 1, predicted == 1, zero_division=0)
        macro = f1_score(right, predicted, average="macro", zero_division=0)
    assert label_score("f1", predicted, right, positive=1) == pytest.approx(f1, abs=1e-6)
    assert label_score("f1_macro", predicted, right) == pytest.approx(macro, abs=1e-6)
    assert label_score("accuracy", predicted, right) == np.mean(predicted == right)


def test_an_answer_that_never_changes_correlates_with_nothing() -> None:
    right = [0, 1, 1, 1]
    for metric in ("matthews", "pearson", "spearman"):
        assert label_score(metric, [1, 1, 1, 1], right) == label_score(metric, right, [1, 1, 1, 1]) == 0.0  # type: ignore[arg-type]
    assert label_score("f1", [0, 0, 0, 0], right, positive=1) == 0.0
    with pytest.raises(ValueError, match="needs the number of the class"):
        label_score("f1", right, right)


def test_correlations() -> None:
    predicted, right = [0.1, 0.4, 0.2, 4.0], [1.0, 2.0, 1.5, 2.5]
    assert label_score("pearson", predicted, right) == pytest.approx(np.corrcoef(predicted, right)[0, 1])
    assert label_score("spearman", predicted, right) == pytest.approx(1.0)  # the same order


def task(labels: list[float], metric: LabelMetric, positive: str | None = None) -> LabelledTask:
    items = [Classification("a", label) for label in labels]
    names = tuple("012345") if metric in ("pearson", "spearman") else ("no", "yes")
    return LabelledTask("t", "classification", names, items, items, metric, positive)  # type: ignore[arg-type]


def test_the_expected_score_is_between_the_whole_numbers() -> None:
    logits = np.log(np.array([[0.5, 0.5, 1e-30, 1e-30, 1e-30, 1e-30], [1e-30, 1e-30, 1e-30, 1e-30, 0.25, 0.75]])) + 100
    answers = answers_of(task([0.0, 4.0], "pearson"), logits, np.array([0.0, 4.0]))
    assert answers.predicted_N == pytest.approx([0.5, 4.75])
    assert answers_of(task([0, 1], "accuracy"), logits, np.array([0, 1])).predicted_N.tolist() == [0, 5]


def test_the_majority_by_each_metric() -> None:
    for metric, expected in (("accuracy", 0.75), ("matthews", 0.0)):
        plain = task([0, 1, 1, 1], metric)  # type: ignore[arg-type]
        assert score(plain, plain.metric, majority_answers(plain)) == expected
    ones, zeros = task([0, 1, 1, 1], "f1", "yes"), task([0, 0, 0, 1], "f1", "yes")
    assert score(ones, "f1", majority_answers(ones)) == pytest.approx(2 * 3 / (2 * 3 + 1))
    assert score(zeros, "f1", majority_answers(zeros)) == 0.0
    assert score(task([1.0, 2.5], "pearson"), "pearson", majority_answers(task([1.0, 2.5], "pearson"))) == 0.0
    tie = LabelledTask("t", "classification", ("x", "y"), [Classification("a", i) for i in (1, 0)], [Classification("a", 0)])
    assert score(tie, "accuracy", majority_answers(tie)) == 1.0  # the smaller of two as frequent


def test_the_task_s_own_metric_comes_first_and_the_others_that_fit_after() -> None:
    choice = MultipleChoice("a", ("b", "c"), 0)
    assert fitting_metrics(LabelledTask("t", "multiple_choice", (), [choice], [choice])) == ["accuracy"]
    assert fitting_metrics(task([0, 1], "accuracy")) == ["accuracy", "matthews"]
    assert fitting_metrics(task([0, 1], "f1", "yes")) == ["f1", "accuracy", "matthews"]
    assert fitting_metrics(task([0, 1], "spearman")) == ["spearman", "pearson"]


@pytest.mark.parametrize(("metric", "positive"), [("accuracy", None), ("matthews", None), ("f1", "yes"), ("pearson", None)])
def test_an_interval_surrounds_the_score_and_depends_on_nothing_but_the_seed(metric: LabelMetric, positive: str | None) -> None:
    draw, config = np.random.default_rng(0), finetuning_config()
    right = draw.integers(2, size=200)
    predicted = np.where(draw.random(200) < 0.8, right, 1 - right)
    labels = [float(one) if metric == "pearson" else int(one) for one in right]
    found = scored(task(labels, metric, positive), Answers(predicted, right), config)
    assert found["low"] < found["score"] < found["high"] and found["high"] - found["low"] < 0.25
    assert found == scored(task(labels, metric, positive), Answers(predicted, right), config)
    if metric != "accuracy":  # which is exact
        other = scored(task(labels, metric, positive), Answers(predicted, right), config.model_copy(update={"data_seed": 1}))
        assert (found["score"], found["low"]) != (other["score"], other["low"])
