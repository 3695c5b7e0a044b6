"""A data folder, opened without a broker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from scripts.chaos_raw import event
from scripts.checker import Event
from zchat import errors
from zchat.messages import Stamp
from zchat.store.base import Greeting, Store, Work
from zchat.store.sqlite import open_store

PAGE = 500
"""Events read at a time."""


class Unusable(Exception):
    """The store refuses the folder; the message says why."""


@dataclass(slots=True)
class Opened:
    """What a store makes of a folder.

    Attributes:
        rows: of each room, its events.
        warnings: what the operator is told.
        vouched: whether a client that saw a given stamp is told that its numbers still hold.
    """

    rows: dict[str, list[Event]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    vouched: bool = True


def look(folder: Path, stamp: Stamp | None = None) -> Opened:
    """Opens a folder and reads all of it.

    Args:
        stamp: the newest that a client saw; None for none.

    Raises:
        Unusable: it is refused, on opening or later.
    """
    with _refusing(), _store(folder) as (store, warnings):
        found = Opened(warnings=warnings)
        for room in store.rooms():
            events = found.rows.setdefault(room.room, [])
            after = room.first - 1
            while after < room.head:
                part = store.read(room.room, after, PAGE, 1 << 30)
                if not part.events:
                    break
                events += [event(room.room, one) for one in part.events]
                after = part.events[-1].seq
        if stamp is not None:
            (greeted,) = store.commit(Work(greetings=[Greeting(bytes(16), stamp)])).greeted
            found.vouched = greeted is not None and greeted.vouched
        return found


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
