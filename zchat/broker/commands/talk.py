"""Saying something."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from zchat import errors, names
from zchat.broker.rooms import Room
from zchat.broker.sessions import Client, Session
from zchat.broker.settings import RETRY_MS
from zchat.messages import Ack, Refused, Send
from zchat.store.base import Append, Refusal

if TYPE_CHECKING:
    from zchat.broker.hub import Hub

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def send(hub: Hub, session: Session, request: Send) -> None:
    """Says something in a room or to a person: accepted only under the next send number."""
    sends = session.sends
    if sends is None:
        raise errors.UnknownSession("wait for the answer to hello")
    if 0 < request.n <= sends.planned:
        hub.turn.after(lambda: _again(hub, session, sends, request.n))
        return
    if request.n != sends.planned + 1:
        expected = sends.planned + 1
        detail = f"expected send number {expected}, not {request.n}"
        hub.sessions.reply(session, Refused(request.n, errors.OutOfOrder.code, detail, expected, RETRY_MS))
        return
    if hub.draining:
        raise errors.Draining
    try:
        _check_text(request.text, hub.settings.text_limit)
        room = _room(hub, session, request.room)
    except errors.Refusal as problem:
        sends.planned = request.n
        hub.stage(session, None, Refusal(session.client, Refused(request.n, problem.code, str(problem))))
        return
    sends.planned = request.n
    hub.stage(
        session,
        room,
        Append(
            room.name,
            session.client,
            request.n,
            hub.turn.now.ms,
            session.name or "",
            session.sender,
            request.text,
            request.action,
        ),
    )


def _again(hub: Hub, session: Session, sends: Client, n: int) -> None:
    """A repeat gets its outcome again."""
    if n <= sends.known.last:
        hub.sessions.reply(session, sends.known.outcomes.get(n) or Ack(n, "", 0, 0))
    else:  # it was planned a moment ago, and the commit failed
        hub.sessions.reply(session, Refused(n, errors.Unavailable.code, errors.Unavailable.says, retry_ms=RETRY_MS))


def _check_text(text: str, limit: int) -> None:
    size = len(text) if text.isascii() else len(text.encode())
    if size > limit:
        raise errors.TooLong(f"the text has {size} bytes and {limit} are allowed: say it in parts")
    if not text.isprintable() and _CONTROL.search(text):
        raise errors.BadRequest("newline and tab are the only control characters a message may hold")


def _room(hub: Hub, session: Session, wanted: str) -> Room:
    if not wanted.startswith("@"):
        return hub.rooms.make(names.room(wanted))
    room = hub.rooms.by_name.get(wanted)
    if room is not None and session.person in room.members:
        return hub.rooms.make(wanted)
    name, person = hub.names.owner(wanted[1:])
    room = hub.rooms.make_private(session.person, person)
    room.called[person] = name
    return room
