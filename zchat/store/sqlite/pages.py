"""Pages of a database file, as far as it takes to see what was left behind in them. Pure.

With `secure_delete` SQLite overwrites what is deleted. But where it moves rows between pages to balance a tree, it does
not overwrite where they were: a page keeps bytes of rows that went elsewhere, between its row pointers and its content.
The format is that of https://www.sqlite.org/fileformat2.html, section 1.6.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

SIZE = 4096
"""Of a page."""

LOCAL = SIZE - 35
"""Bytes of a row that a page of a table holds at most; of a longer one, some go to other pages."""

LEAST = (SIZE - 12) * 32 // 255 - 23
"""Bytes of such a longer row that it holds at least."""

SPARE = 8
"""Bytes that a row may be stored longer by than it was made."""

IGNORED = 20
"""Bytes at the start of a gap that filling a page may leave, and the header of what was freed then. Not looked at."""

_INNER = {2: "index", 5: "table"}
_LEAF = {10: "index", 13: "table"}


@dataclass(slots=True, frozen=True)
class Row:
    """A row to be made longer, so that it fills its page, and then as it was: what was left behind is overwritten.

    Attributes:
        rowid: its key.
        more: by so many bytes.
    """

    rowid: int
    more: int


def children(page: bytes) -> list[int]:
    """Numbers of the pages below one; none for a leaf."""
    if page[0] not in _INNER:
        return []
    count, last = struct.unpack_from(">3xH3xI", page)
    starts = struct.unpack_from(f">{count}H", page, 12)
    return [*(struct.unpack_from(">I", page, start)[0] for start in starts), last]


def stale(page: bytes) -> bool:
    """Whether anything was left behind in a page."""
    start, end = _gap(page)
    start += IGNORED
    return end > start and page.count(0, start, end) != end - start


def filling(page: bytes) -> Row | None:
    """How a leaf of a table is to be filled; None if there is no row in it, or no room."""
    if page[0] != 13 or not (count := struct.unpack_from(">H", page, 3)[0]):
        return None
    free = _free(page) - SPARE
    size, rowid = min(_cell(page, start) for start in struct.unpack_from(f">{count}H", page, 8))
    if size + free <= LOCAL:
        more = free
    elif size <= LOCAL:  # longer than a page holds: what it holds then is of any length, with the number of the next
        more = min(size + free - 4, LOCAL) + SIZE - 4 - size
    else:
        # What a page holds of such a row rises with its length, and begins anew at every page beyond it.
        turn = LEAST + (size - LEAST) % (SIZE - 4)
        held = turn if turn <= LOCAL else LEAST
        more = (min(held + free, LOCAL) - turn) % (SIZE - 4)
    return Row(rowid, more) if more > 0 and free > 0 else None


def _gap(page: bytes) -> tuple[int, int]:
    count, content = struct.unpack_from(">3xHH", page)
    return (12 if page[0] in _INNER else 8) + 2 * count, content


def _free(page: bytes) -> int:
    start, end = _gap(page)
    free = end - start + page[7]
    (block,) = struct.unpack_from(">H", page, 1)
    while block:
        (after, size), before = struct.unpack_from(">HH", page, block), block
        free += size
        if 0 < after <= before:
            raise IndexError
        block = after
    return int(free)


def _cell(page: bytes, start: int) -> tuple[int, int]:
    """The length and the key of a table's row."""
    size, start = _varint(page, start)
    return size, _varint(page, start)[0]


def _varint(page: bytes, at: int) -> tuple[int, int]:
    value = 0
    for _ in range(8):
        byte = page[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at
    value = value << 8 | page[at]
    return value - (1 << 64 if value >> 63 else 0), at + 1
