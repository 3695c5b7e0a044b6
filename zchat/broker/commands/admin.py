"""What is done to the whole broker, by the verbs of `verbs.ADMIN`; also one's own blocks.

The operator's console gives the same orders: an `Actor` is whoever gives them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from zchat import errors
from zchat.broker.commands import talk
from zchat.broker.commands.acts import check_reason, check_span, log, named
from zchat.broker.doors import BAN, EVERYWHERE, MUTE
from zchat.broker.inputs import GOODBYE
from zchat.broker.sessions import Session
from zchat.messages import Acted, Admin, Done, Notice
from zchat.verbs import ADMIN, Kind, Rank

if TYPE_CHECKING:
    from zchat.broker.hub import Hub


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
    hub.settle(session, Done(request.q))


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
        check_reason(text)
    check_span(seconds)
    called, whom = "", b""
    if any(arg.kind is Kind.PERSON for arg in verb.args):
        called, whom = named(hub, word, EVERYWHERE, name)
        if whom == by.person:
            raise errors.NotAllowed(f"{word} cannot be done to oneself")
        if verb.over:
            hub.rights.check(verb, by.rank, hub.rights.staff(whom))
    _ORDERS[word](Order(hub, by, whom, called, seconds, text))
    if verb.logged:
        log(hub, by.person, Acted(0, hub.turn.now.ms, by.name, b"", 0, word, called, 0, seconds, text))


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
