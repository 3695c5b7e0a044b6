"""Who is in the rooms that a client follows. Pure.

A roster has a version, and every presence raises it: one that is missed has the whole roster asked for.
"""

from __future__ import annotations

from collections import deque

from zchat.client import events as heard
from zchat.client.channel import Channel
from zchat.client.followed import Followed
from zchat.messages import People, Presence, Who


class Rosters:
    """The rosters of all rooms; each is kept in its room.

    Args:
        channel: the way out.
        events: where what the user is to hear goes.
    """

    def __init__(self, channel: Channel, events: deque[heard.Event]) -> None:
        self._channel = channel
        self._events = events
        self._asked: dict[int, Followed] = {}  # not answered yet

    def offline(self) -> None:
        """Nothing that was asked will be answered."""
        self._asked = {}

    def dropped(self, room: Followed) -> None:
        """A room is followed no longer."""
        self._asked = {q: asked for q, asked in self._asked.items() if asked is not room}

    def presence(self, room: Followed, told: Presence) -> None:
        """A presence was published."""
        if not room.joined or told.version <= room.version:
            return
        missed, room.version, room.count = told.version != room.version + 1, told.version, told.count
        if room.names is not None and (missed or room in self._asked.values()):
            self.ask(room)
            return
        if room.names is None and (told.joined or told.left or told.lost or told.renamed):
            self.ask(room)  # it is a crowd no more
        if room.names is not None:
            gone = {*told.left, *told.lost, *(old for old, _ in told.renamed)}
            room.names = (room.names - gone) | {*told.joined, *(new for _, new in told.renamed)}
            if len(room.names) != told.count:
                room.names = None
        self._events.append(heard.Presence(room.label, told.count, told.joined, told.left, told.lost, told.renamed))

    def ask(self, room: Followed) -> None:
        """Asks who is in a room, unless that is under way."""
        if room not in self._asked.values():
            q = self._channel.number()
            self._asked[q] = room
            self._channel.ask(Who(q, room.name))

    def answered(self, people: People) -> bool:
        """Takes in who is in a room; says whether that was asked for here."""
        room = self._asked.pop(people.q, None)
        if room is None:
            return False
        if people.version < room.version:
            self.ask(room)  # a presence overtook it
        else:
            self.take(room, people.version, people.count, people.names)
        return True

    def take(self, room: Followed, version: int, count: int, names: tuple[str, ...]) -> None:
        """Takes in a roster, and tells what changed."""
        before, room.names = room.names, set(names) if len(names) == count else None
        changed, room.version, room.count = count != room.count, version, count
        joined: tuple[str, ...] = ()
        left: tuple[str, ...] = ()
        if before is not None and room.names is not None:
            joined, left = tuple(sorted(room.names - before)), tuple(sorted(before - room.names))
        if joined or left or changed:
            self._events.append(heard.Presence(room.label, count, joined, left))
