"""How fast to ask, once the broker has said that it was too much in too short a time. Pure.

The pace that it allows is found as TCP finds its own (RFC 5681): it is halved when something is refused, and rises with
what is taken. The broker's bucket fills up while we are slower than it allows, and so levels it out.
"""

from __future__ import annotations

FIRST = 32.0
"""Requests a second after the first refusal."""

SLOWEST, FASTEST = 0.1, 10_000.0
"""Requests a second at least; and from when on the pace is no matter any more."""

RISE = (1.0, 1 / 8)
"""By how much the pace rises with each request that is taken: until it was too fast once, and from then on. The latter
doubles it in some six seconds, whatever it is.
"""

SPARE = 8.0
"""Requests that may be sent at once for the time in which there were none, or what the pace allows in half a second."""


class Pace:
    """When how many may be sent: as many as one likes, until something was refused."""

    def __init__(self) -> None:
        self._rate: float | None = None  # requests a second
        self._rise = RISE[0]
        self._settling = False  # whether what was under way at a refusal is not all answered
        self._free_at = 0.0

    @property
    def limited(self) -> bool:
        """Whether there is a pace to be kept."""
        return self._rate is not None

    def refused(self, now: float, delay: float) -> None:
        """It was too much, and may be tried again after a delay in seconds.

        Until all that is under way is answered nothing should be sent: much of it is refused for the same reason.
        """
        self._free_at = max(self._free_at, now + delay)
        if not self._settling:
            self._rise = RISE[0 if self._rate is None else 1]
            self._rate = FIRST if self._rate is None else max(self._rate / 2, SLOWEST)
            self._settling = True

    def allows(self, now: float, under_way: int) -> int | None:
        """How many may be sent now; None for as many as one likes.

        Args:
            under_way: how many are not answered.
        """
        if self._rate is None:
            return None
        if now < self._free_at or (self._settling and under_way):
            return 0
        if self._settling:
            self._settling, self._free_at = False, now
        return int(min((now - self._free_at) * self._rate, max(SPARE, self._rate / 2))) + 1

    def sent(self, count: int, now: float) -> None:
        """So many were sent."""
        if self._rate is not None:
            spare = max(SPARE / self._rate, 0.5)
            self._free_at = max(self._free_at, now - spare) + count / self._rate

    def taken(self, count: int) -> None:
        """So many were not refused."""
        if self._rate is not None:
            rate = self._rate + self._rise * count
            self._rate = rate if rate < FASTEST else None

    def due(self, under_way: int) -> float | None:
        """When more may be sent; None if not for the time alone."""
        return None if self._rate is None or (self._settling and under_way) else self._free_at

    def anew(self) -> None:
        """Nothing is under way any more."""
        self._settling = False
