"""What a client says, and under which send numbers. Pure.

The broker takes a send only under the next number, so a number is answered once and in order; what is refused
retryably is sent again from there on. When the broker's memory of this client is gone, what was under way is
unknown, and numbers begin anew under a new id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import inf

from zchat.messages import Numbered

GIVE_UP = 3600.0
"""Seconds after which a send is no longer retried, and said to be unknown."""

BACK = 1.0
"""Seconds at least before sending again what was refused: whatever is under way behind it is refused meanwhile."""


@dataclass(slots=True)
class Pending:
    """A message that is not answered yet.

    Attributes:
        room: where, as the user gave it.
        make: the request, given its number.
        changes: whether it changes a message that was said before.
        since: when it was first handed over; infinite before.
    """

    ticket: int
    room: str
    make: Callable[[int], Numbered]
    changes: bool = False
    since: float = inf


@dataclass(slots=True)
class Outbox:
    """A client's unanswered sends, by number."""

    _pending: dict[int, Pending] = field(default_factory=dict)
    _tickets: int = 0
    _last: int = 0  # the last number given out
    _next: int = 1  # the next to be handed to the socket
    _high: int = 0  # the highest that ever was
    _flying: int = 0  # handed over on this connection and not answered, a number that was sent again each time
    _not_before: float | None = None

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def first(self) -> int:
        """The lowest number not answered."""
        return next(iter(self._pending), self._last + 1)

    def add(self, room: str, make: Callable[[int], Numbered], *, changes: bool = False) -> int:
        """Queues what is said in a room; gives the ticket it is known by."""
        self._last += 1
        self._pending[self._last] = Pending(self.ticket(), room, make, changes)
        return self._tickets

    def ticket(self) -> int:
        """A new ticket."""
        self._tickets += 1
        return self._tickets

    def take(self, window: int, now: float) -> list[Numbered]:
        """The sends to be handed over now.

        Args:
            window: how many may be unanswered altogether.
            now: in seconds.
        """
        if self._not_before is not None and now < self._not_before:
            return []
        self._not_before = None
        start = max(self._next, self.first)
        taken = [
            pending.make(n)
            for n in range(start, min(start + window - self._flying, self._last + 1))
            if (pending := self._pending.get(n)) is not None
        ]
        self._flying += len(taken)
        for send in taken:
            pending = self._pending[send.n]
            pending.since = min(pending.since, now)
        if taken:
            self._next = taken[-1].n + 1
            self._high = max(self._high, taken[-1].n)
        return taken

    def due(self) -> float | None:
        """When there will be something to hand over; None if not for the time alone."""
        return self._not_before if max(self._next, self.first) <= self._last else None

    def expires(self) -> float:
        """When the oldest will have been tried for too long; infinite if none is."""
        return next((pending.since for pending in self._pending.values()), inf) + GIVE_UP

    def answered(self, n: int) -> Pending | None:
        """The answer is that a number was used up: what it stood for, if it was waited for."""
        self._flying = max(self._flying - 1, 0)
        return self._pending.pop(n, None)

    def acked(self, n: int, count: int) -> Iterator[Pending]:
        """The answer is that so many numbers from one on were used up: what they stood for."""
        for number in range(n, min(n + count, self._last + 1)):
            pending = self.answered(number)
            if pending is not None:
                yield pending

    def go_back(self, n: int, now: float, delay: float) -> None:
        """The answer is to send again from a number on, after a delay in seconds.

        Whatever was sent behind a refused number is refused too. These refusals come until the delay is over, and are
        one reason to go back, not many.
        """
        self._flying = max(self._flying - 1, 0)
        if n in self._pending:
            self._next = min(self._next, n)
            self._not_before = max(self._not_before or 0.0, now + max(delay, BACK))

    def agrees(self, last: int, vouched: bool) -> bool:
        """Whether what the broker knows of this client's sends can be true.

        Args:
            last: the last number the store knows.
            vouched: whether the store vouches for the stamp of before.
        """
        under_way = self._high >= self.first
        return self.first - 1 <= last <= self._high and (vouched or not under_way)

    def again(self) -> None:
        """A new connection: everything not answered is sent again."""
        self._next, self._flying = self.first, 0
        self._not_before = None

    def void(self) -> list[Pending]:
        """The numbers of messages may have been used again: takes out what changes one and was not handed over yet."""
        waiting = [self._pending.pop(n) for n in list(self._pending) if n > self._high]
        kept = [pending for pending in waiting if not pending.changes]
        self._pending.update(enumerate(kept, self._high + 1))
        self._last = self._high + len(kept)
        return [pending for pending in waiting if pending.changes]

    def restart(self) -> list[Pending]:
        """The numbers begin anew, under a new client id. Gives what was under way: nobody knows what became of it."""
        unknown = [pending for n, pending in self._pending.items() if n <= self._high]
        kept = [pending for n, pending in self._pending.items() if n > self._high]
        self._pending = dict(enumerate(kept, 1))
        self._last, self._high = len(kept), 0
        self.again()
        return unknown
