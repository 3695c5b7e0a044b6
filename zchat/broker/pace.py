"""How long a broker waits after it told a crowd something, so that what is said meanwhile goes in one frame. Pure.

A frame to a thousand people takes libzmq's thread some ten milliseconds, of which most goes into calling the system a
thousand times. Whatever is said until it is through has to wait for it anyway: better in one frame than in many.
"""

from __future__ import annotations

CROWD = 50
"""Followers of a room from which on what it is told takes noticeably long."""

LEAST, MOST = 8e-6, 50e-6
"""Seconds for each time that a frame is sent to somebody: what it takes at least, and when it is long, in a flood."""

GROWTH = 1.5
"""How much longer is waited each time that the crowd has more to be told at once."""

LONGEST = 0.05
"""Seconds that are waited at most, for all others wait too."""


class Pace:
    """When to go on.

    Attributes:
        until: the time in seconds.
    """

    def __init__(self) -> None:
        self.until = 0.0
        self._each = LEAST

    def told(self, times: int, now: float) -> None:
        """Frames were handed to libzmq, to be sent so many times to members of crowds."""
        flood = now < self.until + LONGEST / 2
        self._each = min(self._each * GROWTH, MOST) if flood else LEAST
        self.until = now + min(times * self._each, LONGEST)
