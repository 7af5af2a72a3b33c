"""Web archives: WARC (ISO 28500), its text form WET, and the older ARC. One document a page.

warcio parses the headers of records and of HTTP; finding where a record begins, and going on behind a damaged one, is ours:
its iterator ends with the first damaged record and refuses a gzip file of one member.
"""

import logging
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from components.sources import locations, web_page
from components.sources.config import WebArchiveConfig
from components.sources.documents import Document, Entry, Skipped, without_lone_surrogates
from components.sources.streams import BLOCK_BYTES, DamagedError, Place, open_members

_LONGEST_HEADER_LINE = 65536
# URL, address, time, type, length (ARC version 1); the URL may hold spaces.
_ARC_HEADER = re.compile(rb"^(filedesc|https?|ftp|dns):\S.* \S+ \d{8,18} \S+ \S+\r?\n$")

logging.getLogger("warcio").addHandler(logging.NullHandler())  # it would write to the terminal about odd URIs


class _Header(NamedTuple):
    """Where a record begins, its first line (empty at the end of the file), and where stray bytes before it begin, if any."""

    place: Place
    line: bytes
    stray: Place | None


_WARC_LINE = re.compile(rb"^WARC/1\.\d\r?$", re.MULTILINE)
_Outcome = tuple[str, str] | str  # text and URL, or the reason why there is none


def list_units(source: str, config: WebArchiveConfig) -> list[str]:
    """Archives of the source, sorted; InputError when there is none."""
    return locations.list_files(source, config)


def read(source: str, config: WebArchiveConfig, unit: str) -> Iterator[Entry]:
    """Every record of one archive, as Document (``meta``: file, url) or Skipped; the id ends in the record's ``Place``.

    Reasons: not_page (a record about the crawl: warcinfo, request, metadata, revisit, ...), not_http, http_status (other than
    200), not_html, content_encoding (compressed in a way that is not read), too_large, not_utf8 (WET), no_text,
    extraction_failed, damaged. A record is damaged when its header is, when its length is missing or is not where the next record
    begins, when its HTTP chunks are wrong, or when its gzip member fails; the record that follows is read again. Records that a wrong
    length takes into another one are lost, and counted as damaged too.
    """
    with locations.open_file(source, config, unit) as raw:
        for place, outcome in _Archive(raw, config.max_document_bytes).records():
            record_id = f"{source}:{unit}::{place}"
            if isinstance(outcome, str):
                yield Skipped(record_id, source, outcome)
            else:
                text, url = outcome
                yield Document(record_id, source, without_lone_surrogates(text), {"file": unit, "url": url})


class _Archive:
    """The records of one file."""

    def __init__(self, raw: BinaryIO, max_bytes: int) -> None:
        from warcio.recordloader import ArcWarcRecordLoader

        self._members, self._stream = open_members(raw)
        self._max_bytes = max_bytes
        self._loader = ArcWarcRecordLoader(arc2warc=False)
        self._taken_in: list[Place] = []  # where other records begin within the last one, if its length is wrong

    def records(self) -> Iterator[tuple[Place, _Outcome]]:
        """Each record. It is known to be whole only when the next begins right behind it, or the file ends there."""
        last: tuple[Place, _Outcome] | None = None
        while True:
            try:
                header = self._next_header()
            except DamagedError as error:
                if last and last[0].member != error.member:  # damage in a later member says nothing about this record
                    yield from self._known(*last)
                    last = None
                last = (last[0] if last else Place(error.member, 0)), "damaged"
                continue
            if header.stray:
                last = (last[0] if last else header.stray), "damaged"
            if last:
                yield from self._known(*last)
            if not header.line:
                return
            last = header.place, self._read_record(header.line)

    def _known(self, place: Place, outcome: _Outcome) -> list[tuple[Place, _Outcome]]:
        taken_in, self._taken_in = self._taken_in, []
        return [(place, outcome), *((other, "damaged") for other in taken_in if outcome == "damaged")]

    def _next_header(self) -> _Header:
        stray = None
        while True:
            place = self._members.place(self._stream)
            line = self._stream.readline(_LONGEST_HEADER_LINE)
            if not line or line.startswith(b"WARC/") or _ARC_HEADER.match(line):
                return _Header(place, line, stray)
            if line.strip():
                stray = stray or place

    def _read_record(self, line: bytes) -> _Outcome:
        from warcio.exceptions import ArchiveLoadFailed

        try:
            record = self._loader.parse_record_stream(self._stream, statusline=line, no_record_parse=True)
            if _length(record) is None:
                return "damaged"
            start = self._members.place(self._stream)
            content = record.raw_stream.read(self._max_bytes + 1)
            self._taken_in = [Place(start.member, start.inside + found.start()) for found in _WARC_LINE.finditer(content)]
            while record.raw_stream.limit:
                if not record.raw_stream.read(BLOCK_BYTES):
                    return "damaged"
        except (ArchiveLoadFailed, EOFError, DamagedError):
            return "damaged"
        try:
            return web_page.text_of(record, content, self._max_bytes), web_page.url_of(record)
        except web_page.NoTextError as error:
            return error.reason


def _length(record: Any) -> int | None:
    """Bytes of the record's content; None when its header gives none, or no sensible one."""
    written = record.rec_headers.get_header("length" if record.format == "arc" else "Content-Length")
    return int(written) if written is not None and written.strip().isdecimal() else None
