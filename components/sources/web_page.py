"""From a record of a web archive to the text of its page."""

import re
import zlib
from io import BytesIO
from typing import Any

from components.sources import extraction

_HTML_TYPES = ("text/html", "application/xhtml+xml")
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([^\s;\"']+)", re.IGNORECASE)
_CHUNK_HEADER = re.compile(rb"[0-9a-fA-F]{1,8}[ \t]*(;[^\r\n]*)?\r\n")
# Window bits of zlib: gzip or zlib by its header; deflate without a header, which servers send under the same name.
_GZIP_OR_ZLIB, _BARE_DEFLATE = 47, -15


class NoTextError(Exception):
    """A record gives no text; ``reason`` says why, in the words of ``Skipped``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def url_of(record: Any) -> str:
    """The address that a record is about; empty when it names none."""
    return record.rec_headers.get_header("uri" if record.format == "arc" else "WARC-Target-URI") or ""


def text_of(record: Any, content: bytes, max_bytes: int) -> str:
    """Text of a record of warcio whose content (one byte more than ``max_bytes``, if there is so much) has been read.

    Raises:
        NoTextError: not_page, not_http, http_status, not_html, content_encoding, too_large, not_utf8, no_text,
            extraction_failed or damaged, as components.sources.web_archive.read explains.
    """
    if record.rec_type not in ("response", "resource", "conversion"):
        raise NoTextError("not_page")
    if not url_of(record).startswith(("http://", "https://")):
        raise NoTextError("not_http")
    if record.rec_type == "conversion":
        _demand(len(content), max_bytes)
        return _converted(content)
    headers, body = (record.rec_headers, content) if record.rec_type == "resource" else _split_response(content)
    content_type = headers.get_header("Content-Type") or ""
    if content_type.partition(";")[0].strip().lower() not in _HTML_TYPES:
        raise NoTextError("not_html")
    _demand(len(content), max_bytes)
    declared = _CHARSET.search(content_type)
    return _extracted(extraction.decode_html(_as_meant(headers, body, max_bytes), declared and declared.group(1)))


def _demand(num_bytes: int, max_bytes: int) -> None:
    if num_bytes > max_bytes:
        raise NoTextError("too_large")


def _converted(content: bytes) -> str:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise NoTextError("not_utf8") from None
    if not text.strip():
        raise NoTextError("no_text")
    return text


def _split_response(content: bytes) -> tuple[Any, bytes]:
    from warcio.recordloader import ArcWarcRecordLoader
    from warcio.statusandheaders import StatusAndHeadersParser, StatusAndHeadersParserException

    body = BytesIO(content)
    try:
        http = StatusAndHeadersParser(ArcWarcRecordLoader.HTTP_TYPES).parse(body)
    except (StatusAndHeadersParserException, EOFError):
        http = None
    if not http:  # an empty line is what the parser makes an empty header of
        raise NoTextError("not_http")
    if http.get_statuscode() != "200":
        raise NoTextError("http_status")
    return http, body.read()


def _as_meant(headers: Any, body: bytes, max_bytes: int) -> bytes:
    """Without the codings of its transfer. Archives hold bodies as they were sent, or decoded under headers that still say
    otherwise."""
    transfer, encoding = ((headers.get_header(name) or "").strip().lower() for name in ("Transfer-Encoding", "Content-Encoding"))
    if transfer == "chunked" and _CHUNK_HEADER.match(body):
        body = _joined_chunks(body)
    if encoding not in ("", "identity") and not body.lstrip().startswith(b"<"):
        body = _uncompressed(encoding, body, max_bytes)
    return body


def _extracted(html: str) -> str:
    try:
        text = extraction.html_to_text(html)
    except Exception:  # a page is made by strangers, and one that breaks the parser must not end the archive
        raise NoTextError("extraction_failed") from None
    if text is None:
        raise NoTextError("no_text")
    return text


def _joined_chunks(body: bytes) -> bytes:
    from warcio.bufferedreaders import ChunkedDataException, ChunkedDataReader

    try:
        joined: bytes = ChunkedDataReader(BytesIO(body), raise_exceptions=True).read()
    except ChunkedDataException:
        raise NoTextError("damaged") from None
    return joined


def _uncompressed(encoding: str, body: bytes, max_bytes: int) -> bytes:
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise NoTextError("content_encoding")
    for window_bits in (_GZIP_OR_ZLIB, _BARE_DEFLATE):
        reader = zlib.decompressobj(window_bits)
        try:
            plain = reader.decompress(body, max_bytes + 1)
        except zlib.error:
            continue
        _demand(len(plain), max_bytes)
        if reader.eof:
            return plain
    raise NoTextError("damaged")
