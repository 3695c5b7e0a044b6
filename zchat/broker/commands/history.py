"""Reading what was said, and up to where one has read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from zchat import errors, names
from zchat.broker.effects import Lookup
from zchat.broker.sessions import Session
from zchat.messages import Done, Found, History, Hit, Mark, Page, Read, Reply, Search
from zchat.store.base import Query, Span, Store

if TYPE_CHECKING:
    from zchat.broker.hub import Hub


def read(hub: Hub, session: Session, request: Read) -> None:
    """A page of a room's events."""
    room = hub.rights.readable(session.person, request.room)
    limit = max(1, min(request.limit, hub.settings.page))
    size = hub.settings.page_size

    def answer(store: Store) -> Page:
        hub.rights.readable(session.person, room.name)  # still
        found = store.read(room.name, request.after, limit, size)
        return Page(request.q, room.name, found.first, found.head, found.events)

    _later(hub, session, request.q, limit, answer)


def history(hub: Hub, session: Session, request: History) -> None:
    """A page of a room's messages as they are now."""
    room = hub.rights.readable(session.person, request.room)
    limit = max(1, min(request.limit, hub.settings.page))
    span = Span(limit, request.after, request.before, request.since, hub.settings.page_size)

    def answer(store: Store) -> Page:
        hub.rights.readable(session.person, room.name)  # still
        found = store.history(room.name, span)
        return Page(request.q, room.name, found.first, found.head, found.events, found.more, found.edge)

    _later(hub, session, request.q, limit, answer)


def search(hub: Hub, session: Session, request: Search) -> None:
    """The newest messages that hold some words, in rooms that the person may read."""
    if len(request.words) > hub.settings.words:
        raise errors.TooLong(f"search for {hub.settings.words} characters at most")
    if request.name:
        names.same(request.name)  # whether it can be a name at all
    rooms = None if not request.room else (hub.rights.readable(session.person, request.room).name,)
    mine = tuple(room.name for room in hub.rooms.private(session.person))
    limit = max(1, min(request.limit, hub.settings.hits))
    query = Query(tuple(request.words.split()), rooms, mine, request.name, request.since, limit)

    def answer(store: Store) -> Found:
        left = hub.settings.page_size
        hits: list[Hit] = []
        for name, message in store.search(query):
            room = hub.rooms.by_name[name]
            if not hub.rights.may_read(session.person, name):
                continue
            left -= len(message.text.encode()) + len(name) + 128
            if hits and left < 0:
                break
            hits.append(Hit(name, hub.label(room, session.person) if room.private else "", message))
        return Found(request.q, tuple(hits))

    _later(hub, session, request.q, hub.settings.search_cost, answer)


def mark(hub: Hub, session: Session, request: Mark) -> None:
    """The person has read a room up to a number."""
    room = hub.rights.readable(session.person, request.room)
    marks = hub.marks.of(session.person)
    if room.name not in marks and len(marks) >= hub.settings.max_marks:
        raise errors.LimitReached("as many rooms as one person may mark as read")
    hub.rooms.make(room.name)  # a mark is kept with its room
    hub.marks.rise(session.person, room.name, min(request.seq, room.head))
    hub.sessions.reply(session, Done(request.q))


def _later(hub: Hub, session: Session, q: int, cost: int, answer: Callable[[Store], Reply]) -> None:
    """Has the store asked after a commit, as soon as the turn's budget allows; one at a time for each session."""
    if session.reading:
        raise errors.Busy
    if session.peer is None:
        return
    session.reading = True
    hub.later(session, q, cost, partial(_look_up, hub, session, Lookup(session.peer, q, answer)))


def _look_up(hub: Hub, session: Session, lookup: Lookup) -> None:
    session.reading = False
    hub.turn.effects.lookups.append(lookup)
