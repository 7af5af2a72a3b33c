"""Web archives: every record is a page or counted with its reason and place, whatever is wrong with the others."""

import gzip
import zlib
from collections import Counter
from pathlib import Path

import pytest

from components.errors import InputError
from components.sources.config import WebArchiveConfig
from components.sources.documents import Document, Entry
from components.sources.read import list_units, read_source, read_unit

DATA = Path("../shared/data/web").resolve()

SENTENCE = "A page whose only paragraph says enough to be taken for the text of an article about {0}, with a comma and a full stop."
HTML = "<html><head><title>{0}</title></head><body><article><p>" + SENTENCE + "</p></article></body></html>"


def archive(glob: str, max_document_bytes: int = 10**6) -> WebArchiveConfig:
    return WebArchiveConfig(kind="web_archive", role="raw", glob=glob, max_document_bytes=max_document_bytes, webtext=None)


def record(
    content: bytes, kind: str = "response", url: str = "http://a.example/", length: int | str | None = None, **headers: str
) -> bytes:
    named = {"WARC-Type": kind, "WARC-Target-URI": url, "Content-Length": str(len(content) if length is None else length), **headers}
    lines = [f"{name}: {value}" for name, value in named.items() if value]
    return "\r\n".join(["WARC/1.0", *lines, "", ""]).encode() + content + b"\r\n\r\n"


def response(body: bytes | str, status: str = "200 OK", content_type: str = "text/html; charset=utf-8", **headers: str) -> bytes:
    body = body.encode() if isinstance(body, str) else body
    named = {"Content-Type": content_type, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return "\r\n".join([f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in named.items()), "", ""]).encode() + body


def page(topic: str) -> bytes:
    return record(response(HTML.format(topic)), url=f"http://{topic}.example/")


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inputs").mkdir()
    return tmp_path / "inputs"


def read(config: WebArchiveConfig) -> list[Entry]:
    return [entry for unit in list_units("web", config) for entry in read_unit("web", config, unit)]


def outcomes(content: bytes, max_document_bytes: int = 10**6) -> list[str]:
    """What became of each record of an archive, in its order: the text, or the reason in angle brackets."""
    Path("inputs/a.warc").write_bytes(content)
    return [told(entry) for entry in read(archive("inputs/a.warc", max_document_bytes))]


def told(entry: Entry) -> str:
    return entry.text if isinstance(entry, Document) else f"<{entry.reason}>"


@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize(
    ("raw", "outcome"),
    [
        (record(b"software: x", "warcinfo", url=""), "<not_page>"),
        (record(response("nothing"), "revisit"), "<not_page>"),
        (record(b"127.0.0.1", url="dns:a.example"), "<not_http>"),
        (record(b"no header of HTTP"), "<not_http>"),
        (record(b"x", url=""), "<not_http>"),
        (record(b""), "<not_http>"),
        (record(response(HTML.format("x"), "404 Not Found")), "<http_status>"),
        (record(response("{}", content_type="application/json")), "<not_html>"),
        (record(response("")), "<no_text>"),
        (record(response("x" * 1001)), "<too_large>"),
        (record(response(b"\x1b\x02", Content_Encoding="br")), "<content_encoding>"),
        (record(b"Text of a page.\n", "conversion"), "Text of a page.\n"),
        (record(b"", "conversion"), "<no_text>"),
        (record(b"\xff", "conversion"), "<not_utf8>"),
        (record(b"x" * 1001, "conversion"), "<too_large>"),
        (record(HTML.format("it").encode(), "resource", **{"Content-Type": "text/html"}), SENTENCE.format("it")),
        (record(response("x"), length=""), "<damaged>"),
        (record(response("x"), length="many"), "<damaged>"),
        (record(response("x"), length=-1), "<damaged>"),
        (record(response("xyz"), length=5), "<damaged>"),
    ],
)
def test_a_record_is_a_page_or_has_a_reason_and_the_next_is_read(raw: bytes, outcome: str) -> None:
    assert outcomes(page("one") + raw + page("two"), 1000) == [SENTENCE.format("one"), outcome, SENTENCE.format("two")]


@pytest.mark.usefixtures("inputs")
def test_a_length_that_takes_in_the_next_record_costs_both() -> None:
    found = outcomes(record(response("x"), length=200) + page("lost") + page("two"))
    assert found == ["<damaged>", "<damaged>", SENTENCE.format("two")]


@pytest.mark.usefixtures("inputs")
def test_what_comes_before_the_first_record_is_damage() -> None:
    assert outcomes(b"stray\n" + page("one")) == ["<damaged>", SENTENCE.format("one")]
    assert outcomes(b"no archive at all") == ["<damaged>"]
    assert outcomes(b"") == []


