"""Sources: what is read of installed distributions and of the user's files, and every way in which that can go wrong."""

import importlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter, ValidationError

from components.errors import InputError
from components.sources.config import DistributionDocstringsConfig, DistributionFilesConfig, SourceConfig
from components.sources.distribution_books import chapters
from components.sources.distribution_docstrings import documents_of, module_name
from components.sources.distribution_files import passages
from components.sources.documents import Document, Entry, Skipped
from components.sources.read import origins, read_source
from tests.configs import files_source

FILES = DistributionFilesConfig(
    kind="distribution_files",
    role="raw",
    suffixes=[".py", ".txt"],
    max_document_bytes=100,
    passage_chars=40,
    distributions=["fakelib"],
)
DOCSTRINGS = DistributionDocstringsConfig(kind="distribution_docstrings", role="reference", distributions=["fakelib"])


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, files: dict[str, bytes], recorded: tuple[str, ...] = ()) -> None:
    """A distribution as an installer leaves it, found first by importlib.metadata."""
    info = f"{name}-1.5.dist-info"
    files = {f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n".encode(), **files}
    for inside, content in files.items():
        path = folder / inside
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / info / "RECORD").write_text("".join(f"{inside},,\n" for inside in [*files, *recorded, "../../bin/fake.py"]))
    monkeypatch.syspath_prepend(str(folder))


def by_id(entries: list[Entry]) -> dict[str, Entry]:
    return {entry.id: entry for entry in entries}


def text_of(entry: Entry) -> str:
    assert isinstance(entry, Document)
    return entry.text


def test_files_become_passages_and_what_cannot_be_read_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(
        tmp_path,
        monkeypatch,
        "fakelib",
        {
            "fakelib/b.py": b"first = 1\n\nsecond = 2  # stays with the first\n\n\nthird = 'too long to fit beside the others'\n",
            "fakelib/a.txt": "gr\u00fc\u00dfe\n".encode(),
            "fakelib/large.py": b"x" * 101,
            "fakelib/latin.txt": "gr\u00fc\u00dfe".encode("latin-1"),
            "fakelib/data.bin": b"not wanted",
            "fakelib-1.5.dist-info/direct_url.txt": b"wanted",
        },
    )
    entries = list(read_source("crawl", FILES))
    assert [entry.id for entry in entries] == sorted(entry.id for entry in entries)
    found = by_id(entries)
    assert set(found) == {
        "crawl:fakelib/fakelib/a.txt::0001",
        "crawl:fakelib/fakelib/b.py::0001",
        "crawl:fakelib/fakelib/b.py::0002",
        "crawl:fakelib/fakelib/b.py::0003",
        "crawl:fakelib/fakelib/large.py",
        "crawl:fakelib/fakelib/latin.txt",
        "crawl:fakelib/fakelib-1.5.dist-info/direct_url.txt::0001",
    }
    assert text_of(found["crawl:fakelib/fakelib/a.txt::0001"]) == "gr\u00fc\u00dfe"
    assert found["crawl:fakelib/fakelib/large.py"] == Skipped("crawl:fakelib/fakelib/large.py", "crawl", "too_large")
    assert found["crawl:fakelib/fakelib/latin.txt"] == Skipped("crawl:fakelib/fakelib/latin.txt", "crawl", "not_utf8")
    assert origins("crawl", FILES) == [{"distribution": "fakelib", "version": "1.5", "files": 5}]


def test_installers_own_notes_are_not_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(
        tmp_path, monkeypatch, "fakelib", {"fakelib/a.json": b"[1]", "fakelib-1.5.dist-info/direct_url.json": b'{"url": "file:///home"}'}
    )
    config = FILES.model_copy(update={"suffixes": [".json"]})
    assert [entry.id for entry in read_source("crawl", config)] == ["crawl:fakelib/fakelib/a.json::0001"]


@pytest.mark.parametrize(
    ("text", "max_chars", "expected"),
    [
        ("a\n\nb\n\nc", 4, ["a\n\nb", "c"]),
        ("a\n \t\nb", 4, ["a\n\nb"]),
        ("longer than four\n\nb", 4, ["longer than four", "b"]),
        ("\n\n\na\n\n\n", 4, ["a"]),
        (" \n\n ", 4, []),
        ("    indented\n    twice", 100, ["    indented\n    twice"]),
    ],
)
def test_passages_are_cut_at_empty_lines(text: str, max_chars: int, expected: list[str]) -> None:
    assert passages(text, max_chars) == expected


