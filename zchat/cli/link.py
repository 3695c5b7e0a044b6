"""`zchat link`: lets others in."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from zchat.cli.options import Identity, Patience, Url, visitor
from zchat.cli.times import seconds


class Role(StrEnum):
    """What who comes in may do."""

    MEMBER = "member"
    MODERATOR = "moderator"
    OWNER = "owner"


def command(
    context: typer.Context,
    room: Annotated[
        str | None, typer.Option("--room", metavar="ROOM", help="Where it leads. [default: lobby]", show_default=False)
    ] = None,
    uses: Annotated[
        int, typer.Option("--uses", min=1, max=1_000_000, metavar="N", help="How many may come in by it.")
    ] = 1,
    expires: Annotated[str, typer.Option("--expires", metavar="7d", help="How long it holds: 15m, 1h, 7d, 1w.")] = "7d",
    role: Annotated[Role, typer.Option("--role", help="Of who comes in by it.")] = Role.MEMBER,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Of the broker in this folder, if nobody can come in.")
    ] = None,
    url: Url = None,
    identity: Identity = None,
    connect_timeout: Patience = 5.0,
) -> None:
    """Makes a link that lets others in, and prints it.

    Who has it gets in: give it to nobody else. With --data nobody has to let you in: whoever may write the broker's
    folder may make a link, for one, to the lobby.
    """
    from zchat.cli.output import out

    span = seconds(expires, option="--expires")
    if data is None:
        with visitor(url, connect_timeout, identity) as client:
            out(_checked(client.link(room or "lobby", uses=uses, seconds=span, role=role.value)))
        return
    for name in ("room", "uses", "url", "identity"):
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE":
            raise typer.BadParameter(
                "is for a running broker, and --data for its folder: choose", param_hint=f"--{name}"
            )
    from zchat.broker.entrance import put_link

    out(_checked(put_link(data / "keys", role.value, span)))


def _checked(link: str) -> str:
    from zchat.links import parse_link
    from zchat.text import printable

    return printable(str(parse_link(link)))
