"""Shortening and masking of texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.tasks.text import cut, masked


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
