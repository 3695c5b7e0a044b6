"""What is kept in memory of the database: changed only with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from zchat.store.sqlite.clients import End, Recent, is_refusal
from zchat.store.sqlite.database import Database
from zchat.store.sqlite.events import Room, load_rooms
from zchat.store.sqlite.rows import damaged, seal, unpack, verify

PERSONS = 20_000
"""Persons whose key is at hand."""


@dataclass(slots=True, eq=False)
class Person:
    """A person who was named or said something.

    Attributes:
        id: its key.
        size: bytes of its events that are kept.
    """

    id: int
    person: bytes
    size: int = 0

    def row(self) -> tuple[Any, ...]:
        """Its row of persons."""
        return seal("persons", self.id, self.person, self.size)


@dataclass(slots=True)
class Log:
    """What was logged and is not settled yet: see `log`.

    Attributes:
        settled: the last turn that is.
        rooms: that spoke since.
        persons: of whom more or less is kept since.
        ends: how sends ended since.
        size: about how many bytes of the log it takes.
        events: how many were kept.
    """

    settled: int = 0
    rooms: dict[Room, None] = field(default_factory=dict)
    persons: dict[Person, None] = field(default_factory=dict)
    ends: list[End] = field(default_factory=list)
    size: int = 0
    events: int = 0

    def note(
        self, rooms: Iterable[Room], persons: Iterable[Person], ends: Iterable[End], events: int, size: int
    ) -> None:
        """A turn was logged: in these rooms, and so on."""
        for room in rooms:
            self.rooms[room] = None
        for person in persons:
            self.persons[person] = None
        self.ends += ends
        self.events += events
        self.size += size


@dataclass(slots=True)
class Cache:
    """See the attributes.

    Attributes:
        rooms: every room by name.
        ids: every room by key.
        recent: the ends of the last sends.
        log: what is not settled yet.
        turn: the last.
        runs: where each run ends, by its id; the present one has no end yet.
        behind: rooms that are not indexed up to their heads.
        over: rooms that may have more events than are to be kept.
        persons: that were needed lately, and all that are in `log`.
    """

    rooms: dict[str, Room] = field(default_factory=dict)
    ids: dict[int, Room] = field(default_factory=dict)
    recent: Recent = field(default_factory=Recent)
    log: Log = field(default_factory=Log)
    turn: int = 0
    runs: dict[bytes, int | None] = field(default_factory=dict)
    behind: dict[Room, None] = field(default_factory=dict)
    over: dict[Room, None] = field(default_factory=dict)
    persons: dict[bytes, Person] = field(default_factory=dict)

    def load(self, db: Database) -> None:
        """Takes everything from the database.

        Raises:
            errors.StoreDamaged: something is missing, or not what was put there.
        """
        turns = list(db.rows("turns", "SELECT turn, ends, sum FROM turns ORDER BY turn"))
        runs = list(db.rows("runs", "SELECT begins, run, sum FROM runs ORDER BY begins"))
        logged = list(db.rows("log", "SELECT turn, sent, sum FROM log ORDER BY turn"))
        self.turn = settled = db.meta["folded"]
        settled_ends: list[End] = []
        for turn, told in turns:
            first, ends = unpack(told)
            if first != settled + 1:
                raise damaged("a turn is missing")
            self.turn = settled = turn
            settled_ends += [tuple(end) for end in ends]
        self.rooms = load_rooms(db, logged[-1][0] if logged else settled)
        self.ids = {room.id: room for room in self.rooms.values()}
        self.persons = {}
        self.recent, self.log = Recent(), Log(settled)
        self.recent.note(settled_ends)
        for turn, sent in logged:
            if turn != self.turn + 1:
                raise damaged("a turn is missing")
            self.turn = turn
            ends, spoken, freed = unpack(sent)
            self._speak(db, [tuple(end) for end in ends], iter(spoken), len(sent))
            for key, author, size in freed:
                self._room(key).size -= size
                self.author(db, author).size -= size
        if runs and runs[-1][0] > self.turn:
            raise damaged("the last turns are missing")
        last = [begins - 1 for begins, _ in runs[1:]]
        self.runs = {run: end for (_, run), end in zip(runs, [*last, None], strict=False)}
        self.behind = {room: None for room in self.rooms.values() if room.indexed < room.head}

    def _room(self, key: int) -> Room:
        room = self.ids.get(key)
        if room is None:
            raise damaged(f"room {key} is missing")
        return room

    def _speak(self, db: Database, ends: list[End], spoken: Iterator[tuple[int, int, list[bytes]]], size: int) -> None:
        """Takes a turn from the log. What was said before an edit or a deletion in the same turn is settled already."""
        self.recent.note(ends)
        for end in ends:
            if is_refusal(end):
                continue
            _, _, key, seq, ms, _ = end
            author, link, bodies = next(spoken)
            room = self._room(key)
            if seq > room.head + 1:
                raise damaged(f"an event of room {key} is missing")
            fresh = bodies[room.head + 1 - seq :]
            person = self.author(db, author)
            for body in fresh:
                room.says(room.head + 1, ms, self.turn)
                room.tail.append((author, link, body))
                room.size += len(body)
                person.size += len(body)
            self.log.note([room], [person], (), len(fresh), 0)
        self.log.note((), (), ends, 0, size)

    def person(self, db: Database, person: bytes) -> Person | None:
        """A person; None if it is not kept."""
        known = self.persons.get(person)
        if known is None:
            row = db.execute("SELECT * FROM persons WHERE person = ?", (person,)).fetchone()
            if row is not None:
                known = self.persons[person] = Person(*verify("persons", row))
        return known

    def author(self, db: Database, key: int) -> Person:
        """The person of a key.

        Raises:
            errors.StoreDamaged: it is not kept.
        """
        row = db.execute("SELECT * FROM persons WHERE id = ?", (key,)).fetchone()
        if row is None:
            raise damaged(f"person {key} is missing")
        person = Person(*verify("persons", row))
        return self.persons.setdefault(person.person, person)

    def forget(self) -> None:
        """Lets go of persons, if there are many; not within a turn."""
        if len(self.persons) >= PERSONS:
            self.persons = {person.person: person for person in self.log.persons}


@contextmanager
def changing(db: Database, *rooms: Room, less: Mapping[Person, int] | None = None) -> Iterator[None]:
    """A transaction that changes these rooms, and of how much less is kept of persons; all of it is settled. If it
    fails they are as before.
    """
    before = [(room, room.head, room.first, room.ms, room.turn, room.indexed, room.rising, room.size) for room in rooms]
    sizes = [(person, person.size) for person in less or ()]
    try:
        with db.transaction():
            yield
            for room in rooms:
                _, *columns, check = room.row()
                db.execute(UPDATE_HEAD, (*columns, check, room.id))
            for person, size in (less or {}).items():
                person.size -= size
                db.execute(UPDATE_PERSON, (*person.row()[2:], person.id))
    except BaseException:
        for room, head, first, ms, turn, indexed, rising, size in before:
            room.head, room.first, room.ms, room.turn = head, first, ms, turn
            room.indexed, room.rising, room.size = indexed, rising, size
        for person, size in sizes:
            person.size = size
        raise


UPDATE_HEAD = (
    "UPDATE heads SET head = ?, first = ?, ms = ?, turn = ?, indexed = ?, rising = ?, bytes = ?, sum = ? WHERE room = ?"
)
UPDATE_PERSON = "UPDATE persons SET bytes = ?, sum = ? WHERE id = ?"
