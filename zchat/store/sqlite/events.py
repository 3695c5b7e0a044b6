"""The rooms and their events in the database."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

import msgspec

from zchat.codec import decode_event, encode_event
from zchat.messages import Edited, Event, Message
from zchat.store.base import Member, RoomRecord, Slice, Span, weight
from zchat.store.sqlite.database import Database
from zchat.store.sqlite.rows import SEQ_BITS, Row, damaged, event_row, read_event, seal

LOOKED_AT = 2000
"""Events that one call looks at for history at most."""

_COLUMNS = "SELECT id, author, link, body, sum FROM events"
_RANGE = f"{_COLUMNS} WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?"
_RANGE_DOWN = f"{_COLUMNS} WHERE id BETWEEN ? AND ? ORDER BY id DESC LIMIT ?"
_ONE = f"{_COLUMNS} WHERE id = ?"
_LAST_OF = f"{_COLUMNS} WHERE id BETWEEN ? AND ? AND author = ? ORDER BY id DESC"


Unsettled = tuple[int, int, bytes]
"""An event that has no row yet: author, link, encoding."""


@dataclass(slots=True, eq=False)
class Room:
    """A room, as it is in the database.

    Attributes:
        id: its key.
        first: the number of the oldest event kept; head + 1 if none is.
        ms: when it last spoke.
        turn: in which it last spoke.
        indexed: up to where it was indexed for searching.
        rising: the number from which on no event is older than the one before it.
        size: bytes of its events that are kept, encoded.
        founder: the person who made it; empty if nobody did.
        tail: its last events, those that are not settled yet; see `log`.
    """

    id: int
    name: str
    members: tuple[Member, ...] = ()
    head: int = 0
    first: int = 1
    ms: int = 0
    turn: int = 0
    indexed: int = 0
    rising: int = 1
    size: int = 0
    founder: bytes = b""
    tail: list[Unsettled] = field(default_factory=list)

    @property
    def settled(self) -> int:
        """The number of the last event that has a row of its own."""
        return self.head - len(self.tail)

    def key(self, seq: int) -> int:
        """The key of its event of that number."""
        return self.id << SEQ_BITS | seq

    def row(self) -> tuple[int, ...]:
        """Its row of heads."""
        return seal("heads", self.id, self.head, self.first, self.ms, self.turn, self.indexed, self.rising, self.size)

    def says(self, seq: int, ms: int, turn: int) -> None:
        """An event of that number and time is appended, in a turn."""
        if ms < self.ms:  # an import, or a clock that was set back
            self.rising = seq
        self.head, self.ms, self.turn = seq, ms, turn

    def kept(self, seq: int) -> bool:
        """Whether it has an event of that number."""
        return self.first <= seq <= self.head


class Events:
    """Reads events, verified; what is said of a room is what its cached `Room` says, and must be there."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, room: Room, seq: int) -> Row | None:
        """An event; None if it is not kept.

        Raises:
            errors.StoreDamaged: it is missing, or not what was put there.
        """
        if not room.kept(seq):
            return None
        if seq > room.settled:
            return _unsettled(room, seq)
        row = self._db.execute(_ONE, (room.key(seq),)).fetchone()
        if row is None:
            raise damaged(f"event {seq} of room {room.id} is missing")
        return read_event(row)

    def rows(self, room: Room, low: int, high: int, limit: int, *, down: bool = False) -> Iterator[Row]:
        """Events from `low` to `high`, which must be kept: at most `limit`, rising or falling.

        Raises:
            errors.StoreDamaged: one is missing, or not what was put there.
        """
        settled = room.settled
        low, high = (max(low, high - limit + 1), high) if down else (low, min(high, low + limit - 1))
        tail = range(max(low, settled + 1), high + 1)
        if down:
            yield from (_unsettled(room, seq) for seq in reversed(tail))
        if low <= min(high, settled):
            yield from self._stored(room, low, min(high, settled), down=down)
        if not down:
            yield from (_unsettled(room, seq) for seq in tail)

    def _stored(self, room: Room, low: int, high: int, *, down: bool) -> Iterator[Row]:
        step, seq = (-1, high) if down else (1, low)
        limit, found = high - low + 1, 0
        with closing(self._db.execute(_RANGE_DOWN if down else _RANGE, (room.key(low), room.key(high), limit))) as rows:
            for raw in rows:
                row = read_event(raw)
                if raw[0] != room.key(seq):
                    break
                yield row
                seq += step
                found += 1
        if found != limit:
            raise damaged(f"event {seq} of room {room.id} is missing")

    def change(self, room: Room, row: Row) -> int:
        """Puts an event in the place of that of its number, which must be settled.

        Returns:
            How many bytes less it takes.
        """
        event, author, link = row
        body = encode_event(event)
        key, *columns = event_row(room.key(event.seq), body, author, link)
        (size,) = self._db.execute("SELECT length(body) FROM events WHERE id = ?", (key,)).fetchone()
        self._db.execute("UPDATE events SET author = ?, link = ?, body = ?, sum = ? WHERE id = ?", (*columns, key))
        return int(size) - len(body)

    def sizes(self, low: int, high: int) -> dict[int, int]:
        """How many bytes events of these keys take, by author."""
        sql = "SELECT author, sum(length(body)) FROM events WHERE id BETWEEN ? AND ? GROUP BY author"
        return dict(self._db.execute(sql, (low, high)).fetchall())

    def read(self, room: Room, after: int, limit: int, size: int) -> Slice:
        """See `Store.read`."""
        events: list[Event] = []
        for event, _, _ in self.rows(room, max(after + 1, room.first), room.head, limit):
            size -= weight(event)
            if events and size < 0:
                break
            events.append(event)
        return Slice(room.first, room.head, tuple(events))

    def history(self, room: Room, span: Span) -> Slice:
        """See `Store.history`."""
        low = room.first
        if span.since and room.rising <= low:
            low += bisect_left(_Times(self, room), span.since)
        if span.after is not None:
            low = max(low, span.after + 1)
        high = min(room.head, span.before - 1) if span.before else room.head
        forward = span.after is not None
        found: list[Message] = []
        size, edge = span.size, (span.after or 0) if forward else high + 1
        for row in self.rows(room, low, high, LOOKED_AT, down=not forward):
            message = self.fold(room, row)
            if message is not None and message.ms >= span.since:
                size -= weight(message)
                if len(found) == span.limit or (found and size < 0):
                    break
                found.append(message)
            edge = row[0].seq
        more = low <= high and edge != (high if forward else low)
        return Slice(room.first, room.head, tuple(found if forward else reversed(found)), more, edge)

    def fold(self, room: Room, row: Row) -> Message | None:
        """A message as it is now; None for what is no message."""
        message, _, link = row
        if not isinstance(message, Message):
            return None
        edit = self.get(room, link) if link else None
        return message if edit is None else _edited(message, edit[0])

    def message(self, room: Room, seq: int) -> Message | None:
        """The message of that number as it is now; None if there is none."""
        row = self.get(room, seq)
        return None if row is None else self.fold(room, row)

    def last_of(self, room: Room, author: int, lookback: int) -> int:
        """The number of a person's last message that is not deleted, among so many events; 0 if there is none."""
        low = max(room.first, room.head - lookback + 1)
        for seq in range(room.head, max(low, room.settled + 1) - 1, -1):
            event, by, _ = _unsettled(room, seq)
            if by == author and isinstance(event, Message) and not event.deleted:
                return seq
        with closing(self._db.execute(_LAST_OF, (room.key(low), room.key(room.settled), author))) as rows:
            for raw in rows:
                event = read_event(raw)[0]
                if isinstance(event, Message) and not event.deleted:
                    return event.seq
        return 0

    def edits(self, room: Room, row: Row, above: int = 0) -> Iterator[Row]:
        """The edits of a message, the last first."""
        link = row[2]
        while link > above and (edit := self.get(room, link)) is not None:
            yield edit
            link = edit[2]


