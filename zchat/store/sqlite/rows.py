"""Rows as the database has them, each with a checksum over its other columns. Pure.

A database does not notice when a bit of what it holds flips: every row carries a checksum of its own, and is verified
whenever it is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zlib import crc32

import msgspec

from zchat.codec import decode_event
from zchat.errors import StoreDamaged
from zchat.messages import Event
from zchat.store.base import Record, identity

SEQ_BITS = 40
"""An event's key is its room's key and its number, in so many bits."""

SEQ_MASK = (1 << SEQ_BITS) - 1

pack = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.Decoder().decode
_unpack_record: Callable[[bytes], Record] = msgspec.msgpack.Decoder(Record).decode


def damaged(what: str) -> StoreDamaged:
    """The error for what is not as it was put there."""
    return StoreDamaged(f"the data is damaged: {what}: restore a backup; `zchat check` tells more")


def seal(table: str, *columns: object) -> tuple[Any, ...]:
    """A row of a table: these columns and their checksum. That is also over the table: a page may get into another."""
    return (*columns, crc32(pack((table, columns))))


def verify(table: str, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """The columns of a row that was read, without the checksum.

    Raises:
        errors.StoreDamaged: the checksum is another.
    """
    columns = row[:-1]
    try:
        if crc32(pack((table, columns))) == row[-1]:
            return columns
    except (UnicodeError, OverflowError):
        pass
    raise damaged(f"a row of {table} does not match its checksum")


Row = tuple[Event, int, int]
"""An event, the key of the person who wrote it, and its link: of a message the number of its last edit, of an edit that
of the edit before it; 0 if there is none.
"""


def event_row(key: int, body: bytes, author: int, link: int) -> tuple[int, int, int, bytes, int]:
    """The row of an event: key, author, link, body, checksum."""
    return key, author, link, body, crc32(pack((key, author, link, body)))


def read_event(row: tuple[int, int, int, bytes, int]) -> Row:
    """The event of a row.

    Raises:
        errors.StoreDamaged: it is not what was put there.
    """
    key, author, link, body, check = row
    try:
        if crc32(pack((key, author, link, body))) == check:
            event = decode_event(body)
            if event.seq == key & SEQ_MASK:
                return event, author, link
    except (msgspec.MsgspecError, UnicodeError, OverflowError, TypeError):
        pass
    raise damaged(f"event {key & SEQ_MASK} of room {key >> SEQ_BITS} does not match its checksum")


def read_record(columns: tuple[Any, ...]) -> Record:
    """The record of a row's columns, which are verified.

    Raises:
        errors.StoreDamaged: it is not what was put there.
    """
    kind, key, body = columns
    try:
        record = _unpack_record(body)
        if identity(record) == (kind, key):
            return record
    except (msgspec.MsgspecError, UnicodeError, TypeError):
        pass
    raise damaged(f"a record of kind {kind} is another")
