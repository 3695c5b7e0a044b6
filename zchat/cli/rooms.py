"""`zchat rooms`: which rooms there are."""

from __future__ import annotations

from zchat.cli.options import Json, Patience, Url, visitor

NAME = "rooms"


def command(json: Json = False, url: Url = None, connect_timeout: Patience = 5.0) -> None:
    """The rooms: name, people in it, and the number of its last message."""
    from zchat.cli.output import json_line, out
    from zchat.text import printable

    with visitor(url, connect_timeout) as client:
        for info in client.rooms():
            if json:
                out(json_line("room", room=info.room, people=info.people, seq=info.head))
            else:
                out(f"{printable(info.room)}\t{info.people}\t{info.head}")
