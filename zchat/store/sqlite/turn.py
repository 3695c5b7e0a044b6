"""A turn's work, as it is written to the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from zchat.codec import encode_event
from zchat.errors import NoSuchMessage, StoreRejected
from zchat.messages import Deleted, Edited, Message, Refused
from zchat.store.base import (
    LOOKBACK,
    Amend,
    Append,
    Deed,
    Kept,
    KnownName,
    Member,
    NewRoom,
    Quotas,
    ReadMark,
    Record,
    Refusal,
    Sending,
    identity,
)
from zchat.store.sqlite.cache import Cache, Person
from zchat.store.sqlite.clients import refusal
from zchat.store.sqlite.database import Database
from zchat.store.sqlite.events import Events, Room, Unsettled
from zchat.store.sqlite.index import Index
from zchat.store.sqlite.log import Spoken, settle, write
from zchat.store.sqlite.rows import Row, pack, seal

_MOST = 2**63 - 1


class Turn:
    """Writes a turn's work, within a transaction. Rooms are changed as it goes; `undo` if the transaction fails.

    Attributes:
        number: the turn's.
        spoken: what goes to the log.
        touched: the rooms that were spoken in.
        sizes: the authors, and how much was kept of each before.
        events: how many were kept.
        size: about how many bytes were logged.
    """

    def __init__(self, db: Database, cache: Cache, events: Events, index: Index, number: int, quotas: Quotas) -> None:
        self._db, self._cache, self._events, self._index = db, cache, events, index
        self._quotas = quotas
        self.number = number
        self.spoken = Spoken()
        self.touched: dict[Room, tuple[int, int, int, int, int, list[Unsettled], int]] = {}
        self.sizes: dict[Person, int] = {}
        self.events = self.size = 0
        self._made: list[Room] = []
        self._renamed: dict[Room, tuple[Member, ...]] = {}
        self._persons: list[bytes] = []
        self._undo: list[Callable[[], None]] = []

    def undo(self) -> None:
        """The transaction failed: what is in memory becomes what it was."""
        for room, (head, ms, turn, rising, size, tail, unsettled) in self.touched.items():
            room.head, room.ms, room.turn, room.rising, room.size, room.tail = head, ms, turn, rising, size, tail
            del tail[unsettled:]
        for author, size in self.sizes.items():
            author.size = size
        for undo in reversed(self._undo):
            undo()
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
            room = Room(len(self._cache.rooms) + 1, new.room, new.members, founder=new.founder)
            row = seal("rooms", room.id, new.room, len(new.members), new.founder)
            self._db.execute("INSERT INTO rooms VALUES (?, ?, ?, ?, ?)", row)
            self._db.execute("INSERT INTO heads VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", room.row())
            self._write_members(room)
            for table, rows in (("rooms", 1), ("heads", 1), ("members", len(new.members))):
                self._db.count(table, rows)
            self._cache.rooms[new.room] = self._cache.ids[room.id] = room
            self._made.append(room)
        elif room.members and new.members and room.members != new.members:
            self._renamed.setdefault(room, room.members)
            room.members = new.members
            self._write_members(room)

    def send(self, sends: Iterable[Sending]) -> list[list[Kept | Refused]]:
        """Numbers what is sent. Returns for each what is kept of it, or why it is not.

        Raises:
            errors.StoreRejected: a room is not there.
        """
        done: list[list[Kept | Refused]] = []
        for send in sends:
            if isinstance(send, Refusal):
                done.append([self._refuse(send.client, send.answer)])
            else:
                room = self._cache.rooms.get(send.room)
                if room is None:
                    raise StoreRejected(f"there is no room {send.room} to keep that in")
                if room not in self.touched:
                    tail = room.tail
                    self.touched[room] = room.head, room.ms, room.turn, room.rising, room.size, tail, len(tail)
                match send:
                    case Append():
                        done.append(self._append(room, send))
                    case Amend():
                        done.append([self._amend(room, send)])
                    case Deed():
                        done.append([self._act(room, send)])
        return done

    def _refuse(self, client: bytes, answer: Refused) -> Refused:
        self.spoken.ends.append(refusal(client, answer))
        return answer

    def _append(self, room: Room, append: Append) -> list[Kept | Refused]:
        ms, name, sender = append.ms, append.name, append.sender
        events = [
            encode_event(Message(seq, ms, name, sender, said.n, said.text, said.action, 0, 0, said.reply))
            for seq, said in enumerate(append.said, room.head + 1)
        ]
        author = self._cache.persons.get(append.person) or self._person(append.person)
        size = sum(map(len, events))
        if author.size + size > self._quotas.person or room.size + size > self._quotas.room:
            if len(append.said) > 1:
                singles = [msgspec.structs.replace(append, said=[said]) for said in append.said]
                return [each for single in singles for each in self._append(room, single)]
            refused = self._quotas.refusal(append.n, author.size + size, room.size + size)
            if refused is not None:
                return [self._refuse(append.client, refused)]
        return [self._keep(room, append.client, append.said[0].n, ms, author, 0, events, size)]

    def _act(self, room: Room, deed: Deed) -> Kept:
        author = self._cache.persons.get(deed.person) or self._person(deed.person)
        acted = encode_event(msgspec.structs.replace(deed.act, seq=room.head + 1))
        return self._keep(room, deed.client, deed.n, deed.ms, author, 0, [acted], len(acted))

    def _keep(
        self, room: Room, client: bytes, n: int, ms: int, author: Person, link: int, events: list[bytes], size: int
    ) -> Kept:
        first, count = room.head + 1, len(events)
        if not (0 <= ms <= _MOST and 0 <= n <= _MOST + 1 - count):  # the log would take it, but no row, and no reader
            raise StoreRejected("the store cannot keep numbers that are negative or so large")
        room.says(first, ms, self.number)
        room.head += count - 1
        key = author.id
        room.tail += [(key, link, event) for event in events]
        if author not in self.sizes:
            self.sizes[author] = author.size
        room.size += size
        author.size += size
        self.spoken.ends.append((client, n, room.id, first, ms, count))
        self.spoken.runs.append((key, link, events))
        self.events += count
        return Kept(first, events, author.size > self._quotas.person)

    def mark(self, mark: ReadMark) -> None:
        """Notes that a person has read a room so far. A room that is not kept has nothing to read."""
        room = self._cache.rooms.get(mark.room)
        if room is None:
            return
        person = self._person(mark.person).id
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
        row = seal("names", (last or 0) + 1, known.key, known.name, known.person, known.until, known.seen)
        self._db.execute("INSERT INTO names VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        self._db.count("names", 1 - gone)
        if (over := self._db.counted("names") - keep) > 0:
            self._db.execute("DELETE FROM names WHERE id IN (SELECT id FROM names ORDER BY id LIMIT ?)", (over,))
            self._db.count("names", -over)

    def free(self, key: str) -> None:
        """Notes that a name is nobody's any more."""
        self._db.count("names", -self._db.execute("DELETE FROM names WHERE key = ?", (key,)).rowcount)

    def record(self, record: Record) -> None:
        """Keeps who may do what, in the place of what was kept of it."""
        self.drop(record)
        row = seal("records", *identity(record), pack(record))
        self._db.execute("INSERT INTO records VALUES (?, ?, ?, ?)", row)
        self._db.count("records", 1)

    def drop(self, record: Record) -> None:
        """Notes that something is no more."""
        gone = self._db.execute("DELETE FROM records WHERE kind = ? AND id = ?", identity(record)).rowcount
        self._db.count("records", -gone)

    def finish(self) -> None:
        """Writes what there is one of per turn."""
        self.size = write(self._db, self.number, self.spoken)

    def _person(self, person: bytes) -> Person:
        known = self._cache.person(self._db, person)
        if known is None:
            known = Person(self._db.counted("persons") + 1, person)
            self._db.execute("INSERT INTO persons VALUES (?, ?, ?, ?)", known.row())
            self._db.count("persons", 1)
            self._cache.persons[person] = known
            self._persons.append(person)
        return known

    def _write_members(self, room: Room) -> None:
        rows = [
            seal("members", room.id, place, self._person(each.person).id, each.name)
            for place, each in enumerate(room.members)
        ]
        self._db.executemany("REPLACE INTO members VALUES (?, ?, ?, ?, ?)", rows)

    # Edits and deletions --------------------------------------------------------------------------------------------

    def _amend(self, room: Room, amend: Amend) -> Kept | Refused:
        author = self._cache.person(self._db, amend.person)
        target = amend.target
        if not target and author is not None:
            target = self._events.last_of(room, author.id, LOOKBACK)
        row = self._events.get(room, target)
        if author is None or row is None or row[1] != author.id or not isinstance(row[0], Message) or row[0].deleted:
            return self._refuse(amend.client, Refused(amend.n, NoSuchMessage.code, NoSuchMessage.says))
        message, key, link = row
        seq, by = room.head + 1, (amend.name, amend.sender, amend.n)
        if amend.text is not None:
            edited = encode_event(Edited(seq, amend.ms, *by, target, amend.text))
            size = len(edited)
            refused = self._quotas.refusal(amend.n, author.size + size, room.size + size)
            if refused is not None:
                return self._refuse(amend.client, refused)
            self._settle(room)
            kept = self._keep(room, amend.client, amend.n, amend.ms, author, link, [edited], size)
            self._change(room, author, (message, key, seq))
            return kept
        self._settle(room)
        self._index.remove(room, row)
        for edit, by_whom, before in list(self._events.edits(room, row)):
            self._change(room, author, (msgspec.structs.replace(edit, text=""), by_whom, before))
        self._change(room, author, (msgspec.structs.replace(message, text="", deleted=seq), key, 0))
        self._db.put("erase", self._db.meta["erase"] + 1)
        deleted = encode_event(Deleted(seq, amend.ms, *by, target))
        return self._keep(room, amend.client, amend.n, amend.ms, author, 0, [deleted], len(deleted))

    def _settle(self, room: Room) -> None:
        """Has all events of a room settled: what is changed must have a row."""
        if room.tail:
            self._undo.append(settle(self._db, self._cache, self.touched, self.sizes))
            self.spoken.freed.clear()  # that is in what is settled

    def _change(self, room: Room, author: Person, row: Row) -> None:
        """Changes an event by that author which is settled."""
        less = self._events.change(room, row)
        if less:
            self.sizes.setdefault(author, author.size)
            room.size -= less
            author.size -= less
            self.spoken.freed.append((room.id, author.id, less))
