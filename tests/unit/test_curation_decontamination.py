"""Windows and pieces, what a word is, what is ignored, and what becomes of a document that is cut."""

import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from components.curation import decontamination
from components.curation.config import DecontaminationConfig
from components.curation.corpus import build_corpus
from components.curation.decontamination import cut_windows, kept_pieces
from components.errors import InputError
from components.sources.documents import Document
from components.tasks.evaluated import evaluation_texts, texts_of
from components.tasks.items import Classification, DraftTask, Entailment, FreeForm, MultipleChoice, Similarity, Sourced, TaskSet, save_tasks
from tests.configs import files_source
from tests.curated import Curated, curate
from tests.reference.cuts import Cut, decontaminate
from tests.unit.test_curation import EVEN, ROLES, config, document, prose

CONFIG = DecontaminationConfig(ngram_words=3, window_chars=0, min_piece_chars=1, max_pieces=10, max_documents_per_ngram=10)


def cut(text: str, *evaluated: str, **changes: int) -> list[str] | None:
    """The pieces that are left of a document; None if nothing is cut."""
    cuts, _ = decontaminate([text], evaluated, CONFIG.model_copy(update=changes))
    return [text[begin:end] for begin, end in cuts[0].pieces] if cuts else None


@pytest.mark.parametrize(
    "written",
    [
        "the quick fox",
        "THE Quick fOX",
        "the\n\tquick\u00a0 \u2003fox",
        "(the) 'quick', fox!",
        "\u201cthe quick \u2014 fox\u2026\u201d",
        "the qu-ick f_o_x",
    ],
)
def test_case_space_and_punctuation_hide_nothing(written: str) -> None:
    assert cut(f"before it {written} after it", "The quick, fox.") == ["before it ", " after it"]


@pytest.mark.parametrize(
    ("evaluated", "written"),
    [
        ("\u0130stanbul bir \u015eehir", "i\u0307stanbul B\u0130R \u015fehir"),  # dotted capital I: two characters in lower case
        ("istanbul bir \u015fehir", "\u0130stanbul bir \u015eehir"),
        ("\u039f\u0394\u039f\u03a3 \u1f48\u03b4\u03cc\u03c2 x", "\u03bf\u03b4\u03bf\u03c2 \u1f40\u03b4\u03cc\u03c3 X"),  # final sigma
        ("stra\u00dfe gro\u00df x", "stra\u1e9ee GRO\u1e9e x"),
        ("\uff21 b c", "\uff41 b c"),  # three bytes, all of whose bits count
        ("\U00010400a b c", "\U00010428A b c"),  # four bytes
        ("\u65e5\u672c \U00020000 \u8a9e", "\u65e5\u672c\u3002 \U00020000 \u300c\u8a9e\u300d"),
    ],
)
def test_unicode_case_and_places_in_the_text_as_it_was_given(evaluated: str, written: str) -> None:
    before, after = "\u0130\u0130 \u00df\U0001f600 e\u0301\u0327 ", " \u0130 \ufb01n\u00e9"
    assert cut(f"{before}{written}{after}", evaluated) == [before, after]
    assert cut(f"{before}{written}{after}", f"{evaluated}x") is None


def test_other_words_are_no_hit() -> None:
    assert cut("the quick brown fox", "the quick fox", "quick fox the") is None
    assert cut("the quic\u0301k fox", "the quick fox") is None  # an accent makes another word
    assert cut("thequick fox jumps", "the quick fox") is None


def test_what_is_only_punctuation_is_no_word() -> None:
    assert cut("a - b -- c", "a b c") == []
    assert cut("- - - - -", "- - -") is None


def test_texts_shorter_than_an_ngram_give_none_and_are_counted() -> None:
    cuts, measured = decontaminate(["a b c d", "a b"], ["a b", "a b", "", "x y z w"], CONFIG)
    assert not cuts
    assert measured == {
        "evaluation_texts": 3,
        "short_texts": 2,
        "ngrams": 2,
        "ignored_ngrams": 0,
        "documents_cut": 0,
        "documents_dropped": 0,
        "windows": 0,
    }


@pytest.mark.parametrize(("documents", "evaluated"), [([], ["a b c"]), ([""], ["a b c"]), (["a b c"], []), (["", "\n", "a"], [""])])
def test_nothing_to_find(documents: list[str], evaluated: list[str]) -> None:
    assert decontaminate(documents, evaluated, CONFIG)[0] == []


