"""The connections to one of the two ports, as the monitor tells of them."""

from __future__ import annotations

import random

from zchat.broker.settings import Settings
from zchat.broker.strangers import Known, Strangers


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

    def go_by(self, settings: Settings) -> None:
        """Other bounds hold from now on."""
        self._settings = settings
        self._strangers.most = settings.max_strangers

    def accepted(self, fd: int, clock: float) -> None:
        """A connection began."""
        self.open.add(fd)
        self.stranger(fd, clock + self._settings.hello_wait)

    def stranger(self, fd: int, until: float) -> None:
        """A connection has no session, and time until then to say hello."""
        self._strangers.came(fd, until)

    def ended(self, fd: int) -> None:
        """A connection ended."""
        self.open.discard(fd)
        self._strangers.ended(fd)

    def crowded(self) -> list[int]:
        """Which connections have to go, since there are too many."""
        return self._strangers.crowded(self._settings.max_connections - len(self.open))

    def late(self, clock: float) -> list[int]:
        """Which have not said hello in time."""
        return self._strangers.late(clock)
