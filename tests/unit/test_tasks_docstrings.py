"""What is read off a docstring."""

from components.sources.documents import Document
from components.tasks.docstrings import Docstring, SeeAlso, see_also_entries

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


def test_a_document_is_taken_apart() -> None:
    meta = {"distribution": "scikit-learn", "module": "sklearn.base", "name": "fit", "kind": "method"}
    docstring = Docstring.of(Document("docs:scikit-learn/a.py::M.fit", "docs", f"sklearn.base.M.fit(X, y=None)\n\n{DOCSTRING}", meta))
    assert (docstring.library, docstring.package, docstring.name, docstring.kind) == ("scikit-learn", "sklearn", "fit", "method")
    assert (docstring.heading, docstring.dotted_name) == ("sklearn.base.M.fit(X, y=None)", "sklearn.base.M.fit")
    assert docstring.text == DOCSTRING
    assert docstring.summary == "Sum of array elements over a given axis."


def test_see_also_entries_with_roles_continuations_and_bare_names() -> None:
    assert see_also_entries(DOCSTRING) == [
        SeeAlso("ndarray.sum", "Equivalent method."),
        SeeAlso("numpy.cumsum", "Cumulative sum of array elements."),
        SeeAlso("mean, average", ""),
    ]


def test_a_see_also_section_may_end_the_docstring() -> None:
    assert see_also_entries("A.\n\nSee Also\n--------\nb : Other.") == [SeeAlso("b", "Other.")]


def test_a_docstring_without_the_section_has_no_entries() -> None:
    assert see_also_entries("See also the manual.") == []
