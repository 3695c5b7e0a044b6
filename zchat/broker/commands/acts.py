"""What is done in rooms, by the verbs of `verbs.ACTS`: each is an event there, and most a line of the audit log."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from zchat import errors, names
from zchat.broker.admission import MEMBER, MODERATOR
from zchat.broker.commands import limits, talk
from zchat.broker.doors import BAN, EVERYWHERE, MUTE
from zchat.broker.rooms import Room, other_of
from zchat.broker.sessions import Session
from zchat.messages import Act, Acted, Added, Refused, Removed
from zchat.store.base import Deed, Refusal
from zchat.verbs import ACTS, AUDIT, LONGEST, REACTION_MAX, SLOWEST, TOPIC_MAX, Kind, Rank

if TYPE_CHECKING:
    from zchat.broker.hub import Hub

PINS = 50
"""Pinned messages of a room at most."""

LIFTED = {"unban": BAN, "unmute": MUTE}
"""What is undone, by verb."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Doing(NamedTuple):
    """An act about to be done.

    Attributes:
        session: who does it.
        room: where.
        whom: to which person, and what that one is called; empty if to nobody.
    """

    hub: Hub
    session: Session
    request: Act
    room: Room
    whom: bytes = b""
    called: str = ""

    @property
    def person(self) -> bytes:
        return self.session.person

    @property
    def by(self) -> str:
        """What who does it is called."""
        return self.session.name or ""


def act(hub: Hub, session: Session, request: Act) -> None:
    """Does something in a room."""
    sends, n = talk.sends_of(session), request.n
    if n != sends.planned + 1 or hub.draining:
        talk.unexpected(hub, session, sends, n)
        return
    try:
        doing = _ready(hub, session, request)
        HANDLERS[request.verb](doing)
        hub.rooms.make(doing.room.name)  # it is kept by now, if nothing was said there yet
    except errors.RateLimited:
        raise
    except errors.Refusal as error:
        sends.planned = n
        hub.stage(session, None, Refusal(session.client, Refused(n, error.code, str(error))))
        return
    sends.planned = n
    room, verb = doing.room, ACTS[request.verb]
    ms, asked = hub.turn.now.ms, request
    what = verb.name, doing.called, asked.target, asked.seconds
    acted = Acted(0, ms, doing.by, session.sender, n, *what, asked.text, asked.on)
    hub.stage(session, room, Deed(room.name, session.client, session.person, acted))
    if verb.logged:
        # What a private room is called and is about is told to those who belong to it.
        text = "" if room.private and verb.name == "topic" else asked.text
        log(hub, session.person, Acted(0, ms, doing.by, b"", 0, *what, text, asked.on, room.name))


def log(hub: Hub, person: bytes, line: Acted) -> None:
    """Writes a line of the audit log."""
    hub.stage(None, hub.rooms.make(AUDIT), Deed(AUDIT, b"", person, line))


def _ready(hub: Hub, session: Session, request: Act) -> Doing:
    """Looks at everything that can be wrong with an act of any verb.

    Raises:
        errors.Refusal: it may not be done, or cannot.
    """
    verb = ACTS.get(request.verb)
    if verb is None:
        raise errors.UnknownWord(f"there is nothing called {request.verb[:20]} to be done in a room")
    check_reason(request.text)
    check_span(request.seconds)
    if verb.name == "create":
        _check_freedom(hub, session.person)
        return Doing(hub, session, request, _create(hub, session, request))
    room = hub.rights.readable(session.person, request.room)
    if room.name == AUDIT:
        raise errors.NoSuchRoom
    mine = hub.rights.rank(session.person, room)
    hub.rights.check(verb, mine)
    if request.target and request.target > room.head:
        raise errors.NoSuchMessage("there is no message of that number")
    if not any(arg.kind is Kind.PERSON for arg in verb.args):
        _check_freedom(hub, session.person)
        return Doing(hub, session, request, room)
    if not request.name:
        raise errors.BadRequest(f"{verb.name}: say to whom")
    called, whom = named(hub, verb.name, room.name, request.name)
    if whom == session.person:  # nor may a moderator undo what others did to that one
        raise errors.NotAllowed(f"{verb.name} cannot be done to oneself")
    if verb.over:
        hub.rights.check(verb, mine, hub.rights.rank(whom, room))
    _check_freedom(hub, session.person)
    return Doing(hub, session, request, room, whom, called)


def _check_freedom(hub: Hub, person: bytes) -> None:
    """Whether a person may do anything but read: a topic, a reason and the name of a room are read by others, too.

    Raises:
        errors.Muted: not for now.
        errors.QuotaReached: not before something is deleted; who keeps order everywhere is never stopped.
    """
    hub.rights.check_mute(person, EVERYWHERE)
    if person in hub.full and hub.rights.staff(person) < Rank.STAFF:
        raise errors.QuotaReached


