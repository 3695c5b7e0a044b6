"""`zchat tail`: follows rooms."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from zchat.cli.exits import NOT_ALLOWED, OK, TIMED_OUT
from zchat.cli.options import Identity, Json, Name, Patience, Resume, Url, known_person, visitor


def command(
    rooms: Annotated[list[str], typer.Argument(metavar="ROOM...", show_default=False)],
    json: Json = False,
    count: Annotated[int | None, typer.Option("--count", min=1, metavar="N", help="End after so many.")] = None,
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=0.0, metavar="SECONDS", help="End after so long.")
    ] = None,
    presence: Annotated[bool, typer.Option("--presence", help="Also who comes and goes, and notices.")] = False,
    since: Annotated[
        str | None, typer.Option("--since", metavar="1h|TIME", help="Begin with what was said since then.")
    ] = None,
    until_end: Annotated[
        bool, typer.Option("--until-end", help="End once everything is told that there was at the beginning.")
    ] = False,
    resume: Resume = None,
    name: Name = None,
    url: Url = None,
    identity: Identity = None,
    connect_timeout: Patience = 5.0,
) -> int:
    """Prints what is said in rooms, from now on. With --timeout: 0 if the count was met or none was asked, else 5.

    Ends with 4 when you were sent out of all of them. Who looks into private rooms, +ROOM, is --name, ZCHAT_NAME, or
    your login name.
    """
    from zchat.cli.output import say
    from zchat.cli.times import parse
    from zchat.client import events as heard
    from zchat.errors import BadOption
    from zchat.names import PRIVATE

    private = next((room for room in rooms if room.startswith("@")), None)
    if private is not None:
        raise BadOption(f"tail follows rooms: `zchat history {private}` shows what is between two, `zchat join` both")
    moment = None if since is None else parse(since)
    deadline = None if timeout is None else time.monotonic() + timeout
    inside = any(room.startswith(PRIVATE) for room in rooms)
    person = known_person(name, url) if inside else None  # of the others nobody need know who looks
    with visitor(url, connect_timeout, identity, person=person, resume=resume) as client:
        followed = {
            client.join(room, quiet=True, after=None if moment is None else client.before(room, moment)).name
            for room in rooms
        }
        say(f"following {', '.join(rooms)} at {client.address}")
        printer = _Printer(json=json, presence=presence, several=len(rooms) > 1)
        behind = {event.room for event in client.waiting() if isinstance(event, heard.Missed)}
        if until_end and not behind:
            return OK
        left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
        for event in client.events(left):
            printer.print(event)
            if isinstance(event, heard.Said) and count is not None:
                count -= 1
                if count == 0:
                    client.handled()
                    return OK
            if isinstance(event, heard.Removed):
                followed.discard(event.room)
                if not followed:
                    client.handled()
                    return NOT_ALLOWED
            if isinstance(event, heard.UpToDate):
                behind.discard(event.room)
                if until_end and not behind:
                    client.handled()
                    return OK
            if isinstance(event, heard.Disconnected):
                say(f"{event.why}; trying to get it back")
            elif isinstance(event, heard.Connected) and event.again:
                say("connected again")
    return OK if count is None and not until_end else TIMED_OUT


class _Printer:
    """Events as lines of data."""

    def __init__(self, *, json: bool, presence: bool, several: bool) -> None:
        self._json = json
        self._presence = presence
        self._several = several

    def print(self, event: object) -> None:
        from zchat.cli import acted, output
        from zchat.client import events as heard
        from zchat.text import printable

        match event:
            case heard.Said():
                room = event.room if self._several else ""
                output.out(output.said_json(event) if self._json else output.said_line(event, room))
            case heard.Edited():
                room = event.room if self._several else ""
                output.out(output.edited_json(event) if self._json else output.edited_line(event, room))
            case heard.Deleted():
                room = event.room if self._several else ""
                output.out(output.deleted_json(event) if self._json else output.deleted_line(event, room))
            case heard.Acted():
                room = event.room if self._several else ""
                line = acted.acted_json(event.room, event.act) if self._json else acted.acted_line(event, room)
                output.out(line)
            case heard.Removed():  # as with gaps
                if self._json:
                    output.out(acted.removed_json(event))
                else:
                    output.say(acted.removed_line(event))
            case heard.Gap():  # for programs it is data, lest it be skipped silently
                if self._json:
                    output.out(output.gap_json(event))
                else:
                    output.say(output.gap_line(event))
            case heard.Presence() if self._presence:
                if self._json:
                    output.out(output.presence_json(event))
                else:
                    room = f"[{printable(event.room)}] " if self._several else ""
                    for line in output.presence_lines(event):
                        output.out(f"-- {room}{line}")
            case heard.Notice() if self._presence:
                if self._json:
                    fields = {"time": output.stamp(event.ms), "from": event.name, "text": event.text}
                    output.out(output.json_line("notice", **fields))
                else:
                    output.out(output.notice_line(event))
            case _:
                pass
