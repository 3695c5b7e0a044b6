"""The Python API: DEALER and SUB under one Poller, in the calling thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from math import ceil, inf
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import zmq

from zchat import errors
from zchat.client import events as heard
from zchat.client.connection import LONGEST, Connection
from zchat.client.link import Socket
from zchat.client.questions import Questions
from zchat.client.synced import run, synced
from zchat.client.talk import Talk
from zchat.messages import Message, RoomState

THE_PROGRAM = "the program"
"""Who is given what a synchronous client gives, but for what it drains: there is but one."""

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
            handled here counts as read from then on. Bots have missed nothing: they begin with what is said next.
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

    def send(self, text: str, *, action: bool = False, reply: int = 0, timeout: float | None = 30.0) -> heard.Sent:
        """Says something, and waits until it is stored. See `Client.send`."""
        return self._client.send(self.name, text, action=action, reply=reply, timeout=timeout)

    def act(self, verb: str, name: str = "", **how: Any) -> heard.Sent:
        """Does something in the room. See `Client.act`."""
        return self._client.act(self.name, verb, name, **how)

    def about(self) -> RoomState:
        """How things are in the room: its topic, who may do what, what is pinned."""
        return self._client.about(self.name)

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
        """What happens in the room: `Said`, `Gap`, `Presence`, `Acted`, ...

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


class Client(Connection[Room], Questions):
    """A connection to a broker, kept over every loss of it. Use it from one thread, in a `with` statement.

    Events are heard while a method of it waits: a program that computes for long is caught up when it comes back.

    Args:
        url, name, person, identity, resume, missed: see `connect`.
    """

    _watched: tuple[int, bool, *tuple[int, ...]] = (-1, True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    open = synced(Talk.open)
    join = synced(Talk.join)
    send = synced(Talk.send)
    edit = synced(Talk.edit)
    delete = synced(Talk.delete)
    act = synced(Talk.act)

    def ask(self, make: Callable[[int], Any], kind: type[T] | None = None, timeout: float | None = 30.0) -> T:
        """Asks the broker something and waits for the answer; see `Talk.ask`."""
        return run(Talk.ask(self, make, kind, timeout))

    def room(self, name: str) -> Room:
        """A room that need not be followed: to send to it."""
        return Room(self, name)

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

    def _goodbye(self, timeout: float) -> None:
        self._save()
        q = self.session.bye()
        deadline = time.monotonic() + timeout
        while self.session.open and q not in self.session.answers and time.monotonic() < deadline:
            self.poll(deadline - time.monotonic())

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
            name = None if room is None else self.called(room)
            while (event := self._next(name)) is not None:
                self._given = {THE_PROGRAM: [event]}
                yield event
                self.handled()
            self._check()
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return
            self.poll(left)

    def _next(self, name: str | None) -> heard.Event | None:
        if name not in self._awaited:
            self._awaited.clear()
            self._awaited[name] = 1
        return self._queues.take(name)

    def _urge(self, *, at_once: bool) -> None:
        if at_once:
            self.flush()

    async def _until(self, found: Callable[[], T | None], timeout: float | None, late: errors.ZchatError) -> T:
        return self.wait(found, timeout, late)

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
        self._watch((self._link.generation, self._hearing(), *fds))
        until = min(self._link.due() - now, inf if timeout is None else timeout)
        ready: dict[Any, int] = dict(self._poller.poll(ceil(min(max(until, 0.0), LONGEST) * 1000)))
        self._take({one for one in ready if not isinstance(one, int)})
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
        self._take(ready)

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

    def _watch(self, wanted: tuple[int, bool, *tuple[int, ...]]) -> None:
        if wanted != self._watched:
            self._watched = wanted
            _, hear, *fds = wanted
            self._poller = zmq.Poller()
            for one in (*self._link.sockets(hear=hear), *fds):
                self._poller.register(one, zmq.POLLIN)
