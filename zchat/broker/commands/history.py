"""Reading what was said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zchat import errors, names
from zchat.broker.effects import ReadJob
from zchat.broker.sessions import Session
from zchat.messages import Read

if TYPE_CHECKING:
    from zchat.broker.hub import Hub


def read(hub: Hub, session: Session, request: Read) -> None:
    """A page of a room's events."""
    if session.reading:
        raise errors.Busy
    private = request.room.startswith("@")
    room = hub.rooms.by_name.get(request.room if private else names.room(request.room))
    if room is None or (room.members and session.person not in room.members):
        raise errors.NoSuchRoom
    if session.peer is None:
        return
    limit = max(1, min(request.limit, hub.settings.page))
    job = ReadJob(session.peer, request.q, room.name, request.after, limit)
    session.reading = True

    def answer() -> None:
        session.reading = False
        hub.turn.effects.reads.append(job)

    hub.later(session, limit, answer)
