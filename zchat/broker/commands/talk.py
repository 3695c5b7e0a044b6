"""Saying something."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from zchat import errors, names
from zchat.broker.commands import limits
from zchat.broker.doors import EVERYWHERE
from zchat.broker.rates import BYTES, MESSAGES, retry_ms
from zchat.broker.rooms import Room, other_of
from zchat.broker.sessions import Client, Session
from zchat.broker.settings import RETRY_MS
from zchat.messages import Ack, Delete, Edit, Refused, Send
from zchat.store.base import Amend, Append, Member, Refusal, is_private
from zchat.verbs import AUDIT

if TYPE_CHECKING:
    from zchat.broker.hub import Hub

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def send(hub: Hub, session: Session, requests: Sequence[Send]) -> None:
    """Says something in a room or to a person, once or many times in a row."""
    sends = sends_of(session)
    run = hub.run_of(session)
    if run is not None and (is_private(run.room) or hub.doors.guarded(run.room)):
        run = None  # it is looked at again: meanwhile others were heard
    there = run.said[0].room if run is not None else None
    limit = hub.settings.text_limit
    allowed = hub.rates.sendable(session.person, hub.turn.clock) if hub.rates.limits is not None else None
    taken, most, spent = requests, sys.maxsize, 0
    if allowed is not None:
        messages, most = allowed
        if len(requests) > messages:
            taken = requests[: int(messages)]
    refused: errors.RateLimited | None = None
    rest = iter(taken)
    for request in rest:
        n, text = request.n, request.text
        if n != sends.planned + 1 or hub.draining:
            unexpected(hub, session, sends, n)
            continue
        size = len(text) if text.isascii() else len(text.encode())
        spent += size
        if spent > most and (spent > size or hub.rates.wait(session.person, BYTES, hub.turn.clock, size)):
            spent -= size
            refused = errors.RateLimited()
            break
        problem = None if size <= limit and text.isprintable() else _problem(text, size, limit)
        if problem is None and run is not None and request.room == there:
            sends.planned = n
            run.said.append(request)
            continue
        try:
            if problem is not None:
                raise problem
            room = _room(hub, session, request.room)
            run, there = Append(room.name, *_origin(hub, session), [request]), request.room
            hub.stage(session, room, run)
            if hub.doors.terms(room.name).slow:  # each is looked at
                run = None
        except errors.RateLimited as error:
            spent -= size
            refused = error
            break
        except errors.Refusal as error:
            run = None
            hub.stage(session, None, Refusal(session.client, Refused(n, error.code, str(error))))
        sends.planned = n
    if allowed is None:
        return
    if taken is requests and refused is None:
        hub.rates.sent(session.person, hub.turn.clock, len(requests), spent)
        return
    left = [*([] if refused is None else [request]), *rest, *requests[len(taken) :]]
    hub.rates.sent(session.person, hub.turn.clock, len(requests) - len(left), spent)
    _refuse(hub, session, left, refused)


def _refuse(hub: Hub, session: Session, left: Sequence[Send], why: errors.RateLimited | None) -> None:
    """The rest of a run is more than may be said now."""
    rates, clock, person, peer = hub.rates, hub.turn.clock, session.person, session.peer
    if why is None or not why.retry_ms:
        first = left[0].text.encode()
        wait = max(rates.wait(person, MESSAGES, clock), rates.wait(person, BYTES, clock, len(first)))
        why = errors.RateLimited(retry_ms=retry_ms(wait))
    for request in left:
        hub.sessions.reply(session, Refused(request.n, why.code, str(why), retry_ms=why.retry_ms))
    if peer is not None:
        hub.too_much(peer, person, len(left))


def edit(hub: Hub, session: Session, request: Edit) -> None:
    """Says a message of the person's own anew."""
    _amend(hub, session, request, request.text)


def delete(hub: Hub, session: Session, request: Delete) -> None:
    """Takes a message of the person's own back."""
    _amend(hub, session, request, None)


def _amend(hub: Hub, session: Session, request: Edit | Delete, text: str | None) -> None:
    sends, n = sends_of(session), request.n
    if n != sends.planned + 1 or hub.draining:
        unexpected(hub, session, sends, n)
        return
    # The store has to look for what is to be changed, and that takes far longer than appending.
    if hub.turn.amends >= hub.settings.amends:
        raise errors.Busy
    size = 0 if text is None else len(text.encode())
    if size and session.peer is not None:
        limits.count(hub, session.peer, session.person, BYTES, size)
    hub.turn.amends += 1
    sends.planned = n
    try:
        problem = None if text is None else _problem(text, size, hub.settings.text_limit)
        if problem is not None:
            raise problem
        found = hub.rights.readable(session.person, request.room)
        if found.name == AUDIT:
            raise errors.NoSuchRoom
        if text is not None:
            hub.rights.check_speech(session.person, found)
            if found.pair:
                may_tell(hub, session, found, other_of(found, session.person))
        room = hub.rooms.make(found.name)
    except errors.Refusal as error:
        hub.stage(session, None, Refusal(session.client, Refused(n, error.code, str(error))))
    else:
        hub.stage(session, room, Amend(room.name, *_origin(hub, session), n, request.seq, text))


