"""Who is here, and under which name."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from zchat import errors, names
from zchat.broker.effects import Level
from zchat.broker.sessions import Session
from zchat.messages import Named, Nick, People, Who

if TYPE_CHECKING:
    from zchat.broker.hub import Hub


def who(hub: Hub, session: Session, request: Who) -> None:
    """Who is in a room, or here at all."""
    if request.away and not request.room:
        _away(hub, session, request)
        return
    roster = hub.rooms.everybody
    room = None
    if request.room:
        room = hub.rights.readable(session.person, request.room)
        roster = room.roster

    def answer() -> None:
        if room is not None:
            hub.rights.readable(session.person, room.name)  # still
        everyone = roster.names()
        start = bisect_right(everyone, request.after)
        end = start + hub.settings.page
        told, more = tuple(everyone[start:end]), end < len(everyone)
        hub.sessions.reply(
            session, People(request.q, room.name if room else "", roster.version, len(roster), told, more)
        )

    hub.later(session, request.q, min(len(roster), hub.settings.page) + 1, answer)


def _away(hub: Hub, session: Session, request: Who) -> None:
    """Who is here, and who was."""

    def answer() -> None:
        found, more = hub.names.seen(request.after, hub.settings.page)
        told, seen = tuple(one.name for one in found), tuple(one.ms for one in found)
        hub.sessions.reply(session, People(request.q, "", 0, len(hub.names), told, more, seen))

    hub.later(session, request.q, hub.settings.page, answer)


def nick(hub: Hub, session: Session, request: Nick) -> None:
    """Goes by another name."""
    old = session.name
    if old is None:
        raise errors.NameNeeded
    name = hub.names.take(request.name, session.person, bot=names.is_bot(old))
    hub.names.release(old, given_up=True)
    if name != old:
        hub.rooms.rename(session, name)
        hub.turn.log(Level.INFO, f"{old} is now {name}", session.peer)
    hub.sessions.reply(session, Named(request.q, name))
