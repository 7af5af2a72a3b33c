"""Compressed files, whole and damaged: what can be read is read, and where the damage lies is known."""

import gzip
import io
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from components.sources.streams import DamagedError, Place, open_members


def zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(content)


def gz(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


COMPRESS = pytest.mark.parametrize("compress", [gz, zstd])


def read_all(content: bytes) -> tuple[list[bytes], list[int]]:
    """Lines, and members that were damaged."""
    _, stream = open_members(io.BytesIO(content))
    lines: list[bytes] = []
    damaged: list[int] = []
    while True:
        try:
            line = stream.readline()
        except DamagedError as error:
            damaged.append(error.member)
            continue
        if not line:
            return lines, damaged
        lines.append(line)


@given(members=st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=4), repeat=st.integers(1, 2000))
def test_whole_files_come_back_as_they_were(members: list[bytes], repeat: int) -> None:
    plain = b"".join(member * repeat for member in members)
    for compress in (gz, zstd):
        packed = b"".join(compress(member * repeat) for member in members)
        assert open_members(io.BytesIO(packed))[1].read() == plain


def test_plain_file_is_given_as_it_is() -> None:
    members, stream = open_members(io.BytesIO(b"one\ntwo"))
    assert members.is_plain
    assert stream.readline() == b"one\n"
    assert str(members.place(stream)) == "4"
    assert stream.read() == b"two"


@COMPRESS
@pytest.mark.parametrize("harm", ["flip", "cut", "junk"])
def test_members_behind_damage_are_read(compress: Callable[[bytes], bytes], harm: str) -> None:
    first, second, third = (compress(line * 50) for line in (b"first\n", b"second\n", b"third\n"))
    damaged = {
        "flip": second[:-6] + bytes([second[-6] ^ 255]) + second[-5:],  # its checksum tells
        "cut": second[: len(second) // 2],
        "junk": b"neither of the two",
    }[harm]
    lines, places = read_all(first + damaged + third)
    assert [line for line in lines if line != b"second\n"] == [b"first\n"] * 50 + [b"third\n"] * 50
    assert places == [len(first)]


@COMPRESS
def test_truncated_last_member_is_damage_and_not_an_end(compress: Callable[[bytes], bytes]) -> None:
    first, second = compress(b"first\n"), compress(b"second\n" * 1000)
    for missing in (1, 4, len(second) - 12):
        lines, places = read_all(first + second[:-missing])
        assert lines[0] == b"first\n"
        assert places == [len(first)]


def test_zeros_between_gzip_members_are_padding() -> None:
    assert read_all(gz(b"a\n") + b"\0" * 40000 + gz(b"b\n") + b"\0" * 5) == ([b"a\n", b"b\n"], [])


def test_what_cannot_be_sought_in_is_read_too() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    broken = gz(b"first\n" * 9)
    _, stream = open_members(Pipe(broken[:-6] + b"\xff" + broken[-5:] + gz(b"second\n")))
    lines = []
    with pytest.raises(DamagedError):
        while True:
            lines.append(stream.readline())
    assert stream.readline() == b"second\n"


@COMPRESS
def test_places_name_the_member_and_the_byte_in_it(compress: Callable[[bytes], bytes]) -> None:
    first = compress(b"one\ntwo\n")
    members, stream = open_members(io.BytesIO(first + compress(b"three\n")))
    places = []
    while True:
        place = members.place(stream)
        if not stream.readline():
            break
        places.append(place)
    assert places == [Place(0, 0), Place(0, 4), Place(len(first), 0)]
    assert [str(place) for place in places] == ["0", "0+4", str(len(first))]


def test_little_input_that_becomes_much_does_not_fill_the_memory() -> None:
    members, stream = open_members(io.BytesIO(gz(b"\0" * 50_000_000)))
    assert stream.read(10) == b"\0" * 10
    assert len(members._output) <= 16384
