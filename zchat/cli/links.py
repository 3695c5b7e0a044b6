"""`zchat links`: which links let somebody in."""

from __future__ import annotations

from zchat.cli.options import Identity, Json, Patience, Url, visitor


def command(json: Json = False, url: Url = None, identity: Identity = None, connect_timeout: Patience = 5.0) -> None:
    """The links that may still be used: id, role, room, uses left, until when, and who made it.

    Instead of a role it says device for one that adds a key to who made it, and - for who made it if that was the
    broker itself. The links themselves are not kept: zchat revoke takes the id.
    """
    from zchat.cli.output import json_line, out, stamp
    from zchat.text import printable

    with visitor(url, connect_timeout, identity) as client:
        for info in client.links():
            until = stamp(info.ms)
            if json:
                fields = {"role": info.role, "room": info.room, "uses": info.uses, "until": until}
                out(json_line("link", id=info.id, **fields, by=info.by or None, device=info.device))
            else:
                cells = (info.id, "device" if info.device else info.role, info.room, str(info.uses), until)
                out("\t".join(map(printable, (*cells, info.by or "-"))))
