"""What a write-ahead log of SQLite holds, told from its bytes. Pure.

SQLite reads a WAL up to the first frame that does not match its checksum, and silently takes the rest for what a crash
left over. Where that frame was committed, everything after it is lost: this tells. The format is that of
https://www.sqlite.org/fileformat2.html#the_write_ahead_log, section 4.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

HEADER = 32
FRAME_HEADER = 24

_LITTLE, _BIG = 0x377F0682, 0x377F0683
_VERSION = 3007000
_WORD = 0xFFFFFFFF


@dataclass(slots=True, frozen=True)
class Scan:
    """What was found.

    Attributes:
        readable: whether its header is whole; if not, SQLite reads none of it.
        frames, commits: up to the last commit that SQLite will read.
        unread: frames of the same life of the log after that.
        unread_commits: those among them that end a transaction.
        broken: whether a frame among them does not match its checksum.
    """

    readable: bool
    frames: int = 0
    commits: int = 0
    unread: int = 0
    unread_commits: int = 0
    broken: bool = False


def scan(wal: bytes | bytearray | memoryview) -> Scan:
    """Reads a WAL as SQLite would, and on to its end.

    Args:
        wal: the whole file. An empty one holds nothing, and is whole.
    """
    if len(wal) < HEADER:
        return Scan(readable=len(wal) == 0, unread=0)
    magic, version, page, _number, salt1, salt2, check1, check2 = struct.unpack_from(">8I", wal)
    order = ">" if magic == _BIG else "<"
    size = FRAME_HEADER + page
    whole = magic in (_LITTLE, _BIG) and version == _VERSION and _is_page(page)
    state = _checksum(_words(order, wal, 0, 24), (0, 0))
    if not whole or state != (check1, check2):
        return Scan(readable=False, unread=(len(wal) - HEADER) // size if _is_page(page) else 0, broken=True)
    frames = commits = unread = unread_commits = 0
    broken = False
    for start in range(HEADER, len(wal) - size + 1, size):
        _page, commit, first, second, *expected = struct.unpack_from(">6I", wal, start)
        if (first, second) != (salt1, salt2):
            broken = True  # or left over from an earlier life: then none of this one follows
            continue
        unread += 1
        unread_commits += commit > 0
        if not broken:
            body = _words(order, wal, start + FRAME_HEADER, page)
            state = _checksum(chain(_words(order, wal, start, 8), body), state)
            broken = state != tuple(expected)
            if commit and not broken:
                frames += unread
                commits += 1
                unread = unread_commits = 0
    if (len(wal) - HEADER) % size:
        unread += 1  # a frame that was cut short
    return Scan(True, frames, commits, unread, unread_commits, broken and unread > 0)


def _is_page(size: int) -> bool:
    return 512 <= size <= 65536 and size & (size - 1) == 0


def _words(order: str, wal: bytes | bytearray | memoryview, start: int, size: int) -> tuple[int, ...]:
    return struct.unpack_from(f"{order}{size // 4}I", wal, start)


def _checksum(words: Iterable[int], state: tuple[int, int]) -> tuple[int, int]:
    # The two running sums of the format, in turns: each takes in the other and the next word.
    a, b = state
    for word in words:
        a, b = b, (a + b + word) & _WORD
    return a, b
