"""Decontamination against a slow and literal version of the same definition, and planted leaks on made-up and real text."""

import functools
import random
import re
import string
import unicodedata
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.curation import decontamination, ngram_kernels
from components.curation.config import DecontaminationConfig
from tests.reference.cuts import decontaminate

PAPER = DecontaminationConfig(ngram_words=13, window_chars=200, min_piece_chars=200, max_pieces=10, max_documents_per_ngram=10)
BOOKS = Path(__file__).parents[3] / "shared" / "data" / "text" / "nltk-gutenberg-selections"
FEW = settings(max_examples=150, deadline=None)  # the first example waits for the compiler
CHARACTERS = (
    "abAB\u0130\u0131i\u00df\u1e9e\u03a3\u03c2\u03c3\u00b5e\u0301\u0307\ufb01\u65e5\U00010400\U0001f600"
    ".,_-\u2014\u201d\u3002  \n\u00a0\u2003\x00\x01"
)
TEXTS = st.lists(st.text(st.sampled_from(CHARACTERS), max_size=40), max_size=6)
RULES = st.builds(
    DecontaminationConfig,
    ngram_words=st.integers(1, 3),
    window_chars=st.integers(0, 6),
    min_piece_chars=st.integers(1, 6),
    max_pieces=st.integers(1, 4),
    max_documents_per_ngram=st.integers(0, 4),
)


@functools.cache
def folded(token: str) -> str:
    """Case as Unicode folds it where one character becomes one, else its lower case's first; punctuation and the dot of i gone."""
    kept = [c for c in token if c not in string.punctuation and not unicodedata.category(c).startswith("P") and c != "\u0307"]
    return "".join(c.casefold() if len(c.casefold()) == 1 else c.lower()[0] for c in kept)


def words_of(text: str) -> list[tuple[str, int, int]]:
    """Words with their first characters and ends."""
    found = [(folded(match.group()), *match.span()) for match in re.finditer(r"\S+", text)]
    return [word for word in found if word[0]]


def grams_of(text: str, n: int) -> list[tuple[tuple[str, ...], int, int]]:
    words = words_of(text)
    runs = [words[i : i + n] for i in range(len(words) - n + 1)]
    return [(tuple(word for word, _, _ in run), run[0][1], run[-1][2]) for run in runs]


def literal(texts: list[str], evaluated: list[str], rules: DecontaminationConfig) -> dict[int, tuple[list[str], int]]:
    """Document -> kept pieces, number of windows; character by character."""
    wanted = {gram for text in evaluated for gram, _, _ in grams_of(text, rules.ngram_words)}
    holders = defaultdict(set)
    for document, text in enumerate(texts):
        for gram, _, _ in grams_of(text, rules.ngram_words):
            holders[gram].add(document)
    wanted = {gram for gram in wanted if len(holders[gram]) <= rules.max_documents_per_ngram}
    result = {}
    for document, text in enumerate(texts):
        gone = [False] * len(text)
        spans = [(begin, end) for gram, begin, end in grams_of(text, rules.ngram_words) if gram in wanted]
        for begin, end in spans:
            begin, end = max(0, begin - rules.window_chars), min(len(text), end + rules.window_chars)
            while begin and not text[begin - 1].isspace():
                begin -= 1
            while end < len(text) and not text[end].isspace():
                end += 1
            gone[begin:end] = [True] * (end - begin)
        if not spans:
            continue
        marks = "".join("x" if flag else "-" for flag in gone)
        pieces = [text[m.start() : m.end()] for m in re.finditer("-+", marks)]
        kept = [] if len(pieces) > rules.max_pieces else [piece for piece in pieces if len(piece) >= rules.min_piece_chars]
        result[document] = kept, len(re.findall("x+", marks))
    return result


@given(TEXTS, st.data(), RULES)
@FEW
def test_cuts_are_those_of_the_literal_definition(texts: list[str], data: st.DataObject, rules: DecontaminationConfig) -> None:
    """Evaluation texts are slices of the documents in another case, so that most examples have hits."""
    evaluated = data.draw(TEXTS)
    for text in texts:
        begin = data.draw(st.integers(0, len(text)))
        evaluated.append(data.draw(st.sampled_from([str.upper, str.lower, str]))(text[begin : begin + 20]))
    cuts, measured = decontaminate(texts, evaluated, rules)
    found = {cut.document: ([texts[cut.document][a:b] for a, b in cut.pieces], len(cut.windows)) for cut in cuts}
    expected = literal(texts, evaluated, rules)
    assert found == expected
    assert measured["windows"] == sum(windows for _, windows in expected.values())
    assert measured["documents_cut"] == sum(bool(pieces) for pieces, _ in expected.values())
    assert measured["documents_dropped"] == sum(not pieces for pieces, _ in expected.values())
    grams = {gram for text in set(evaluated) for gram, _, _ in grams_of(text, rules.ngram_words)}
    assert measured["ngrams"] == len(grams)
    assert measured["short_texts"] == sum(not grams_of(text, rules.ngram_words) for text in set(evaluated))


@given(TEXTS)
@FEW
def test_words_lie_where_they_lie_in_the_text(texts: list[str]) -> None:
    encoded = [text.encode() for text in texts]
    starts = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    hashes, begins, ends, offsets = ngram_kernels.fold_words(np.frombuffer(b"".join(encoded), np.uint8), starts, decontamination._folds())
    words = [words_of(text) for text in texts]
    flat = [word for own in words for word in own]
    assert list(zip(begins.tolist(), ends.tolist(), strict=True)) == [(begin, end) for _, begin, end in flat]
    assert np.diff(offsets).tolist() == [len(own) for own in words]
    by_hash = dict(zip(hashes.tolist(), (word for word, _, _ in flat), strict=True))
    assert [by_hash[hash] for hash in hashes.tolist()] == [word for word, _, _ in flat]  # one word a hash
    assert len(by_hash) == len({word for word, _, _ in flat})  # one hash a word