def test_windows_reach_out_to_white_space_and_touching_ones_are_one() -> None:
    text = "aaaa bbbb cccc dddd eeee ffff gggg"
    assert cut_windows(text, [(15, 19)], 0) == [(15, 19)]
    assert cut_windows(text, [(15, 19)], 2) == [(10, 24)]
    assert cut_windows(text, [(15, 19), (5, 9)], 3) == [(0, 24)]
    assert cut_windows(text, [(0, 4), (30, 34)], 200) == [(0, 34)]
    assert cut_windows(text, [(0, 4), (5, 9)], 0) == [(0, 4), (5, 9)]
    assert cut_windows("aaaa    bbbb", [(0, 4), (8, 12)], 2) == [(0, 12)]


def test_short_pieces_are_dropped_and_many_pieces_drop_the_document() -> None:
    rules = CONFIG.model_copy(update={"min_piece_chars": 5, "max_pieces": 3})
    assert kept_pieces(20, [(4, 10)], rules) == [(10, 20)]
    assert kept_pieces(20, [(0, 15)], rules) == [(15, 20)]
    assert kept_pieces(20, [(0, 20)], rules) == []
    assert kept_pieces(40, [(10, 15), (30, 32)], rules) == [(0, 10), (15, 30), (32, 40)]
    assert kept_pieces(40, [(10, 15), (17, 20), (30, 32)], rules) == []  # four, though one is short


def test_ngrams_of_many_documents_are_ignored() -> None:
    licence, leak = "as is without warranty", "the answer is forty"
    documents = [f"{number}{number} {licence}" for number in range(4)] + [f"{leak} {leak} {leak}"]
    cuts, measured = decontaminate(documents, [licence, leak], CONFIG.model_copy(update={"max_documents_per_ngram": 3}))
    assert [c.document for c in cuts] == [4]
    assert (measured["ngrams"], measured["ignored_ngrams"]) == (4, 2)
    cuts, measured = decontaminate(documents, [licence, leak], CONFIG.model_copy(update={"max_documents_per_ngram": 4}))
    assert [c.document for c in cuts] == [0, 1, 2, 3, 4] and measured["ignored_ngrams"] == 0


def test_documents_beyond_one_batch_keep_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = [f"{'x ' * number}a b c" if number % 3 == 0 else "x y z" for number in range(10)]
    whole = decontaminate(documents, ["a b c"], CONFIG)
    monkeypatch.setattr(decontamination, "SCANNED_AT_ONCE", 4)
    assert decontaminate(documents, ["a b c"], CONFIG) == whole
    assert whole[0][1] == Cut(3, [(6, 11)], [(0, 6)])


LEAK = "what must never be trained on because it is asked"


def leaky() -> list[Document]:
    own = [document("books", f"b{i:02}", prose(i, "book")) for i in range(30)]
    halves = prose(90, "book"), prose(91, "book")
    own.append(document("books", "cut", f"{halves[0]} {LEAK.upper()} {halves[1]}", work="w"))
    own.append(document("books", "gone", f"{'x' * 9} {LEAK} {'y' * 25}"))
    own.append(document("books", "many", " ".join(f"{LEAK} {prose(i, 'book')}" for i in range(92, 96))))
    return own


def leaky_curation(entries: list[Document] | None = None, **changes: object) -> Curated:
    rules = config().decontamination.model_copy(update={"max_documents_per_ngram": 3})
    return curate(entries or leaky(), ROLES, config(**{"decontamination": rules} | changes), [LEAK])


@pytest.fixture(scope="module")
def usual() -> Curated:
    return leaky_curation()


def test_a_cut_document_is_one_row_of_the_fate_and_several_of_the_corpus(usual: Curated) -> None:
    assert len(usual.fate) == 33 and usual.dropped("contaminated") == {"books:gone", "books:many"}
    row = usual.row("books:cut")
    [window] = row["cut_windows"]
    text = next(entry.text for entry in leaky() if entry.id == "books:cut")
    pieces = {part["id"]: part for part in usual.documents if part["id"].startswith("books:cut")}
    assert list(pieces) == ["books:cut#p1", "books:cut#p2"] and row["pieces"] == 2 and row["kept"] and row["rule"] == ""
    assert [pieces[id]["text"] for id in pieces] == [text[: window["begin"]], text[window["end"] :]]
    assert LEAK.upper() in text[window["begin"] : window["end"]] and len(text) == row["chars"]
    assert {part["split"] for part in pieces.values()} == {row["split"]}
    assert len(usual.row("books:gone")["cut_windows"]) == 1 and len(usual.row("books:many")["cut_windows"]) == 4
    order = [(part["source"], part["id"]) for part in usual.documents]
    assert order == sorted(order) and sum(row["pieces"] for row in usual.fate) == len(usual.documents) == 32
    assert all(row["pieces"] == row["kept"] and row["cut_windows"] == [] for row in usual.fate if row["id"][6] == "b")


