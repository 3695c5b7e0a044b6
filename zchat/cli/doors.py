"""What the words mean that are about a room's doors: who may do what in it, and what was done. See `words`."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from zchat import grammar, messages, names, verbs
from zchat.cli import acted, output, rows
from zchat.text import printable

if TYPE_CHECKING:
    from zchat.cli.chat import Chat
    from zchat.client.sync import Client
    from zchat.grammar import Given

PINS = 20
"""Pinned messages that /pins shows."""


def do(chat: Chat, verb: str, room: str, given: Given, then: Callable[[], None] | None = None) -> None:
    """Does something in a room.

    Args:
        verb: of `verbs.ACTS`.
        then: what follows once it is done.
    """
    chat.await_outcome(queued(chat.client, verb, room, given), "not done", f"/{verb}", then)


def queued(client: Client, verb: str, room: str, given: Given) -> int:
    """Has something done in a room; gives the ticket of what becomes of it."""
    return client.session.act(
        verb,
        room,
        name=given.name,
        target=given.target,
        seconds=given.seconds,
        text=given.text,
        on=given.on,
        now=time.monotonic(),
    )


def _act(verb: str, chat: Chat, given: Given) -> None:
    do(chat, verb, chat.here, given)


def _create(chat: Chat, given: Given) -> None:
    room = made(given)

    def enter() -> None:
        if given.topic:
            do(chat, "topic", room, grammar.Given(text=given.topic))
        chat.enter(room)

    do(chat, "create", room, grammar.Given(), enter)


def made(given: Given) -> str:
    """The name of a room that is to be made."""
    private = given.private and not given.room.startswith(names.PRIVATE)
    return f"{names.PRIVATE}{given.room}" if private else given.room


def _topic(chat: Chat, given: Given) -> None:
    if given.text:
        do(chat, "topic", chat.here, given)
    else:
        chat.ask(partial(messages.About, room=chat.here), partial(_told_about, chat))


def _told_about(chat: Chat, state: messages.RoomState) -> None:
    for line in acted.about_lines(state):
        chat.note(line)


def _pins(chat: Chat, _: Given) -> None:
    room = chat.here

    def told(state: messages.RoomState) -> None:
        for seq in state.pins[-PINS:]:
            asked = partial(messages.History, room=room, limit=1, after=seq - 1, before=seq + 1)
            chat.ask(asked, partial(told_page, chat))
        if not state.pins:
            chat.note("nothing is pinned here")

    chat.ask(partial(messages.About, room=room), told)


def told_page(chat: Chat, page: messages.Page) -> None:
    """Shows messages with their numbers."""
    for event in page.events:
        if isinstance(event, messages.Message):
            chat.note(output.history_line(event))
        elif isinstance(event, messages.Acted):
            chat.note(acted.history_line(event))


def _bans(chat: Chat, _: Given) -> None:
    asked = partial(messages.List, what="bans", room=chat.here)
    chat.ask(asked, partial(_told_rows, chat, "nobody is banned or muted here"))


def _blocks(chat: Chat, _: Given) -> None:
    chat.ask(partial(messages.List, what="blocks"), partial(_told_rows, chat, "you take what anybody sends you"))


def _told_rows(chat: Chat, none: str, listed: messages.Listed) -> None:
    for row in listed.rows:
        chat.note(rows.line(row))
    if not listed.rows:
        chat.note(none)
    if listed.more:
        chat.note("and more")


def _block(chat: Chat, given: Given) -> None:
    told = f"you take nothing private from {printable(given.name)} any more"
    chat.ask(partial(messages.Admin, verb="block", name=given.name), lambda _: chat.note(told))


def _unblock(chat: Chat, given: Given) -> None:
    told = f"you take again what {printable(given.name)} sends you"
    chat.ask(partial(messages.Admin, verb="unblock", name=given.name), lambda _: chat.note(told))


HANDLERS: dict[str, Callable[[Chat, Given], None]] = {
    **{verb: partial(_act, verb) for verb in verbs.ACTS},
    "create": _create,
    "topic": _topic,
    "pins": _pins,
    "bans": _bans,
    "block": _block,
    "unblock": _unblock,
    "blocks": _blocks,
}
"""What each of these words does; see `words.HANDLERS`."""