@given(st.lists(st.lists(st.integers(0, 3), max_size=12), max_size=5), st.integers(1, 5))
@FEW
def test_rolling_hashes_are_equal_where_runs_are_equal(rows: list[list[int]], n: int) -> None:
    words = np.array([value for row in rows for value in row], np.uint64)
    offsets = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    grams, gram_offsets = ngram_kernels.rolling_ngrams(words, offsets, n)
    runs = [tuple(row[i : i + n]) for row in rows for i in range(len(row) - n + 1)]
    assert np.diff(gram_offsets).tolist() == [max(0, len(row) - n + 1) for row in rows]
    assert len(grams) == len(runs) and 0 not in grams.tolist()
    assert len(set(zip(runs, grams.tolist(), strict=True))) == len(set(runs)) == len(set(grams.tolist()))


@given(st.sets(st.integers(1, 2**64 - 1) | st.integers(1, 40), max_size=60), st.lists(st.integers(0, 60) | st.integers(0, 2**64 - 1)))
@FEW
def test_table_holds_what_was_put_in(members: set[int], asked: list[int]) -> None:
    slots = ngram_kernels.hash_table(np.array(sorted(members), np.uint64))
    present = [*asked, *members]
    found = ngram_kernels.are_members(np.array([value for value in present if value], np.uint64), slots)
    assert found.tolist() == [value in members for value in present if value]


def test_no_character_beyond_the_table_folds_to_another() -> None:
    assert all(decontamination.fold(chr(code)) == code for code in range(decontamination.NUM_FOLDS, 0x110000))


def disguised(passage: str, rng: random.Random) -> str:
    """The same words in other case, with other punctuation and other white space."""
    changed = []
    for word in passage.split():
        word = rng.choice(
            [word, word.upper(), word.lower(), word.capitalize(), f"({word})", f"\u201c{word}\u201d,", f"*{word}*", f"{word}\u2026"]
        )
        changed.append(word + rng.choice([" ", " ", "\n", "  \t", "\u00a0", " -- "]))
    return "".join(changed)


def made_up(rng: random.Random, num_words: int) -> str:
    return " ".join(
        rng.choice(["alpha", "beta", "G\u00e4mma", "delta's", "epsilon,", "zeta-eta", "\u0130ota"]) + str(rng.randrange(3000))
        for _ in range(num_words)
    )


def assert_every_leak_is_gone(documents: list[str], evaluated: list[str], leaky: set[int]) -> None:
    cuts, measured = decontaminate(documents, evaluated, PAPER)
    by_document = {cut.document: cut for cut in cuts}
    assert leaky <= set(by_document)  # recall 1.0
    wanted = {gram for text in evaluated for gram, _, _ in grams_of(text, 13)}
    holders = defaultdict(set)
    for number, document in enumerate(documents):
        for gram, _, _ in grams_of(document, 13):
            if gram in wanted:
                holders[gram].add(number)
    ignored = {gram for gram, numbers in holders.items() if len(numbers) > 10}
    assert measured["ignored_ngrams"] == len(ignored)
    survivors = 0
    for number, document in enumerate(documents):
        pieces = [document[a:b] for a, b in by_document[number].pieces] if number in by_document else [document]
        for piece in pieces:
            own = {gram for gram, _, _ in grams_of(piece, 13)} & wanted
            survivors += len(own)
            assert own <= ignored
    assert survivors > 0  # boilerplate is left alone


def test_every_planted_leak_is_found_and_gone() -> None:
    rng = random.Random(0)
    evaluated = [made_up(rng, rng.randint(13, 60)) for _ in range(200)]
    boilerplate = made_up(rng, 30)
    documents = [f"{made_up(rng, 80)} {disguised(boilerplate, rng)} {made_up(rng, 80)}" for _ in range(60)]
    leaky = set()
    for passage in evaluated:
        words = passage.split()
        first = rng.randrange(len(words) - 12)
        part = " ".join(words[first : rng.randint(first + 13, len(words))])  # 13 words of it at least
        leaky.add(len(documents))
        documents.append(f"{made_up(rng, rng.randrange(200))} {disguised(part, rng)} {made_up(rng, rng.randrange(200))}")
    assert_every_leak_is_gone(documents, [*evaluated, boilerplate], leaky)


@pytest.mark.shared_data
@pytest.mark.skipif(not BOOKS.exists(), reason="real books are not there")
def test_leaks_of_real_text_into_real_text_are_found_and_gone() -> None:
    rng = random.Random(0)
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in sorted(BOOKS.rglob("*.txt"))]
    passages = [" ".join(words[i : i + 400]) for words in map(str.split, texts) for i in range(0, len(words) - 400, 400)][:700]
    assert len(passages) == 700
    boilerplate = " ".join(passages[0].split()[:40])
    evaluated = [" ".join(passage.split()[100 : 100 + rng.randint(20, 100)]) for passage in passages[1:201]]
    documents = [f"{passage} {boilerplate if number < 20 else ''}" for number, passage in enumerate(passages[201:])]
    leaky = set(rng.sample(range(len(documents)), 200))
    for number, passage in zip(sorted(leaky), evaluated, strict=True):
        words = documents[number].split(" ")
        place = rng.randrange(len(words))
        documents[number] = " ".join([*words[:place], disguised(passage, rng), *words[place:]])
    assert_every_leak_is_gone(documents, [*evaluated, boilerplate], leaky)
