"""What is done to the whole broker, by the verbs of `verbs.ADMIN`, and what its staff may list; also one's own blocks.

The operator's console gives the same orders: an `Actor` is whoever gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from heapq import nsmallest
from typing import TYPE_CHECKING, NamedTuple

from zchat import errors, names
from zchat.broker.commands import talk
from zchat.broker.commands.acts import checked_text, log
from zchat.broker.doors import BAN, EVERYWHERE, MUTE
from zchat.broker.rights import moment
from zchat.broker.rooms import Room
from zchat.broker.sessions import Session
from zchat.links import fingerprint
from zchat.messages import (
    About,
    Acted,
    Admin,
    BanRow,
    Bot,
    Done,
    List,
    Listed,
    Named,
    NameRow,
    Notice,
    PersonRow,
    RoomRow,
    RoomState,
    Row,
    SessionRow,
)
from zchat.store.base import KnownName, Sanction
from zchat.verbs import ADMIN, LISTS, LONGEST, Kind, Rank

if TYPE_CHECKING:
    from zchat.broker.hub import Hub


GOODBYE = "the broker is shutting down"


class Actor(NamedTuple):
    """Who gives an order.

    Attributes:
        person, name: empty, and `OPERATOR`, at the console.
        rank: with the broker.
    """

    person: bytes
    name: str
    rank: Rank


class Order(NamedTuple):
    """An order about to be obeyed.

    Attributes:
        whom, called: to which person, and the name; empty if to nobody.
        seconds, text: see `messages.Admin`.
    """

    hub: Hub
    by: Actor
    whom: bytes
    called: str
    seconds: int
    text: str


def admin(hub: Hub, session: Session, request: Admin) -> None:
    """Does something to the whole broker, or for oneself alone."""
    name = session.name or hub.names.called(session.person)
    by = Actor(session.person, name, hub.rights.staff(session.person))
    order(hub, by, request.verb, request.name, request.seconds, request.text)
    hub.settle(session, Done(request.q), lambda: None)


def order(hub: Hub, by: Actor, word: str, name: str = "", seconds: int = 0, text: str = "") -> None:
    """Obeys an order.

    Args:
        word: the verb.
        name: to whom.
        seconds: for how long; 0 for good.

    Raises:
        errors.Refusal: it may not be given, or cannot be obeyed.
    """
    verb = ADMIN.get(word)
    if verb is None:
        raise errors.UnknownWord(f"there is no order {word[:20]}")
    hub.rights.check(verb, by.rank)
    if word == "announce":
        if not text:
            raise errors.BadRequest("say what is to be announced")
        talk.check_text(text, hub.settings.text_limit)
    else:
        checked_text(text, hub.settings.words)
    if seconds > LONGEST:
        raise errors.BadRequest(f"{LONGEST // 86400} days at most, or for good")
    called, whom = "", b""
    if any(arg.kind is Kind.PERSON for arg in verb.args):
        called, whom = hub.names.owner(name)
        if whom == by.person:
            raise errors.NotAllowed(f"{word} cannot be done to oneself")
        if verb.over:
            hub.rights.check(verb, by.rank, hub.rights.staff(whom))
    _ORDERS[word](Order(hub, by, whom, called, seconds, text))
    if verb.logged:
        log(hub, by.person, by.name, Acted(0, hub.turn.now.ms, by.name, b"", 0, word, called, 0, seconds, text), "")


def _ban(order: Order) -> None:
    hub, by = order.hub, order.by
    hub.doors.sanction(EVERYWHERE, order.whom, BAN, order.called, order.seconds, by.name, order.text)
    hub.turn.once_kept(lambda: hub.let_out(order.whom, (), f"you were banned by {by.name}{_why(order)}"))


def _kick(order: Order) -> None:
    hub, by = order.hub, order.by
    if not hub.sessions.of(order.whom):
        raise errors.NoSuchPerson(f"{order.called} is not here")
    hub.turn.once_kept(lambda: hub.let_out(order.whom, (), f"you were kicked by {by.name}{_why(order)}"))


def _why(order: Order) -> str:
    return f": {order.text}" if order.text else ""


def _mute(order: Order) -> None:
    order.hub.doors.sanction(EVERYWHERE, order.whom, MUTE, order.called, order.seconds, order.by.name, order.text)


def _unban(order: Order) -> None:
    order.hub.doors.lift(EVERYWHERE, order.whom, BAN)


def _unmute(order: Order) -> None:
    order.hub.doors.lift(EVERYWHERE, order.whom, MUTE)


def _announce(order: Order) -> None:
    hub = order.hub
    hub.turn.once_kept(lambda: hub.sessions.tell_all(Notice(hub.turn.now.ms, order.by.name, order.text)))


def _drain(order: Order) -> None:
    order.hub.drain(order.text or GOODBYE)


def _block(order: Order) -> None:
    order.hub.doors.block(order.by.person, order.whom)


def _unblock(order: Order) -> None:
    order.hub.doors.unblock(order.by.person, order.whom)


_ORDERS: dict[str, Callable[[Order], None]] = {
    "ban": _ban,
    "unban": _unban,
    "kick": _kick,
    "mute": _mute,
    "unmute": _unmute,
    "announce": _announce,
    "drain": _drain,
    "block": _block,
    "unblock": _unblock,
}
"""By verb."""


# What may be asked ----------------------------------------------------------------------------------------------------


def about(hub: Hub, session: Session, request: About) -> None:
    """How things are in a room."""
    name = hub.rights.readable(session.person, request.room).name
    cost = len(hub.doors.members(name)) + 1
    hub.later(session, request.q, cost, lambda: hub.sessions.reply(session, _state(hub, session, name, request.q)))


def _state(hub: Hub, session: Session, name: str, q: int) -> RoomState:
    room = hub.rights.readable(session.person, name)  # still
    terms = hub.doors.terms(room.name)
    moderators = [one.person for one in hub.doors.members(room.name).values() if one.role == "moderator"]
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


def list_(hub: Hub, session: Session, request: List) -> None:
    """A list, page by page."""
    verb = LISTS.get(request.what)
    if verb is None:
        raise errors.UnknownWord(f"there is no list of {request.what[:20]}")

    def checked() -> tuple[Actor, Room | None]:
        by = Actor(session.person, session.name or "", hub.rights.staff(session.person))
        of_room = request.what == "bans" and request.room
        room = hub.rights.readable(session.person, request.room) if of_room else None
        may_list(hub, by, request.what, room)
        return by, room

    def answer() -> None:
        by, room = checked()  # still
        rows, more = listed(hub, by, request.what, room, request.after)
        hub.sessions.reply(session, Listed(request.q, tuple(rows), more))

    # Whether it may be asked at all is told at once; what it is is looked up when it is its turn.
    checked()
    hub.later(session, request.q, hub.settings.page, answer)


def may_list(hub: Hub, by: Actor, what: str, room: Room | None) -> None:
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
    return [make() for _, make in found[:most]], len(found) > most


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


def bot(hub: Hub, session: Session, request: Bot) -> None:
    """A key may come in as a bot for which this person answers."""
    if hub.admission is None:
        raise errors.NotAllowed("this broker has no keys: a bot comes in under a name of its own, as anybody does")
    if len(request.key) != 32:
        raise errors.BadRequest("a key has 32 bytes")
    shown = names.bot(request.name)
    person = hub.admission.may_add_bot(session.person, request.key)
    called = hub.names.called(person)
    if (called and not names.is_bot(called)) or hub.sessions.of(person):
        raise errors.NotAllowed("that key is somebody's already: make a new one")
    name = hub.names.keep_for(shown, person)
    hub.admission.add_bot(session.person, person, request.key)
    by = hub.names.called(session.person)
    log(hub, session.person, by, Acted(0, hub.turn.now.ms, by, b"", 0, "bot", name), "")
    hub.settle(session, Named(request.q, name), lambda: None)
