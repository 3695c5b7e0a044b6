"""Stores that fail, are reopened and fall back, and that remember all they ever kept."""

from __future__ import annotations

import copy
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Self, cast

from zchat import codec, errors
from zchat.messages import Acted, Deleted, Edited, Event, Message, Stamp
from zchat.store.base import (
    Amend,
    Append,
    Deed,
    Kept,
    KnownName,
    Outcome,
    Query,
    Quotas,
    Record,
    Refusal,
    RoomRecord,
    Sending,
    Slice,
    Span,
    Store,
    Work,
)
from zchat.store.memory import MemoryStore
from zchat.store.sqlite import SqliteStore, open_store
from zchat.store.sqlite.retention import Retention
from zchat.verbs import AUDIT

Logged = Message | Edited | Deleted | Acted

POISON = "poison"
"""What no store here can keep."""


def _texts(send: Sending) -> list[str]:
    match send:
        case Append():
            return [said.text for said in send.said]
        case Amend():
            return [send.text or ""]
    return []


@dataclass(eq=False)
class Life(ABC):
    """A store from its opening to its end.

    Attributes:
        log: what was kept, by room and number, as it was said, whatever was dropped since.
        authors: which person each is of.
        failing: so many commits will fail.
        blind: so many lookups will fail.
        quotas: not looked at.
    """

    inner: Store
    log: dict[str, dict[int, Logged]] = field(default_factory=dict)
    authors: dict[tuple[str, int], bytes] = field(default_factory=dict)
    failing: int = 0
    blind: int = 0
    quotas: Quotas = field(default_factory=Quotas)

    @property
    def stamp(self) -> Stamp:
        return self.inner.stamp

    def retain(self, keep_days: float | None, keep_messages: int | None) -> None:
        self.inner.retain(keep_days, keep_messages)

    def commit(self, work: Work) -> Outcome:
        if self.failing:
            self.failing -= 1
            raise errors.StoreUnavailable("as the test wants it")
        if any(POISON in text for send in work.sends for text in _texts(send)):
            raise errors.StoreRejected("as the test wants it")
        outcome = self.inner.commit(work)
        for send, parts in zip(work.sends, outcome.sends, strict=True):
            encoded = [event for part in parts if isinstance(part, Kept) for event in part.events]
            for event in map(codec.decode_event, encoded):
                assert isinstance(event, Logged)
                assert not isinstance(send, Refusal)
                log = self.log.setdefault(send.room, {})
                assert event.seq == len(log) + 1
                assert isinstance(event, Message) == isinstance(send, Append)
                assert isinstance(event, Acted) == isinstance(send, Deed)
                if isinstance(event, Edited | Deleted):
                    assert isinstance(log[event.target], Message)
                    assert not self.deletion(send.room, event.target)
                    assert self.authors[send.room, event.target] == send.person
                log[event.seq] = event
                self.authors[send.room, event.seq] = send.person
        return outcome

    def read(self, room: str, after: int, limit: int, size: int) -> Slice:
        self._look()
        return self.inner.read(room, after, limit, size)

    def history(self, room: str, span: Span) -> Slice:
        self._look()
        return self.inner.history(room, span)

    def search(self, query: Query) -> list[tuple[str, Message]]:
        self._look()
        return self.inner.search(query)

    def _look(self) -> None:
        if self.blind:
            self.blind -= 1
            raise errors.StoreUnavailable("as the test wants it")

    def rooms(self) -> list[RoomRecord]:
        return self.inner.rooms()

    def names(self) -> list[KnownName]:
        return self.inner.names()

    def records(self) -> list[Record]:
        return self.inner.records()

    def tidy(self, ms: int, *, idle: bool) -> float:
        return self.inner.tidy(ms, idle=idle)

    def close(self) -> None:
        self.inner.close()

    # What becomes of it

    @abstractmethod
    def reopened(self) -> Self:
        """The same log, in a run of its own: what a durable store is after a restart."""

    @abstractmethod
    def snapshot(self) -> Callable[[], Self]:
        """What makes a life of the log as it is now."""

    @abstractmethod
    def emptied(self) -> Self:
        """A life that knows nothing of this one."""

    @abstractmethod
    def forget(self, kept: int) -> None:
        """Retention drops what is old."""

    # What it ever kept

    def head(self, room: str) -> int:
        return len(self.log.get(room, {}))

    def first(self, room: str) -> int:
        """The number of the oldest event that is kept."""
        return self.inner.read(room, 0, 1, 1).first

    def deletion(self, room: str, seq: int) -> int:
        """The number of the deletion of a message; 0 if it is not deleted."""
        log = self.log[room].values()
        return next((event.seq for event in log if isinstance(event, Deleted) and event.target == seq), 0)

    def members(self, room: str, people: dict[str, bytes]) -> set[bytes] | None:
        """Who belongs to a private room by what was done in it; None if it is no such room.

        Args:
            people: who has each name.
        """
        if room == AUDIT:
            return set()
        log = self.log.get(room, {})
        if room[0] != "@" or not log or not isinstance(log[1], Acted) or log[1].verb != "create":
            return None
        found: set[bytes] = set()
        for seq, event in log.items():
            match getattr(event, "verb", ""):
                case "create":
                    found.add(self.authors[room, seq])
                case "invite":
                    found.add(people[event.whom])  # type: ignore[union-attr]
                case "kick":
                    found.remove(people[event.whom])  # type: ignore[union-attr]
                case "ban":
                    found.discard(people[event.whom])  # type: ignore[union-attr]
                case "leave":
                    found.remove(self.authors[room, seq])
        return found

    def find(self, text: str) -> list[tuple[str, int]]:
        return [
            (room, seq)
            for room, log in self.log.items()
            for seq, event in log.items()
            if getattr(event, "text", "") == text
        ]

    def place(self, event: Logged) -> str:
        """Which room an event is of, by who said it under which number."""
        (room,) = [
            room
            for room, log in self.log.items()
            if event.seq in log and (log[event.seq].sender, log[event.seq].n) == (event.sender, event.n)
        ]
        return room

    def fits(self, room: str, event: Event) -> bool:
        """Whether that is what was said under that number, or what a deletion left of it."""
        known = self.log.get(room, {}).get(event.seq)
        if known is None or event == known:
            return known is not None
        if isinstance(known, Message) and (deletion := self.deletion(room, known.seq)):
            return event == replace_event(known, text="", deleted=deletion)
        return (
            isinstance(known, Edited)
            and bool(self.deletion(room, known.target))
            and event == replace_event(known, text="")
        )

    def read_wrong(self) -> list[Event]:
        """What is read otherwise than as it was said, or than a deletion left it."""
        wrong: list[Event] = []
        for room in self.log:
            for event in self.inner.read(room, 0, 10_000, 1 << 30).events:
                message = event.target if isinstance(event, Edited) else event.seq
                left = isinstance(event, Message | Edited) and event.text and self.deletion(room, message)
                if left or not self.fits(room, event):
                    wrong.append(event)
        return wrong

    def fits_now(self, room: str, message: Message) -> bool:
        """Whether that is what a message said at some time."""
        known = self.log[room].get(message.seq)
        if not isinstance(known, Message) or message.deleted:
            return False
        if not message.edited:
            return message == known
        edit = self.log[room].get(message.edited)
        fit = isinstance(edit, Edited) and edit.target == known.seq
        return fit and message == replace_event(known, text=edit.text, edited=edit.seq)  # type: ignore[union-attr]