def test_missing_distribution_is_named_with_its_source() -> None:
    config = FILES.model_copy(update={"distributions": ["no-such-thing"]})
    with pytest.raises(InputError, match=r"sources\.crawl: distribution 'no-such-thing' is not installed; add it to pyproject\.toml"):
        read_source("crawl", config)


def test_distribution_without_wanted_files_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "fakelib", {"fakelib/a.md": b"text"})
    with pytest.raises(InputError, match=r"'fakelib' holds no file ending in \.py, \.txt"):
        read_source("crawl", FILES)


def test_recorded_file_that_is_gone_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    importlib.import_module("importlib_metadata")  # as packages do; it changes what ``importlib.metadata`` finds
    install(tmp_path, monkeypatch, "fakelib", {}, recorded=("fakelib/gone.py",))
    with pytest.raises(InputError, match=r"fakelib lacks gone\.py, which its record names; install it again"):
        read_source("crawl", FILES)


def test_source_whose_every_file_is_skipped_is_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "fakelib", {"fakelib/a.txt": b"\xff\xfe"})
    with pytest.raises(InputError, match=r"sources\.crawl: holds no document"):
        read_source("crawl", FILES)


PYTHON = '''"""About the module."""
import this_is_never_imported

def solve(a, b=2, *rest, flag: bool = True, **options):
    """Solve it.

    Margin:
        Indented.
    """

class Model:
    "One quote is enough."

    def __init__(self, size, /, *, deep=False): ...

    def fit(self, x):
        """Fit."""
        def hidden():
            """Not reachable from outside."""

if True:
    def solve(a):
        """Solve it again."""
'''


def test_docstrings_say_what_they_document() -> None:
    found = by_id(documents_of("docs", "fakelib", "fakelib/solvers/_solve.py", PYTHON.encode()))
    place = "docs:fakelib/fakelib/solvers/_solve.py"
    assert {id.removeprefix(place): text_of(entry) for id, entry in found.items()} == {
        "::<module>": "fakelib.solvers\n\nAbout the module.",
        "::solve": "fakelib.solvers.solve(a, b=2, *rest, flag=True, **options)\n\nSolve it.\n\nMargin:\n    Indented.",
        "::Model": "fakelib.solvers.Model(size, *, deep=False)\n\nOne quote is enough.",
        "::Model.fit": "fakelib.solvers.Model.fit(x)\n\nFit.",
        "::solve@2": "fakelib.solvers.solve(a)\n\nSolve it again.",
    }
    method = found[f"{place}::Model.fit"]
    assert isinstance(method, Document)
    assert method.meta == {"distribution": "fakelib", "module": "fakelib.solvers._solve", "name": "fit", "kind": "method"}


def test_tests_are_left_out_and_broken_python_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    doc = b'"""Text."""'
    wanted = {"fakelib/good.py": doc, "fakelib/broken.py": b'"""Text.""" ('}
    unwanted = dict.fromkeys(("fakelib/tests/a.py", "fakelib/test_b.py", "fakelib/b_test.py", "fakelib/conftest.py"), doc)
    install(tmp_path, monkeypatch, "fakelib", {**wanted, **unwanted, "fakelib/no_docstring.py": b"x = '...'"})
    found = list(read_source("docs", DOCSTRINGS))
    assert [(entry.id, getattr(entry, "reason", "")) for entry in found] == [
        ("docs:fakelib/fakelib/broken.py", "not_python"),
        ("docs:fakelib/fakelib/good.py::<module>", ""),
    ]


def test_docstring_with_half_a_surrogate_pair_can_be_written() -> None:
    [entry] = documents_of("docs", "fakelib", "fakelib/a.py", b'"""Half: \\ud800."""')
    assert text_of(entry).encode("utf-8").endswith(b"Half: ?.")


def test_module_names() -> None:
    assert module_name("numpy/linalg/__init__.py") == "numpy.linalg"
    assert module_name("six.py") == "six"


