"""What clients may ask: one table, a row a request. A handler does one request and bears its name.

A handler executes at once what needs no commit, and leaves to `hub.after` what names a head. It may raise any
`errors.Refusal`, which becomes the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from zchat import errors
from zchat.broker.commands import clock, history, links, presence, rooms, sessions, talk
from zchat.broker.sessions import Session
from zchat.codec import Malformed
from zchat.messages import (
    Ask,
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
    """

    run: Callable[[Hub, Session, Any], None]
    named: bool = False
    batched: bool = False


TABLE: dict[type[Request], Command] = {
    Send: Command(talk.send, named=True, batched=True),
    Edit: Command(talk.edit, named=True),
    Delete: Command(talk.delete, named=True),
    Join: Command(rooms.join),
    Leave: Command(rooms.leave),
    Rooms: Command(rooms.rooms),
    Read: Command(history.read),
    History: Command(history.history),
    Search: Command(history.search),
    Mark: Command(history.mark),
    Who: Command(presence.who),
    Nick: Command(presence.nick, named=True),
    Ask: Command(clock.ask),
    Link: Command(links.link, named=True),
    Device: Command(links.device),
    Links: Command(links.links),
    Revoke: Command(links.revoke, named=True),
    Ping: Command(sessions.ping),
    Heartbeat: Command(sessions.heartbeat),
    Bye: Command(sessions.bye),
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
    if isinstance(request, Malformed):
        raise request.problem
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