def replace_event(event: Message | Edited, **changes: str | int) -> Message | Edited:
    fields = {name: getattr(event, name) for name in event.__struct_fields__}
    return type(event)(**{**fields, **changes})


@dataclass(eq=False)
class Memory(Life):
    """In memory. That it is reopened is played, and so is what it can vouch for then.

    Attributes:
        run: of its stamp.
        ends: the runs it knows, and the last turn of each.
    """

    run: bytes = b""
    ends: dict[bytes, int] = field(default_factory=dict)
    token: Callable[[int], bytes] = bytes

    @classmethod
    def made(cls, token: Callable[[int], bytes]) -> Memory:
        return cls(MemoryStore(), run=token(8), token=token)

    @property
    def stamp(self) -> Stamp:
        return Stamp(self.run, self.inner.stamp.turn)

    def commit(self, work: Work) -> Outcome:
        greetings = [replace(greeting, stamp=None) for greeting in work.greetings]
        outcome = super().commit(replace(work, greetings=greetings))
        greeted = [
            None if greeted is None else replace(greeted, vouched=self._vouches(greeting.stamp))
            for greeting, greeted in zip(work.greetings, outcome.greeted, strict=True)
        ]
        return Outcome(outcome.sends, greeted)

    def _vouches(self, stamp: Stamp | None) -> bool:
        return stamp is None or stamp.turn <= {**self.ends, self.run: self.stamp.turn}.get(stamp.run, -1)

    def reopened(self) -> Memory:
        ends = {**self.ends, self.run: self.stamp.turn}
        return Memory(self.inner, self.log, self.authors, run=self.token(8), ends=ends, token=self.token)

    def snapshot(self) -> Callable[[], Memory]:
        inner, log, authors = copy.deepcopy(self.inner), copy.deepcopy(self.log), dict(self.authors)
        then = Memory(inner, log, authors, run=self.run, ends=dict(self.ends), token=self.token)
        return then.reopened

    def emptied(self) -> Memory:
        return Memory.made(self.token)

    def forget(self, kept: int) -> None:
        for room in cast(MemoryStore, self.inner)._rooms.values():
            while len(room.events) > kept:
                room.drop()


@dataclass(eq=False)
class Disk(Life):
    """On disk. It ends as a killed process leaves it, or closed.

    Attributes:
        folder: of all of them.
        numbers: what their folders are called.
        at: its own.
    """

    folder: Path = Path()
    numbers: count[int] = field(default_factory=count)
    at: Path = Path()

    @classmethod
    def made(cls, folder: Path, numbers: count[int] | None = None) -> Disk:
        numbers = numbers or count()
        at = folder / str(next(numbers))
        return cls(open_store(at), folder=folder, numbers=numbers, at=at)

    def _copied(self) -> Path:
        to = self.folder / str(next(self.numbers))
        shutil.copytree(self.at, to)
        return to

    def _opened(self, at: Path, log: dict[str, dict[int, Logged]], authors: dict[tuple[str, int], bytes]) -> Disk:
        return Disk(open_store(at), log, authors, folder=self.folder, numbers=self.numbers, at=at)

    def reopened(self) -> Disk:
        killed = next(self.numbers) % 2
        at = self._copied() if killed else self.at
        self.close()
        return self._opened(at, self.log, self.authors)

    def snapshot(self) -> Callable[[], Disk]:
        at, log, authors = self._copied(), copy.deepcopy(self.log), dict(self.authors)
        return lambda: self._opened(at, log, authors)

    def emptied(self) -> Disk:
        return Disk.made(self.folder, self.numbers)

    def forget(self, kept: int) -> None:
        upkeep = cast(SqliteStore, self.inner)._upkeep
        upkeep._retention = Retention(keep_messages=kept)
        upkeep.note_over(upkeep._cache.rooms.values())
        while not self.inner.tidy(0, idle=True):
            pass
        upkeep._retention = Retention()