def _unsettled(room: Room, seq: int) -> Row:
    author, link, body = room.tail[seq - room.settled - 1]
    return decode_event(body), author, link


def _edited(message: Message, edit: Event) -> Message:
    if not isinstance(edit, Edited) or edit.target != message.seq:
        raise damaged(f"event {edit.seq} is no edit of {message.seq}")
    return msgspec.structs.replace(message, text=edit.text, edited=edit.seq)


class _Times:
    """When each of a room's events was said, read as they are asked for."""

    def __init__(self, events: Events, room: Room) -> None:
        self._events, self._room = events, room

    def __len__(self) -> int:
        return self._room.head - self._room.first + 1

    def __getitem__(self, index: int) -> int:
        row = self._events.get(self._room, self._room.first + index)
        return getattr(row[0], "ms", 0) if row else 0


def load_rooms(db: Database, turn: int) -> dict[str, Room]:
    """Every room, as the database has it; its head must be that of its events, and no later than a turn.

    Raises:
        errors.StoreDamaged: something is missing, or not what was put there.
    """
    persons = {key: person for key, person, _ in db.rows("persons", "SELECT * FROM persons")}
    members: dict[int, list[Member]] = {}
    for room, _, person, name in db.rows("members", "SELECT * FROM members ORDER BY room, place"):
        if person not in persons:
            raise damaged(f"a member of room {room} is missing")
        members.setdefault(room, []).append(Member(persons[person], name))
    heads = {row[0]: row for row in db.rows("heads", "SELECT * FROM heads")}
    ends = {
        room: (low, high)
        for room, low, high in db.execute(
            "SELECT id, (SELECT min(id) FROM events WHERE id BETWEEN rooms.id << 40 AND (rooms.id + 1 << 40) - 1), "
            "(SELECT max(id) FROM events WHERE id BETWEEN rooms.id << 40 AND (rooms.id + 1 << 40) - 1) FROM rooms"
        )
    }
    rooms: dict[str, Room] = {}
    for room, name, size, founder in db.rows("rooms", "SELECT * FROM rooms ORDER BY id"):
        if room not in heads or len(members.get(room, ())) != size:
            raise damaged(f"room {room} has no head, or members are missing")
        made = rooms[name] = Room(room, name, tuple(members.get(room, ())), *heads[room][1:])
        made.founder = founder
        low, high = ends[room]
        empty = made.first == made.head + 1 and low is None
        if made.turn > turn or not (empty or (low == made.key(made.first) and high == made.key(made.head))):
            raise damaged(f"events of room {room} are missing")
    (last,) = db.execute("SELECT max(id) FROM events").fetchone()
    if last is not None and last >> SEQ_BITS > len(rooms):
        raise damaged("a room is missing")
    return rooms


def as_record(room: Room) -> RoomRecord:
    """A room, as the hub knows it."""
    return RoomRecord(room.name, room.head, room.members, room.first, room.ms, room.founder, room.size)
