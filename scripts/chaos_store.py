"""A data folder, opened without a broker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from scripts.chaos_client import secret
from scripts.chaos_raw import event
from scripts.checker import Event, stays
from zchat import errors
from zchat.messages import Stamp
from zchat.store.base import Greeting, Membership, Store, Work
from zchat.store.sqlite import open_store
from zchat.verbs import AUDIT

PAGE = 500
"""Events read at a time."""


class Unusable(Exception):
    """The store refuses the folder; the message says why."""


@dataclass(slots=True)
class Opened:
    """What a store makes of a folder.

    Attributes:
        rows: of each room, its events.
        doors: of each room, who belongs to it.
        warnings: what the operator is told.
        vouched: whether a client that saw a given stamp is told that its numbers still hold.
    """

    rows: dict[str, list[Event]] = field(default_factory=dict)
    doors: dict[str, set[bytes]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    vouched: bool = True


def look(folder: Path, stamp: Stamp | None = None, called: Mapping[str, str] | None = None) -> Opened:
    """Opens a folder and reads all of it.

    Args:
        stamp: the newest that a client saw; None for none.
        called: what private rooms are called in the notes, by their ids.

    Raises:
        Unusable: it is refused, on opening or later.
    """
    with _refusing(), _store(folder) as (store, warnings):
        found = Opened(warnings=warnings)
        for record in store.records():
            if isinstance(record, Membership):
                found.doors.setdefault(record.room, set()).add(record.person)
        for room in store.rooms():
            label = (called or {}).get(room.room, room.room)
            events = found.rows.setdefault(label, [])
            if label != room.room and room.room in found.doors:
                found.doors[label] = found.doors.pop(room.room)
            after = room.first - 1
            while after < room.head:
                part = store.read(room.room, after, PAGE, 1 << 30)
                if not part.events:
                    break
                events += [event(label, one) for one in part.events]
                after = part.events[-1].seq
        if stamp is not None:
            (greeted,) = store.commit(Work(greetings=[Greeting(bytes(16), stamp)])).greeted
            found.vouched = greeted is not None and greeted.vouched
        return found


def strays(found: Opened) -> str:
    """In which private room others are members than what happened there says; empty if in none."""
    for room, events in found.rows.items():
        said = {secret(who) for who, mine in stays(events).items() if mine[-1].until is None}
        there = found.doors.get(room, set())
        made = room[0] in "@+" and room != AUDIT and any(event.verb == "create" for event in events)
        if made and there != said:
            return f"{room} lets {len(there - said)} in who were sent out, and not {len(said - there)} who were let in"
    return ""


def earlier(one: Event, later: Event) -> bool:
    """Whether it is the same event as it was before: only what it says may have been taken back since."""
    same = (one.seq, one.id, one.target) == (later.seq, later.id, later.target)
    return same and (one.text == later.text or not later.text)


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except errors.ZchatError as error:
        raise Unusable(f"{type(error).__name__}: {error}") from None


@contextmanager
def _store(folder: Path) -> Iterator[tuple[Store, list[str]]]:
    store = open_store(folder)
    try:
        yield store, store.warnings
    finally:
        store.close()
