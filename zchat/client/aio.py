"""The Python API for programs with an event loop: it watches the sockets, and nothing is done in another thread.

libzmq's descriptors tell of changes, not of states: one becomes readable when something has come, and whatever is asked
of its socket takes that back. So `_turn` is the only one that touches a socket; it goes on until a look at all of them
finds nothing, and whoever has something to be sent asks for another turn.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Generator, Hashable
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import zmq

from zchat import errors
from zchat.client import events as heard
from zchat.client.connection import LONGEST, QUEUED
from zchat.client.talk import Talk
from zchat.messages import Message, RoomState

IN_A_ROW = 64
"""Events given to a program before others have their turn."""

LEFT = "left"
"""Whose are events that were given to somebody who then left."""

T = TypeVar("T")


def aconnect(
    url: str | None = None,
    *,
    name: str | None = None,
    person: bytes | None = None,
    identity: str | None = None,
    resume: Path | str | None = None,
    missed: bool = False,
    timeout: float = 5.0,
) -> Connecting:
    """Connects to a broker: `async with zchat.aconnect(...) as client`, or `client = await zchat.aconnect(...)`.

    Args and errors are those of `zchat.connect`; the errors come when it is awaited. A host's name is looked up, and a
    resume file is written, while the loop waits.
    """
    make = partial(AsyncClient, url, name=name, person=person, identity=identity, resume=resume, missed=missed)
    return Connecting(make, timeout)


class Connecting:
    """A connection to be made; see `aconnect`."""

    def __init__(self, make: Callable[[], AsyncClient], timeout: float) -> None:
        self._make = make
        self._timeout = timeout
        self._client: AsyncClient | None = None

    def __await__(self) -> Generator[Any, None, AsyncClient]:
        return self._connected().__await__()

    async def __aenter__(self) -> AsyncClient:
        self._client = await self._connected()
        return self._client

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._client is not None:
            await self._client.close()

    async def _connected(self) -> AsyncClient:
        client = self._make()
        try:
            await client.open(self._timeout)
        except BaseException:
            await client.close(timeout=0)
            raise
        return client


class AsyncRoom:
    """A room, as one client sees it.

    Attributes:
        name: as the user gave it.
    """

    def __init__(self, client: AsyncClient, name: str) -> None:
        self._client = client
        self.name = name

    async def send(
        self, text: str, *, action: bool = False, reply: int = 0, timeout: float | None = 30.0
    ) -> heard.Sent:
        """Says something, and waits until it is stored. See `AsyncClient.send`."""
        return await self._client.send(self.name, text, action=action, reply=reply, timeout=timeout)

    async def act(self, verb: str, name: str = "", **how: Any) -> heard.Sent:
        """Does something in the room. See `AsyncClient.act`."""
        return await self._client.act(self.name, verb, name, **how)

    async def about(self) -> RoomState:
        """How things are in the room: its topic, who may do what, what is pinned."""
        return await self._client.about(self.name)

    def messages(self, timeout: float | None = None) -> Following[Message]:
        """What is said in the room, each message once and in order.

        Messages that can no longer be had show as a jump in their numbers; `events` names them.

        Args:
            timeout: seconds after which it ends; None for never.
        """
        return Following(self._client, self.name, timeout, _message)

    def events(self, timeout: float | None = None) -> Following[heard.Event]:
        """What happens in the room: `Said`, `Gap`, `Presence`, ...

        Args:
            timeout: seconds after which it ends; None for never.
        """
        return self._client.events(timeout, room=self.name)

    async def who(self) -> list[str]:
        """Who is in the room, in order."""
        return await self._client.who(self.name)

    def leave(self) -> None:
        """Follows the room no longer."""
        self._client.leave(self.name)


@dataclass(slots=True, eq=False)
class _Waiter(Generic[T]):
    """Somebody who waits until something is found; what is found may be found but once."""

    found: Callable[[], T | None]
    future: asyncio.Future[T | None]


class AsyncClient(Talk[AsyncRoom]):
    """A connection to a broker, kept over every loss of it. Use it in one event loop; any number of tasks may wait for
    it at a time, and each may be cancelled.

    What is cancelled while it is sent may be stored all the same.

    Args:
        url, name, person, identity, resume, missed: see `aconnect`.
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
        self._loop = asyncio.get_running_loop()
        super().__init__(url, name=name, person=person, identity=identity, resume=resume, missed=missed)
        self._waiters: dict[_Waiter[Any], None] = {}
        self._next_turn: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = inf  # when it rings, by the link's clock
        self._watched: tuple[int, bool] | None = None
        self._descriptors: list[int] = []
        self._failure: Exception | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def room(self, name: str) -> AsyncRoom:
        """A room that need not be followed: to send to it."""
        return AsyncRoom(self, name)

    async def close(self, timeout: float = 2.0) -> None:
        """Says goodbye, and closes: who still waits gets `errors.Closed`. What was not acknowledged by then is unknown;
        calling it again does nothing.

        Args:
            timeout: seconds to wait for the broker.
        """
        if self.closed:
            return
        try:
            if self.session.open and timeout > 0 and self._failure is None:
                self._save()
                q = self.session.bye()
                await self._found(lambda: q in self.session.answers or not self.session.open or None, timeout)
        finally:
            if not self.closed:
                self._shut()

    async def wait(self, found: Callable[[], T | None], timeout: float | None, late: errors.ZchatError) -> T:
        """Waits until something is found: it is looked for whenever something has happened.

        Raises:
            errors.ZchatError: `late` after `timeout` seconds, or whatever ended the session.
        """
        result = await self._found(found, timeout)
        if result is None:
            raise late
        return result

    def events(self, timeout: float | None = None, *, room: str | None = None) -> Following[heard.Event]:
        """What happens, in order. Each event is given once, to whoever asks first. It counts as handled when who got it
        asks for the next; or has left the loop, and anybody asks for one.

        While somebody follows a room and does not keep up, new messages wait for that one in all rooms, and nothing is
        lost. What nobody follows is dropped beyond a bound, and leaves a gap.

        Args:
            timeout: seconds after which it ends; None for never.
            room: only what happens in that room.

        Raises:
            errors.ZchatError: the session is over.
        """
        return Following(self, room, timeout, _itself)

    # The loop ---------------------------------------------------------------------------------------------------------

    async def _until(self, found: Callable[[], T | None], timeout: float | None, late: errors.ZchatError) -> T:
        return await self.wait(found, timeout, late)

    async def _found(self, found: Callable[[], T | None], timeout: float | None) -> T | None:
        """Waits until something is found; None after so many seconds."""
        self._collect()
        result = found()
        if result is not None:
            return result
        self._check()
        waiter: _Waiter[T] = _Waiter(found, self._loop.create_future())
        self._waiters[waiter] = None
        self._urge(at_once=True)
        try:
            async with asyncio.timeout(timeout):
                result = await waiter.future
        except TimeoutError:
            return None
        finally:
            del self._waiters[waiter]
        if result is None:
            self._check()
        return result

    def _wake(self) -> None:
        """Has those go on who wait for what is there now; all, if it is over."""
        over = self._over
        for waiter in [one for one in self._waiters if not one.future.done()]:
            try:
                result = waiter.found()
            except Exception as error:
                waiter.future.set_exception(error)
                continue
            if result is not None or over:
                waiter.future.set_result(result)

    @property
    def _over(self) -> bool:
        return self.closed or self._failure is not None or self.session.ended is not None

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        super()._check()

    def _urge(self, *, at_once: bool) -> None:
        if self._next_turn is None and not self.closed:
            self._next_turn = self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        """Does what is to be done now; the next turn comes when something comes, is asked for, or falls due."""
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None
        if self.closed or self._failure is not None:
            return
        ready: Any = []
        try:
            self._link.tick(time.monotonic())
            self._collect()
            self._watch()
            ready = self._poller.poll(0)
            if ready:
                self._take({one for one, _ in ready})
                self._watch()  # at once: others may be given the descriptors of sockets that were closed
        except Exception as error:  # nobody else would hear of it
            self._failure = error
            self._unwatch()
        self._wake()
        if ready:
            self._urge(at_once=True)
        elif self._failure is None:
            self._rest()

    def _rest(self) -> None:
        due = self._link.due()
        if self._timer is not None:
            if due == self._due:
                return
            self._timer.cancel()
        self._due = due
        self._timer = self._loop.call_later(min(max(due - time.monotonic(), 0.0), LONGEST), self._rung)

    def _rung(self) -> None:
        self._timer = None
        self._turn()

    def _watch(self) -> None:
        wanted = (self._link.generation, self._hearing())
        if wanted == self._watched:
            return
        self._watched = wanted
        self._unwatch()
        self._poller = zmq.Poller()
        for one in self._link.sockets(hear=wanted[1]):
            self._poller.register(one, zmq.POLLIN)
            self._descriptors.append(int(one.get(zmq.FD)))
            self._loop.add_reader(self._descriptors[-1], self._turn)

    def _unwatch(self) -> None:
        for descriptor in self._descriptors:
            self._loop.remove_reader(descriptor)
        self._descriptors.clear()

    def _shut(self) -> None:
        if not self._loop.is_closed():
            self._unwatch()
        for handle in (self._next_turn, self._timer):
            if handle is not None:
                handle.cancel()
        super()._shut()
        self._wake()

    # Who is given what ------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        super()._save()
        if self._marking:
            self._urge(at_once=False)

    def hold(self, who: Hashable, event: heard.Event) -> None:
        """Somebody who was handed an event has not handled it before `let_go`: the resume file and the read marks say
        so."""
        self._given[who] = [event]

    def let_go(self, who: Hashable) -> None:
        """What somebody was handed has been handled."""
        if self._given.pop(who, None) is not None and not self.closed:  # else the resume file may be another's by now
            self._save_at_times()

    @property
    def _most(self) -> int:
        return QUEUED


