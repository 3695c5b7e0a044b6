"""The log: what was sent in a turn is one row at first, and settled later: put into its rooms, many turns at once.

So a commit writes one page, however many rooms spoke. What is not settled yet is in memory as well, and is read from
there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from zchat.store.sqlite.cache import UPDATE_HEAD, UPDATE_PERSON, Cache, Log, Person
from zchat.store.sqlite.clients import End
from zchat.store.sqlite.database import Database
from zchat.store.sqlite.events import Room
from zchat.store.sqlite.rows import event_row, pack, seal

AT_ONCE = 50
"""Events in one statement: each takes a third less so, and SQLite has allowed 999 values since ever."""

_INSERT_ONE = "INSERT INTO events VALUES (?, ?, ?, ?, ?)"
_INSERT_MANY = _INSERT_ONE + ", (?, ?, ?, ?, ?)" * (AT_ONCE - 1)


@dataclass(slots=True)
class Spoken:
    """What is to be logged of a turn.

    Attributes:
        ends: how its sends ended.
        runs: for each end that of events, in order: their author, link and encodings.
        freed: what was taken from events that are settled: their room, author, and bytes.
    """

    ends: list[End] = field(default_factory=list)
    runs: list[tuple[int, int, list[bytes]]] = field(default_factory=list)
    freed: list[tuple[int, int, int]] = field(default_factory=list)


def write(db: Database, turn: int, spoken: Spoken) -> int:
    """Writes the row of a turn. Returns about how many bytes it takes."""
    body = pack((spoken.ends, spoken.runs, spoken.freed))
    db.execute("INSERT INTO log VALUES (?, ?, ?)", seal("log", turn, body))
    return len(body)


def settle(
    db: Database, cache: Cache, touched: Iterable[Room] = (), persons: Iterable[Person] = ()
) -> Callable[[], None]:
    """Puts all that is not settled into its rooms, within a transaction. Returns what undoes it in memory.

    Args:
        touched: rooms that spoke in the turn that is being written.
        persons: of whom more or less is kept in it.
    """
    log = cache.log
    rooms = [(room, room.tail) for room in log.rooms | dict.fromkeys(touched)]
    rows: list[tuple[int, int, int, bytes, int]] = []
    heads: list[Any] = []
    for room, tail in sorted(rooms, key=lambda pair: pair[0].id):
        first = room.key(room.settled + 1)
        rows += [event_row(key, body, author, link) for key, (author, link, body) in enumerate(tail, first)]
        _, *columns, check = room.row()
        heads.append((*columns, check, room.id))
    _insert(db, rows)
    db.executemany(UPDATE_HEAD, heads)
    authors = sorted(log.persons | dict.fromkeys(persons), key=lambda person: person.id)
    db.executemany(UPDATE_PERSON, [(*person.row()[2:], person.id) for person in authors])
    if cache.turn > log.settled:
        db.execute("DELETE FROM log WHERE turn <= ?", (cache.turn,))
        ends = [end for end in log.ends if end[0]]  # what used a number up
        db.execute("INSERT INTO turns VALUES (?, ?, ?)", seal("turns", cache.turn, pack((log.settled + 1, ends))))
    db.frames += len(rooms) + min(len(authors), db.counted("persons") // 50 + 1) + log.size // 1500 + 4
    for room, _ in rooms:
        room.tail = []
    cache.log = Log(cache.turn)

    def undo() -> None:
        cache.log = log
        for room, tail in rooms:
            room.tail = tail

    return undo


def _insert(db: Database, rows: list[tuple[int, int, int, bytes, int]]) -> None:
    whole = len(rows) - len(rows) % AT_ONCE
    for first in range(0, whole, AT_ONCE):
        db.execute(_INSERT_MANY, [*chain.from_iterable(rows[first : first + AT_ONCE])])
    db.executemany(_INSERT_ONE, rows[whole:])
