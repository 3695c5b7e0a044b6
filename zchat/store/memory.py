"""A store that forgets: rooms live as long as the process. Real, bounded, and the measure of the others' contract."""

from __future__ import annotations

import os
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from itertools import islice

from zchat.messages import Ack, Event, Message, Refused, Stamp
from zchat.store.base import Append, ClientRecord, Greeted, Greeting, Outcome, RoomRecord, Slice, Work, weight


@dataclass(slots=True)
class _Room:
    members: tuple[bytes, ...]
    events: deque[Event] = field(default_factory=deque)
    head: int = 0


@dataclass(slots=True)
class MemoryStore:
    """See `store.base.Store`.

    Args:
        keep: events kept per room; older ones are dropped, and readers before them are shown a gap.
        keep_bytes: weight of all events together; beyond it the rooms drop theirs that were quiet for longest.
        keep_clients: clients whose send numbers are remembered; those that sent least recently are forgotten first.
        keep_outcomes: of all clients together; beyond it, too, those that sent least recently are forgotten.
        window: how many outcomes are remembered per client: at least the broker's credit.
    """

    keep: int = 10_000
    keep_bytes: int = 256 * 1024 * 1024
    keep_clients: int = 100_000
    keep_outcomes: int = 500_000
    window: int = 1024
    _run: bytes = field(default_factory=lambda: os.urandom(8))
    _turn: int = 0
    _rooms: dict[str, _Room] = field(default_factory=dict)
    _speaking: OrderedDict[str, _Room] = field(default_factory=OrderedDict)  # with events, the quietest first
    _bytes: int = 0
    _clients: OrderedDict[bytes, ClientRecord] = field(default_factory=OrderedDict)
    _outcomes: int = 0

    @property
    def stamp(self) -> Stamp:
        return Stamp(self._run, self._turn)

    def commit(self, work: Work) -> Outcome:
        if work.rooms or work.sends:
            self._turn += 1
        for new in work.rooms:
            if new.room not in self._rooms:
                self._rooms[new.room] = _Room(new.members)
        sends: list[Event | None] = []
        for send in work.sends:
            if isinstance(send, Append):
                event = self._append(send)
                self._used(send.client, send.n, Ack(send.n, send.room, event.seq, event.ms))
                sends.append(event)
            else:
                self._used(send.client, send.answer.n, send.answer)
                sends.append(None)
        return Outcome(sends, [self._greet(greeting) for greeting in work.greetings])

    def read(self, room: str, after: int, limit: int, size: int) -> Slice:
        kept = self._rooms.get(room)
        if kept is None:
            return Slice(1, 0, ())
        first = kept.head - len(kept.events) + 1
        start = min(max(after + 1 - first, 0), len(kept.events))
        events: list[Event] = []
        for event in islice(kept.events, start, min(start + limit, len(kept.events))):
            size -= weight(event)
            if events and size < 0:
                break
            events.append(event)
        return Slice(first, kept.head, tuple(events))

    def rooms(self) -> list[RoomRecord]:
        return [RoomRecord(name, room.head, room.members) for name, room in self._rooms.items()]

    def close(self) -> None:
        self._rooms.clear()

    def _append(self, send: Append) -> Message:
        room = self._rooms[send.room]
        room.head += 1
        event = Message(room.head, send.ms, send.name, send.sender, send.n, send.text, send.action)
        room.events.append(event)
        self._bytes += weight(event)
        self._speaking[send.room] = room
        self._speaking.move_to_end(send.room)
        if len(room.events) > self.keep:
            self._drop(room)
        while self._bytes > self.keep_bytes:
            name, quiet = next(iter(self._speaking.items()))
            self._drop(quiet)
            if not quiet.events:
                del self._speaking[name]
        return event

    def _drop(self, room: _Room) -> None:
        self._bytes -= weight(room.events.popleft())

    def _used(self, client: bytes, n: int, answer: Ack | Refused) -> None:
        record = self._clients.get(client)
        if record is None:
            record = self._clients[client] = ClientRecord()
        else:
            self._clients.move_to_end(client)
        record.last = n
        record.outcomes[n] = answer
        if record.outcomes.pop(n - self.window, None) is None:
            self._outcomes += 1
        # Forgotten wholly or not at all: of a client whose refusals alone were forgotten, a repeat would be taken for
        # one that was stored.
        while len(self._clients) > self.keep_clients or self._outcomes > self.keep_outcomes:
            _, forgotten = self._clients.popitem(last=False)
            self._outcomes -= len(forgotten.outcomes)

    def _greet(self, greeting: Greeting) -> Greeted:
        stamp = greeting.stamp
        vouched = stamp is None or (stamp.run == self._run and stamp.turn <= self._turn)
        record = self._clients.get(greeting.client, ClientRecord())
        return Greeted(ClientRecord(record.last, dict(record.outcomes)), vouched)