class Following(AsyncIterator[T]):
    """What happens, one after the other; see `AsyncClient.events`. Asking for the next may be cancelled, and tried
    again.

    Args:
        pick: what is given of an event; None for nothing.
    """

    def __init__(
        self, client: AsyncClient, room: str | None, timeout: float | None, pick: Callable[[heard.Event], T | None]
    ) -> None:
        self._client = client
        self._room = room
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._pick = pick
        self._who = object()
        self._awaited: str | None = None
        self._follows = False
        self._count = 0

    async def __anext__(self) -> T:
        client = self._client
        client._given.pop(LEFT, None)
        client.let_go(self._who)
        self._count += 1
        if self._count % IN_A_ROW == 0:  # others have something to do as well, and the sockets
            client._urge(at_once=True)
            await asyncio.sleep(0)
        while True:
            name = self._follow()
            while (event := client._queues.take(name)) is not None:
                client.hold(self._who, event)
                picked = self._pick(event)
                if picked is not None:
                    return picked
                client.let_go(self._who)
            left = None if self._deadline is None else self._deadline - time.monotonic()
            if left is not None and left <= 0:
                client._check()
                raise StopAsyncIteration
            await client._found(self._any, left)

    def _any(self) -> int | None:
        return (len(self._client._queues) if self._room is None else self._client._queues.of(self._name())) or None

    def _name(self) -> str:
        return self._client.called(self._room or "")

    def _follow(self) -> str | None:
        """What it waits for: the broker may come to know the room by another name than the program."""
        name = None if self._room is None else self._name()
        if not self._follows or name != self._awaited:
            self._leave()
            self._client._awaited[name] += 1
            self._follows, self._awaited = True, name
        return name

    def _leave(self) -> None:
        if self._follows:
            self._follows = False
            self._client._awaited[self._awaited] -= 1
            if not self._client._awaited[self._awaited]:
                del self._client._awaited[self._awaited]

    def __del__(self) -> None:
        self._leave()
        given = self._client._given.pop(self._who, None)
        if given is not None:
            self._client._given[LEFT] = given


def _itself(event: heard.Event) -> heard.Event:
    return event


def _message(event: heard.Event) -> Message | None:
    return event.message if isinstance(event, heard.Said) else None
