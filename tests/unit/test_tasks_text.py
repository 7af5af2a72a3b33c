"""What is read off a docstring."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.tasks.text import SeeAlso, cut, masked, see_also_entries, split_summary, without_see_also

DOCSTRING = """Sum of array elements
over a given axis.

Parameters
----------
a : array_like
    Elements to sum.

See Also
--------
ndarray.sum : Equivalent method.
:func:`~numpy.cumsum`: Cumulative sum
    of array elements.
mean, average

Notes
-----
Arithmetic is modular."""


def test_summary_is_the_first_paragraph_on_one_line() -> None:
    summary, body = split_summary(DOCSTRING)
    assert summary == "Sum of array elements over a given axis."
    assert body.startswith("Parameters\n")


def test_see_also_entries_with_roles_continuations_and_bare_names() -> None:
    assert see_also_entries(DOCSTRING) == [
        SeeAlso("ndarray.sum", "Equivalent method."),
        SeeAlso("numpy.cumsum", "Cumulative sum of array elements."),
        SeeAlso("mean, average", ""),
    ]


def test_only_the_see_also_section_goes() -> None:
    rest = without_see_also(DOCSTRING)
    assert "cumsum" not in rest and "See Also" not in rest
    assert "Elements to sum." in rest and rest.endswith("Notes\n-----\nArithmetic is modular.")


def test_a_see_also_section_at_the_end_goes_too() -> None:
    assert without_see_also("A.\n\nSee Also\n--------\nb : Other.") == "A.\n\n"


def test_a_docstring_without_the_section_is_left_alone() -> None:
    assert see_also_entries("See also the manual.") == []
    assert without_see_also("See also the manual.") == "See also the manual."


@pytest.mark.parametrize(
    ("text", "max_chars", "expected"),
    [
        ("one two three", 13, "one two three"),
        ("one two three", 12, "one two"),
        ("one two three", 7, "one two"),
        ("one two three", 3, "one"),
        ("indivisible", 5, "indiv"),
        ("one\n\ntwo", 6, "one"),
    ],
)
def test_cut_ends_between_words(text: str, max_chars: int, expected: str) -> None:
    assert cut(text, max_chars) == expected


@given(st.text(), st.integers(min_value=1, max_value=50))
def test_cut_is_a_short_prefix(text: str, max_chars: int) -> None:
    result = cut(text, max_chars)
    assert len(result) <= max_chars
    assert text.strip().startswith(result)


def test_masked_takes_whole_runs_of_letters_only() -> None:
    text = "NumPy's np.array, np_array, from_numpy2 and input in numpydoc"
    assert masked(text, ["np", "numpy"], "_") == "_'s _.array, __array, from__2 and input in numpydoc"
