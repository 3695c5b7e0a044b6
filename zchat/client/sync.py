"""The Python API: DEALER and SUB under one Poller, in the calling thread."""

from __future__ import annotations

import os
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from heapq import merge
from math import ceil, inf
from types import TracebackType
from typing import Any, Self, TypeVar

import zmq

from zchat import address, errors
from zchat.client import events as heard
from zchat.client import identity
from zchat.client.link import Link, Socket
from zchat.client.session import Session
from zchat.messages import Ask, Message, Named, Nick, People, Ping, RoomInfo, RoomList, Rooms, Told, Who

QUEUED = 10_000
"""Events kept of what the program waits for at most; beyond, published frames wait in the socket, and what overflows
there is read again. Of what it does not look at, twice as many: then the oldest are dropped, and show as a gap.
"""

LONGEST = 60.0
"""Seconds that one poll waits at most."""

T = TypeVar("T")


def default_url() -> str:
    """The broker's address where none is given: `ZCHAT_URL`, else this machine."""
    return os.environ.get("ZCHAT_URL") or address.DEFAULT_URL


def connect(
    url: str | None = None, *, name: str | None = None, person: bytes | None = None, timeout: float = 5.0
) -> Client:
    """Connects to a broker.

    Args:
        url: `tcp://HOST:PORT`; by default `ZCHAT_URL`, else `tcp://127.0.0.1:5555`.
        name: whom to speak as; None for one who only looks.
        person: the secret of 16 bytes that owns the name; by default the one kept for it in the user's state folder.
        timeout: seconds to wait for the broker.

    Raises:
        address.BadAddress: the url is none.
        errors.Unreachable: no broker answered in time.
        errors.NameTaken, errors.NameInvalid: the name cannot be had.
    """
    client = Client(url, name=name, person=person)
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