def sends_of(session: Session) -> Client:
    """The send numbers of a session.

    Raises:
        errors.UnknownSession: they are not known yet.
    """
    if session.sends is None:
        raise errors.UnknownSession("wait for the answer to hello")
    return session.sends


def unexpected(hub: Hub, session: Session, sends: Client, n: int) -> None:
    """A send comes under another number than the next, or while no more are taken."""
    if 0 < n <= sends.planned:
        hub.turn.after(lambda: _again(hub, session, sends, n))
    elif n != sends.planned + 1:
        expected = sends.planned + 1
        detail = f"expected send number {expected}, not {n}"
        hub.sessions.reply(session, Refused(n, errors.OutOfOrder.code, detail, expected, RETRY_MS))
    else:
        hub.sessions.reply(session, Refused(n, errors.Draining.code, errors.Draining.says, retry_ms=RETRY_MS))


def _origin(hub: Hub, session: Session) -> tuple[bytes, int, str, bytes, bytes]:
    """Where a send comes from: client, time, name, sender, person, as the store is told."""
    return session.client, hub.turn.now.ms, session.name or "", session.sender, session.person


def _again(hub: Hub, session: Session, sends: Client, n: int) -> None:
    """A repeat gets its outcome again."""
    if n <= sends.known.last:
        hub.sessions.reply(session, sends.known.outcome(n) or Ack(n, "", 0, 0))
    else:  # it was planned a moment ago, and the commit failed
        hub.sessions.reply(session, Refused(n, errors.Unavailable.code, errors.Unavailable.says, retry_ms=RETRY_MS))


def check_text(text: str, limit: int) -> None:
    """Whether a text may be said to others.

    Args:
        limit: in bytes.

    Raises:
        errors.TooLong, errors.BadRequest: it may not.
    """
    problem = _problem(text, len(text.encode()), limit)
    if problem is not None:
        raise problem


def _problem(text: str, size: int, limit: int) -> errors.Refusal | None:
    """Why a text of so many bytes cannot be said; None if it can."""
    if size > limit:
        return errors.TooLong(f"the text has {size} bytes and {limit} are allowed: say it in parts")
    if not text.isprintable() and _CONTROL.search(text):
        return errors.BadRequest("newline and tab are the only control characters a message may hold")
    return None


def _room(hub: Hub, session: Session, wanted: str) -> Room:
    """Where something is said: the room is made if it is not there."""
    if not names.is_private(wanted):
        name = hub.rooms.canonical(wanted)
        if name not in hub.rooms.by_name:
            hub.rights.check_mute(session.person, EVERYWHERE)
            limits.creation(hub, session)
        room = hub.rooms.make(name, founder=session.person)
        hub.rights.check_speech(session.person, room)
        return room
    me = Member(session.person, session.name or "")
    there = hub.rooms.by_name.get(wanted)
    if there is None and wanted.startswith(names.PRIVATE):
        there = hub.rights.readable(session.person, wanted)
    if there is not None and session.person in there.members:
        hub.rights.check_speech(session.person, there)
        if not there.pair:
            return hub.rooms.make(there.name)
        may_tell(hub, session, there, other_of(there, session.person))
        return hub.rooms.make(wanted, (me,))
    name, person = hub.names.owner(wanted[1:])
    if hub.rooms.of_two(session.person, person) is None:
        hub.rights.check_mute(session.person, EVERYWHERE)
        may_tell(hub, session, None, person)
        limits.creation(hub, session)
    room = hub.rooms.make_private(me, Member(person, name))
    hub.rights.check_speech(session.person, room)
    may_tell(hub, session, room, person)
    return room


def may_tell(hub: Hub, session: Session, room: Room | None, other: bytes) -> None:
    """Whether somebody may say more to another alone.

    Raises:
        errors.Blocked: the other does not want to hear it.
        errors.LimitReached: too much waits for the other already.
    """
    if hub.rights.is_blocked(session.person, other):
        raise errors.Blocked
    if room is not None:
        hub.rooms.check_waiting(room, session.person)
