"""Lines out of a descriptor."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from zchat.cli import lines
from zchat.cli.lines import Lines


def _read(chunks: list[bytes]) -> list[str]:
    read, write = os.pipe()
    found: list[str] = []
    try:
        reader = Lines(read)
        for chunk in chunks:
            os.write(write, chunk)
            found += reader.read()
        os.close(write)
        while not reader.ended:
            found += reader.read()
    finally:
        os.close(read)
    return found


def test_lines_end_with_newline_or_with_the_input() -> None:
    assert _read([b"one\ntw", b"o\r\n\n", b"three"]) == ["one", "two", "", "three"]


def test_what_is_no_utf8_is_marked() -> None:
    assert _read([b"a\xffb\n"]) == ["a\ufffdb"]


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=8))
def test_chunking_does_not_matter(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    assert _read(chunks) == (_read([whole]) if whole else [])


def test_a_line_without_end_is_bounded() -> None:
    reader = Lines(os.open("/dev/zero", os.O_RDONLY))
    try:
        for _ in range(lines.LONGEST // (1 << 16) + 1):
            found = reader.read()
        assert len(found) == 1
        assert len(found[0]) <= lines.LONGEST + (1 << 16)
    finally:
        os.close(reader.fd)
