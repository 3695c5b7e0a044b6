"""What a client says, and under which send numbers. Pure.

The broker takes a send only under the next number, so a number is answered once and in order; what is refused
retryably is sent again from there on. When the broker's memory of this client is gone, what was under way is
unknown, and numbers begin anew under a new id.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from zchat.messages import Send

GIVE_UP = 3600.0
"""Seconds after which a send is no longer retried, and said to be unknown."""

BACK = 1.0
"""Seconds before going back to the same number once more."""


@dataclass(slots=True)
class Pending:
    """A message that is not answered yet."""

    ticket: int
    room: str
    text: str
    action: bool
    since: float


@dataclass(slots=True)
class Outbox:
    """A client's unanswered sends, by number."""

    _pending: dict[int, Pending] = field(default_factory=dict)
    _tickets: int = 0
    _last: int = 0  # the last number given out
    _next: int = 1  # the next to be handed to the socket
    _high: int = 0  # the highest that ever was
    _not_before: float = 0.0
    _back: tuple[int, float] = (0, 0.0)  # the number last gone back to, and until when not again

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def under_way(self) -> int:
        """How many were handed over and are not answered."""
        return max(self._next - self.first, 0)

    @property
    def first(self) -> int:
        """The lowest number not answered."""
        return next(iter(self._pending), self._last + 1)

    def add(self, room: str, text: str, action: bool, now: float) -> int:
        """Queues a message; gives the ticket it is known by."""
        self._last += 1
        self._tickets += 1
        self._pending[self._last] = Pending(self._tickets, room, text, action, now)
        return self._tickets

    def take(self, window: int, now: float) -> list[Send]:
        """The sends to be handed over now.

        Args:
            window: how many may be under way altogether.
            now: in seconds.
        """
        if now < self._not_before:
            return []
        end = min(self._last + 1, self.first + window)
        taken = [
            Send(n, pending.room, pending.text, pending.action)
            for n in range(max(self._next, self.first), end)
            if (pending := self._pending.get(n)) is not None
        ]
        if taken:
            self._next = taken[-1].n + 1
            self._high = max(self._high, taken[-1].n)
        return taken

    def due(self) -> float | None:
        """When there is something to hand over, or to give up; None if nothing waits."""
        if not self._pending:
            return None
        oldest = next(iter(self._pending.values())).since + GIVE_UP
        return min(oldest, self._not_before) if self._next <= self._last else oldest

    def answered(self, n: int) -> Pending | None:
        """A number was used up: what it stood for, if it was waited for."""
        return self._pending.pop(n, None)

    def go_back(self, n: int, now: float, delay: float) -> None:
        """Sends again from a number on, after a delay in seconds.

        Whatever was sent behind a refused number is refused too, each time: they are one reason to go back, not many.
        """
        if n not in self._pending or (n == self._back[0] and now < self._back[1]):
            return
        self._back = (n, now + max(delay, BACK))
        self._next = min(self._next, n)
        self._not_before = now + delay

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
        self._next = self.first
        self._not_before, self._back = 0.0, (0, 0.0)

    def restart(self) -> list[Pending]:
        """The numbers begin anew, under a new client id. Gives what was under way: nobody knows what became of it."""
        unknown = [pending for n, pending in self._pending.items() if n <= self._high]
        kept = [pending for n, pending in self._pending.items() if n > self._high]
        self._pending = dict(enumerate(kept, 1))
        self._last, self._high = len(kept), 0
        self.again()
        return unknown

    def expired(self, now: float) -> bool:
        """Whether the oldest has been tried for too long."""
        return bool(self._pending) and next(iter(self._pending.values())).since + GIVE_UP <= now
