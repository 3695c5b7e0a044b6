"""Up to where the person has read each room, told to the broker now and then. Pure."""

from __future__ import annotations

from zchat.client.channel import Channel
from zchat.messages import Mark

PAUSE = 2.0
"""Seconds between two times of telling at least."""


class Marks:
    """What is to be told.

    Args:
        channel: the way out.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._told: dict[str, int] = {}
        self._untold: dict[str, int] = {}
        self._asked: dict[int, str] = {}  # told, and not answered yet
        self._not_before = float("-inf")

    def rise(self, room: str, seq: int) -> None:
        """The person has read a room, by its name or id, up to a number."""
        if seq > self._told.get(room, -1):
            self._told[room] = self._untold[room] = seq

    def due(self) -> float:
        """When `tell` has something to do; infinite if it has nothing."""
        return self._not_before if self._untold else float("inf")

    def tell(self, now: float, *, at_once: bool = False) -> None:
        """Tells what is untold, if it is time."""
        if self._untold and (at_once or now >= self._not_before):
            for room, seq in self._untold.items():
                mark = Mark(self._channel.number(), room, seq)
                self._asked[mark.q] = room
                self._channel.ask(mark)
            self._untold.clear()
            self._not_before = now + PAUSE

    def answered(self, q: int) -> None:
        """A request was answered, this or another."""
        self._asked.pop(q, None)

    def forget(self) -> None:
        """Numbers may have been used again: what was read means nothing any more."""
        self._told, self._untold, self._asked = {}, {}, {}

    def again(self) -> None:
        """A new connection: what was not answered is told again."""
        for room in self._asked.values():
            self._untold[room] = self._told[room]
        self._asked.clear()
