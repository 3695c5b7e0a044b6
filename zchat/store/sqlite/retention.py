"""How long messages are kept, and the clock that tells how old they are. Pure."""

from __future__ import annotations

from dataclasses import dataclass

FASTEST = 24
"""A day of the wall clock takes at least an hour: a clock that jumps ahead by years does not delete a log at once."""

DAY_MS = 24 * 3600 * 1000


@dataclass(slots=True, frozen=True)
class Retention:
    """What is kept.

    Attributes:
        keep_days: for how long, in days; None for ever.
        keep_messages: how many events per room; None for all.
    """

    keep_days: float | None = None
    keep_messages: int | None = None


class Clock:
    """Follows the wall clock, either way, but no faster than `FASTEST` times the time that really goes by.

    Args:
        ms: what it showed last, milliseconds since 1970 UTC; 0 to begin with the wall clock.
    """

    def __init__(self, ms: int = 0) -> None:
        self.ms = ms
        self._wall = 0
        self._last: float | None = None

    def advance(self, wall: int, now: float) -> None:
        """Time has gone by.

        Args:
            wall: the wall clock, milliseconds since 1970 UTC.
            now: a clock that only rises, in seconds.
        """
        most = 0 if self._last is None else int(max(now - self._last, 0.0) * 1000 * FASTEST)
        self._last, self._wall = now, wall
        self.ms = min(max(wall, self.ms - most), self.ms + most) if self.ms else wall

    def oldest(self, keep_days: float) -> int:
        """What was said before is too old, milliseconds since 1970 UTC."""
        return min(self.ms, self._wall) - int(keep_days * DAY_MS)
