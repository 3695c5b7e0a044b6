"""What may be listed, by the words of `verbs.LISTS`: to those who ask, page by page, and to the operator."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from heapq import nsmallest
from typing import TYPE_CHECKING

from zchat import errors
from zchat.broker.commands.admin import Actor
from zchat.broker.doors import EVERYWHERE
from zchat.broker.rights import moment
from zchat.broker.rooms import Room
from zchat.broker.sessions import Session
from zchat.links import fingerprint
from zchat.messages import BanRow, List, Listed, NameRow, PersonRow, RoomRow, Row, SessionRow
from zchat.store.base import KnownName, Sanction
from zchat.verbs import LISTS, Rank

if TYPE_CHECKING:
    from zchat.broker.hub import Hub


def list_(hub: Hub, session: Session, request: List) -> None:
    """A list, page by page."""
    verb = LISTS.get(request.what)
    if verb is None:
        raise errors.UnknownWord(f"there is no list of {request.what[:20]}")

    def checked() -> tuple[Actor, Room | None]:
        by = Actor(session.person, session.name or "", hub.rights.staff(session.person))
        of_room = request.what == "bans" and request.room
        room = hub.rights.readable(session.person, request.room) if of_room else None
        _may_list(hub, by, request.what, room)
        return by, room

    def answer() -> None:
        by, room = checked()  # still
        rows, more = listed(hub, by, request.what, room, request.after)
        hub.sessions.reply(session, Listed(request.q, tuple(rows), more))

    # Whether it may be asked at all is told at once; what it is is looked up when it is its turn.
    checked()
    hub.later(session, request.q, hub.settings.page, answer)


def _may_list(hub: Hub, by: Actor, what: str, room: Room | None) -> None:
    """Whether somebody may see a list.

    Raises:
        errors.NotAllowed: not.
    """
    rank = by.rank if room is None else hub.rights.rank(by.person, room)
    hub.rights.check(LISTS[what]._replace(rank=Rank.STAFF) if what == "bans" and room is None else LISTS[what], rank)


def listed(hub: Hub, by: Actor, what: str, room: Room | None = None, after: str = "") -> tuple[list[Row], bool]:
    """A page of a list, and whether there is more.

    Args:
        what: see `verbs.LISTS`.
        room: of which, where it is of one.
        after: the key of the last row that is known.
    """
    most = hub.settings.page
    things = ((key, make) for key, make in _LISTS[what](hub, by, room) if key > after)
    found = nsmallest(most + 1, things, key=lambda thing: thing[0])
    rows: list[Row] = []
    left = hub.settings.page_size
    for _, make in found[:most]:
        rows.append(make())
        left -= len(str(rows[-1]).encode())  # about as much as in a frame
        if left < 0:  # reasons are long
            break
    return rows, len(found) > len(rows)


Things = Iterable[tuple[str, Callable[[], Row]]]
"""The keys of a list's rows, and what makes each row."""


def row_text(row: Row) -> str:
    """A row in one line, for the operator."""
    match row:
        case BanRow():
            until = f" until {moment(row.until)}" if row.until else ""
            return f"{row.name}: {row.verb}{until} by {row.by}" + (f": {row.reason}" if row.reason else "")
        case PersonRow():
            here = "here" if row.sessions else f"last seen {moment(row.seen)}"
            return f"{row.key}: {row.role or 'member'}, {here}"
        case SessionRow():
            return f"{row.key}: {row.name or 'a visitor'}, {row.rooms} rooms{'' if row.here else ', not connected'}"
        case RoomRow():
            return f"{row.label}: {row.people} here, {row.head} events"
        case NameRow():
            return row.key


def _bans(hub: Hub, by: Actor, room: Room | None) -> Things:
    for one in hub.doors.sanctions(room.name if room is not None else EVERYWHERE):
        yield f"{one.name} {one.verb}", partial(_ban_row, one)


def _ban_row(one: Sanction) -> BanRow:
    return BanRow(f"{one.name} {one.verb}", one.name, one.verb, one.until, one.by, one.ms, one.reason)


def _rooms(hub: Hub, by: Actor, room: Room | None) -> Things:
    # What is private stays so for moderators; whoever owns the broker can read its disk.
    for one in hub.rooms.by_name.values():
        if not one.private or (one.title and by.rank >= Rank.OWNER):
            yield one.name, partial(_room_row, hub, one)


def _room_row(hub: Hub, one: Room) -> RoomRow:
    founder = hub.names.called(one.founder) if one.founder else ""
    return RoomRow(one.name, one.title or one.name, len(one.roster), len(one.members), one.head, one.ms, founder)


def _people(hub: Hub, by: Actor, room: Room | None) -> Things:
    for one in hub.names.everybody():
        yield one.name, partial(_person_row, hub, one)


def _person_row(hub: Hub, one: KnownName) -> PersonRow:
    role, answers = "", b""
    if hub.admission is not None:
        role, answers = hub.admission.role(one.person), hub.admission.answers(one.person)
    here = sum(session.name == one.name for session in hub.sessions.of(one.person))
    return PersonRow(one.name, role, here, one.seen, hub.names.called(answers) if answers else "")


def _sessions(hub: Hub, by: Actor, room: Room | None) -> Things:
    for one in hub.sessions.all():
        yield one.sender.hex(), partial(_session_row, one)


def _session_row(one: Session) -> SessionRow:
    key = fingerprint(one.key) if one.key else ""
    return SessionRow(one.sender.hex(), one.name or "", len(one.rooms), one.peer is not None, one.since, key)


def _blocks(hub: Hub, by: Actor, room: Room | None) -> Things:
    return _named(hub, hub.doors.blocks(by.person))


def _bots(hub: Hub, by: Actor, room: Room | None) -> Things:
    return _named(hub, hub.admission.bots(by.person) if hub.admission is not None else ())


def _named(hub: Hub, persons: Iterable[bytes]) -> Things:
    return ((name, partial(NameRow, name)) for name in map(hub.names.called, persons) if name)


_LISTS: dict[str, Callable[[Hub, Actor, Room | None], Things]] = {
    "bans": _bans,
    "rooms": _rooms,
    "people": _people,
    "sessions": _sessions,
    "blocks": _blocks,
    "bots": _bots,
}
"""By what is listed."""
