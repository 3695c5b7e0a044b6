"""Saying something."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from zchat import errors, names
from zchat.broker.rooms import Room
from zchat.broker.sessions import Client, Session
from zchat.broker.settings import RETRY_MS
from zchat.messages import Ack, Delete, Edit, Refused, Send
from zchat.store.base import Amend, Append, Member, Refusal

if TYPE_CHECKING:
    from zchat.broker.hub import Hub

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def send(hub: Hub, session: Session, request: Send) -> None:
    """Says something in a room or to a person."""

    def plan() -> tuple[Room, Append]:
        _check_text(request.text, hub.settings.text_limit)
        room = _room(hub, session, request.room)
        return room, Append(*_origin(hub, session, room, request.n), request.text, request.action)

    _number(hub, session, request.n, plan)


def edit(hub: Hub, session: Session, request: Edit) -> None:
    """Says a message of the person's own anew."""

    def plan() -> tuple[Room, Amend]:
        _check_text(request.text, hub.settings.text_limit)
        room = hub.rooms.make(hub.rooms.readable(session.person, request.room).name)
        return room, Amend(*_origin(hub, session, room, request.n), request.seq, request.text)

    _number(hub, session, request.n, plan, amends=True)


def delete(hub: Hub, session: Session, request: Delete) -> None:
    """Takes a message of the person's own back."""

    def plan() -> tuple[Room, Amend]:
        room = hub.rooms.make(hub.rooms.readable(session.person, request.room).name)
        return room, Amend(*_origin(hub, session, room, request.n), request.seq, None)

    _number(hub, session, request.n, plan, amends=True)


def _number(
    hub: Hub, session: Session, n: int, plan: Callable[[], tuple[Room, Append | Amend]], *, amends: bool = False
) -> None:
    """Plans what uses a send number up: accepted only under the next one."""
    sends = session.sends
    if sends is None:
        raise errors.UnknownSession("wait for the answer to hello")
    if 0 < n <= sends.planned:
        hub.turn.after(lambda: _again(hub, session, sends, n))
        return
    if n != sends.planned + 1:
        expected = sends.planned + 1
        detail = f"expected send number {expected}, not {n}"
        hub.sessions.reply(session, Refused(n, errors.OutOfOrder.code, detail, expected, RETRY_MS))
        return
    if hub.draining:
        raise errors.Draining
    if amends:  # the store has to look for what is to be changed, and that takes far longer than appending
        if hub.turn.amends >= hub.settings.amends:
            raise errors.Busy
        hub.turn.amends += 1
    try:
        room, planned = plan()
    except errors.Refusal as problem:
        sends.planned = n
        hub.stage(session, None, Refusal(session.client, Refused(n, problem.code, str(problem))))
        return
    sends.planned = n
    hub.stage(session, room, planned)


class _Origin(NamedTuple):
    """Where a send comes from: the first fields of what the store is asked for."""

    room: str
    client: bytes
    n: int
    ms: int
    name: str
    sender: bytes
    person: bytes


def _origin(hub: Hub, session: Session, room: Room, n: int) -> _Origin:
    name = session.name or ""
    return _Origin(room.name, session.client, n, hub.turn.now.ms, name, session.sender, session.person)


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
    """Where something is said: the room is made if it is not there."""
    if not wanted.startswith("@"):
        return hub.rooms.make(names.room(wanted))
    me = Member(session.person, session.name or "")
    room = hub.rooms.by_name.get(wanted)
    if room is not None and session.person in room.members:
        return hub.rooms.make(wanted, (me,))
    name, person = hub.names.owner(wanted[1:])
    return hub.rooms.make_private(me, Member(person, name))
