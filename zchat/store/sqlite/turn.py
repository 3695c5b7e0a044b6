"""A turn's work, as it is written to the database."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from zchat.errors import NoSuchMessage, StoreRejected
from zchat.messages import Deleted, Edited, Event, Message, Refused
from zchat.store.base import LOOKBACK, Amend, Append, KnownName, Member, NewRoom, ReadMark, Refusal, Sending
from zchat.store.sqlite.cache import UPDATE_HEAD, Cache
from zchat.store.sqlite.clients import End, pack_ends, refusal
from zchat.store.sqlite.database import Database
from zchat.store.sqlite.events import Events, Room
from zchat.store.sqlite.index import Index
from zchat.store.sqlite.rows import event_row, seal

INSERT_TURN = "INSERT INTO turns VALUES (?, ?, ?)"

_INSERT_EVENT = "INSERT INTO events VALUES (?, ?, ?, ?, ?)"


class Turn:
    """Writes a turn's work, within a transaction. Rooms are changed as it goes; `undo` if the transaction fails.

    Attributes:
        number: the turn's.
        ends: how its sends ended.
        touched: the rooms that were spoken in.
        size: about how many bytes were written.
    """

    def __init__(self, db: Database, cache: Cache, events: Events, index: Index, number: int) -> None:
        self._db, self._cache, self._events, self._index = db, cache, events, index
        self.number = number
        self.ends: list[End] = []
        self.touched: dict[Room, tuple[int, int, int, int]] = {}
        self.size = 0
        self._rows: list[tuple[int, int, int, bytes, int]] = []
        self._made: list[Room] = []
        self._renamed: dict[Room, tuple[Member, ...]] = {}
        self._persons: list[bytes] = []

    def undo(self) -> None:
        """The transaction failed: what is in memory becomes what it was."""
        for room, (head, ms, turn, rising) in self.touched.items():
            room.head, room.ms, room.turn, room.rising = head, ms, turn, rising
        for room, members in self._renamed.items():
            room.members = members
        for room in self._made:
            del self._cache.rooms[room.name], self._cache.ids[room.id]
        for person in self._persons:
            self._cache.persons.pop(person, None)

    def make(self, new: NewRoom) -> None:
        """Makes a room, or notes how its members are called."""
        room = self._cache.rooms.get(new.room)
        if room is None:
            room = Room(len(self._cache.rooms) + 1, new.room, new.members)
            self._db.execute(
                "INSERT INTO rooms VALUES (?, ?, ?, ?)", seal("rooms", room.id, new.room, len(new.members))
            )
            self._db.execute("INSERT INTO heads VALUES (?, ?, ?, ?, ?, ?, ?, ?)", room.row())
            self._write_members(room)
            for table, rows in (("rooms", 1), ("heads", 1), ("members", len(new.members))):
                self._db.count(table, rows)
            self._cache.rooms[new.room] = self._cache.ids[room.id] = room
            self._made.append(room)
        elif room.members and new.members and room.members != new.members:
            self._renamed.setdefault(room, room.members)
            room.members = new.members
            self._write_members(room)

    def send(self, sends: Iterable[Sending]) -> list[Event | Refused]:
        """Numbers and keeps what is sent. Returns for each the event, or why there is none.

        Raises:
            errors.StoreRejected: a room is not there.
        """
        rooms, persons, touched, rows, ends = (
            self._cache.rooms,
            self._cache.persons,
            self.touched,
            self._rows,
            self.ends,
        )
        done: list[Event | Refused] = []
        event: Event | Refused
        for send in sends:
            if isinstance(send, Refusal):
                ends.append(refusal(send.client, send.answer))
                done.append(send.answer)
                continue
            room = rooms.get(send.room)
            if room is None:
                raise StoreRejected(f"there is no room {send.room} to keep that in")
            if room not in touched:
                touched[room] = room.head, room.ms, room.turn, room.rising
            if isinstance(send, Append):
                seq = room.head + 1
                event = Message(seq, send.ms, send.name, send.sender, send.n, send.text, send.action)
                author = persons.get(send.person) or self._person(send.person)
                rows.append(event_row(room.id, event, author, 0))
            else:
                event = self._amend(room, send)
                if isinstance(event, Refused):
                    ends.append(refusal(send.client, event))
                    done.append(event)
                    continue
            room.says(event.seq, send.ms)
            ends.append((send.client, send.n, room.id, event.seq, send.ms))
            done.append(event)
        self._flush()
        return done

    def mark(self, mark: ReadMark) -> None:
        """Notes that a person has read a room so far. A room that is not kept has nothing to read."""
        room = self._cache.rooms.get(mark.room)
        if room is None:
            return
        person = self._person(mark.person)
        found = self._db.execute("SELECT seq FROM marks WHERE person = ? AND room = ?", (person, room.id)).fetchone()
        if found is None:
            self._db.count("marks", 1)
        elif found[0] >= mark.seq:
            return
        self._db.execute("REPLACE INTO marks VALUES (?, ?, ?, ?)", seal("marks", person, room.id, mark.seq))

    def name(self, known: KnownName, keep: int) -> None:
        """Notes who goes by a name; the oldest are forgotten."""
        gone = self._db.execute("DELETE FROM names WHERE key = ?", (known.key,)).rowcount
        (last,) = self._db.execute("SELECT max(id) FROM names").fetchone()
        row = seal("names", (last or 0) + 1, known.key, known.name, known.person)
        self._db.execute("INSERT INTO names VALUES (?, ?, ?, ?, ?)", row)
        self._db.count("names", 1 - gone)
        if (over := self._db.counted("names") - keep) > 0:
            self._db.execute("DELETE FROM names WHERE id IN (SELECT id FROM names ORDER BY id LIMIT ?)", (over,))
            self._db.count("names", -over)

    def finish(self) -> None:
        """Writes what there is one of per turn."""
        heads = []
        for room in self.touched:
            room.turn = self.number
            _, *columns, check = room.row()
            heads.append((*columns, check, room.id))
        self._db.executemany(UPDATE_HEAD, heads)
        self._db.execute(INSERT_TURN, seal("turns", self.number, pack_ends(self.ends)))

    def _flush(self) -> None:
        if self._rows:
            self._db.executemany(_INSERT_EVENT, self._rows)
            self.size += sum(len(row[3]) + 20 for row in self._rows)
            self._rows.clear()

    def _person(self, person: bytes) -> int:
        known = self._cache.person(self._db, person)
        if known is None:
            known = self._db.counted("persons") + 1
            self._db.execute("INSERT INTO persons VALUES (?, ?, ?)", seal("persons", known, person))
            self._db.count("persons", 1)
            self._cache.persons[person] = known
            self._persons.append(person)
        return known

    def _write_members(self, room: Room) -> None:
        rows = [
            seal("members", room.id, place, self._person(each.person), each.name)
            for place, each in enumerate(room.members)
        ]
        self._db.executemany("REPLACE INTO members VALUES (?, ?, ?, ?, ?)", rows)

    # Edits and deletions --------------------------------------------------------------------------------------------

    def _amend(self, room: Room, amend: Amend) -> Edited | Deleted | Refused:
        self._flush()
        author = self._cache.person(self._db, amend.person)
        target = amend.target
        if not target and author is not None:
            target = self._events.last_of(room, author, LOOKBACK)
        row = self._events.get(room, target)
        if row is None or row[1] != author or not isinstance(row[0], Message) or row[0].deleted:
            return Refused(amend.n, NoSuchMessage.code, NoSuchMessage.says)
        message, author, link = row
        seq = room.head + 1
        if amend.text is not None:
            edited = Edited(seq, amend.ms, amend.name, amend.sender, amend.n, target, amend.text)
            self._rows.append(event_row(room.id, edited, author, link))
            self._events.change(room, (message, author, seq))
            return edited
        self._index.remove(room, row)
        for edit, by, before in list(self._events.edits(room, row)):
            self._events.change(room, (msgspec.structs.replace(edit, text=""), by, before))
        self._events.change(room, (msgspec.structs.replace(message, text="", deleted=seq), author, 0))
        deleted = Deleted(seq, amend.ms, amend.name, amend.sender, amend.n, target)
        self._rows.append(event_row(room.id, deleted, author, 0))
        self._db.put("erase", self._db.meta["erase"] + 1)
        return deleted