class Client:
    """A connection to a broker, kept over every loss of it. Use it from one thread, in a `with` statement.

    Events are heard while a method of it waits: a program that computes for long is caught up when it comes back.

    Args:
        url, name, person: see `connect`.
    """

    def __init__(self, url: str | None = None, *, name: str | None = None, person: bytes | None = None) -> None:
        self.address = address.parse(url or default_url())
        if self.address.port == 0:
            raise address.BadAddress(f"{self.address} has no port to connect to: write the broker's, as it prints it")
        if person is None:
            person = identity.person(name) if name is not None else secrets.token_bytes(identity.SIZE)
        self.session = Session(name, person, secrets.token_bytes)
        self._context: zmq.Context[Socket] = zmq.Context()
        self._link = Link(self._context, self.address, self.session)
        self._poller = zmq.Poller()
        self._watched: tuple[int, bool, *tuple[int, ...]] = (-1, True)
        self._queues: dict[str, deque[tuple[int, heard.Event]]] = {}
        self._queued = 0
        self._awaited: str | None = None  # the room whose events the program waits for; None for all
        self._order = 0
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

    def open(self, timeout: float) -> None:
        """Waits until the broker has answered. See `connect`."""
        why = f"cannot reach a broker at {self.address} within {timeout:g} s"
        try:
            self.wait(lambda: True if self.session.open else None, timeout, errors.Unreachable(why))
        except errors.Unreachable:
            raise errors.Unreachable(f"{why}: {self._hint()}") from None

    def _hint(self) -> str:
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
        if self.session.open and timeout > 0:
            self._goodbye(timeout)
        self.closed = True
        self._link.close()
        self._context.destroy(linger=0)

    def _goodbye(self, timeout: float) -> None:
        q = self.session.bye()
        deadline = time.monotonic() + timeout
        while self.session.open and q not in self.session.answers and time.monotonic() < deadline:
            self.poll(deadline - time.monotonic())

    # Rooms and messages -----------------------------------------------------------------------------------------------

    def join(self, room: str, *, quiet: bool = False, timeout: float | None = 30.0) -> Room:
        """Follows a room, made if it is not there.

        Args:
            room: its name; a leading `#` is ignored.
            quiet: without being seen in it.
            timeout: seconds to wait for the broker.

        Raises:
            errors.NameInvalid: that cannot be a room's name.
            errors.TimedOut: the broker did not answer in time.
        """
        self.session.join(room, quiet=quiet, now=time.monotonic())
        given = room.removeprefix("#")

        def entered() -> heard.Entered | heard.NotEntered | None:
            return self._entered.get(self._canonical(given)) or self._entered.get(given)

        outcome: Any = self.wait(entered, timeout, errors.TimedOut(f"the broker did not let us into {room} in time"))
        if isinstance(outcome, heard.NotEntered):
            del self._entered[outcome.room]
            raise outcome.error
        return Room(self, outcome.room)

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

    def send(self, room: str, text: str, *, action: bool = False, timeout: float | None = 30.0) -> heard.Sent:
        """Says something, and waits until it is stored.

        Args:
            room: a room, or `@NAME` for a person.
            text: up to 16 KiB of UTF-8; newline and tab are the only control characters allowed.
            action: said of oneself, as by `/me`.
            timeout: seconds to wait.

        Returns:
            Where it is, and its number there.

        Raises:
            errors.Refusal: the broker refused it.
            errors.Unknown: whether it was stored cannot be told.
            errors.TimedOut: no answer in time; it is still tried, and may be stored.
        """
        ticket = self.post(room, text, action=action)
        late = errors.TimedOut("the broker did not acknowledge the message in time: it may be stored or not")
        outcome: Any = self.wait(partial(self.outcome, ticket), timeout, late)
        if isinstance(outcome, heard.NotSent):
            raise outcome.error
        sent: heard.Sent = outcome
        return sent

    def post(self, room: str, text: str, *, action: bool = False) -> int:
        """Says something without waiting; gives a ticket for `outcome`. Wait while `session.sendable` is false."""
        ticket = self.session.send(room, text, action=action, now=time.monotonic())
        self._link.obey(time.monotonic())
        return ticket

    def outcome(self, ticket: int) -> heard.Sent | heard.NotSent | None:
        """What became of a message that was posted, given once; None while it is not known."""
        return self._outcomes.pop(ticket, None)

    # Questions --------------------------------------------------------------------------------------------------------

    def who(self, room: str = "") -> list[str]:
        """Who is in a room, or here at all; in order.

        Raises:
            errors.NoSuchRoom: there is no such room.
        """
        found: list[str] = []
        more = True
        while more:
            people = self.ask(partial(Who, room=room, after=found[-1] if found else ""), People)
            more = people.more and bool(people.names) and (not found or people.names[0] > found[-1])
            found += people.names
        return found

    def rooms(self) -> list[RoomInfo]:
        """The public rooms, in order of their names."""
        found: list[RoomInfo] = []
        more = True
        while more:
            listed = self.ask(partial(Rooms, after=found[-1].room if found else ""), RoomList)
            more = listed.more and bool(listed.rooms) and (not found or listed.rooms[0].room > found[-1].room)
            found += listed.rooms
        return found

    def day(self, word: str, *, utc: bool = False) -> str:
        """What the broker's clock says.

        Args:
            word: `day` (of the week), `date` or `time`.
            utc: in UTC instead of the broker's zone.

        Raises:
            errors.UnknownWord: another word.
        """
        return self.ask(partial(Ask, word=word, utc=utc), Told).text

    def ping(self) -> float:
        """The round trip to the broker, in seconds."""
        begin = time.monotonic()
        self.ask(Ping)
        return time.monotonic() - begin

    def nick(self, name: str) -> str:
        """Goes by another name; gives it as it is shown.

        Raises:
            errors.NameTaken, errors.NameInvalid: it cannot be had.
        """
        return self.ask(partial(Nick, name=name), Named).name

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
        """What happens, in order. Each event is given once, to whoever asks first.

        Args:
            timeout: seconds after which it ends; None for never.
            room: only what happens in that room.

        Raises:
            errors.ZchatError: the session is over.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            event = self._next(room)
            if event is not None:
                yield event
                continue
            self._check()
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return
            self.poll(left)

    def drain(self) -> list[heard.Event]:
        """All events that wait, in order."""
        found = [event for _, event in merge(*self._queues.values(), key=lambda entry: entry[0])]
        self._queues.clear()
        self._queued = 0
        return found

    def _next(self, room: str | None) -> heard.Event | None:
        self._awaited = None if room is None else self._canonical(room)
        if self._awaited is not None:
            queue = self._queues.get(self._awaited)
        else:
            queue = min(self._queues.values(), key=lambda queue: queue[0][0], default=None)
        if not queue:
            return None
        _, event = queue.popleft()
        self._queued -= 1
        if not queue:
            self._queues = {name: queue for name, queue in self._queues.items() if queue}
        return event

    def _backlog(self) -> int:
        """How much is kept of what the program waits for."""
        return self._queued if self._awaited is None else len(self._queues.get(self._awaited, ()))

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
        now = time.monotonic()
        self._link.receive({one for one in ready if not isinstance(one, int)}, now)
        self._link.tick(now)
        self._collect()
        return {one for one in ready if isinstance(one, int)}

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
        before = self._order
        while self.session.events:
            event = self.session.events.popleft()
            match event:
                case heard.Sent() | heard.NotSent():
                    self._outcomes[event.ticket] = event
                    if len(self._outcomes) > QUEUED:  # a program that posts and never asks
                        del self._outcomes[next(iter(self._outcomes))]
                    continue
                case heard.Entered() | heard.NotEntered():
                    self._entered[event.room] = event
                case heard.Connected():
                    self.banner = event.banner
            self._order += 1
            self._queued += 1
            name = getattr(event, "room", "")
            queue = self._queues.setdefault(name, deque())
            queue.append((self._order, event))
            # What the program waits for is bounded by not hearing more. That does not hold for the rest, nor for what
            # comes over DEALER.
            heard_on = name == self._awaited or (self._awaited is None and name[:1] not in ("", "@"))
            if len(queue) > 2 * QUEUED and not heard_on:
                _drop_oldest(queue)
                self._queued -= 1
        return self._order != before


def _drop_oldest(queue: deque[tuple[int, heard.Event]]) -> None:
    """Drops the oldest of a queue; messages leave a gap in its place."""
    _, oldest = queue.popleft()
    place, second = queue[0]
    lost, more = _numbers(oldest), _numbers(second)
    if lost is not None:
        first, last = lost
        room = getattr(oldest, "room", "")
        if more is None:  # it is nothing that is numbered: the gap takes its place
            queue[0] = (place, heard.Gap(room, first, last))
        else:
            queue[0] = (place, heard.Gap(room, first, more[1] if last is not None else None))


def _numbers(event: heard.Event) -> tuple[int, int | None] | None:
    """The first and the last number of the messages that an event stands for."""
    match event:
        case heard.Said():
            return event.message.seq, event.message.seq
        case heard.Gap():
            return event.first, event.last
    return None
