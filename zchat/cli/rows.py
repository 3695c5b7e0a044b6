"""Rows of the broker's lists, as lines for people and for programs. Nothing in them steers a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zchat.cli import output
from zchat.messages import BanRow, PersonRow, RoomRow, Row, SessionRow
from zchat.names import PRIVATE
from zchat.text import printable

if TYPE_CHECKING:
    from zchat.client.sync import Client


def line(row: Row) -> str:
    """A row, as people read it in the chat."""
    match row:
        case BanRow():
            until = f"until {output.moment(row.until)}" if row.until else "for good"
            why = f": {printable(row.reason)}" if row.reason else ""
            what = {"ban": "banned", "mute": "muted"}.get(row.verb) or printable(row.verb)
            return f"{printable(row.name)} {what} {until} by {printable(row.by) or '-'}{why}"
        case _:
            return " ".join(cells(row))


def cells(row: Row) -> list[str]:
    """A row of a table; - for what there is not."""
    match row:
        case BanRow():
            found = [row.name, row.verb, _time(row.until), row.by, _time(row.ms), row.reason]
        case RoomRow():
            members = str(row.members) if row.label.startswith(PRIVATE) else ""
            found = [row.label, str(row.people), members, str(row.head), _time(row.ms), row.founder]
        case PersonRow():
            found = [row.key, row.role, str(row.sessions), _time(row.seen), row.answers]
        case SessionRow():
            found = [row.name, str(row.rooms), "yes" if row.here else "", _time(row.ms), row.fingerprint]
        case _:
            found = [row.key]
    return [printable(cell) or "-" for cell in found]


def json_line(row: Row) -> str:
    """A row, as programs read it."""
    fields: dict[str, object]
    match row:
        case BanRow():
            fields = {"name": row.name, "verb": row.verb, "until": _stamp(row.until), "by": row.by}
            return output.json_line("ban", **fields, time=_stamp(row.ms), text=row.reason)
        case RoomRow():
            fields = {"room": row.label, "people": row.people, "members": row.members, "seq": row.head}
            return output.json_line("room", **fields, last=_stamp(row.ms), founder=row.founder or None)
        case PersonRow():
            fields = {"name": row.key, "role": row.role or None, "sessions": row.sessions, "last": _stamp(row.seen)}
            return output.json_line("person", **fields, answers=row.answers or None)
        case SessionRow():
            fields = {"name": row.name or None, "rooms": row.rooms, "here": row.here, "since": _stamp(row.ms)}
            return output.json_line("session", **fields, key=row.fingerprint or None)
        case _:
            return output.json_line("name", name=row.key)


def _time(ms: int) -> str:
    return output.moment(ms) if ms else ""


def _stamp(ms: int) -> str | None:
    return output.stamp(ms) if ms else None


def show(client: Client, what: str, room: str = "", *, json: bool) -> None:
    """Prints a list: a table for people, with tabs between its cells."""
    for row in client.listing(what, room):
        output.out(json_line(row) if json else "\t".join(cells(row)))
