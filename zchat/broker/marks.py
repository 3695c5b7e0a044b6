"""Up to where each person has read each room. Written with the next commit, or a little later: a mark that a crash
takes back lets a person read a few lines again.
"""

from __future__ import annotations

from zchat.broker.turn import Turn
from zchat.store.base import ReadMark

LAZY = 5.0
"""Seconds that a mark waits for other work at most."""


class Marks:
    """The read marks of those who are here.

    Args:
        turn: the turn under way.
    """

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._of: dict[bytes, dict[str, int]] = {}
        self._unsaved: dict[tuple[bytes, str], int] = {}
        self._due = float("inf")

    def of(self, person: bytes) -> dict[str, int]:
        """A person's marks, by room; none of somebody who is not here."""
        return self._of.get(person, {})

    def came(self, person: bytes, marks: dict[str, int]) -> None:
        """A person is here, with these marks."""
        mine = self._of.setdefault(person, {})
        for room, seq in marks.items():
            mine[room] = max(seq, mine.get(room, 0))

    def left(self, person: bytes) -> None:
        """A person is here no longer."""
        self._of.pop(person, None)

    def rise(self, person: bytes, room: str, seq: int) -> None:
        """A person has read a room up to a number."""
        mine = self._of.get(person, {})  # of who left in this very turn nothing is remembered
        if seq > mine.get(room, -1):
            mine[room] = self._unsaved[person, room] = seq
            self._due = min(self._due, self._turn.clock + LAZY)

    def spoke(self, person: bytes, room: str, seq: int, count: int, *, private: bool) -> None:
        """A person said so much, from a number on: who had read everything before it has read everything still."""
        mark = self.of(person).get(room, 0 if private else None)
        if mark == seq - 1:
            self.rise(person, room, seq + count - 1)

    def save(self, *, at_once: bool) -> None:
        """Has the store keep what it does not know yet, if it has other work anyway or it is time."""
        if self._unsaved and (at_once or self._turn.work.writes or self._due <= self._turn.clock):
            self._turn.work.marks += [ReadMark(*key, seq) for key, seq in self._unsaved.items()]

    def saved(self) -> None:
        """The turn's work was committed."""
        for mark in self._turn.work.marks:
            if self._unsaved.get((mark.person, mark.room)) == mark.seq:
                del self._unsaved[mark.person, mark.room]
        if not self._unsaved:
            self._due = float("inf")

    def failed(self) -> None:
        """The turn's work could not be committed: later, then."""
        if self._unsaved:
            self._due = self._turn.clock + LAZY

    def due(self) -> float:
        """When they must be saved, by the hub's clock; infinite if nothing is unsaved."""
        return self._due
