"""What clients may ask: one table, a row a request. A handler does one request and bears its name.

A handler executes at once what needs no commit, and leaves to `hub.after` what names a head. It may raise any
`errors.Refusal`, which becomes the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from zchat import errors
from zchat.broker.commands import acts, admin, clock, history, limits, links, lists, presence, rooms, sessions, talk
from zchat.broker.rates import CREATIONS, JOINS, MESSAGES, QUESTIONS, READS, stranger
from zchat.broker.sessions import Session
from zchat.codec import Malformed
from zchat.messages import (
    About,
    Act,
    Admin,
    Ask,
    Bot,
    Bye,
    Delete,
    Device,
    Edit,
    Heartbeat,
    Hello,
    History,
    Join,
    Leave,
    Link,
    Links,
    List,
    Mark,
    Nick,
    Ping,
    Read,
    Request,
    Revoke,
    Rooms,
    Search,
    Send,
    Who,
)

if TYPE_CHECKING:
    from zchat.broker.hub import Hub


class Command(NamedTuple):
    """A row.

    Attributes:
        run: the handler.
        named: whether the session must have a name.
        batched: whether the handler takes a list of such requests, rather than one.
        kind: as what it counts, of what a person may ask for in a time; None where the handler sees to it, or where
            nothing would be gained.
    """

    run: Callable[[Hub, Session, Any], None]
    named: bool = False
    batched: bool = False
    kind: int | None = QUESTIONS


TABLE: dict[type[Request], Command] = {
    Send: Command(talk.send, named=True, batched=True, kind=None),
    Edit: Command(talk.edit, named=True, kind=MESSAGES),
    Delete: Command(talk.delete, named=True, kind=MESSAGES),
    Join: Command(rooms.join, kind=JOINS),
    Leave: Command(rooms.leave),
    Rooms: Command(rooms.rooms),
    Read: Command(history.read, kind=READS),
    History: Command(history.history, kind=READS),
    Search: Command(history.search),
    Mark: Command(history.mark),
    Who: Command(presence.who),
    Nick: Command(presence.nick, named=True),
    Ask: Command(clock.ask),
    Link: Command(links.link),
    Device: Command(links.device),
    Links: Command(links.links),
    Revoke: Command(links.revoke),
    Act: Command(acts.act, named=True, kind=MESSAGES),
    Admin: Command(admin.admin),
    About: Command(rooms.about),
    List: Command(lists.list_),
    Bot: Command(links.bot, kind=CREATIONS),
    Ping: Command(sessions.ping),
    Heartbeat: Command(sessions.heartbeat),
    Bye: Command(sessions.bye, kind=None),
}


BATCHED = {kind for kind, command in TABLE.items() if command.batched}
"""What is executed many at a time."""


def execute(hub: Hub, peer: bytes, session: Session | None, requests: Sequence[Request | Malformed]) -> None:
    """Does what a peer asks.

    Args:
        requests: one, or of a kind in `BATCHED` one or more.

    Raises:
        errors.Refusal: it may not, or it cannot be done.
    """
    request = requests[0]
    # What is said is counted where it is taken.
    if hub.rates.limits is not None and (type(request) is not Send or session is None or session.name is None):
        _count(hub, peer, session, requests)
    if isinstance(request, Malformed):
        # A new one: what is raised holds its frames, and these hold the request. Such a ring is never let go, for the
        # garbage collector does not look into a Value.
        raise type(request.problem)(str(request.problem))
    if isinstance(request, Hello):
        sessions.hello(hub, peer, request)
        return
    if session is None:
        raise errors.UnknownSession
    hub.sessions.heard(session)
    command = TABLE[type(request)]
    if command.named and session.name is None:
        raise errors.NameNeeded
    command.run(hub, session, requests if command.batched else request)


def _count(hub: Hub, peer: bytes, session: Session | None, requests: Sequence[Request | Malformed]) -> None:
    """Counts what a peer asks, also what it may not ask."""
    kind: int | None = QUESTIONS
    command = TABLE.get(type(requests[0])) if session is not None else None  # type: ignore[arg-type]
    if session is not None and command is not None:
        kind = command.kind if session.name is not None or not command.named else QUESTIONS
    if kind is not None:
        person = session.person if session is not None else stranger(peer)
        limits.count(hub, peer, person, kind, len(requests), len(requests))
