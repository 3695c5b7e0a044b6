"""The Python API: DEALER and SUB under one Poller, in the calling thread."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby, islice
from math import ceil, inf
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import zmq

from zchat import address, errors
from zchat.client import events as heard
from zchat.client import identity as persons
from zchat.client import keys, places
from zchat.client.link import Curve, Link, Socket
from zchat.client.positions import Begin
from zchat.client.questions import Questions
from zchat.client.queues import Queues
from zchat.client.resume import ResumeFile
from zchat.client.session import Session
from zchat.messages import Message

QUEUED = 10_000
"""Events kept of what the program waits for at most; beyond, published frames wait in the socket, and what overflows
there is read again. Of what it does not look at, twice as many: then the oldest are dropped, and show as a gap.
"""

SAVING = 1.0
"""Seconds between two times that the place is kept, while there is more to be handled."""

LONGEST = 60.0
"""Seconds that one poll waits at most."""

T = TypeVar("T")


def connect(
    url: str | None = None,
    *,
    name: str | None = None,
    person: bytes | None = None,
    identity: str | None = None,
    resume: Path | str | None = None,
    missed: bool = False,
    timeout: float = 5.0,
) -> Client:
    """Connects to a broker.

    Args:
        url: a link; `tcp://HOST:PORT`, which is encrypted if that broker was joined by a link before, and must be on
            this machine if not; or `plain://HOST:PORT`, which is plaintext on any machine. By default `ZCHAT_URL`, else
            `tcp://127.0.0.1:5555`.
        name: whom to speak as; None for one who only looks.
        person: the secret of 16 bytes that owns the name in plaintext; by default the one kept for it in the user's
            state folder.
        identity: which of the user's keys to be known by where it is encrypted, made at its first use; by default
            `ZCHAT_IDENTITY`, else `default`.
        resume: a file that keeps the place in each room over restarts of the program; made if it is not there.
        missed: whether what the person has not read yet is to be heard first, in rooms and private messages; what is
            handled here counts as read from then on.
        timeout: seconds to wait for the broker.

    Raises:
        address.BadAddress: the url is none.
        errors.DataUnusable: the resume file is in use, or none.
        errors.Unreachable: no broker answered in time.
        errors.NameTaken, errors.NameInvalid: the name cannot be had.
        errors.BrokerChanged: the broker has another key than before, or is to be spoken to in plaintext although it has
            one; nothing was sent to it.
        errors.BrokerUnknown: the broker is on another machine, and was not joined by a link; nothing was sent to it.
        errors.KeyUnusable: the user's key, or what is remembered of brokers, cannot be used.
        errors.NotAdmitted: the broker does not let this key in.
    """
    client = Client(url, name=name, person=person, identity=identity, resume=resume, missed=missed)
    try:
        client.open(timeout)
    except BaseException:
        client.close(timeout=0)
        raise
    return client


class Room:
    """A room, as one client sees it.

    Attributes:
        name: as the user gave it.
    """

    def __init__(self, client: Client, name: str) -> None:
        self._client = client
        self.name = name

    def send(self, text: str, *, action: bool = False, timeout: float | None = 30.0) -> heard.Sent:
        """Says something, and waits until it is stored. See `Client.send`."""
        return self._client.send(self.name, text, action=action, timeout=timeout)

    def messages(self, timeout: float | None = None) -> Iterator[Message]:
        """What is said in the room, each message once and in order.

        Messages that can no longer be had show as a jump in their numbers; `events` names them.

        Args:
            timeout: seconds after which it ends; None for never.
        """
        for event in self.events(timeout):
            if isinstance(event, heard.Said):
                yield event.message

    def events(self, timeout: float | None = None) -> Iterator[heard.Event]:
        """What happens in the room: `Said`, `Gap`, `Presence`.

        Args:
            timeout: seconds after which it ends; None for never.
        """
        return self._client.events(timeout, room=self.name)

    def who(self) -> list[str]:
        """Who is in the room, in order."""
        return self._client.who(self.name)

    def leave(self) -> None:
        """Follows the room no longer."""
        self._client.leave(self.name)


class Client(Questions):
    """A connection to a broker, kept over every loss of it. Use it from one thread, in a `with` statement.

    Events are heard while a method of it waits: a program that computes for long is caught up when it comes back.

    Args:
        url, name, person, identity, resume, missed: see `connect`.
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
        self._given: list[heard.Event] = []  # to the program, and not known to be handled yet
        kept = self._resume
        resumed = (kept.stamp, dict(kept.positions)) if kept is not None and kept.stamp is not None else None
        self.session = Session(name, person, os.urandom, resumed, missed=missed, invite=where.invite)
        self._context: zmq.Context[Socket] = zmq.Context()
        self._link = Link(self._context, self.address, self.session, curve, anywhere=where.plain)
        self._poller = zmq.Poller()
        self._watched: tuple[int, bool, *tuple[int, ...]] = (-1, True)
        self._queues = Queues()
        self._awaited: str | None = None  # the room whose events the program waits for; None for all
        self._outcomes: dict[int, heard.Sent | heard.NotSent] = {}
        self._entered: dict[str, heard.Entered | heard.NotEntered] = {}
        self.banner = ""
        self.closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def name(self) -> str | None:
        """Whom it speaks as, as it is shown to others."""
        return self.session.name

    @property
    def role(self) -> str:
        """What the broker said last that this person may do: `owner`, `moderator` or `member`; empty in plaintext."""
        return self.session.role

    def open(self, timeout: float) -> None:
        """Waits until the broker has answered. See `connect`."""
        why = f"cannot reach a broker at {self.address} within {timeout:g} s"
        try:
            self.wait(lambda: self.session.open or self._link.mismatch or None, timeout, errors.Unreachable(why))
        except errors.Unreachable:
            raise errors.Unreachable(f"{why}: {self._hint()}") from None
        if not self.session.open:  # no patience helps
            raise errors.Unreachable(f"cannot talk to the broker at {self.address}: {self._hint()}")
        self._remember()

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

    def close(self, timeout: float = 2.0) -> None:
        """Says goodbye, and closes. What was not acknowledged by then is unknown; calling it again does nothing.

        Args:
            timeout: seconds to wait for the broker.
        """
        if self.closed:
            return
        try:
            if self.session.open and timeout > 0:
                self._goodbye(timeout)
        finally:
            self._shut()

    def _shut(self) -> None:
        self.closed = True
        if self._resume is not None:
            self._resume.close()
        self._link.close()
        self._context.destroy(linger=0)

    def _goodbye(self, timeout: float) -> None:
        self._save()
        q = self.session.bye()
        deadline = time.monotonic() + timeout
        while self.session.open and q not in self.session.answers and time.monotonic() < deadline:
            self.poll(deadline - time.monotonic())

    # Rooms and messages -----------------------------------------------------------------------------------------------

    def join(
        self,
        room: str,
        *,
        quiet: bool = False,
        after: int | None = None,
        tail: int = 0,
        timeout: float | None = 30.0,
    ) -> Room:
        """Follows a room, made if it is not there, from now on: or from where the resume file, or with `missed` the
        person, is in it.

        Args:
            room: its name; a leading `#` is ignored.
            quiet: without being seen in it.
            after: hear everything after this number; 0 for all that is kept.
            tail: where nothing else says where to begin, hear so many of its last messages first.
            timeout: seconds to wait for the broker.

        Raises:
            errors.NameInvalid: that cannot be a room's name.
            errors.TimedOut: the broker did not answer in time.
        """
        self.enter(room, quiet=quiet, after=after, tail=tail)
        given = room.removeprefix("#")

        def entered() -> heard.Entered | heard.NotEntered | None:
            return self._entered.get(self._canonical(given)) or self._entered.get(given)

        outcome: Any = self.wait(entered, timeout, errors.TimedOut(f"the broker did not let us into {room} in time"))
        if isinstance(outcome, heard.NotEntered):
            del self._entered[outcome.room]
            raise outcome.error
        return Room(self, outcome.room)

    def enter(self, room: str, *, quiet: bool = False, after: int | None = None, tail: int = 0) -> None:
        """The same as `join` without waiting: `Entered` or `NotEntered` will be among the events."""
        self.session.join(room, Begin(after, self._marking, tail), quiet=quiet, now=time.monotonic())

    def room(self, name: str) -> Room:
        """A room that need not be followed: to send to it."""
        return Room(self, name)

    def leave(self, room: str) -> None:
        """Follows a room no longer; harmless if it was not followed."""
        name = self._canonical(room)
        q = self.session.leave(room)
        self._entered.pop(name, None)
        if q is not None:
            self.session.forget(q)
            self._link.obey(time.monotonic())

    def send(
        self, room: str, text: str, *, action: bool = False, reply: int = 0, timeout: float | None = 30.0
    ) -> heard.Sent:
        """Says something, and waits until it is stored.

        Args:
            room: a room, or `@NAME` for a person.
            text: up to 16 KiB of UTF-8; newline and tab are the only control characters allowed.
            action: said of oneself, as by `/me`.
            reply: the number of the message that it answers; 0 for none.
            timeout: seconds to wait.

        Returns:
            Where it is, and its number there.

        Raises:
            errors.Refusal: the broker refused it.
            errors.Unknown: whether it was stored cannot be told.
            errors.TimedOut: no answer in time; it is still tried, and may be stored.
        """
        return self._acked(self.post(room, text, action=action, reply=reply), timeout)

    def post(self, room: str, text: str, *, action: bool = False, reply: int = 0) -> int:
        """Says something without waiting; gives a ticket for `outcome`. Wait while `session.sendable` is false.

        It leaves at once if nothing else is under way, else with what else is posted until there is enough for a
        frame, or until whatever waits next: `poll`, `events`, `send`, ...
        """
        now = time.monotonic()
        ticket = self.session.send(room, text, action=action, reply=reply, now=now)
        if self.session.pressing:
            self._link.obey(now)
        return ticket

    def edit(self, room: str, text: str, seq: int = 0, *, timeout: float | None = 30.0) -> heard.Sent:
        """Says a message of one's own anew; see `send`.

        Args:
            room: where.
            text: what it says from now on.
            seq: its number; 0 for the last.

        Raises:
            errors.NoSuchMessage: there is none of that number that this person wrote.
        """
        return self._acked(self.session.edit(room, text, seq=seq, now=time.monotonic()), timeout)

    def delete(self, room: str, seq: int = 0, *, timeout: float | None = 30.0) -> heard.Sent:
        """Takes a message of one's own back: its text, and that of its edits, are gone for good. See `edit`."""
        return self._acked(self.session.delete(room, seq=seq, now=time.monotonic()), timeout)

    def _acked(self, ticket: int, timeout: float | None) -> heard.Sent:
        late = errors.TimedOut("the broker did not acknowledge the message in time: it may be stored or not")
        outcome: Any = self.wait(partial(self.outcome, ticket), timeout, late)
        if isinstance(outcome, heard.NotSent):
            raise outcome.error
        sent: heard.Sent = outcome
        return sent

    def outcome(self, ticket: int) -> heard.Sent | heard.NotSent | None:
        """What became of a message that was posted, given once; None while it is not known."""
        return self._outcomes.pop(ticket, None)

    def ask(self, make: Callable[[int], Any], kind: type[T] | None = None, timeout: float | None = 30.0) -> T:
        """Asks the broker something and waits for the answer.

        Args:
            make: the request, given its number.
            kind: what the answer is.
            timeout: seconds to wait.

        Raises:
            errors.Refusal: the broker refused.
            errors.TimedOut: no answer in time.
        """
        q = self.session.ask(make)
        try:
            late = errors.TimedOut("the broker did not answer in time")
            answer: Any = self.wait(lambda: self.session.answers.get(q), timeout, late)
        finally:
            self.session.forget(q)
        if isinstance(answer, errors.ZchatError):
            raise answer
        found: T = answer
        return found

    # Events -----------------------------------------------------------------------------------------------------------

    def events(self, timeout: float | None = None, *, room: str | None = None) -> Iterator[heard.Event]:
        """What happens, in order. Each event is given once, to whoever asks first. It counts as handled when the next
        is asked for.

        Args:
            timeout: seconds after which it ends; None for never.
            room: only what happens in that room.

        Raises:
            errors.ZchatError: the session is over.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            name = None if room is None else self._canonical(room)
            while (event := self._next(name)) is not None:
                self._given = [event]
                yield event
                self.handled()
            self._check()
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return
            self.poll(left)

    def waiting(self) -> list[heard.Event]:
        """All events that wait, in order; they stay."""
        return self._queues.waiting()

    def drain(self) -> list[heard.Event]:
        """All events that wait, in order. Call `handled` when they are."""
        found = self._given = self.waiting()
        self._queues.clear()
        return found

    def handled(self) -> None:
        """All that was given so far has been handled: the resume file and the read marks say so."""
        self._given = []
        if self._resume is None and not self._marking:
            return
        now = time.monotonic()
        if not self._queues or now >= self._saved_at + SAVING:
            self._saved_at = now
            self._save()

    def _save(self) -> None:
        places = self.session.positions()
        waiting: dict[str, int] = {}  # the first number of each room that is not handled yet
        for event in [*self._given, *self._queues.waiting()]:
            span = heard.numbers(event)
            if span is not None:
                if span[1] is None:
                    return  # that all began anew is not known to the program yet: what was kept still says so
                waiting.setdefault(getattr(event, "room", ""), span[0])
        if any(label.startswith("@") for label in waiting.keys() - {label for label, _ in places.values()}):
            return  # somebody goes by another name now: which room that was cannot be told
        positions = {name: min(seq, waiting.get(label, seq + 1) - 1) for name, (label, seq) in places.items()}
        if self._marking:
            for name, seq in positions.items():
                self.session.mark(name, seq)
        if self._resume is not None and self.session.stamp is not None:
            self._resume.save(self.session.stamp, positions)

    def _next(self, name: str | None) -> heard.Event | None:
        self._awaited = name
        return self._queues.take(name)

    def _backlog(self) -> int:
        """How much is kept of what the program waits for."""
        return len(self._queues) if self._awaited is None else self._queues.of(self._awaited)

    def _canonical(self, room: str) -> str:
        name = room.removeprefix("#")
        return self.session.room_names.get(name, name)

    # The poller -------------------------------------------------------------------------------------------------------

    def poll(self, timeout: float | None = None, *fds: int) -> set[int]:
        """Waits once for something to happen, and takes it in.

        Args:
            timeout: seconds to wait at most; None for as long as it takes.
            fds: descriptors to watch beside, for reading.

        Returns:
            Which of the descriptors can be read.
        """
        now = time.monotonic()
        self._link.tick(now)
        if self._collect():
            timeout = 0.0
        self._watch((self._link.generation, self._backlog() < QUEUED, *fds))
        until = min(self._link.due() - now, inf if timeout is None else timeout)
        ready: dict[Any, int] = dict(self._poller.poll(ceil(min(max(until, 0.0), LONGEST) * 1000)))
        self.take({one for one in ready if not isinstance(one, int)})
        return {one for one in ready if isinstance(one, int)}

    @property
    def generation(self) -> int:
        """Rises whenever `sockets` change."""
        return self._link.generation

    def sockets(self) -> list[Socket]:
        """What another poller than `poll` watches for reading; see `Crowd`, `flush` and `take`."""
        return self._link.sockets()

    def flush(self) -> None:
        """Has everything leave that was posted; `poll` does so by itself, another poller must before it waits."""
        self._link.obey(time.monotonic())

    def take(self, ready: set[Socket]) -> None:
        """Takes in what has come to those of `sockets` that have something."""
        now = time.monotonic()
        self._link.receive(ready, now)
        self._link.tick(now)
        self._collect()

    def wait(self, found: Callable[[], T | None], timeout: float | None, late: errors.ZchatError) -> T:
        """Polls until something is found.

        Raises:
            errors.ZchatError: `late` after `timeout` seconds, or whatever ended the session.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self._link.obey(time.monotonic())
            self._collect()
            result = found()
            if result is not None:
                return result
            self._check()
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise late
            self.poll(left)

    def _check(self) -> None:
        if self.closed:
            raise errors.Closed("this client is closed")
        if self.session.ended is not None:
            raise self.session.ended

    def _watch(self, wanted: tuple[int, bool, *tuple[int, ...]]) -> None:
        if wanted != self._watched:
            self._watched = wanted
            _, hear, *fds = wanted
            self._poller = zmq.Poller()
            for one in (*self._link.sockets(hear=hear), *fds):
                self._poller.register(one, zmq.POLLIN)

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
                case heard.Connected():
                    self.banner = event.banner
        # What the program waits for is bounded by not hearing more. That does not hold for the rest, nor for what
        # comes over DEALER.
        if room != self._awaited and (self._awaited is not None or room[:1] in ("", "@")):
            self._queues.bound(room, 2 * QUEUED)


def _place(event: heard.Event) -> str | None:
    """The room that an event is of, empty if it is of none; None if it is what became of a message."""
    return None if isinstance(event, _OUTCOMES) else getattr(event, "room", "")


_OUTCOMES = (heard.Sent, heard.NotSent)
