"""`zchat do`: what is typed in a room after a slash, for scripts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from zchat.cli.options import Identity, Json, Name, Patience, Url, login_name, visitor

if TYPE_CHECKING:
    from zchat.client.sync import Client
    from zchat.grammar import Given
    from zchat.verbs import Verb

SETTINGS = {"ignore_unknown_options": True}
"""Options of the verbs are theirs to read."""


def command(
    room: Annotated[str, typer.Argument(metavar="ROOM", help="A room; +ROOM for a private one.", show_default=False)],
    verb: Annotated[str, typer.Argument(metavar="VERB", help="As /help mod lists them.", show_default=False)],
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[WORD]...", help="As after /VERB in a chat.", show_default=False)
    ] = None,
    json: Json = False,
    name: Name = None,
    url: Url = None,
    identity: Identity = None,
    connect_timeout: Patience = 5.0,
) -> None:
    """Does something in a room: what moderators do, and everybody may. Ends with 0 once it is done.

    VERB is create, topic, invite, kick, ban, unban, mute, unmute, op, deop, readonly, slow, pin, unpin, react or
    unreact, with the same words as in a chat: zchat do lobby ban bob --for 1h spam. How things are print topic without
    words, and bans.
    """
    from zchat import grammar, verbs

    known = {**verbs.ACTS, "bans": verbs.LISTS["bans"]}
    row = grammar.find(verb, known, before="")
    rest = " ".join(words or [])
    before = f"zchat do {room} "
    if row.name == "create":  # makes the room that is named first
        rest, before = f"{room} {rest}", "zchat do … "
    given = grammar.parse(row, rest, before=before)
    with visitor(url, connect_timeout, identity, name=name or login_name()) as client:
        _run(client, room, row, given, json=json)


def _run(client: Client, room: str, row: Verb, given: Given, *, json: bool) -> None:
    from zchat.cli import acted, rows
    from zchat.cli.doors import made
    from zchat.cli.output import out
    from zchat.grammar import Given
    from zchat.messages import About, RoomState

    if row.name == "bans":
        rows.show(client, "bans", room, json=json)
    elif row.name == "topic" and not given.text:
        state = client.ask(partial(About, room=room), RoomState)
        for line in [acted.about_json(state)] if json else acted.about_lines(state):
            out(line)
    elif row.name == "create":
        _act(client, "create", made(given), Given())
        if given.topic:
            _act(client, "topic", made(given), Given(text=given.topic))
    else:
        _act(client, row.name, room, given)


def _act(client: Client, verb: str, room: str, given: Given) -> None:
    """Does it, and waits until it is done.

    Raises:
        errors.ZchatError: it is not.
    """
    from zchat import errors
    from zchat.cli.doors import queued
    from zchat.client.events import NotSent

    ticket = queued(client, verb, room, given)
    late = errors.TimedOut("the broker did not answer in time: it may be done or not")
    outcome = client.wait(lambda: client.outcome(ticket), 30.0, late)
    if isinstance(outcome, NotSent):
        raise outcome.error
