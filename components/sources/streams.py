"""Bytes of a file that may be compressed, read on beyond damage where the format allows it."""

import io
import re
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

BLOCK_BYTES = 16384
# A block of zstd says in 4 bytes "128 KiB of the same", so that little input may become much output.
ZSTD_PIECE_BYTES = 1024
# Dumps of links are compressed with --long=31; a frame takes no more memory than it asks for.
ZSTD_MAX_WINDOW_BYTES = 2**31


class Place(NamedTuple):
    """Where something begins: byte offset of its gzip member or zstd frame in the file (None in a plain file), and how many
    bytes of the member, or of the plain file, come before it."""

    member: int | None
    inside: int

    def __str__(self) -> str:
        if self.member is None:
            return str(self.inside)
        return f"{self.member}+{self.inside}" if self.inside else str(self.member)


class _Format(NamedTuple):
    """How a member begins, what of that is searched for behind damage (rarer by chance), and what decompresses it."""

    magic: bytes
    beginning: re.Pattern[bytes]
    new_decompressor: Callable[[], Any]


def _zstd_decompressor() -> Any:
    import zstandard

    return zstandard.ZstdDecompressor(max_window_size=ZSTD_MAX_WINDOW_BYTES).decompressobj()


# RFC 1952: magic and deflate, no reserved flag, time, level. RFC 8878: magic of a frame.
_GZIP = _Format(b"\x1f\x8b\x08", re.compile(rb"\x1f\x8b\x08[\x00-\x1f].{4}[\x00\x02\x04]", re.DOTALL), lambda: zlib.decompressobj(wbits=31))
_ZSTD = _Format(b"\x28\xb5\x2f\xfd", re.compile(rb"\x28\xb5\x2f\xfd"), _zstd_decompressor)
_LONGEST_BEGINNING = 9


class DamagedError(Exception):
    """The bytes that follow cannot be decompressed. Reading may go on: at the next member, where there is one."""

    def __init__(self, member: int) -> None:
        super().__init__(f"damaged at byte {member}")
        self.member = member


class MemberReader(io.RawIOBase):
    """Decompressed bytes of a file of gzip members or zstd frames, told by its first bytes; of any other file, its bytes.

    Damage (what cannot be decompressed, fails its checksum, ends too early, or is none of the format) raises DamagedError
    once; the next read goes on at the next beginning of a member. A single read never goes beyond a member, so that a
    buffer on top holds bytes of one member only (``place``).
    """

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._input = raw.read(BLOCK_BYTES)
        self._consumed = 0  # file offset of the first byte of _input
        self._format = next((format for format in (_GZIP, _ZSTD) if self._input.startswith(format.magic)), None)
        self._decompressor: Any = None
        self._searching = False
        self._output = memoryview(b"")
        self._member = 0
        self._member_bytes = 0

    @property
    def is_plain(self) -> bool:
        """Whether the file is not compressed."""
        return self._format is None

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """As io.RawIOBase; DamagedError besides."""
        while not self._output:
            if not self._input:
                self._input = self._raw.read(BLOCK_BYTES)
            if not self._input and self._decompressor is None:
                return 0
            self._output = memoryview(self._decompress() if self._format else self._take(len(self._input)))
        target = memoryview(buffer)
        length = min(len(target), len(self._output))
        target[:length] = self._output[:length]
        self._output = self._output[length:]
        self._member_bytes += length
        return length

    def place(self, buffered: io.BufferedReader) -> Place:
        """Where the next byte of the buffer over this reader comes from."""
        waiting = len(buffered.peek(1))
        return Place(None if self.is_plain else self._member, self._member_bytes - waiting)

    def _take(self, length: int) -> bytes:
        taken, self._input = self._input[:length], self._input[length:]
        self._consumed += len(taken)
        return taken

    def _decompress(self) -> bytes:
        if self._decompressor is None and not self._begin_member():
            return b""
        if not self._input:
            raise self._damaged()
        known = len(self._input)
        try:
            output = self._step()
        except _errors():
            raise self._damaged() from None
        self._consumed += known - len(self._input)
        if self._decompressor.eof:
            self._decompressor = None
        return output

    def _step(self) -> bytes:
        if self._format is _GZIP:
            output: bytes = self._decompressor.decompress(self._input, BLOCK_BYTES)
            self._input = self._decompressor.unused_data if self._decompressor.eof else self._decompressor.unconsumed_tail
            return output
        piece, rest = self._input[:ZSTD_PIECE_BYTES], self._input[ZSTD_PIECE_BYTES:]
        output = self._decompressor.decompress(piece)
        self._input = (self._decompressor.unused_data if self._decompressor.eof else b"") + rest
        return output

    def _begin_member(self) -> bool:
        """Stand at the beginning of a member; False at the end of the file. Zeros between members are padding."""
        assert self._format is not None
        if not self._searching:
            self._take(len(self._input) - len(self._input.lstrip(b"\0")))
            if not self._input:
                return False
            self._input += self._raw.read(_LONGEST_BEGINNING) if len(self._input) < _LONGEST_BEGINNING else b""
        elif not self._search():
            return False
        self._member, self._member_bytes = self._consumed, 0
        if not self._input.startswith(self._format.magic):
            raise self._damaged()
        self._searching = False
        self._decompressor = self._format.new_decompressor()
        return True

    def _search(self) -> bool:
        assert self._format is not None
        while not (found := self._format.beginning.search(self._input)):
            self._take(max(len(self._input) - _LONGEST_BEGINNING + 1, 0))
            more = self._raw.read(BLOCK_BYTES)
            if not more:
                self._take(len(self._input))
                return False
            self._input += more
        self._take(found.start())
        return True

    def _damaged(self) -> DamagedError:
        """Go on right after the beginning of the damaged member (its lost end may have taken others with it)."""
        if self._raw.seekable():
            self._raw.seek(self._member + 1)
            self._consumed, self._input = self._member + 1, self._raw.read(BLOCK_BYTES)
        else:
            self._take(1)
        self._decompressor, self._searching = None, True
        return DamagedError(self._member)


def _errors() -> tuple[type[Exception], ...]:
    import zstandard

    return zlib.error, zstandard.ZstdError


def open_members(raw: BinaryIO) -> tuple[MemberReader, io.BufferedReader]:
    """The reader and a buffer on top of it, which is what lines and bytes are read from."""
    members = MemberReader(raw)
    return members, io.BufferedReader(members, BLOCK_BYTES)