@pytest.mark.usefixtures("inputs")
def test_an_archive_that_is_cut_loses_its_last_record_only() -> None:
    assert outcomes(page("one") + page("two")[:-40]) == [SENTENCE.format("one"), "<damaged>"]


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (*pieces, b""))


@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize(
    ("body", "headers", "is_read"),
    [
        (chunked(HTML.format("it")[:50].encode(), HTML.format("it")[50:].encode()), {"Transfer_Encoding": "chunked"}, True),
        (HTML.format("it").encode(), {"Transfer_Encoding": "chunked"}, True),
        (chunked(HTML.format("it").encode())[:-20], {"Transfer_Encoding": "chunked"}, False),
        (b"5\r\n" + HTML.format("it").encode(), {"Transfer_Encoding": "chunked"}, False),
        (gzip.compress(HTML.format("it").encode()), {"Content_Encoding": "gzip"}, True),
        (zlib.compress(HTML.format("it").encode()), {"Content_Encoding": "deflate"}, True),
        (zlib.compress(HTML.format("it").encode())[2:-4], {"Content_Encoding": "deflate"}, True),
        (HTML.format("it").encode(), {"Content_Encoding": "gzip"}, True),
        (gzip.compress(HTML.format("it").encode())[:-20], {"Content_Encoding": "gzip"}, False),
        (chunked(gzip.compress(HTML.format("it").encode())), {"Content_Encoding": "gzip", "Transfer_Encoding": "chunked"}, True),
    ],
)
def test_bodies_as_they_were_sent(body: bytes, headers: dict[str, str], is_read: bool) -> None:
    assert outcomes(record(response(body, **headers))) == [SENTENCE.format("it") if is_read else "<damaged>"]


@pytest.mark.usefixtures("inputs")
def test_a_page_that_unpacks_to_more_than_the_bound_is_too_large() -> None:
    body = gzip.compress(b"<p>" + b"x" * 10_000_000)
    assert outcomes(record(response(body, Content_Encoding="gzip")), 100_000) == ["<too_large>"]


@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize(
    ("encoding", "declared", "meta"),
    [
        ("utf-8", "", ""),
        ("utf-8-sig", "iso-8859-1", ""),
        ("utf-16", "", ""),
        ("koi8-r", "koi8-r", ""),
        ("koi8-r", "", "koi8-r"),
        ("cp1251", "windows-1251", "utf-8"),
        ("utf-8", "no-such-encoding", ""),
        ("utf-8", "hex", ""),
    ],
)
def test_encodings(encoding: str, declared: str, meta: str) -> None:
    text = "Страница достаточно длинная, чтобы её приняли за статью: в ней есть запятые, точки и больше десяти слов подряд."
    html = f"<html><head><meta charset='{meta or 'x'}'></head><body><article><p>{text}</p></article></body></html>"
    assert outcomes(record(response(html.encode(encoding), content_type=f"text/html; charset={declared}"))) == [text]


@pytest.mark.usefixtures("inputs")
def test_bytes_of_no_encoding_are_read_with_marks() -> None:
    html = HTML.format("caf\u00e9").encode("latin-1")
    assert outcomes(record(response(html, content_type="text/html"))) == [SENTENCE.format("caf\u00e9")]


def test_members_of_gzip_fail_alone(inputs: Path) -> None:
    pages = [gzip.compress(page(topic), mtime=0) for topic in ("one", "two", "three", "four")]
    pages[1] = pages[1][:100] + bytes([pages[1][100] ^ 255]) + pages[1][101:]
    pages[3] = pages[3][:-3]
    (inputs / "a.warc.gz").write_bytes(b"".join(pages))
    found = read(archive("inputs/*"))
    starts = [sum(map(len, pages[:i])) for i in range(4)]
    assert [entry.id for entry in found] == [f"web:inputs/a.warc.gz::{start}" for start in starts]
    assert [told(entry) for entry in found] == [SENTENCE.format("one"), "<damaged>", SENTENCE.format("three"), "<damaged>"]


