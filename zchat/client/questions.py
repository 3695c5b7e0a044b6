"""What a program may ask the broker, and the answers: the part of the Python API that only asks."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from zchat import errors
from zchat.messages import (
    Ask,
    Found,
    History,
    Hit,
    Message,
    Named,
    Nick,
    Page,
    People,
    Ping,
    RoomInfo,
    RoomList,
    Rooms,
    Search,
    Told,
    Who,
)

PAGE = 500
"""Messages asked for at a time."""

T = TypeVar("T")


class Questions(ABC):
    """What may be asked of whatever can ask."""

    @abstractmethod
    def ask(self, make: Callable[[int], Any], kind: type[T] | None = None, timeout: float | None = 30.0) -> T:
        """Asks the broker something and waits for the answer."""

    def who(self, room: str = "") -> list[str]:
        """Who is in a room, or here at all; in order.

        Raises:
            errors.NoSuchRoom: there is no such room.
        """
        found: list[str] = []
        more = True
        while more:
            people = self.ask(partial(Who, room=room, after=found[-1] if found else ""), People)
            more = people.more and bool(people.names) and (not found or people.names[0] > found[-1])
            found += people.names
        return found

    def rooms(self) -> list[RoomInfo]:
        """The public rooms, in order of their names."""
        found: list[RoomInfo] = []
        more = True
        while more:
            listed = self.ask(partial(Rooms, after=found[-1].room if found else ""), RoomList)
            more = listed.more and bool(listed.rooms) and (not found or listed.rooms[0].room > found[-1].room)
            found += listed.rooms
        return found

    def day(self, word: str, *, utc: bool = False) -> str:
        """What the broker's clock says.

        Args:
            word: `day` (of the week), `date` or `time`.
            utc: in UTC instead of the broker's zone.

        Raises:
            errors.UnknownWord: another word.
        """
        return self.ask(partial(Ask, word=word, utc=utc), Told).text

    def ping(self) -> float:
        """The round trip to the broker, in seconds."""
        begin = time.monotonic()
        self.ask(Ping)
        return time.monotonic() - begin

    def nick(self, name: str) -> str:
        """Goes by another name; gives it as it is shown.

        Raises:
            errors.NameTaken, errors.NameInvalid: it cannot be had.
        """
        return self.ask(partial(Nick, name=name), Named).name

    def history(
        self,
        room: str,
        limit: int | None = 50,
        *,
        after: int | None = None,
        before: int = 0,
        since: datetime | None = None,
    ) -> list[Message]:
        """Messages as they are now, oldest first: with their newest text; deleted ones are empty, and say so.

        Args:
            room: a room, or `@NAME` for the private messages with a person.
            limit: messages at most; None for all. Of more the newest are given, or with `after` the oldest.
            after: only with higher numbers.
            before: only with lower numbers; 0 for no bound.
            since: only what was said then or later.

        Raises:
            errors.NoSuchRoom: there is no such room, or it is not yours.
        """
        pages = list(self.pages(room, limit, after=after, before=before, since=since))
        return [message for page in (pages if after is not None else reversed(pages)) for message in page]

    def pages(
        self,
        room: str,
        limit: int | None = None,
        *,
        after: int | None = None,
        before: int = 0,
        since: datetime | None = None,
    ) -> Iterator[Sequence[Message]]:
        """The same, page by page: each oldest first; the newest page first, or with `after` the oldest."""
        ms = 0 if since is None else max(int(since.timestamp() * 1000), 0)
        more = limit is None or limit > 0
        while more:
            wanted = PAGE if limit is None else min(limit, PAGE)
            asked = partial(History, room=room, limit=wanted, after=after, before=before, since=ms)
            page = self.ask(asked, Page)
            found = [event for event in page.events if isinstance(event, Message)]
            yield found
            limit = None if limit is None else limit - len(found)
            more = page.more and (limit is None or limit > 0)
            if after is not None:
                more, after = more and page.edge > after, page.edge
            else:
                more, before = more and (page.edge < before or not before), page.edge

    def before(self, room: str, since: datetime) -> int:
        """The number before a room's first message of that time or later; its head if there is none yet.

        Args:
            room: need not be there.
        """
        edge = 0
        ms = max(int(since.timestamp() * 1000), 0)
        while True:
            try:
                page = self.ask(partial(History, room=room, limit=1, after=edge, since=ms), Page)
            except errors.NoSuchRoom:
                return 0
            if page.events:
                return page.events[0].seq - 1
            if not page.more or page.edge <= edge:
                return page.head
            edge = page.edge

    def search(
        self, words: str, *, room: str = "", name: str = "", since: datetime | None = None, limit: int = 20
    ) -> list[Hit]:
        """Messages that hold all of some words, newest first.

        Args:
            words: separated by spaces; each means nothing but itself.
            room: only there; empty for all public rooms and one's private ones.
            name: only what was said under it.
            since: only what was said then or later.
            limit: messages at most, 1 to 100.

        Raises:
            errors.TooSlow: it took too long.
        """
        ms = 0 if since is None else max(int(since.timestamp() * 1000), 0)
        found = self.ask(partial(Search, words=words, room=room, name=name, since=ms, limit=limit), Found)
        return list(found.hits)
