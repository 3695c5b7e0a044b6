"""Programs that take part in rooms: what is said calls a handler, and so does the clock.

bot = zchat.Bot(name="echo", rooms=["lobby"])

@bot.command("echo")
async def echo(ctx: zchat.Context) -> None:
    await ctx.reply(ctx.rest)

bot.run()
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from zchat import errors, names
from zchat.address import BadAddress
from zchat.client import events as heard
from zchat.client.aio import AsyncClient, aconnect
from zchat.messages import LOBBY, Message
from zchat.text import block, printable

AT_ONCE = 16
"""Handlers that run at a time, if nothing else is said."""

ANYBODY = "@"
"""Stands for all private messages where a room is named."""

log = logging.getLogger("zchat.bot")

H = TypeVar("H", bound=Callable[..., Any])


class Arrival:
    """Somebody came into a room.

    Attributes:
        bot: who heard of it.
        room: where; for a private message `@` and the other's name.
        name: who it was.
    """

    def __init__(self, bot: Bot, room: str, name: str) -> None:
        self.bot = bot
        self.room = room
        self.name = name

    async def reply(self, text: str, *, action: bool = False) -> heard.Sent:
        """Says something there: in the room, or in private to who spoke in private. See `AsyncClient.send`."""
        return await self.bot.client.send(self.room, text, action=action)


class Context(Arrival):
    """Something was said that a handler is for.

    Attributes:
        message: what was said.
        match: where the handler's pattern was found in its text.
        private: whether only the two can read it.
    """

    def __init__(self, bot: Bot, said: heard.Said, match: re.Match[str]) -> None:
        super().__init__(bot, said.room, said.message.name)
        self.message: Message = said.message
        self.match = match
        self.private = said.private

    @property
    def text(self) -> str:
        """What was said."""
        return self.message.text

    @property
    def rest(self) -> str:
        """What comes after the match: after a command what it is told."""
        return self.text[self.match.end() :].strip()


class _Rule(NamedTuple):
    pattern: re.Pattern[str]
    room: str | None
    handler: Callable[[Context], Any]


class _Timer(NamedTuple):
    seconds: float
    handler: Callable[[], Any]


class Bot:
    """A program that takes part in rooms.

    It hears what is said from its start on, and what was missed while the connection was lost; with a resume file also
    what was missed while it was not running. Its own messages it does not heed. Handlers are functions or coroutines;
    an error in one is logged, and the bot goes on.

    Args:
        url, identity, person: see `zchat.connect`.
        name: whom to speak as.
        rooms: which to be in.
        resume: a file that keeps the place in each room: what was not handled when the bot ended is heard again.
        prefix: what a command begins with.
        heed_bots: whether it heeds what other bots say: two that answer each other never end.
        at_once: handlers that may run at a time; the next message waits for one of them.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        name: str,
        rooms: Sequence[str] = (LOBBY,),
        identity: str | None = None,
        person: bytes | None = None,
        resume: Path | str | None = None,
        prefix: str = "!",
        heed_bots: bool = False,
        at_once: int = AT_ONCE,
    ) -> None:
        self._url = url
        self._name = name
        self._rooms = list(rooms)
        self._identity = identity
        self._person = person
        self._resume = resume
        self._prefix = prefix
        self._heed_bots = heed_bots
        self._rules: list[_Rule] = []
        self._timers: list[_Timer] = []
        self._joins: list[Callable[[Arrival], Any]] = []
        self._listeners: list[tuple[tuple[type, ...], Callable[[Any], Any]]] = []
        self._at_once = at_once
        self._client: AsyncClient | None = None
        self._loops: list[asyncio.Task[None]] = []
        self._running: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def client(self) -> AsyncClient:
        """The connection, with all that it can do.

        Raises:
            errors.Closed: the bot does not run.
        """
        if self._client is None:
            raise errors.Closed("this bot does not run")
        return self._client

    # What it heeds ----------------------------------------------------------------------------------------------------

    def on(self, pattern: str | re.Pattern[str], *, room: str | None = None) -> Callable[[H], H]:
        """Has a handler called with a `Context` for what is said and has a pattern in it. Of several handlers the first
        that was defined is called.

        Args:
            pattern: a regular expression, found anywhere in the text. Texts are up to 16 KiB, and strangers write
                them: one with nested repetitions may take for ever.
            room: only there; `@` for all private messages; None for everywhere.
        """
        compiled = re.compile(pattern)

        def taken(handler: H) -> H:
            self._rules.append(_Rule(compiled, room, handler))
            return handler

        return taken

    def command(self, word: str, *, room: str | None = None) -> Callable[[H], H]:
        """The same for what begins with `!word`, in upper or lower case; what comes after is in `Context.rest`.

        Args:
            word: without the prefix.
            room: see `on`.
        """
        return self.on(re.compile(rf"\A{re.escape(self._prefix + word)}(?!\S)", re.IGNORECASE), room=room)

    def every(self, seconds: float) -> Callable[[H], H]:
        """Has a handler called every so many seconds, without arguments, from that long after the start. It is never
        called again before it has ended.

        Raises:
            ValueError: that is no time.
        """
        if not 0 < seconds < float("inf"):
            raise ValueError(f"a timer cannot ring every {seconds} seconds")

        def taken(handler: H) -> H:
            self._timers.append(_Timer(seconds, handler))
            return handler

        return taken

    def on_join(self, handler: H) -> H:
        """Has a handler called with an `Arrival` for everybody who comes into a room; of a crowd that is not told."""
        self._joins.append(handler)
        return handler

    def on_event(self, *kinds: type) -> Callable[[H], H]:
        """Has a handler called with each event of some kinds (`zchat.client.events`), whosever it is."""

        def taken(handler: H) -> H:
            self._listeners.append((kinds, handler))
            return handler

        return taken

    # Its life ---------------------------------------------------------------------------------------------------------

    def run(self, *, timeout: float = 5.0, grace: float = 5.0) -> None:
        """Runs the bot until SIGINT or SIGTERM, and then stops it; a second signal ends the grace. The connection is
        kept over every loss of it.

        Args:
            timeout: seconds to wait for the broker at the start.
            grace: see `stop`.

        Raises:
            SystemExit: it cannot begin, or the broker has ended the session; why is said on stderr.
        """
        try:
            asyncio.run(self._run(timeout, grace))
        except (errors.ZchatError, BadAddress) as error:
            sys.exit(f"{printable(self._name)}: {printable(str(error))}")

    async def _run(self, timeout: float, grace: float) -> None:
        life = asyncio.create_task(self._live(timeout))

        def told() -> None:
            if not life.cancel():
                for task in self._running:
                    task.cancel()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, told)
        try:
            await asyncio.wait([life])
        finally:
            await self.stop(grace)
        if not life.cancelled():
            life.result()

    async def _live(self, timeout: float) -> None:
        await self.start(timeout)
        await self.wait()

    async def start(self, timeout: float = 5.0) -> None:
        """Connects, and enters the rooms; from then on handlers are called.

        Args:
            timeout: seconds to wait for the broker.

        Raises:
            errors.ZchatError: see `zchat.connect` and `AsyncClient.join`.
            RuntimeError: it runs already.
        """
        if self._client is not None:
            raise RuntimeError("this bot runs already")
        self._places = asyncio.Semaphore(self._at_once)
        self._stopped = asyncio.Event()
        self._error = None
        client = await aconnect(
            self._url,
            name=self._name,
            identity=self._identity,
            person=self._person,
            resume=self._resume,
            timeout=timeout,
        )
        try:
            for room in self._rooms:
                await client.join(room)
        except BaseException:
            await client.close()
            raise
        self._client = client
        loops = [self._listen(client), *map(self._ring, self._timers)]
        self._loops = [asyncio.create_task(one) for one in loops]
        self._loops[0].add_done_callback(self._ended)

    async def wait(self) -> None:
        """Waits until the bot stops.

        Raises:
            errors.ZchatError: the broker has ended the session, or the resume file cannot be written.
        """
        if self._client is not None:
            await self._stopped.wait()
        if self._error is not None:
            raise self._error

    async def stop(self, grace: float = 5.0) -> None:
        """Hears nothing any more, lets handlers end, and says goodbye. Harmless if it does not run.

        Args:
            grace: seconds that handlers have; then they are cancelled.
        """
        client = self._client
        if client is None:
            return
        try:
            await _end(self._loops)
            others = self._running - {asyncio.current_task()}  # a handler may stop the bot
            if others:
                await asyncio.wait(others, timeout=grace)
            await _end(self._running - {asyncio.current_task()})
        finally:
            self._client = None
            self._stopped.set()
            await client.close()

    def _ended(self, listening: asyncio.Task[None]) -> None:
        if listening.cancelled():
            return
        self._error = listening.exception()
        for timer in self._loops[1:]:
            timer.cancel()
        self._stopped.set()

    # What happens -----------------------------------------------------------------------------------------------------

    async def _listen(self, client: AsyncClient) -> None:
        async for event in client.events():
            for kinds, listener in self._listeners:
                if isinstance(event, kinds):
                    await self._begin(listener, event, (event,))
            match event:
                case heard.Said():
                    await self._said(client, event)
                case heard.Presence():
                    for name in event.joined if self._joins else ():
                        await self._joined(client, event, name)

    async def _said(self, client: AsyncClient, said: heard.Said) -> None:
        if said.mine or not self._heeds(client, said.message.name):
            return
        for rule in self._rules:
            found = rule.pattern.search(said.message.text) if _there(client, rule.room, said) else None
            if found is not None:
                await self._begin(rule.handler, said, (Context(self, said, found),))
                return

    async def _joined(self, client: AsyncClient, presence: heard.Presence, name: str) -> None:
        if self._heeds(client, name):
            for handler in self._joins:
                await self._begin(handler, presence, (Arrival(self, presence.room, name),))

    def _heeds(self, client: AsyncClient, name: str) -> bool:
        return name != client.name and (self._heed_bots or not names.is_bot(name))

    async def _ring(self, timer: _Timer) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + timer.seconds
        while True:
            await asyncio.sleep(due - loop.time())
            await asyncio.wait([await self._begin(timer.handler, None, ())])
            due = max(due + timer.seconds, loop.time())  # what was missed is not made up for

    async def _begin(
        self, handler: Callable[..., Any], event: heard.Event | None, given: tuple[Any, ...]
    ) -> asyncio.Task[None]:
        """Has a handler run, once there is a place for it; an event is not handled before it has ended."""
        await self._places.acquire()
        task = asyncio.create_task(self._handle(handler, given))
        self._running.add(task)
        client = self.client
        if event is not None:
            client.hold(task, event)

        def done(task: asyncio.Task[None]) -> None:
            self._running.discard(task)
            self._places.release()
            if task.cancelled():
                return  # it is not handled
            try:
                client.let_go(task)
            except errors.ZchatError as error:
                log.error("%s", printable(str(error)))

        task.add_done_callback(done)
        return task

    async def _handle(self, handler: Callable[..., Any], given: tuple[Any, ...]) -> None:
        try:
            result = handler(*given)
            if inspect.isawaitable(result):
                await result
        except Exception:
            name = getattr(handler, "__qualname__", repr(handler))
            log.error("the handler %s failed:\n%s", printable(name), block(traceback.format_exc().rstrip(), ""))


def _there(client: AsyncClient, room: str | None, said: heard.Said) -> bool:
    """Whether something was said where a handler wants it."""
    if room is None:
        return True
    return said.private if room == ANYBODY else client.called(room) == said.room


async def _end(tasks: Sequence[asyncio.Task[None]] | set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
