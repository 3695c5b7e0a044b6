"""Where a reader is in a room: what it delivers, holds, skips, and still has to read. Pure.

Only events move the position, never acks. Next number: deliver; lower: seen, skip; higher: hold, and read what
lies between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from zchat.messages import Event, Page

HELD = 1024
"""Events held ahead of the position at most; what overflows is read again."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Numbers that can no longer be had."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Begin:
    """Where a reader begins in a room: where nothing else is said, at its head.

    Attributes:
        after: after this number.
        missed: else after what the person has read, if that is known.
        tail: else with so many of its last messages.
    """

    after: int | None = None
    missed: bool = False
    tail: int = 0


HEAD = Begin()


@dataclass(slots=True)
class Stream:
    """A reader's place in one room.

    Attributes:
        position: the last number delivered; None until it is known where to begin.
        target: the highest number known to exist.
    """

    position: int | None = None
    target: int = 0
    _held: dict[int, Event] = field(default_factory=dict)

    @property
    def behind(self) -> bool:
        """Whether something is known to exist that neither came nor is held in its place."""
        return self.position is not None and self.position < self.target

    @property
    def torn(self) -> bool:
        """Whether events are held that lie beyond one that is missing."""
        return self.position is not None and bool(self._held)

    def begin(self, position: int) -> Iterator[Event]:
        """Begins after a number; gives what was held and comes next."""
        self.position = position
        self.reach(position)
        for seq in [seq for seq in self._held if seq <= position]:
            del self._held[seq]
        yield from self._next()

    def reach(self, head: int) -> None:
        """Learns that there are events up to a number."""
        self.target = max(self.target, head)

    def offer(self, events: Sequence[Event]) -> Sequence[Event]:
        """Takes events as they come; gives those whose turn it is, in order."""
        if self.position is not None and not self._held:
            last = self.position + len(events)
            if [event.seq for event in events] == list(range(self.position + 1, last + 1)):  # as nearly always
                self.position = last
                self.reach(last)
                return events
        return self._sort_in(events)

    def _sort_in(self, events: Iterable[Event]) -> list[Event]:
        found: list[Event] = []
        for event in events:
            self.reach(event.seq)
            if self.position is not None and event.seq == self.position + 1:
                self.position = event.seq
                found.append(event)
                if self._held:
                    found += self._next()
            elif (self.position is None or event.seq > self.position) and len(self._held) < HELD:
                self._held[event.seq] = event
        return found

    def page(self, page: Page) -> Iterator[Event | Lost]:
        """Takes a page that was read after a position, this one or one before; gives what is lost for good, and the
        events in order.
        """
        self.reach(page.head)
        # A page leaves nothing out that is kept: what lies before its first event, or between two, can not be had.
        yield from self._pass(page.first - 1 if page.events else page.head)
        for run in _runs(page.events):
            yield from self._pass(run[0].seq - 1)
            yield from self.offer(run)

    def _pass(self, last: int) -> Iterator[Event | Lost]:
        """Goes on to a number, over what is missing."""
        while self.position is not None and self.position < last:
            first = self.position + 1
            if first not in self._held:
                self.position = min(last, min(self._held, default=last + 1) - 1)
                yield Lost(first, self.position)
            yield from self._next()

    def _next(self) -> Iterator[Event]:
        while self.position is not None and (event := self._held.pop(self.position + 1, None)) is not None:
            self.position = event.seq
            yield event
        if self._held and self.position is not None and min(self._held) <= self.position:
            self._held = {seq: event for seq, event in self._held.items() if seq > self.position}


def _runs(events: Sequence[Event]) -> Iterable[Sequence[Event]]:
    """Events in runs without a hole."""
    if events and events[-1].seq - events[0].seq == len(events) - 1:  # as nearly always
        return [events]
    return [[event] for event in events]
