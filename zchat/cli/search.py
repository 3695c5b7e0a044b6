"""`zchat search`: messages that hold some words."""

from __future__ import annotations

from typing import Annotated

import typer

from zchat.cli.exits import FAILURE, OK
from zchat.cli.options import Identity, Json, Name, Patience, Url, known_person, visitor
from zchat.cli.times import Since

MOST = 100
"""Messages that a broker looks up at a time."""


def command(
    words: Annotated[list[str], typer.Argument(metavar="WORDS...", show_default=False)],
    room: Annotated[
        str, typer.Option("--room", metavar="ROOM", help="Only there; @NAME for a person.", show_default=False)
    ] = "",
    sender: Annotated[
        str, typer.Option("--from", metavar="NAME", help="Only what was said under that name.", show_default=False)
    ] = "",
    since: Since = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST, metavar="N", help="How many at most.")] = 20,
    json: Json = False,
    name: Name = None,
    url: Url = None,
    identity: Identity = None,
    connect_timeout: Patience = 5.0,
) -> int:
    """Prints messages that hold all of WORDS, newest first.

    Each with its room and number: zchat history ROOM --around NUMBER shows what was said around it. Looks in all public
    rooms, and in the private messages of --name, ZCHAT_NAME, or your login name. A word means nothing but its letters
    and digits. Exit code 1 if nothing was found.
    """
    from zchat.cli import output
    from zchat.cli.times import parse

    moment = None if since is None else parse(since)
    with visitor(url, connect_timeout, identity, person=known_person(name, url)) as client:
        hits = client.search(" ".join(words), room=room, name=sender, since=moment, limit=limit)
    for hit in hits:
        where = hit.label or hit.room
        output.out(output.message_json(where, hit.message) if json else output.hit_line(hit))
    if not hits:
        output.say("nothing was found")
        return FAILURE
    return OK
