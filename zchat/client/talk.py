"""What a client does and waits for, written once for both Python APIs; see `synced`."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from zchat import errors
from zchat.client import events as heard
from zchat.client.connection import Connection, RoomT
from zchat.client.questions import AsyncQuestions

T = TypeVar("T")


class Talk(Connection[RoomT], AsyncQuestions):
    """A connection, and what can be done with it by a program that has a loop."""

    async def open(self: Connection[RoomT], timeout: float) -> None:
        """Waits until the broker has answered. See `connect`."""
        why = f"cannot reach a broker at {self.address} within {timeout:g} s"
        try:
            await self._until(
                lambda: self.session.open or self._link.mismatch or None, timeout, errors.Unreachable(why)
            )
        except errors.Unreachable:
            raise errors.Unreachable(f"{why}: {self._hint()}") from None
        if not self.session.open:  # no patience helps
            raise errors.Unreachable(f"cannot talk to the broker at {self.address}: {self._hint()}")
        self._remember()

    async def join(
        self: Connection[RoomT],
        room: str,
        *,
        quiet: bool = False,
        after: int | None = None,
        tail: int = 0,
        timeout: float | None = 30.0,
    ) -> RoomT:
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
            return self._entered.get(self.called(given)) or self._entered.get(given)

        late = errors.TimedOut(f"the broker did not let us into {room} in time")
        outcome: heard.Entered | heard.NotEntered = await self._until(entered, timeout, late)
        if isinstance(outcome, heard.NotEntered):
            self._entered.pop(outcome.room, None)
            raise outcome.error
        return self.room(outcome.room)

    async def send(
        self: Connection[RoomT],
        room: str,
        text: str,
        *,
        action: bool = False,
        reply: int = 0,
        timeout: float | None = 30.0,
    ) -> heard.Sent:
        """Says something, and waits until it is stored.

        Args:
            room: a room, `+NAME` for a private one, or `@NAME` for a person.
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
        return await _acked(self, self.post(room, text, action=action, reply=reply), timeout)

    async def edit(
        self: Connection[RoomT], room: str, text: str, seq: int = 0, *, timeout: float | None = 30.0
    ) -> heard.Sent:
        """Says a message of one's own anew; see `send`.

        Args:
            room: where.
            text: what it says from now on.
            seq: its number; 0 for the last.

        Raises:
            errors.NoSuchMessage: there is none of that number that this person wrote.
        """
        return await _acked(self, self.session.edit(room, text, seq=seq, now=time.monotonic()), timeout)

    async def delete(self: Connection[RoomT], room: str, seq: int = 0, *, timeout: float | None = 30.0) -> heard.Sent:
        """Takes a message of one's own back: its text, and that of its edits, are gone for good. See `edit`."""
        return await _acked(self, self.session.delete(room, seq=seq, now=time.monotonic()), timeout)

    async def act(
        self: Connection[RoomT],
        room: str,
        verb: str,
        name: str = "",
        *,
        target: int = 0,
        seconds: int = 0,
        text: str = "",
        on: bool = True,
        timeout: float | None = 30.0,
    ) -> heard.Sent:
        """Does something in a room that its members are told of, and waits until it is stored.

        Args:
            room: where; with `create` one whose name begins with `+` is private.
            verb: one of `verbs.ACTS`, as `topic`, `invite`, `kick`, `ban`, `react` or `pin`.
            name: to whom, if to anybody.
            target: the number of the message, if it is about one.
            seconds: for how long, 0 for good; with `slow` between two messages of one person.
            text: a topic, a reason or a reaction.
            on: whether it is to be so, with `readonly`.
            timeout: seconds to wait.

        Raises:
            errors.NotAllowed: this person may not do that.
            errors.Refusal: it cannot be done.
        """
        now = time.monotonic()
        ticket = self.session.act(verb, room, name=name, target=target, seconds=seconds, text=text, on=on, now=now)
        return await _acked(self, ticket, timeout)

    async def ask(
        self: Connection[RoomT], make: Callable[[int], Any], kind: type[T] | None = None, timeout: float | None = 30.0
    ) -> T:
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
            answer: Any = await self._until(lambda: self.session.answers.get(q), timeout, late)
        finally:
            self.session.forget(q)
        if isinstance(answer, errors.ZchatError):
            raise answer
        found: T = answer
        return found

    async def _asked(self, make: Callable[[int], Any], kind: type[T] | None = None) -> T:
        return await self.ask(make, kind)


async def _acked(client: Connection[Any], ticket: int, timeout: float | None) -> heard.Sent:
    late = errors.TimedOut("the broker did not acknowledge the message in time: it may be stored or not")
    outcome: heard.Sent | heard.NotSent = await client._until(partial(client.outcome, ticket), timeout, late)
    if isinstance(outcome, heard.NotSent):
        raise outcome.error
    return outcome
