"""What every client is, however it waits: one session, its link, and what was heard of it and is not handled yet.

A synchronous client polls in the calling thread (`sync`), an asynchronous one has an event loop watch its sockets
(`aio`); both do what waits as `Talk` has it.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from itertools import groupby, islice
from pathlib import Path
from typing import Generic, TypeVar

import zmq

from zchat import address, errors, names
from zchat.client import events as heard
from zchat.client import identity as persons
from zchat.client import keys, places
from zchat.client.link import Curve, Link, Socket
from zchat.client.positions import Begin
from zchat.client.queues import Queues
from zchat.client.resume import ResumeFile
from zchat.client.session import Session
from zchat.names import is_bot

QUEUED = 10_000
"""Events kept of what the program waits for at most; beyond, published frames wait in the socket, and what overflows
there is read again. Of what it does not look at, twice as many: then the oldest are dropped, and show as a gap.
"""

SAVING = 1.0
"""Seconds between two times that the place is kept, while there is more to be handled."""

LONGEST = 60.0
"""Seconds that a client waits at most before it looks at its clock."""

DRAINED = "drained"
"""Who is given what `drain` gives."""

T = TypeVar("T")
RoomT = TypeVar("RoomT")


class Connection(ABC, Generic[RoomT]):
    """A connection to a broker, kept over every loss of it.

    Args:
        url, name, person, identity, resume, missed: see `sync.connect`.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        name: str | None = None,
        person: bytes | None = None,
        identity: str | None = None,
        resume: Path | str | None = None,
        missed: bool = False,
    ) -> None:
        where = self._where = places.place(url)
        self.address = where.address
        curve = None if where.key is None else Curve(where.key, keys.own_keys(identity))
        if curve is not None:
            person = curve.own.public
        elif person is None:
            person = persons.person(name) if name is not None else os.urandom(persons.SIZE)
        self._resume = None if resume is None else ResumeFile(Path(resume))
        self._marking = missed
        self._saved_at = 0.0
        kept = self._resume
        resumed = (kept.stamp, dict(kept.positions)) if kept is not None and kept.stamp is not None else None
        self.session = Session(name, person, os.urandom, resumed, missed=missed, invite=where.invite)
        self._context: zmq.Context[Socket] = zmq.Context()
        self._link = Link(self._context, self.address, self.session, curve, anywhere=where.plain)
        self._poller = zmq.Poller()
        self._queues = Queues()
        self._given: dict[Hashable, list[heard.Event]] = {}  # to whom, and not known to be handled yet
        self._awaited: Counter[str | None] = Counter()  # the rooms whose events are waited for; None for all
        self._outcomes: dict[int, heard.Sent | heard.NotSent] = {}
        self._entered: dict[str, heard.Entered | heard.NotEntered] = {}
        self.banner = ""
        self.closed = False

    @property
    def name(self) -> str | None:
        """Whom it speaks as, as it is shown to others."""
        return self.session.name

    @property
    def role(self) -> str:
        """What the broker said last that this person may do: `owner`, `moderator` or `member`; empty in plaintext."""
        return self.session.role

    @abstractmethod
    def room(self, name: str) -> RoomT:
        """A room that need not be followed: to send to it."""

    @abstractmethod
    async def _until(self, found: Callable[[], T | None], timeout: float | None, late: errors.ZchatError) -> T:
        """Waits until something is found.

        Raises:
            errors.ZchatError: `late` after `timeout` seconds, or whatever ended the session.
        """

    @abstractmethod
    def _urge(self, *, at_once: bool) -> None:
        """Something is to be told to the broker: at once, or when the client waits next."""

    def _remember(self) -> None:
        """Keeps which key the broker has: it has proved it."""
        if self._where.key is None or self._where.room is None:
            return  # without a link it is what was remembered, maybe for another spelling of the address
        try:
            if keys.remembered(self.address) != self._where.key:
                keys.remember(self.address, self._where.key)
        except errors.KeyUnusable:
            pass  # where nothing can be written the link is needed every time

    def _hint(self) -> str:
        if self._link.trouble:
            return self._link.trouble
        try:
            self.address.resolve()
        except address.BadAddress as error:
            return str(error)
        return "is `zchat broker` running there?"

    def _shut(self) -> None:
        self.closed = True
        if self._resume is not None:
            self._resume.close()
        self._link.close()
        self._context.destroy(linger=0)

    def _check(self) -> None:
        if self.closed:
            raise errors.Closed("this client is closed")
        if self.session.ended is not None:
            raise self.session.ended

    # Rooms and messages -----------------------------------------------------------------------------------------------

    def enter(self, room: str, *, quiet: bool = False, after: int | None = None, tail: int = 0) -> None:
        """The same as `join` without waiting: `Entered` or `NotEntered` will be among the events."""
        missed = self._marking and not (self.name and is_bot(self.name))
        self.session.join(room, Begin(after, missed, tail), quiet=quiet, now=time.monotonic())
        self._urge(at_once=False)

    def leave(self, room: str) -> None:
        """Follows a room no longer; harmless if it was not followed."""
        name = self.called(room)
        q = self.session.leave(room)
        self._entered.pop(name, None)
        if q is not None:
            self.session.forget(q)
            self._urge(at_once=True)

    def post(self, room: str, text: str, *, action: bool = False, reply: int = 0) -> int:
        """Says something without waiting; gives a ticket for `outcome`. Wait while `session.sendable` is false.

        It leaves at once if nothing else is under way, else with what else is posted until there is enough for a
        frame, or until whatever waits next: `poll`, `events`, `send`, ...
        """
        ticket = self.session.send(room, text, action=action, reply=reply, now=time.monotonic())
        self._urge(at_once=self.session.pressing)
        return ticket

    def outcome(self, ticket: int) -> heard.Sent | heard.NotSent | None:
        """What became of a message that was posted, given once; None while it is not known."""
        return self._outcomes.pop(ticket, None)

    def called(self, room: str) -> str:
        """What the broker calls a room that was entered: so its events have it."""
        name = room.removeprefix("#")
        return self.session.room_names.get(name, name)

    # Events -----------------------------------------------------------------------------------------------------------

    def waiting(self) -> list[heard.Event]:
        """All events that wait, in order; they stay."""
        return self._queues.waiting()

    def drain(self) -> list[heard.Event]:
        """All events that wait, in order. Call `handled` when they are."""
        found = self.waiting()
        self._given[DRAINED] = found
        self._queues.clear()
        return found

    def handled(self) -> None:
        """All that was given so far has been handled: the resume file and the read marks say so."""
        self._given.clear()
        self._save_at_times()

    def _save_at_times(self) -> None:
        if self._resume is None and not self._marking:
            return
        now = time.monotonic()
        if not self._queues or now >= self._saved_at + SAVING:
            self._saved_at = now
            self._save()

    def _save(self) -> None:
        places = self.session.positions()
        waiting: dict[str, int] = {}  # the first number of each room that is not handled yet
        given = [event for events in self._given.values() for event in events]
        for event in [*given, *self._queues.waiting()]:
            span = heard.numbers(event)
            if span is not None:
                if span[1] is None:
                    return  # that all began anew is not known to the program yet: what was kept still says so
                room = getattr(event, "room", "")
                waiting[room] = min(waiting.get(room, span[0]), span[0])
        if any(names.is_private(label) for label in waiting.keys() - {label for label, _ in places.values()}):
            return  # somebody goes by another name now: which room that was cannot be told
        positions = {name: min(seq, waiting.get(label, seq + 1) - 1) for name, (label, seq) in places.items()}
        if self._marking:
            for name, seq in positions.items():
                self.session.mark(name, seq)
        if self._resume is not None and self.session.stamp is not None:
            self._resume.save(self.session.stamp, positions)

    # What comes -------------------------------------------------------------------------------------------------------

    def _hearing(self) -> bool:
        """Whether published frames are wanted: of nothing that is waited for is there too much already."""
        if len(self._queues) < QUEUED:
            return True
        if not self._awaited or None in self._awaited:
            return False
        return all(self._queues.of(room) < QUEUED for room in self._awaited if room is not None)

    def _take(self, ready: set[Socket]) -> None:
        """Takes in what has come to those sockets that have something."""
        now = time.monotonic()
        self._link.receive(ready, now)
        self._link.tick(now)
        self._collect()

    def _collect(self) -> bool:
        """Sorts what the session heard; says whether there was anything."""
        found = False
        for place, run in groupby(self.session.events, _place):
            if place is None:
                self._settle(run)
            else:
                found = True
                self._put(place, list(run))
        self.session.events.clear()
        return found

    def _settle(self, run: Iterator[heard.Event]) -> None:
        """Keeps what became of messages."""
        self._outcomes.update((event.ticket, event) for event in run if isinstance(event, heard.Sent | heard.NotSent))
        for ticket in list(islice(self._outcomes, max(len(self._outcomes) - QUEUED, 0))):
            del self._outcomes[ticket]  # the program posts and never asks

    def _put(self, room: str, run: list[heard.Event]) -> None:
        self._queues.put(room, run)
        for event in run:
            match event:
                case heard.Said():  # looked for first: it is what most are
                    continue
                case heard.Entered() | heard.NotEntered():
                    self._entered[room] = event
                case heard.Removed():
                    self._entered.pop(room, None)
                case heard.Connected():
                    self.banner = event.banner
        # What the program waits for is bounded by not hearing more. That does not hold for the rest, nor for what
        # comes over DEALER.
        everything = not self._awaited or None in self._awaited
        if room not in self._awaited and (not everything or not room or names.is_private(room)):
            self._queues.bound(room, 2 * QUEUED)


def _place(event: heard.Event) -> str | None:
    """The room that an event is of, empty if it is of none; None if it is what became of a message."""
    return None if isinstance(event, _OUTCOMES) else getattr(event, "room", "")


_OUTCOMES = (heard.Sent, heard.NotSent)