def test_counts_add_up_after_cuts(usual: Curated) -> None:
    counts = usual.metrics
    assert counts["documents"] == {"read": 33, "kept": 31, "dropped": 2} and counts["rules"] == {"contaminated": 2}
    kept = [part["text"] for part in usual.documents]
    assert counts["sources"]["books"]["chars_kept"] == sum(map(len, kept)) < counts["sources"]["books"]["chars_read"]
    assert not any(LEAK in text.lower() for text in kept)


def test_held_out_documents_are_cut_too() -> None:
    row = leaky_curation(held_out_share=0.999999).row("books:cut")
    assert row["split"] == "held_out" and row["pieces"] == 2


def test_duplicates_are_found_by_whole_texts_before_the_cut() -> None:
    twin = document("books", "twin", next(entry.text for entry in leaky() if entry.id == "books:cut"))
    found = leaky_curation([*leaky(), twin], decontamination=config().decontamination)
    row = found.row("books:twin")
    assert row["rule"] == "exact_duplicate" and row["cut_windows"] == []
    assert found.metrics["decontamination"]["ignored_ngrams"] == 5  # the twin not counted, three documents are more than two


def test_an_id_that_looks_like_a_piece() -> None:
    posing = document("books", "cut#p1", prose(99, "book"))
    with pytest.raises(InputError, match=r"^books:cut#p1: .* rename"):
        leaky_curation([*leaky(), posing])


def test_built_corpus_holds_no_evaluation_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "noise"):
        (tmp_path / "inputs" / name).mkdir(parents=True)
        for i in range(5):
            (tmp_path / "inputs" / name / f"{i}.txt").write_text(f"{prose(i, name)} {LEAK if i == 0 else ''} {prose(i + 50, name)}")
    sources = {name: files_source(f"inputs/{name}/*.txt") for name in ("mine", "noise")}
    lines: list[str] = []
    metrics = build_corpus(sources, [LEAK], config(reserved_source="mine", reserved_share=0.0), EVEN, tmp_path / "corpus", lines.append)
    assert metrics["decontamination"]["documents_cut"] == 2 and metrics["documents"]["kept"] == 10
    assert lines[-1] == "cut 2 documents, dropped 0, for evaluation sets"
    texts = pq.read_table(tmp_path / "corpus" / "documents.parquet")["text"].to_pylist()
    assert len(texts) == 12 and not any(LEAK in text for text in texts)


def test_texts_of_items_are_those_that_a_document_would_hold() -> None:
    assert texts_of(Classification("a text", 0)) == ("a text",)
    assert texts_of(Entailment("p", "h", 1)) == ("p", "h")
    assert texts_of(Similarity("f", "s", 1)) == ("f", "s")
    assert texts_of(MultipleChoice("goes", ("on", "off"), 1)) == ("goes on", "goes off")
    assert texts_of(FreeForm("\n\nQ: 1 plus 1?\n\nA:", " 2")) == ("\n\nQ: 1 plus 1?\n\nA: 2",)


def test_every_task_in_the_folder_is_an_evaluation_set_by_its_test_items(tmp_path: Path) -> None:
    drafts = [
        DraftTask("own", "classification", ("a", "b"), [Sourced(Classification("seen", 0), ())], [Sourced(Classification("asked", 1), ())]),
        DraftTask("sums", "free_form", (), [Sourced(FreeForm("1 + 1 =", " 2"), ())], [Sourced(FreeForm("2 + 2 =", " 4"), ())]),
    ]
    save_tasks(tmp_path / "tasks", drafts)
    assert list(evaluation_texts(TaskSet(tmp_path / "tasks"))) == ["asked", "2 + 2 = 4"]


def test_order_of_evaluation_texts_and_their_repeats_change_nothing() -> None:
    texts = [prose(i, "word", 8) for i in range(40)]
    documents = [" ".join(random.Random(i).sample(texts, 3)) for i in range(20)]
    expected = decontaminate(documents, texts[:20], CONFIG)
    assert len(expected[0]) > 5
    assert decontaminate(documents, texts[:20][::-1] + texts[:3], CONFIG) == expected