def named(hub: Hub, verb: str, room: str, name: str) -> tuple[str, bytes]:
    """To whom something is done: the name, and the person."""
    lifted = LIFTED.get(verb)
    known = hub.doors.sanctioned_as(room, name, lifted) if lifted else None
    try:
        called, whom = hub.names.owner(name)
    except errors.NoSuchPerson:
        if known is None:
            raise
    else:
        if known is None or lifted is None or hub.doors.sanctioned(room, whom, lifted) is not None:
            return called, whom
    # The name is forgotten, or another's by now; but it is what the list of those who are banned says.
    return known.name, known.person


def check_span(seconds: int) -> None:
    """Whether somebody may be banned or muted for so long.

    Raises:
        errors.BadRequest: not so long.
    """
    if seconds > LONGEST:
        raise errors.BadRequest(f"{LONGEST // 86400} days at most, or for good")


def check_reason(text: str) -> None:
    """Whether a text may be a topic, a reason or a reaction: it is one line.

    Raises:
        errors.TooLong, errors.BadRequest: it may not.
    """
    if len(text) > TOPIC_MAX:
        raise errors.TooLong(f"that has {len(text)} characters and {TOPIC_MAX} are allowed")
    if not text.isprintable() and _CONTROL.search(text):
        raise errors.BadRequest("a topic, a reason or a reaction is one line without control characters")


def _create(hub: Hub, session: Session, request: Act) -> Room:
    private = request.room.startswith(names.PRIVATE)
    if private:
        title = names.private_room(request.room)
        if hub.rooms.titled(session.person, title):
            raise errors.NameTaken(f"you have a room {title} already: choose another name")
        hub.rooms.check_private(session.person)
    else:
        title = hub.rooms.canonical(request.room)
        if title in hub.rooms.by_name:
            raise errors.NameTaken(f"there is a room {title} already: join it, or choose another name")
    limits.creation(hub, session)
    if not private:
        return hub.rooms.make(title, founder=session.person)
    room = hub.rooms.make("@" + hub.token(12).hex(), founder=session.person, title=title)
    hub.doors.change(room.name, title=title)
    _let_in(hub, room, session.person)
    return room


def _let_in(hub: Hub, room: Room, person: bytes) -> None:
    """A private room is somebody's from now on."""
    hub.doors.admit(room.name, person, MEMBER)
    hub.rooms.expect(room, person)

    def enter() -> None:
        hub.rooms.admit(room, person)
        hub.marks.rise(person, room.name, room.head)  # what was said before was not missed
        for session in hub.sessions.of(person):
            hub.sessions.reply(session, Added(room.name, hub.label(room, person), room.head))

    hub.turn.once_kept(enter)


def send_out(hub: Hub, room: Room, person: bytes, told: Removed) -> None:
    """Somebody is in a room no longer, once that is kept; a private one is that person's no longer."""
    if room.private:
        if not hub.doors.role(room.name, person):
            return  # who was never there is not told that it is
        hub.doors.dismiss(room.name, person)

    def leave() -> None:
        for session in list(hub.sessions.of(person)):
            if room.private or room.name in session.rooms:
                hub.rooms.leave(session, room.name)
                hub.sessions.reply(session, told)
        if room.private:
            hub.rooms.dismiss(room, person)

    hub.turn.once_kept(leave)


def give_up(hub: Hub, session: Session, room: Room) -> None:
    """Somebody leaves a private room for good."""
    by = session.name or hub.names.called(session.person)
    acted = Acted(0, hub.turn.now.ms, by, session.sender, 0, "leave")
    hub.stage(None, room, Deed(room.name, b"", session.person, acted))
    send_out(hub, room, session.person, Removed(room.name, "leave", by))


def _created(doing: Doing) -> None:
    """It is there: nothing but the event is to be done."""


def _topic(doing: Doing) -> None:
    doing.hub.doors.change(doing.room.name, topic=doing.request.text, topic_by=doing.by, topic_ms=doing.hub.turn.now.ms)


def _invite(doing: Doing) -> None:
    hub, room = doing.hub, doing.room
    if not room.private or room.pair:
        raise errors.NotAllowed("everybody may come here: one invites to private rooms")
    if hub.doors.role(room.name, doing.whom):
        raise errors.NotAllowed(f"{doing.called} is in this room already")
    if hub.rights.is_blocked(doing.person, doing.whom):
        raise errors.Blocked
    if hub.rights.sanctioned(room.name, doing.whom, BAN) is not None:
        raise errors.NotAllowed(f"{doing.called} is banned from this room: unban them first")
    if len(hub.doors.members(room.name)) >= hub.settings.max_members_private:
        raise errors.LimitReached("as many people as a private room may have are in it")
    hub.rooms.check_private(doing.whom)
    _let_in(hub, room, doing.whom)


