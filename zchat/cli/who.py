"""`zchat who`: who is here."""

from __future__ import annotations

from typing import Annotated

import typer

from zchat.cli.options import Json, Patience, Url, visitor


def command(
    room: Annotated[str, typer.Argument(metavar="[ROOM]", show_default=False)] = "",
    json: Json = False,
    url: Url = None,
    connect_timeout: Patience = 5.0,
) -> None:
    """Who is in a room, or here at all: a name a line."""
    from zchat.cli.output import json_line, out
    from zchat.text import printable

    with visitor(url, connect_timeout) as client:
        for name in client.who(room):
            out(json_line("person", name=name) if json else printable(name))
