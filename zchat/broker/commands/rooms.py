"""Entering and leaving rooms, which there are, and how things are in one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from zchat import errors, names
from zchat.broker.admission import MODERATOR
from zchat.broker.commands import acts, limits
from zchat.broker.rooms import Room
from zchat.broker.sessions import Session
from zchat.broker.settings import RETRY_MS
from zchat.messages import About, Done, Join, Joined, Leave, RoomInfo, RoomList, Rooms, RoomState

if TYPE_CHECKING:
    from zchat.broker.hub import Hub


def join(hub: Hub, session: Session, request: Join) -> None:
    """Enters a room, made if it is not there."""
    if hub.draining:
        raise errors.Draining(retry_ms=RETRY_MS)
    private = names.is_private(request.room)
    found = hub.rights.readable(session.person, request.room) if private else None
    if found is not None and not found.title:
        raise errors.NoSuchRoom("a room of two is not entered: say something to the other")
    name = hub.rooms.canonical(request.room) if found is None else found.name
    if name not in session.rooms and len(session.rooms) >= hub.settings.max_rooms_joined:
        raise errors.LimitReached("as many rooms as one session may follow: leave one first")
    if name not in hub.rooms.by_name:
        limits.creation(hub, session)
    hub.rights.check_ban(name, session.person)
    room = hub.rooms.make(name, said=False, founder=session.person)
    hub.rooms.enter(session, room, quiet=request.quiet)

    def answer() -> None:
        hub.rights.readable(session.person, room.name)  # still
        count = len(room.roster)
        told = tuple(room.roster.names()) if count <= hub.settings.named_members else ()
        mark = hub.marks.of(session.person).get(room.name)
        version, terms = room.roster.version, hub.doors.terms(room.name)
        about = (terms.topic, terms.topic_by, terms.topic_ms)
        hub.sessions.reply(session, Joined(request.q, room.name, room.head, version, count, told, mark, *about))

    hub.turn.after(partial(hub.answer, session, request.q, answer))


def leave(hub: Hub, session: Session, request: Leave) -> None:
    """Follows a room no longer; a private one one belongs to no longer. It is no error not to be in it."""
    if names.is_private(request.room):
        _give_up(hub, session, request)
        return
    hub.rooms.leave(session, hub.rooms.canonical(request.room))
    hub.sessions.reply(session, Done(request.q))


def _give_up(hub: Hub, session: Session, request: Leave) -> None:
    try:
        room = hub.rooms.find(session.person, request.room)
    except errors.NoSuchRoom:
        room = None
    if room is None or not room.title or not hub.rooms.belongs(session.person, room):
        hub.sessions.reply(session, Done(request.q))
        return
    acts.give_up(hub, session, room)
    hub.settle(session, Done(request.q))


def rooms(hub: Hub, session: Session, request: Rooms) -> None:
    """Which public rooms there are, and after the last of them the person's private ones."""

    def answer() -> None:
        start = bisect_right(hub.rooms.public, request.after)
        end = start + hub.settings.page
        found = [hub.rooms.by_name[name] for name in hub.rooms.public[start:end]]
        more = end < len(hub.rooms.public)
        mine = [] if more else hub.rooms.private(session.person)
        listed = tuple(_info(hub, session, room) for room in (*found, *mine))
        hub.sessions.reply(session, RoomList(request.q, listed, more))

    # Of who belongs to each private room it is looked whether they are here, which is far less than telling of them.
    members = sum(len(room.members) for room in hub.rooms.private(session.person)) // 16
    hub.later(session, request.q, min(len(hub.rooms.public), hub.settings.page) + members, answer)


def _info(hub: Hub, session: Session, room: Room) -> RoomInfo:
    mark = hub.marks.of(session.person).get(room.name)
    unread = None if mark is None else max(room.head - mark, 0)
    if not room.private:
        return RoomInfo(room.name, len(room.roster), room.head, room.ms, unread)
    here = sum(bool(hub.sessions.of(person)) for person in room.members)
    unread = room.head if unread is None else unread
    return RoomInfo(hub.label(room, session.person), here, room.head, room.ms, unread)


def about(hub: Hub, session: Session, request: About) -> None:
    """How things are in a room."""
    name = hub.rights.readable(session.person, request.room).name
    cost = len(hub.doors.members(name)) + 1
    hub.later(session, request.q, cost, lambda: hub.sessions.reply(session, _state(hub, session, name, request.q)))


def _state(hub: Hub, session: Session, name: str, q: int) -> RoomState:
    room = hub.rights.readable(session.person, name)  # still
    terms = hub.doors.terms(room.name)
    moderators = [one.person for one in hub.doors.members(room.name).values() if one.role == MODERATOR]
    return RoomState(
        q,
        hub.label(room, session.person) if room.private else room.name,
        terms.topic,
        terms.topic_by,
        terms.topic_ms,
        hub.names.called(room.founder) if room.founder else "",
        _sorted(hub, moderators),
        _sorted(hub, room.members),
        terms.readonly,
        terms.slow,
        terms.pins,
        hub.rights.rank(session.person, room),
    )


def _sorted(hub: Hub, persons: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(sorted(filter(None, map(hub.names.called, persons))))
