"""The rules of WebText, each with its reason, and the same survivors whatever the order."""

import gzip
import itertools
import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import InputError
from components.sources.config import WebTextConfig
from components.sources.documents import Document, Entry
from components.sources.read import list_units, read_source, read_unit
from components.sources.webtext import english_probability, is_wikipedia, keep_one_copy_per_url, normalize_url
from tests.configs import files_source

ENGLISH = "The committee met on Tuesday and agreed that the bridge should be repaired before the winter."
GERMAN = "Der Ausschuss tagte am Dienstag und beschloss, dass die Brücke vor dem Winter repariert werden soll."

RULES = WebTextConfig(
    links="inputs/links.jsonl*", url_field="url", karma_field="karma", min_karma=3, min_english_probability=0.5, language_chars=2000
)
CONFIG = files_source("inputs/pages/*", url_field="url", webtext=RULES)


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inputs" / "pages").mkdir(parents=True)
    return tmp_path / "inputs"


def lines(rows: Iterable[object]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def reasons(entries: Iterable[Entry]) -> dict[str, str]:
    return {entry.id.rpartition("/")[2]: "" if isinstance(entry, Document) else entry.reason for entry in entries}


def write(inputs: Path, links: dict[str, object], pages: list[tuple[str | None, str]]) -> None:
    (inputs / "links.jsonl").write_text(lines({"url": url, "karma": karma} for url, karma in links.items()))
    (inputs / "pages" / "a.jsonl").write_text(lines({"url": url, "text": text} if url else {"text": text} for url, text in pages))


def test_each_rule_has_its_reason(inputs: Path) -> None:
    links: dict[str, object] = {f"http://{name}.example/": karma for name, karma in (("two", 2), ("three", 3), ("four", 4), ("german", 9))}
    links["https://en.wikipedia.org/wiki/Bridge"] = 100
    write(
        inputs,
        links,
        [
            ("http://two.example/", ENGLISH),
            ("http://three.example/", ENGLISH),
            ("http://four.example/", ENGLISH),
            ("http://german.example/", GERMAN),
            ("https://en.wikipedia.org/wiki/Bridge", ENGLISH),
            ("http://nobody.example/", ENGLISH),
            (None, ENGLISH),
            ("https://www.FOUR.example", ENGLISH + " Again."),
            ("http://two.example/", GERMAN),
        ],
    )
    assert reasons(read_source("web", CONFIG)) == {
        "a.jsonl::1": "low_karma",
        "a.jsonl::2": "",
        "a.jsonl::3": "",
        "a.jsonl::4": "not_english",
        "a.jsonl::5": "wikipedia",
        "a.jsonl::6": "not_linked",
        "a.jsonl::7": "no_url",
        "a.jsonl::8": "repeated_url",
        "a.jsonl::9": "low_karma",
    }


def test_the_best_link_of_a_page_counts_and_lists_may_be_compressed(inputs: Path) -> None:
    write(inputs, {"http://a.example/": 1}, [("http://a.example", ENGLISH)])
    assert CONFIG.webtext is not None
    with pytest.raises(InputError, match="skipped: 1 low_karma"):
        read_source("web", CONFIG)
    more = lines([{"url": "https://a.example/#top", "karma": 3.5}, {"url": "http://a.example/", "karma": -2}])
    (inputs / "links.jsonl.gz").write_bytes(gzip.compress(more.encode()))
    assert reasons(read_source("web", CONFIG)) == {"a.jsonl::1": ""}


@pytest.mark.parametrize(
    "row", [{"url": "http://a.example/"}, {"karma": 3}, {"url": "x", "karma": "3"}, {"url": "x", "karma": True}, [], 5]
)
def test_a_list_with_a_line_that_is_no_link_is_an_error(inputs: Path, row: object) -> None:
    write(inputs, {}, [("http://a.example/", ENGLISH)])
    (inputs / "links.jsonl").write_text(lines([{"url": "http://a.example/", "karma": 3}, row]))
    with pytest.raises(InputError, match=r"inputs/links\.jsonl: line 2 is no link \(.*\); mend or remove it"):
        read_source("web", CONFIG)


def test_no_list_of_links_is_an_error(inputs: Path) -> None:
    (inputs / "pages" / "a.jsonl").write_text(lines([{"text": "x"}]))
    with pytest.raises(InputError, match=r"sources\.web: no file matches inputs/links\.jsonl\*; put the links there"):
        read_source("web", CONFIG)


def test_without_the_rules_nothing_is_filtered(inputs: Path) -> None:
    (inputs / "pages" / "a.jsonl").write_text(lines([{"url": "http://en.wikipedia.org", "text": GERMAN}]))
    assert reasons(read_source("web", CONFIG.model_copy(update={"webtext": None}))) == {"a.jsonl::1": ""}


def test_a_copy_that_a_rule_drops_does_not_stand_for_the_page(inputs: Path) -> None:
    write(inputs, {"http://a.example/": 5}, [("http://a.example/", GERMAN), ("http://a.example/", ENGLISH), ("http://a.example/", ENGLISH)])
    assert reasons(read_source("web", CONFIG)) == {"a.jsonl::1": "not_english", "a.jsonl::2": "", "a.jsonl::3": "repeated_url"}


def test_copies_in_several_units_are_found_by_finish_only(inputs: Path) -> None:
    write(inputs, {"http://a.example/": 5}, [("http://a.example/", ENGLISH)])
    (inputs / "pages" / "b.jsonl").write_text((inputs / "pages" / "a.jsonl").read_text())
    apart = [entry for unit in list_units("web", CONFIG) for entry in read_unit("web", CONFIG, unit)]
    assert reasons(apart) == {"a.jsonl::1": "", "b.jsonl::1": ""}
    assert reasons(read_source("web", CONFIG)) == {"a.jsonl::1": "", "b.jsonl::1": "repeated_url"}


def test_the_survivor_does_not_depend_on_the_order() -> None:
    copies: list[Entry] = [Document(f"web:{name}", "web", name, {"url": "http://a.example/"}) for name in "bca"]
    for order in itertools.permutations(copies):
        assert {entry.id for entry in keep_one_copy_per_url(order) if isinstance(entry, Document)} == {"web:a"}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("HTTPS://www.Example.com:443/A/?q=1#part", "example.com/A?q=1"),
        ("http://example.com:80", "example.com"),
        ("http://example.com:8080/", "example.com:8080"),
        ("//example.com./a/", "example.com/a"),
        ("http://[::1/x", "[::1/x"),
        ("http://example.com/?", "example.com"),
        ("http://example.com/a?b=http://c/#d", "example.com/a?b=http://c/"),
    ],
)
def test_one_name_for_one_page(url: str, expected: str) -> None:
    assert normalize_url(url) == expected


@given(st.text("ab./?=:@[]%", max_size=20))
def test_scheme_and_fragment_make_no_other_page(rest: str) -> None:
    assert normalize_url(f"http://host{rest}") == normalize_url(f"https://www.host{rest}#part")
    assert not is_wikipedia(f"http://host{rest}/wikipedia.org")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://en.wikipedia.org/wiki/A", True),
        ("https://en.m.wikipedia.org/wiki/A", True),
        ("http://www.wikipedia.org", True),
        ("http://user@de.wikipedia.org:8080/", True),
        ("https://notwikipedia.org/", False),
        ("https://a.example/en.wikipedia.org", False),
        ("https://a.example?x=.wikipedia.org", False),
    ],
)
def test_wikipedia_is_known_by_its_domain(url: str, expected: bool) -> None:
    assert is_wikipedia(url) is expected


def test_english_is_judged_by_the_beginning() -> None:
    assert english_probability(ENGLISH, 2000) > 0.9
    assert english_probability(GERMAN, 2000) < 0.1
    assert english_probability(ENGLISH + GERMAN * 50, len(ENGLISH)) == english_probability(ENGLISH, 2000)
    assert english_probability("", 2000) < 0.1