def test_a_page_that_breaks_the_parser_does_not_end_the_archive(inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from components.sources import extraction

    def breaks(html: str) -> str:
        if "deep" in html:
            raise RecursionError
        return "text"

    monkeypatch.setattr(extraction, "html_to_text", breaks)
    assert inputs.exists()
    assert outcomes(page("deep") + page("two")) == ["<extraction_failed>", "text"]


@pytest.mark.usefixtures("inputs")
def test_a_page_nested_as_deep_as_can_be_does_not_end_the_archive() -> None:
    deep = "<div>" * 50_000 + SENTENCE.format("deep") + "</div>" * 50_000
    assert outcomes(record(response(deep)) + page("two"))[1] == SENTENCE.format("two")


def test_pages_keep_their_url_and_where_they_come_from(inputs: Path) -> None:
    (inputs / "a.warc").write_bytes(page("one"))
    [entry] = read_source("web", archive("inputs/*"))
    assert isinstance(entry, Document)
    assert entry.meta == {"file": "inputs/a.warc", "url": "http://one.example/"}


def test_an_archive_without_pages_is_named(inputs: Path) -> None:
    (inputs / "a.wet").write_bytes(record(b"software: x", "warcinfo", url=""))
    with pytest.raises(InputError, match=r"sources\.web: holds no document \(skipped: 1 not_page; the first is web:inputs/a\.wet::0\)"):
        read_source("web", archive("inputs/*"))


# Of each real file: documents, and how many records were skipped for which reason.
REAL = {
    "warcio-edge-cases/bad.arc": (0, {"damaged": 3, "not_http": 1}),
    "warcio-edge-cases/example-bad-non-chunked.warc.gz": (1, {"not_page": 5}),
    "warcio-edge-cases/example-bad.warc.gz.bad": (1, {"not_page": 4, "http_status": 1}),
    "warcio-edge-cases/example-digest.warc": (0, {"not_page": 4}),
    "warcio-edge-cases/example-iana.org-chunked.warc": (1, {"not_page": 2}),
    "warcio-edge-cases/example-resource.warc.gz": (1, {"not_page": 2}),
    "warcio-edge-cases/example-space-in-target-uri.warc.gz": (0, {"not_page": 1, "not_http": 1}),
    "warcio-edge-cases/example-space-in-url.arc": (0, {"not_page": 1, "damaged": 1}),  # nine bytes fewer than its header says
    "warcio-edge-cases/example-trunc.warc": (0, {"not_page": 3, "damaged": 1}),
    "warcio-edge-cases/example-wget-bad-target-uri.warc.gz": (1, {"not_page": 3, "not_http": 2}),
    "warcio-edge-cases/example-wrong-chunks.warc.gz": (1, {"not_page": 1}),
    "warcio-edge-cases/example.arc": (1, {"not_page": 1}),
    "warcio-edge-cases/example.arc.gz": (1, {"not_page": 1}),
    "warcio-edge-cases/example.warc": (1, {"not_page": 5}),
    "warcio-edge-cases/example.warc.gz": (1, {"not_page": 5}),
    "warcio-edge-cases/post-test.warc.gz": (0, {"not_html": 3, "not_page": 3}),
    "cc-whirlwind-warc-wet-wat/whirlwind.warc.gz": (1, {"not_page": 3}),
    "cc-whirlwind-warc-wet-wat/whirlwind.warc.wat.gz": (0, {"not_page": 2}),
    "cc-whirlwind-warc-wet-wat/whirlwind.warc.wet.gz": (1, {"not_page": 1}),
    "ccnet-wet-sample/sample.warc.txt": (0, {"damaged": 4}),  # line ends were changed, so that no length is right
    "dolma-cc-warc/000.json.gz": (0, {"damaged": 1}),  # JSON lines, no archive
    "dolma-cc-warc/sample-0000.warc.gz": (22, {"not_page": 24, "not_http": 2}),
    "dolma-cc-warc/sample-0001.warc.gz": (15, {"not_page": 17, "not_http": 2}),
}


@pytest.fixture
def real(inputs: Path) -> Path:
    if not DATA.exists():
        pytest.skip("../shared/data/web is not there")
    for folder in {name.partition("/")[0] for name in REAL}:
        (inputs / folder).symlink_to(DATA / folder)
    return inputs


@pytest.mark.shared_data
@pytest.mark.parametrize("name", REAL)
@pytest.mark.usefixtures("real")
def test_real_archives_account_for_every_record(name: str) -> None:
    entries = read(archive(f"inputs/{name}"))
    assert len({entry.id for entry in entries}) == len(entries)
    reasons = Counter(told(entry)[1:-1] for entry in entries if not isinstance(entry, Document))
    assert (sum(isinstance(entry, Document) for entry in entries), dict(reasons)) == REAL[name]


@pytest.mark.shared_data
@pytest.mark.usefixtures("real")
def test_a_real_archive_that_is_cut_gives_what_lies_before_the_cut(inputs: Path) -> None:
    content = (inputs / "dolma-cc-warc/sample-0000.warc.gz").read_bytes()
    (inputs / "whole.warc.gz").write_bytes(content)
    (inputs / "cut.warc.gz").write_bytes(content[: len(content) // 2])
    whole, cut = (read(archive(f"inputs/{name}.warc.gz")) for name in ("whole", "cut"))
    assert [told(entry) for entry in cut[:-1]] == [told(entry) for entry in whole[: len(cut) - 1]]
    assert told(cut[-1]) == "<damaged>"
    assert len(cut) > 10
