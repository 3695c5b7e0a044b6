"""The connections to one of the two ports, as the monitor tells of them."""

from __future__ import annotations

import random

from zchat.broker.inflow import is_over
from zchat.broker.settings import Settings
from zchat.broker.strangers import Known, Strangers

STUCK = 256
"""Connections that are over and whose descriptors libzmq keeps, at most; fewer if there may be few connections."""

STUCK_FOR = 5.0
"""Seconds after which what is over is not just about to be let go of."""


class Port:
    """Which connections there are, and who has to go.

    Args:
        settings: how many there may be, and for how long without a session.
        known: whether the connection over a descriptor has a session.

    Attributes:
        open: their descriptors.
    """

    def __init__(self, settings: Settings, known: Known) -> None:
        self.open: set[int] = set()
        self._settings = settings
        self._strangers = Strangers(settings.max_strangers, known, random.randrange)
        self._over: set[int] = set()  # those that were over at the last look, and did not end since
        self._look_at = 0.0

    def go_by(self, settings: Settings) -> None:
        """Other bounds hold from now on."""
        self._settings = settings
        self._strangers.most = settings.max_strangers

    @property
    def strangers(self) -> Strangers:
        """Those that have no session yet, as far as was looked at."""
        return self._strangers

    def accepted(self, fd: int, clock: float) -> None:
        """A connection began."""
        self._over.discard(fd)
        self.open.add(fd)
        self.stranger(fd, clock + self._settings.hello_wait)

    def stranger(self, fd: int, until: float) -> None:
        """A connection has no session, and time until then to say hello."""
        self._strangers.came(fd, until)

    def ended(self, fd: int) -> None:
        """A connection ended."""
        self._over.discard(fd)
        self.open.discard(fd)
        self._strangers.ended(fd)

    def crowded(self) -> list[int]:
        """Which connections have to go, since there are too many."""
        return self._strangers.crowded(self._settings.max_connections - len(self.open))

    def late(self, clock: float) -> list[int]:
        """Which have not said hello in time."""
        return self._strangers.late(clock)

    def stuck(self, known: int, clock: float) -> bool:
        """Whether too many connections are over whose descriptors libzmq does not let go of.

        Args:
            known: how many sessions there are: only if there are far more connections, they are looked at.
        """
        most = min(STUCK, self._settings.max_connections // 4)
        if len(self.open) - len(self._strangers) - known <= most:
            self._over.clear()
            return False
        if clock < self._look_at:
            return False
        self._look_at = clock + STUCK_FOR
        before, self._over = self._over, {fd for fd in self.open if is_over(fd)}
        return len(before & self._over) > most
