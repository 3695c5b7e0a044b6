"""What a client says, and under which send numbers. Pure.

The broker takes a send only under the next number, so a number is answered once and in order; what is refused
retryably is sent again from there on. When the broker's memory of this client is gone, what was under way is
unknown, and numbers begin anew under a new id.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import inf

from zchat.client.pace import Pace
from zchat.messages import Act, Numbered, Send, Value, renumbered

GIVE_UP = 3600.0
"""Seconds after which a send is no longer retried, and said to be unknown."""

BACK = 1.0
"""Seconds at least before sending again what was refused: whatever is under way behind it is refused meanwhile."""


class Pending(Value, frozen=True):
    """A message that is not answered yet, and the ticket it is known by."""

    ticket: int
    request: Numbered


class Outbox:
    """A client's unanswered sends, by number.

    Attributes:
        number: the next to be given out.
        first: the lowest not answered.
    """

    def __init__(self) -> None:
        self.number = 1
        self.first = 1
        self._pending: dict[int, Pending] = {}
        self._tickets = 0
        self._next = 1  # the next to be handed to the socket
        self._high = 0  # the highest that ever was
        self._handed: deque[tuple[int, float]] = deque()  # up to which number they were first handed over, and when
        self._flying = 0  # handed over on this connection and not answered, a number that was sent again each time
        self._window = 1  # how many may be unanswered
        self._not_before: float | None = None
        self._pace = Pace()

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def fresh(self) -> int:
        """How many were not handed over yet."""
        return self.number - self._next

    def add(self, request: Numbered) -> int:
        """Queues what is said under the next number; gives the ticket it is known by."""
        self._tickets += 1
        self._pending[self.number] = Pending(self._tickets, request)
        self.number += 1
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
        self._window = window
        if self._not_before is not None:
            if now < self._not_before:
                return []
            self._not_before = None
        room = window - self._flying
        allowed = self._pace.allows(now, self._flying)
        start = max(self._next, self.first)
        numbers = range(start, min(start + (room if allowed is None else min(room, allowed)), self.number))
        taken = [pending.request for n in numbers if (pending := self._pending.get(n)) is not None]
        if taken:
            self._flying += len(taken)
            self._pace.sent(len(taken), now)
            last = taken[-1].n
            self._next = last + 1
            if last > self._high:
                self._high = last
                self._handed.append((last, now))
        return taken

    def due(self) -> float | None:
        """When there will be something to hand over; None if not for the time alone."""
        if max(self._next, self.first) >= self.number or self._flying >= self._window:
            return None
        if not self._pace.limited:
            return self._not_before
        due = self._pace.due(self._flying)
        return None if due is None else max(due, self._not_before or 0.0)

    def expires(self) -> float:
        """When the oldest will have been tried for too long; infinite if none is."""
        return (self._handed[0][1] if self._handed else inf) + GIVE_UP

    def answered(self, n: int) -> Pending | None:
        """The answer is that a number was used up: what it stood for, if it was waited for."""
        return next(iter(self.acked(n, 1)), None)

    def acked(self, n: int, count: int) -> list[Pending]:
        """The answer is that so many numbers from one on were used up: what those stood for that were waited for."""
        numbers = range(n, min(n + count, self.number))
        found = [pending for number in numbers if (pending := self._pending.pop(number, None)) is not None]
        self._flying = max(self._flying - len(numbers), 0)
        self._pace.taken(len(found))
        self.first = next(iter(self._pending), self.number)
        while self._handed and self._handed[0][0] < self.first:
            self._handed.popleft()
        return found

    def go_back(self, n: int, now: float, delay: float) -> None:
        """The answer is to send again from a number on, after a delay in seconds.

        Whatever was sent behind a refused number is refused too. These refusals come until the delay is over, and are
        one reason to go back, not many.
        """
        self._flying = max(self._flying - 1, 0)
        if n in self._pending:
            self._next = min(self._next, n)
            self._not_before = max(self._not_before or 0.0, now + max(delay, BACK))

    def slow_down(self, n: int, now: float, delay: float) -> None:
        """The answer is that it was too much in too short a time: to send again from a number on, after a delay in
        seconds.
        """
        self._flying = max(self._flying - 1, 0)
        if n not in self._pending:
            return
        self._next = min(self._next, n)
        self._pace.refused(now, delay)

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
        self._pace.anew()

    def void(self) -> list[Pending]:
        """The numbers of messages may have been used again: takes out what names one and was not handed over yet."""
        waiting = [self._pending.pop(n) for n in list(self._pending) if n > self._high]
        self._renumber(pending for pending in waiting if not _names_one(pending.request))
        return [pending for pending in waiting if _names_one(pending.request)]

    def restart(self) -> list[Pending]:
        """The numbers begin anew, under a new client id. Gives what was under way: nobody knows what became of it."""
        unknown = [pending for n, pending in self._pending.items() if n <= self._high]
        kept = [pending for n, pending in self._pending.items() if n > self._high]
        self._pending.clear()
        self._handed.clear()
        self.first, self._high = 1, 0
        self._renumber(kept)
        self.again()
        return unknown

    def _renumber(self, kept: Iterable[Pending]) -> None:
        """Has these follow what was handed over."""
        self.number = self._high + 1
        for pending in kept:
            self._pending[self.number] = Pending(pending.ticket, renumbered(pending.request, self.number))
            self.number += 1


def _names_one(request: Numbered) -> bool:
    """Whether it names a message by its number."""
    match request:
        case Send():
            return request.reply > 0
        case Act():
            return request.target > 0
    return True
