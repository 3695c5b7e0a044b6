"""A store that forgets: rooms live as long as the process. Real, bounded, and the measure of the others' contract."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec

from zchat import names
from zchat.codec import encode_event
from zchat.errors import NoSuchMessage
from zchat.messages import Ack, Acted, Deleted, Edited, Event, Message, Refused, Stamp
from zchat.store.base import (
    LOOKBACK,
    Amend,
    Append,
    ClientRecord,
    Deed,
    Greeted,
    Greeting,
    Kept,
    KnownName,
    Member,
    NewRoom,
    Outcome,
    Query,
    Quotas,
    Record,
    Refusal,
    RoomRecord,
    Sending,
    Slice,
    Span,
    Work,
    identity,
    is_private,
    weight,
)
from zchat.store.words import holds, phrases

KEEP = 10_000
"""Events kept of a room at most."""

LOOKED_AT = 2000
"""Events that one call looks at for history at most."""

PRUNED = 500
"""Events that one call of tidy drops at most."""

DAY_MS = 24 * 3600 * 1000

_Said = Message | Edited | Deleted | Acted


@dataclass(slots=True)
class _Room:
    members: tuple[Member, ...] = ()
    events: deque[Event] = field(default_factory=deque)
    authors: deque[bytes] = field(default_factory=deque)
    sizes: deque[int] = field(default_factory=deque)
    edits: dict[int, list[int]] = field(default_factory=dict)  # the numbers of a message's edits
    head: int = 0
    ms: int = 0
    founder: bytes = b""
    size: int = 0
    rising: int = 1  # the number from which on no event is older than the one before it

    @property
    def first(self) -> int:
        return self.head - len(self.events) + 1

    def __getitem__(self, seq: int) -> Event:
        return self.events[seq - self.first]

    def kept(self, seq: int) -> bool:
        return self.first <= seq <= self.head

    def replace(self, event: Event) -> int:
        """Puts an event in the place of that of its number. Returns how many bytes more it takes."""
        place, size = event.seq - self.first, len(encode_event(event))
        more = size - self.sizes[place]
        self.events[place], self.sizes[place] = event, size
        return more

    def drop(self) -> tuple[Event, bytes, int]:
        event = self.events.popleft()
        self.edits.pop(event.seq, None)
        return event, self.authors.popleft(), self.sizes.popleft()

    def message(self, seq: int) -> Message | None:
        """A message as it is now; None if that number is no message."""
        event = self[seq]
        if not isinstance(event, Message):
            return None
        last = self.edits.get(seq, [0])[-1]
        edit = self[last] if self.kept(last) else None
        return msgspec.structs.replace(event, text=edit.text, edited=last) if isinstance(edit, Edited) else event


@dataclass(slots=True)
class MemoryStore:
    """See `store.base.Store`.

    Args:
        keep: events kept per room; older ones are dropped, and readers before them are shown a gap.
        keep_days: for how long events are kept; None for ever.
        keep_bytes: weight of all events together; beyond it the rooms drop theirs that were quiet for longest.
        keep_clients: clients whose send numbers are remembered; those that sent least recently are forgotten first.
        keep_outcomes: of all clients together; beyond it, too, those that sent least recently are forgotten.
        keep_people: names, and persons with read marks; the oldest are forgotten first.
        window: how many outcomes are remembered per client: at least the broker's credit.
        quotas: how much of each person and room is kept.
    """

    keep: int = KEEP
    keep_days: float | None = None
    keep_bytes: int = 256 * 1024 * 1024
    keep_clients: int = 100_000
    keep_outcomes: int = 500_000
    keep_people: int = 100_000
    window: int = 1024
    quotas: Quotas = field(default_factory=Quotas)
    _run: bytes = field(default_factory=lambda: os.urandom(8))
    _turn: int = 0
    _rooms: dict[str, _Room] = field(default_factory=dict)
    _speaking: OrderedDict[str, _Room] = field(default_factory=OrderedDict)  # with events, the quietest first
    _bytes: int = 0
    _clients: OrderedDict[bytes, ClientRecord] = field(default_factory=OrderedDict)
    _outcomes: int = 0
    _marks: dict[bytes, dict[str, int]] = field(default_factory=dict)
    _names: dict[str, KnownName] = field(default_factory=dict)
    _records: dict[tuple[str, bytes], Record] = field(default_factory=dict)
    _sizes: dict[bytes, int] = field(default_factory=dict)  # of what each author said

    @property
    def stamp(self) -> Stamp:
        return Stamp(self._run, self._turn)

    def commit(self, work: Work) -> Outcome:
        if work.writes:
            self._turn += 1
        for new in work.rooms:
            self._make(new)
        sends = [self._send(send) for send in work.sends]
        for mark in work.marks:
            seen = self._marks.pop(mark.person, {})
            seen[mark.room] = max(seen.get(mark.room, 0), mark.seq)
            self._marks[mark.person] = seen
        for key in work.freed:
            self._names.pop(key, None)
        for known in work.names:
            self._names.pop(known.key, None)
            self._names[known.key] = known
        for record in work.records:
            self._records[identity(record)] = record
        for record in work.dropped:
            self._records.pop(identity(record), None)
        tables: tuple[dict[Any, Any], ...] = (self._marks, self._names)
        for table in tables:
            while len(table) > self.keep_people:
                del table[next(iter(table))]
        return Outcome(sends, [self._greet(greeting) for greeting in work.greetings])

    def read(self, room: str, after: int, limit: int, size: int) -> Slice:
        kept = self._rooms.get(room)
        if kept is None:
            return Slice(1, 0, ())
        start = min(max(after + 1 - kept.first, 0), len(kept.events))
        events: list[Event] = []
        for event in islice(kept.events, start, min(start + limit, len(kept.events))):
            size -= weight(event)
            if events and size < 0:
                break
            events.append(event)
        return Slice(kept.first, kept.head, tuple(events))

    def history(self, room: str, span: Span) -> Slice:
        kept = self._rooms.get(room)
        if kept is None:
            return Slice(1, 0, ())
        lowest = kept.first
        if span.since and kept.rising <= lowest:
            lowest += bisect_left(kept.events, span.since, key=lambda event: getattr(event, "ms", 0))
        if span.after is not None:
            lowest = max(lowest, span.after + 1)
        highest = min(kept.head, span.before - 1) if span.before else kept.head
        forward = span.after is not None
        wanted = range(lowest, highest + 1) if forward else range(highest, lowest - 1, -1)
        found: list[Message] = []
        size, edge = span.size, (span.after or 0) if forward else highest + 1
        for seq in wanted[:LOOKED_AT]:
            message = kept.message(seq)
            if message is not None and message.ms >= span.since:
                size -= weight(message)
                if len(found) == span.limit or (found and size < 0):
                    break
                found.append(message)
            edge = seq
        more = bool(wanted) and edge != wanted[-1]
        return Slice(kept.first, kept.head, tuple(found if forward else reversed(found)), more, edge)

    def search(self, query: Query) -> list[tuple[str, Message]]:
        wanted = phrases(query.words)
        if not wanted:
            return []
        name = names.same(query.name) if query.name else None
        found: list[tuple[str, Message]] = []
        for room, kept in self._rooms.items():
            if room not in query.rooms if query.rooms is not None else is_private(room) and room not in query.private:
                continue
            for seq in range(kept.first, kept.head + 1):
                message = kept.message(seq)
                if message is None or message.deleted or message.ms < query.since:
                    continue
                if name is not None and names.same(message.name) != name:
                    continue
                if holds(message.text, wanted):
                    found.append((room, message))
        found.sort(key=lambda hit: (hit[1].ms, hit[1].seq), reverse=True)
        return found[: query.limit]

    def rooms(self) -> list[RoomRecord]:
        return [
            RoomRecord(name, room.head, room.members, room.first, room.ms, room.founder, room.size)
            for name, room in self._rooms.items()
        ]

    def names(self) -> list[KnownName]:
        return list(self._names.values())

    def retain(self, keep_days: float | None, keep_messages: int | None) -> None:
        self.keep_days, self.keep = keep_days, keep_messages or KEEP
        for room in self._speaking.values():
            while len(room.events) > self.keep:
                self._drop(room)

    def records(self) -> list[Record]:
        return list(self._records.values())

    def tidy(self, ms: int, *, idle: bool) -> float:
        if self.keep_days is None:
            return float("inf")
        oldest = ms - int(self.keep_days * DAY_MS)
        budget = PRUNED
        for name, room in list(self._speaking.items()):
            while budget and room.events and getattr(room.events[0], "ms", 0) < oldest:
                self._drop(room)
                budget -= 1
            if not room.events:
                del self._speaking[name]
        return 60.0 if budget else 0.0

    def close(self) -> None:
        self._rooms.clear()

    def _make(self, new: NewRoom) -> None:
        room = self._rooms.get(new.room)
        if room is None:
            self._rooms[new.room] = _Room(new.members, founder=new.founder)
        elif room.members and new.members:
            room.members = new.members

    def _send(self, send: Sending) -> list[Kept | Refused]:
        if isinstance(send, Refusal):
            self._used(send.client, send.answer)
            return [send.answer]
        kept = self._rooms[send.room]
        if isinstance(send, Amend):
            return [self._amend(kept, send)]
        if isinstance(send, Deed):
            acted = msgspec.structs.replace(send.act, seq=kept.head + 1)
            return [self._keep(kept, send, [acted], [encode_event(acted)])]
        ms, name, sender = send.ms, send.name, send.sender
        events = [
            Message(seq, ms, name, sender, said.n, said.text, said.action, 0, 0, said.reply)
            for seq, said in enumerate(send.said, kept.head + 1)
        ]
        bodies = [encode_event(event) for event in events]
        refused = self._full(kept, send, sum(map(len, bodies)))
        if refused is None:
            return [self._keep(kept, send, [*events], bodies)]
        if len(send.said) == 1:
            self._used(send.client, refused)
            return [refused]
        return [each for said in send.said for each in self._send(msgspec.structs.replace(send, said=[said]))]

    def _full(self, kept: _Room, send: Append | Amend, more: int) -> Refused | None:
        """Why so many bytes more are not kept; None if they may be."""
        return self.quotas.refusal(send.n, self._sizes.get(send.person, 0) + more, kept.size + more)

    def _keep(self, kept: _Room, send: Append | Amend | Deed, events: list[_Said], bodies: list[bytes]) -> Kept:
        seq = kept.head + 1
        for event, body in zip(events, bodies, strict=True):
            self._append(send.room, kept, event, send.person, len(body))
        self._used(send.client, Ack(send.n, send.room, seq, send.ms, len(events)))
        return Kept(seq, bodies, self._sizes.get(send.person, 0) > self.quotas.person)

    def _amend(self, kept: _Room, amend: Amend) -> Kept | Refused:
        target = amend.target or _last_of(kept, amend.person)
        message = kept[target] if kept.kept(target) else None
        mine = message is not None and kept.authors[target - kept.first] == amend.person
        refused: Refused | None
        if not isinstance(message, Message) or not mine or message.deleted:
            refused = Refused(amend.n, NoSuchMessage.code, NoSuchMessage.says)
            self._used(amend.client, refused)
            return refused
        seq = kept.head + 1
        if amend.text is not None:
            edited = Edited(seq, amend.ms, amend.name, amend.sender, amend.n, target, amend.text)
            body = encode_event(edited)
            refused = self._full(kept, amend, len(body))
            if refused is not None:
                self._used(amend.client, refused)
                return refused
            kept.edits.setdefault(target, []).append(seq)
            return self._keep(kept, amend, [edited], [body])
        edits = [event for edit in kept.edits.pop(target, []) if isinstance(event := kept[edit], Edited)]
        blanked: list[Event] = [msgspec.structs.replace(message, text="", deleted=seq)]
        blanked += [msgspec.structs.replace(edit, text="") for edit in edits]
        for event in blanked:
            self._bytes += weight(event) - weight(kept[event.seq])
            self._grow(kept, amend.person, kept.replace(event))
        deleted = Deleted(seq, amend.ms, amend.name, amend.sender, amend.n, target)
        return self._keep(kept, amend, [deleted], [encode_event(deleted)])

    def _append(self, name: str, room: _Room, event: _Said, person: bytes, size: int) -> None:
        if event.ms < room.ms:
            room.rising = event.seq
        room.head, room.ms = event.seq, event.ms
        room.events.append(event)
        room.authors.append(person)
        room.sizes.append(size)
        self._grow(room, person, size)
        self._bytes += weight(event)
        self._speaking[name] = room
        self._speaking.move_to_end(name)
        if len(room.events) > self.keep:
            self._drop(room)
        while self._bytes > self.keep_bytes:
            name, quiet = next(iter(self._speaking.items()))
            self._drop(quiet)
            if not quiet.events:
                del self._speaking[name]

    def _drop(self, room: _Room) -> None:
        event, person, size = room.drop()
        self._bytes -= weight(event)
        self._grow(room, person, -size)

    def _grow(self, room: _Room, person: bytes, more: int) -> None:
        """So many bytes more are kept of a room and an author."""
        room.size += more
        size = self._sizes.pop(person, 0) + more
        if size:
            self._sizes[person] = size

    def _used(self, client: bytes, answer: Ack | Refused) -> None:
        if not client:  # nobody's, who has no numbers
            return
        record = self._clients.get(client)
        if record is None:
            record = self._clients[client] = ClientRecord()
        else:
            self._clients.move_to_end(client)
        self._outcomes -= len(record.outcomes)
        record.used(answer, self.window)
        self._outcomes += len(record.outcomes)
        # Forgotten wholly or not at all: of a client whose refusals alone were forgotten, a repeat would be taken for
        # one that was stored.
        while len(self._clients) > self.keep_clients or self._outcomes > self.keep_outcomes:
            _, forgotten = self._clients.popitem(last=False)
            self._outcomes -= len(forgotten.outcomes)

    def _greet(self, greeting: Greeting) -> Greeted:
        stamp = greeting.stamp
        vouched = stamp is None or (stamp.run == self._run and stamp.turn <= self._turn)
        record = self._clients.get(greeting.client, ClientRecord())
        marks = dict(self._marks.get(greeting.person, {}))
        return Greeted(ClientRecord(record.last, list(record.outcomes)), vouched, marks)


def _last_of(room: _Room, person: bytes) -> int:
    """The number of a person's last message that is not deleted; 0 if there is none."""
    for seq in range(room.head, max(room.head - LOOKBACK, room.first - 1), -1):
        event = room[seq]
        if isinstance(event, Message) and not event.deleted and room.authors[seq - room.first] == person:
            return seq
    return 0