BOOK = '''from pythonbible.versions import Version
bible = Bible(
    Version.FAKE,
    """Light[s] on.  A line of verse.\\nNext. Chapter two ( so).      Psalm 3     A song.Second book.""",
    {1001001: 0, 1001002: 31, 1002001: 37, 2001001: 80},
    {1001001: 30, 1001002: 36, 1002001: 80, 2001001: 92},
    {Book.GENESIS: {1: 2, 2: 1}, Book.EXODUS: {1: 1}},
    {Book.GENESIS: "Genesis", Book.EXODUS: "Exodus"},
    {Book.GENESIS: "Long", Book.EXODUS: "Long"},
    False,
)
'''


def test_books_are_cut_into_chapters_without_markup() -> None:
    assert list(chapters("sources.books: fake", BOOK)) == [
        (1001, "Genesis 1", "Lights on.\nA line of verse.\nNext."),
        (1002, "Genesis 2", "Chapter two (so)."),
        (2001, "Exodus 1", "Second book."),
    ]


@pytest.mark.parametrize("content", ["x = 1", "not python (", "bible = Bible(1, 2)", "bible = Bible(1, 't', {'a': 1}, {}, {}, {}, {})"])
def test_book_in_another_form_is_an_error(content: str) -> None:
    with pytest.raises(InputError, match=r"sources\.books: fake: not in the form of pythonbible's generated files"):
        list(chapters("sources.books: fake", content))


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "inputs"
    folder.mkdir()
    (folder / "README.md").write_text("how to use this folder")
    return folder


def test_own_files_of_every_kind(inputs: Path) -> None:
    (inputs / "a.txt").write_text("one \u00e9", encoding="utf-8")
    (inputs / "b.md").write_text("# two")
    (inputs / "c.jsonl").write_text('{"text": "three"}\n\n{"text": "four", "other": 1}\n')
    pq.write_table(pa.table({"text": ["five", "six"], "number": [1, 2]}), inputs / "d.parquet")
    (inputs / "e.txt").write_bytes(b"\xff")
    found = list(read_source("mine", files_source("inputs/*")))
    assert {entry.id: getattr(entry, "text", None) for entry in found} == {
        "mine:inputs/a.txt": "one \u00e9",
        "mine:inputs/b.md": "# two",
        "mine:inputs/c.jsonl::1": "three",
        "mine:inputs/c.jsonl::3": "four",
        "mine:inputs/d.parquet::1": "five",
        "mine:inputs/d.parquet::2": "six",
        "mine:inputs/e.txt": None,
    }
    assert origins("mine", files_source("inputs/*")) == [{"glob": "inputs/*", "files": 5}]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.jsonl",
            b'{"body": "x"}\n',
            r"sources\.mine: holds no document \(skipped: 1 no_text_field; the first is mine:inputs/a\.jsonl::1\)",
        ),
        ("a.parquet", b"PAR1 nonsense", r"holds no document \(skipped: 1 not_parquet; the first is mine:inputs/a\.parquet\)"),
        ("a.pdf", b"x", r"inputs/a\.pdf is none of \.txt, \.md, \.jsonl, \.parquet"),
    ],
)
def test_source_without_anything_to_read_is_one_line(inputs: Path, name: str, content: bytes, message: str) -> None:
    (inputs / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_source("mine", files_source(f"inputs/{name}"))
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("inputs")
def test_glob_that_matches_nothing_but_the_guide() -> None:
    with pytest.raises(InputError, match=r"sources\.mine: no file matches inputs/\*\.md; put text there or mend sources\.mine\.glob"):
        read_source("mine", files_source("inputs/*.md"))


@pytest.mark.parametrize("glob", ["/etc/*", "elsewhere/*.txt", "inputs/../secret.txt"])
def test_glob_stays_in_the_folder_that_dvc_watches(glob: str) -> None:
    with pytest.raises(ValidationError, match="must begin with inputs/"):
        files_source(glob)


def test_a_source_is_known_by_its_kind() -> None:
    adapter: TypeAdapter[SourceConfig] = TypeAdapter(SourceConfig)
    assert adapter.validate_python(FILES.model_dump()) == FILES
    with pytest.raises(ValidationError, match="does not match any of the expected tags"):
        adapter.validate_python({"kind": "web", "role": "raw"})
    with pytest.raises(ValidationError, match="'fake_lib' is named twice"):
        adapter.validate_python({**DOCSTRINGS.model_dump(), "distributions": ["Fake-Lib", "fake_lib"]})
