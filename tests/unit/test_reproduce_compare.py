"""What a comparison says, and the exit status that follows."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows import compare, reproduce

curves = st.dictionaries(
    st.text("ab", min_size=1, max_size=3), st.lists(st.tuples(st.integers(0, 9), st.floats()), min_size=1, unique_by=lambda p: p[0])
)


@given(curves)
def test_a_run_equals_itself(curve: dict[str, list[tuple[int, float]]]) -> None:
    assert {row.verdict for row in compare.metrics(curve, curve)} <= {"equal"}


@given(curves.filter(bool), st.data())
def test_one_other_point_is_found(curve: dict[str, list[tuple[int, float]]], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(curve)))
    place = data.draw(st.integers(0, len(curve[name]) - 1))
    step, value = curve[name][place]
    other = 0.0 if math.isnan(value) or value != 0 else 1.0
    torn = curve | {name: [*curve[name][:place], (step, other), *curve[name][place + 1 :]]}
    assert [row.name for row in compare.metrics(curve, torn) if row.verdict == "differs"] == [name]


def test_each_way_of_being_different_is_told() -> None:
    rows = list(compare.hashes("output", {"a": "1", "b": "2", "gone": "3"}, {"a": "1", "b": "9", "gone": "", "new": "4"}))
    assert [(row.name, row.verdict, row.detail) for row in rows] == [
        ("a", "equal", "1"),
        ("b", "differs", "2, now 9"),
        ("gone", "differs", "3, now not there"),
        ("new", "unchecked", "the run kept no hash of it"),
    ]
    metrics = compare.metrics({"loss": [(0, 2.0), (1, 1.0)], "old": [(0, 1.0)]}, {"loss": [(0, 2.0), (1, 1.5)], "new": [(0, 1.0)]})
    assert [(row.name, row.verdict, row.detail) for row in metrics] == [
        ("loss", "differs", "at step 1 1.0, now 1.5; 1 of 2 points"),
        ("new", "unchecked", "the run did not report it"),
        ("old", "differs", "no longer reported"),
    ]


def test_a_run_that_went_on_after_an_interruption_kept_the_end_of_its_curves() -> None:
    [row] = compare.metrics({"loss": [(5, 1.0), (6, 0.5)]}, {"loss": [(step, 6.0 - step) for step in range(5)] + [(5, 1.0), (6, 0.5)]})
    assert row.verdict == "equal"


@pytest.mark.parametrize(("verdicts", "status"), [(["equal"], 0), (["equal", "unchecked"], 3), (["unchecked", "differs"], 1), ([], 3)])
def test_the_exit_status(verdicts: list[compare.Verdict], status: int) -> None:
    assert reproduce.exit_status([compare.Row("output", "a", verdict, "") for verdict in verdicts]) == status
