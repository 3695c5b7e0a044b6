"""Coming, staying and going."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from zchat import errors
from zchat.broker.commands import limits
from zchat.broker.effects import Level
from zchat.broker.sessions import Client, Session
from zchat.links import key_text
from zchat.messages import VERSION, Beat, Bye, Done, Heartbeat, Hello, Moved, Ping, Pong, PrivateRoom, Welcome
from zchat.store.base import Greeted, Greeting

if TYPE_CHECKING:
    from zchat.broker.hub import Hub


def hello(hub: Hub, peer: bytes, request: Hello) -> None:
    """Opens a session, or resumes one."""
    if request.version != VERSION:
        raise errors.WrongVersion(f"this broker speaks version {VERSION} of the protocol, not {request.version}")
    if hub.draining:
        raise errors.Draining
    key, person, new = b"", request.person, False
    if hub.admission is not None:
        # Who it is the connection has shown: what hello says of it is not looked at.
        key = hub.admission.key_at(peer) or b""
        if not key:
            raise errors.NotAdmitted
        person = hub.admission.person(key)
    limits.hello(hub, peer, person)
    hub.rights.check_admission(person)
    if hub.admission is not None:
        person, new = hub.admission.admit(key, request.invite)
        if new:
            role = hub.admission.role(person)
            hub.turn.log(Level.INFO, f"lets {request.name or 'a visitor'} in as {role}, key {key_text(key)}", peer)
    known = hub.sessions.of_client(request.client)
    if known is not None and known.person != person:
        raise errors.BadRequest("hello: the client is another person's")
    session = hub.sessions.resumable(request.resume) if request.resume is not None else None
    if session is not None and (session.client, session.person, session.key) != (request.client, person, key):
        session = None
    resumed = session is not None
    holder = hub.sessions.fenced(request.fence)
    if holder is not None and holder is not session and holder.client != request.client and holder.peer != peer:
        raise errors.BadRequest("hello: the fence is another session's")
    if session is not None:
        hub.sessions.rebind(session, peer, request.fence)
    else:
        session = _opened(hub, peer, request, person, key)
    opened = session

    def welcome(greeted: Greeted) -> None:
        opened.sends = Client(greeted.record, greeted.record.last)
        opened.beat = hub.turn.number
        if hub.sessions.of(opened.person):  # it may be over again in the same turn
            hub.marks.came(opened.person, greeted.marks)
        hub.sessions.reply(opened, _welcome(hub, opened, request.q, greeted, resumed=resumed))

    hub.greet(session, peer, request.q, Greeting(session.client, request.stamp, session.person), welcome, new=new)


def _opened(hub: Hub, peer: bytes, request: Hello, person: bytes, key: bytes) -> Session:
    if len(hub.sessions) >= hub.settings.max_sessions and not hub.sessions.make_room():
        raise errors.Busy("as many sessions as the broker allows: try again later")
    if len(hub.sessions.of(person)) >= hub.settings.max_sessions_person:
        raise errors.LimitReached("as many programs at a time as one person may have here: end one first")
    bot = hub.admission is not None and bool(hub.admission.answers(person))
    name = None if request.name is None else hub.names.take(request.name, person, bot=bot)
    hub.turn.log(Level.INFO, f"{name or 'a visitor'} connected", peer)
    # The public id follows from the secret one, so that a client is known by the same after any restart.
    sender = hashlib.blake2b(request.client, digest_size=8).digest()
    token, since = hub.token(16), hub.turn.now.ms
    return Session(token, peer, name, person, request.client, sender, request.fence, key, since=since)


def _welcome(hub: Hub, session: Session, q: int, greeted: Greeted, *, resumed: bool) -> Welcome:
    settings = hub.settings
    marks = hub.marks.of(session.person)
    private = tuple(
        PrivateRoom(room.name, hub.label(room, session.person), room.head, marks.get(room.name, 0))
        for room in hub.rooms.private(session.person)
    )
    return Welcome(
        q=q,
        session=session.token,
        sender=session.sender,
        name=session.name,
        pub_port=settings.pub_port,
        credit=settings.credit,
        text_limit=settings.text_limit,
        heartbeat=_interval(hub),
        last=greeted.record.last,
        vouched=greeted.vouched,
        resumed=resumed,
        banner=settings.banner,
        private=private,
        role=hub.admission.role(session.person) if hub.admission is not None else "",
    )


def _interval(hub: Hub) -> float:
    return max(hub.settings.heartbeat, len(hub.sessions) / hub.settings.heartbeats)


def heartbeat(hub: Hub, session: Session, request: Heartbeat) -> None:
    """Names the session's rooms that moved since the last one."""

    def answer() -> None:
        public = (room for name in session.rooms if not (room := hub.rooms.by_name[name]).private)
        mine = [*public, *hub.rooms.private(session.person)]
        moved = tuple(Moved(room.name, room.head, room.roster.version) for room in mine if room.moved > session.beat)
        session.beat = hub.turn.number
        hub.sessions.reply(session, Beat(request.q, _interval(hub), moved))

    # Looking whether a room moved is far less than telling of it.
    hub.later(session, request.q, (len(session.rooms) + len(hub.rooms.private(session.person))) // 16, answer)


def ping(hub: Hub, session: Session, request: Ping) -> None:
    hub.sessions.reply(session, Pong(request.q))


def bye(hub: Hub, session: Session, request: Bye) -> None:
    hub.sessions.reply(session, Done(request.q))
    hub.sessions.end(session)
