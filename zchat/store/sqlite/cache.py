"""What is kept in memory of the database: changed only with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from zchat.store.sqlite.clients import Recent, unpack_ends
from zchat.store.sqlite.database import Database
from zchat.store.sqlite.events import Room, load_rooms
from zchat.store.sqlite.rows import damaged, verify

PERSONS = 20_000
"""Persons whose key is at hand."""


@dataclass(slots=True)
class Cache:
    """See the attributes.

    Attributes:
        rooms: every room by name.
        ids: every room by key.
        recent: the ends of the sends of the turns that are kept one by one.
        turn: the last.
        runs: where each run ends, by its id; the present one has no end yet.
        behind: rooms that are not indexed up to their heads.
        over: rooms that may have more events than are to be kept.
        persons: keys of persons that were needed lately.
    """

    rooms: dict[str, Room] = field(default_factory=dict)
    ids: dict[int, Room] = field(default_factory=dict)
    recent: Recent = field(default_factory=Recent)
    turn: int = 0
    runs: dict[bytes, int | None] = field(default_factory=dict)
    behind: dict[Room, None] = field(default_factory=dict)
    over: dict[Room, None] = field(default_factory=dict)
    persons: dict[bytes, int] = field(default_factory=dict)

    def load(self, db: Database) -> None:
        """Takes everything from the database.

        Raises:
            errors.StoreDamaged: something is missing, or not what was put there.
        """
        turns = list(db.rows("turns", "SELECT turn, ends, sum FROM turns ORDER BY turn"))
        runs = list(db.rows("runs", "SELECT begins, run, sum FROM runs ORDER BY begins"))
        self.turn = turns[-1][0] if turns else 0
        if [row[0] for row in turns] != list(range(db.meta["folded"] + 1, self.turn + 1)):
            raise damaged("a turn is missing")
        if runs and runs[-1][0] > self.turn:
            raise damaged("the last turns are missing")
        ends = [begins - 1 for begins, _ in runs[1:]]
        self.runs = {run: end for (_, run), end in zip(runs, [*ends, None], strict=False)}
        self.rooms = load_rooms(db, self.turn)
        self.ids = {room.id: room for room in self.rooms.values()}
        self.behind = {room: None for room in self.rooms.values() if room.indexed < room.head}
        self.persons = {}
        self.recent = Recent()
        for _, sends in turns:
            self.recent.note(unpack_ends(sends))

    def person(self, db: Database, person: bytes) -> int | None:
        """The key of a person; None if it is not kept."""
        known = self.persons.get(person)
        if known is None:
            row = db.execute("SELECT id, person, sum FROM persons WHERE person = ?", (person,)).fetchone()
            if row is not None:
                known = int(verify("persons", row)[0])
                if len(self.persons) >= PERSONS:
                    self.persons.clear()
                self.persons[person] = known
        return known


@contextmanager
def changing(db: Database, *rooms: Room) -> Iterator[None]:
    """A transaction that changes these rooms; if it fails they are as before."""
    before = [(room, room.head, room.first, room.ms, room.turn, room.indexed, room.rising) for room in rooms]
    try:
        with db.transaction():
            yield
            for room in rooms:
                _, *columns, check = room.row()
                db.execute(UPDATE_HEAD, (*columns, check, room.id))
    except BaseException:
        for room, head, first, ms, turn, indexed, rising in before:
            room.head, room.first, room.ms, room.turn = head, first, ms, turn
            room.indexed, room.rising = indexed, rising
        raise


UPDATE_HEAD = "UPDATE heads SET head = ?, first = ?, ms = ?, turn = ?, indexed = ?, rising = ?, sum = ? WHERE room = ?"
