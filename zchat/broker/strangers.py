"""Connections that nobody vouches for yet: how many there may be, and for how long. Pure."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush

Known = Callable[[int], bool]
"""Whether the connection over a descriptor has a session."""


class Strangers:
    """Connections to one port that have no session yet, as far as was looked at.

    Args:
        most: how many there may be.
        known: whether one has a session by now.
        choose: a random number below one that is given, to choose who has to go. Who fills all places cannot keep
            them, and a crowd that comes at once, after a restart, is not held up by those who came first.
    """

    def __init__(self, most: int, known: Known, choose: Callable[[int], int]) -> None:
        self.most = most
        self._known = known
        self._choose = choose
        self._until: dict[int, float] = {}
        self._queue: list[tuple[float, int]] = []

    def __len__(self) -> int:
        return len(self._until)

    def came(self, fd: int, until: float) -> None:
        """A connection has no session; it has time until then, in seconds of the clock that `late` is told."""
        self._until[fd] = until
        heappush(self._queue, (until, fd))
        if len(self._queue) > 4 * len(self._until) + 1024:
            self._queue = [(at, one) for one, at in self._until.items()]
            heapify(self._queue)

    def ended(self, fd: int) -> None:
        """A connection is no more."""
        self._until.pop(fd, None)

    def late(self, clock: float) -> list[int]:
        """Those whose time is up and who have no session; they are forgotten."""
        found = []
        while self._queue and self._queue[0][0] <= clock:
            until, fd = heappop(self._queue)
            if self._until.get(fd) == until:
                del self._until[fd]
                if not self._known(fd):
                    found.append(fd)
        return found

    def crowded(self, room: int) -> list[int]:
        """Those that have to go; they are forgotten.

        Args:
            room: how many connections the port could take in addition; below 0 for too many.
        """
        over = max(len(self._until) - self.most, -room)
        if over <= 0:
            return []
        strangers = self.unknown()
        over = max(len(strangers) - self.most, -room)
        found = []
        while over > 0 and strangers:
            at = self._choose(len(strangers))
            strangers[at], strangers[-1] = strangers[-1], strangers[at]
            found.append(strangers.pop())
            over -= 1
        for fd in found:
            del self._until[fd]
        return found

    def unknown(self) -> list[int]:
        """Those that have no session; the others are no strangers any more."""
        left = []
        for fd in list(self._until):
            if self._known(fd):
                del self._until[fd]
            else:
                left.append(fd)
        return left
