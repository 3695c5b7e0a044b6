"""Letting others in, people and bots, and out again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from zchat import errors, names
from zchat.address import BadAddress
from zchat.broker.admission import Admission
from zchat.broker.commands.acts import log
from zchat.broker.effects import Level
from zchat.broker.sessions import Session, called
from zchat.links import id_text, parse_key
from zchat.messages import LOBBY, Acted, Bot, Device, Done, Link, Linked, LinkInfo, LinkList, Links, Named, Revoke

if TYPE_CHECKING:
    from zchat.broker.hub import Hub


def link(hub: Hub, session: Session, request: Link) -> None:
    """A link that lets others in."""
    room = hub.rooms.canonical(request.room)
    made = _admission(hub).link(session.person, room, request.uses, request.seconds, request.role)
    text = f"for {request.uses} {request.role}"
    _log(hub, session, "link", text=text)
    _settle(hub, session, Linked(request.q, made), f"made a link {text}")


def device(hub: Hub, session: Session, request: Device) -> None:
    """A link that lets one more key of the same person in."""
    made = _admission(hub).device(session.person, LOBBY)
    _settle(hub, session, Linked(request.q, made), "made a link for one more key")


def bot(hub: Hub, session: Session, request: Bot) -> None:
    """A key may come in as a bot for which this person answers."""
    if hub.admission is None:
        raise errors.NotAllowed("this broker has no keys: a bot comes in under a name of its own, as anybody does")
    if len(request.key) != 32:
        raise errors.BadRequest("a key has 32 bytes")
    shown = names.bot(request.name)
    person = hub.admission.check_bot(session.person, request.key)
    known = hub.names.called(person)
    here = bool(hub.sessions.of(person)) and not hub.admission.answers(person)
    if here or (known and not names.is_bot(known)):
        raise errors.NotAllowed("that key is somebody's already: make a new one")
    name = hub.names.keep_for(shown, person)
    hub.admission.add_bot(session.person, person, request.key)  # not before it has a name
    _log(hub, session, "bot", name)
    hub.settle(session, Named(request.q, name))


def links(hub: Hub, session: Session, request: Links) -> None:
    """Which links may still be used."""
    found = [one for one in _admission(hub).invites(session.person) if id_text(one.id) > request.after]
    told = tuple(
        LinkInfo(id_text(one.id), one.room, one.role, one.uses, one.ms, hub.names.called(one.by), bool(one.person))
        for one in found[: hub.settings.page]
    )
    hub.sessions.reply(session, LinkList(request.q, told, len(found) > len(told)))


def revoke(hub: Hub, session: Session, request: Revoke) -> None:
    """A link, a key or a person is let in no longer."""
    admission = _admission(hub)
    answer = Done(request.q)
    if request.link:
        admission.revoke_link(session.person, request.link)
        _log(hub, session, "revoke", text=f"the link {request.link}")
        _settle(hub, session, answer, f"revoked the link {request.link}")
        return
    key = _key(request.name)
    if key is not None:
        admission.revoke_key(session.person, key)
        _log(hub, session, "revoke", text=f"the key {request.name}")
        _settle(hub, session, answer, f"revoked the key {request.name}", lambda: hub.let_out(b"", {key}))
        return
    name, person = hub.names.owner(request.name)
    admission.revoke(session.person, person, undo=request.undo)
    _log(hub, session, "revoke", name, on=not request.undo)
    if request.undo:
        _settle(hub, session, answer, f"lets {name} in again", lambda: hub.names.keep(person))
        return

    def out() -> None:
        hub.let_out(person, admission.keys(person))
        hub.names.give_up(person)

    _settle(hub, session, answer, f"revoked {name}", out)


def _log(hub: Hub, session: Session, verb: str, whom: str = "", text: str = "", *, on: bool = True) -> None:
    by = hub.names.called(session.person)
    log(hub, session.person, Acted(0, hub.turn.now.ms, by, b"", 0, verb, whom, 0, 0, text, on))


def _settle(
    hub: Hub, session: Session, answer: Linked | Done, text: str, then: Callable[[], None] | None = None
) -> None:
    who = hub.names.called(session.person) or called(session)  # also of who asks without a name it is known who it is

    def done() -> None:
        hub.turn.log(Level.INFO, f"{who} {text}", session.peer)
        if then is not None:
            then()

    hub.settle(session, answer, done)


def _key(text: str) -> bytes | None:
    """The key that is meant; None for a name, which is shorter."""
    try:
        return parse_key(text)
    except BadAddress:
        return None


def _admission(hub: Hub) -> Admission:
    if hub.admission is None:
        raise errors.NotAllowed("this broker has no keys, so whoever reaches it is in: start it with --curve for links")
    return hub.admission
