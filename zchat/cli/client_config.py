"""`zchat config show`, `set` and `unset`: what a client uses where nothing else is said."""

from __future__ import annotations

from typing import Annotated

import typer

from zchat.cli.exits import FAILURE, OK
from zchat.cli.options import Identity, Json, Name, Patience, Room, Url, settled

_Key = Annotated[
    str,
    typer.Argument(metavar="KEY", help="url, name, identity, room or connect-timeout.", show_default=False),
]


def show(
    context: typer.Context,
    json: Json = False,
    url: Url = None,
    identity: Identity = None,
    name: Name = None,
    room_option: Room = None,
    connect_timeout: Patience = 5.0,
) -> None:
    """Your settings, one a line: its name, its value, and where that comes from.

    That is flag, environment, context, config or default. What a flag says here it would say with other commands. A
    link is shown without its invite.
    """
    from zchat.cli.output import json_line, out
    from zchat.cli.settings import shown
    from zchat.text import printable

    for key, found in settled(context).items():
        value = found.value
        if json:
            out(
                json_line(
                    "setting", key=key, value=shown(value) if isinstance(value, str) else value, origin=found.origin
                )
            )
        else:
            out(f"{key}\t{printable(shown(value))}\t{found.origin}")


def put(
    key: _Key,
    value: Annotated[str, typer.Argument(metavar="VALUE", show_default=False)],
) -> None:
    """Has your commands use that, where neither an option, nor the environment, nor a context says something."""
    from zchat import links
    from zchat.cli.output import say
    from zchat.cli.stored import change_config, checked

    kept = checked(key, value)
    change_config(key, kept)
    if key == "url" and links.is_link(value) and links.parse_link(value).invite is not None:
        say("the invite in that link was not kept: zchat join LINK comes in by it, once")


def unset(key: _Key) -> int:
    """Takes back what was set. Exit code 1 if nothing was."""
    from zchat.cli.output import say
    from zchat.cli.stored import change_config

    if change_config(key, None):
        return OK
    say(f"{key} was not set")
    return FAILURE
