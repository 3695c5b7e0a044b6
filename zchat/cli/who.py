"""`zchat who`: who is here."""

from __future__ import annotations

from typing import Annotated

import typer

from zchat.cli.options import Identity, Json, Name, Patience, Url, known_person, visitor


def command(
    room: Annotated[str, typer.Argument(metavar="[ROOM]", show_default=False)] = "",
    everybody: Annotated[bool, typer.Option("--all", help="Also who is away: with when they were here last.")] = False,
    json: Json = False,
    name: Name = None,
    url: Url = None,
    identity: Identity = None,
    connect_timeout: Patience = 5.0,
) -> None:
    """Who is in a room, or here at all: a name a line.

    With --all a tab follows each name, and then the time (UTC) of when that person was here last, or the word now. A
    private room, +ROOM, shows this to its members: --name, ZCHAT_NAME, or your login name.
    """
    from zchat.cli.output import json_line, out
    from zchat.text import printable

    if everybody and room:
        raise typer.BadParameter("is for all rooms together: name none", param_hint="--all")
    if everybody:
        _everybody(url, connect_timeout, identity, json=json)
        return
    with visitor(url, connect_timeout, identity, person=known_person(name, url)) as client:
        for found in client.who(room):
            out(json_line("person", name=found) if json else printable(found))


def _everybody(url: str | None, patience: float, identity: str | None, *, json: bool) -> None:
    from zchat.cli.output import iso, json_line, out
    from zchat.text import printable

    with visitor(url, patience, identity) as client:
        for name, moment in client.last_seen().items():
            seen = None if moment is None else iso(moment)
            out(json_line("person", name=name, seen=seen) if json else f"{printable(name)}\t{seen or 'now'}")