def _kick(doing: Doing) -> None:
    hub, room = doing.hub, doing.room
    if room.private and not hub.doors.role(room.name, doing.whom):
        raise errors.NoSuchPerson("nobody of that name is in this room")
    if not room.private and not any(room.name in session.rooms for session in hub.sessions.of(doing.whom)):
        raise errors.NoSuchPerson("nobody of that name is in this room")
    _out(doing)


def _out(doing: Doing) -> None:
    hub, room, request = doing.hub, doing.room, doing.request
    told = Removed(room.name, request.verb, doing.by, request.seconds, request.text)
    send_out(hub, room, doing.whom, told)
    for bot in hub.bots(doing.whom):  # they would tell what they hear
        send_out(hub, room, bot, told)


def _ban(doing: Doing) -> None:
    _sanction(doing, BAN)
    _out(doing)


def _mute(doing: Doing) -> None:
    _sanction(doing, MUTE)


def _sanction(doing: Doing, verb: str) -> None:
    if doing.room.pair:
        raise errors.NotAllowed("in a room of two nobody is above the other: block whom you do not want to hear")
    doing.hub.doors.sanction(
        doing.room.name, doing.whom, verb, doing.called, doing.request.seconds, doing.by, doing.request.text
    )


def _unban(doing: Doing) -> None:
    doing.hub.doors.lift(doing.room.name, doing.whom, BAN)


def _unmute(doing: Doing) -> None:
    doing.hub.doors.lift(doing.room.name, doing.whom, MUTE)


def _op(doing: Doing) -> None:
    hub, room = doing.hub, doing.room
    if room.private and not hub.doors.role(room.name, doing.whom):
        raise errors.NoSuchPerson("nobody of that name is in this room: invite them first")
    moderators = sum(one.role == MODERATOR for one in hub.doors.members(room.name).values())
    if moderators >= hub.settings.max_moderators:
        raise errors.LimitReached("as many moderators as a room may have: deop one")
    hub.doors.admit(room.name, doing.whom, MODERATOR)


def _deop(doing: Doing) -> None:
    hub, room = doing.hub, doing.room
    if hub.doors.role(room.name, doing.whom) != MODERATOR:
        raise errors.NoSuchPerson("no moderator of this room has that name")
    if room.private:
        hub.doors.admit(room.name, doing.whom, MEMBER)
    else:
        hub.doors.dismiss(room.name, doing.whom)


def _readonly(doing: Doing) -> None:
    doing.hub.doors.change(doing.room.name, readonly=doing.request.on)


def _slow(doing: Doing) -> None:
    if doing.request.seconds > SLOWEST:
        raise errors.BadRequest(f"a room is slow by {SLOWEST} seconds at most")
    doing.hub.doors.change(doing.room.name, slow=doing.request.seconds)


def _pin(doing: Doing) -> None:
    pins, seq = doing.hub.doors.terms(doing.room.name).pins, doing.request.target
    if not seq:
        raise errors.NoSuchMessage("say the number of the message that is to be pinned")
    if seq not in pins and len(pins) >= PINS:
        raise errors.LimitReached(f"{PINS} messages are pinned in this room: unpin one")
    doing.hub.doors.change(doing.room.name, pins=(*(one for one in pins if one != seq), seq))


def _unpin(doing: Doing) -> None:
    pins, seq = doing.hub.doors.terms(doing.room.name).pins, doing.request.target
    if seq not in pins:
        raise errors.NoSuchMessage("no message of that number is pinned")
    doing.hub.doors.change(doing.room.name, pins=tuple(one for one in pins if one != seq))


def _react(doing: Doing) -> None:
    text = doing.request.text
    if not doing.request.target:
        raise errors.NoSuchMessage("say the number of the message that you react to")
    if not text or len(text) > REACTION_MAX or any(unicodedata.category(c)[0] == "Z" for c in text):
        raise errors.BadRequest(f"a reaction is one word of up to {REACTION_MAX} characters, as :thumbsup:")
    doing.hub.rights.check_speech(doing.person, doing.room)
    if doing.room.pair:
        talk.may_tell(doing.hub, doing.session, doing.room, other_of(doing.room, doing.person))


HANDLERS: dict[str, Callable[[Doing], None]] = {
    "create": _created,
    "topic": _topic,
    "invite": _invite,
    "kick": _kick,
    "ban": _ban,
    "unban": _unban,
    "mute": _mute,
    "unmute": _unmute,
    "op": _op,
    "deop": _deop,
    "readonly": _readonly,
    "slow": _slow,
    "pin": _pin,
    "unpin": _unpin,
    "react": _react,
    "unreact": _react,
}
"""By verb."""
