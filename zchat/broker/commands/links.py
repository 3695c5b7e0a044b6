"""Letting others in, and out again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zchat import errors
from zchat.broker.admission import Admission
from zchat.broker.effects import Level
from zchat.broker.sessions import Session, called
from zchat.links import id_text
from zchat.messages import LOBBY, Device, Done, Link, Linked, LinkInfo, LinkList, Links, Revoke

if TYPE_CHECKING:
    from zchat.broker.hub import Hub


def link(hub: Hub, session: Session, request: Link) -> None:
    """A link that lets others in."""
    room = hub.rooms.canonical(request.room)
    made = _admission(hub).link(session.person, room, request.uses, request.seconds, request.role)
    hub.turn.log(Level.INFO, f"{_called(hub, session)} made a link for {request.uses} {request.role}", session.peer)
    hub.settle(session, Linked(request.q, made))


def device(hub: Hub, session: Session, request: Device) -> None:
    """A link that lets one more key of the same person in."""
    hub.settle(session, Linked(request.q, _admission(hub).device(session.person, LOBBY)))


def links(hub: Hub, session: Session, request: Links) -> None:
    """Which links may still be used."""
    found = [one for one in _admission(hub).invites(session.person) if id_text(one.id) > request.after]
    told = tuple(
        LinkInfo(id_text(one.id), one.room, one.role, one.uses, one.ms, hub.names.called(one.by), bool(one.person))
        for one in found[: hub.settings.page]
    )
    hub.sessions.reply(session, LinkList(request.q, told, len(found) > len(told)))


def revoke(hub: Hub, session: Session, request: Revoke) -> None:
    """A link, or a person, is let in no longer."""
    admission = _admission(hub)
    if request.link:
        admission.revoke_link(session.person, request.link)
        hub.turn.log(Level.INFO, f"{_called(hub, session)} revoked the link {request.link}", session.peer)
    else:
        name, person = hub.names.owner(request.name)
        admission.revoke(session.person, person, undo=request.undo)
        hub.turn.log(
            Level.INFO, f"{_called(hub, session)} {'lets in again' if request.undo else 'revoked'} {name}", session.peer
        )
        if not request.undo:
            for theirs in list(hub.sessions.of(person)):
                hub.let_out(theirs)
            hub.names.give_up(person)
    hub.settle(session, Done(request.q))


def _called(hub: Hub, session: Session) -> str:
    """Whom the log names: also of who asks without a name it is known who that is."""
    return hub.names.called(session.person) or called(session)


def _admission(hub: Hub) -> Admission:
    if hub.admission is None:
        raise errors.NotAllowed("this broker has no keys, so whoever reaches it is in: start it with --curve for links")
    return hub.admission
