"""`zchat rooms`: which rooms there are."""

from __future__ import annotations

from zchat.cli.options import Identity, Json, Name, Patience, Url, visitor


def command(
    json: Json = False,
    name: Name = None,
    url: Url = None,
    identity: Identity = None,
    connect_timeout: Patience = 5.0,
) -> None:
    """The rooms: name, people in it, the number of its last message, when that was, and how many you have not read.

    Unread are those of --name, ZCHAT_NAME, or your login name; - in a room that you never were in.
    """
    from zchat.cli.options import known_person
    from zchat.cli.output import json_line, out, stamp
    from zchat.text import printable

    with visitor(url, connect_timeout, identity, person=known_person(name, url)) as client:
        for info in client.rooms():
            last = stamp(info.ms) if info.ms else None
            if json:
                fields = {"people": info.people, "seq": info.head, "last": last, "unread": info.unread}
                out(json_line("room", room=info.room, **fields))
            else:
                unread = "-" if info.unread is None else info.unread
                out(f"{printable(info.room)}\t{info.people}\t{info.head}\t{last or '-'}\t{unread}")
