"""What a program may ask the broker, and the answers: the part of the Python API that only asks."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from zchat import errors, links
from zchat.address import BadAddress
from zchat.messages import (
    LATEST_MS,
    LOBBY,
    Ask,
    Device,
    Done,
    Found,
    History,
    Hit,
    Link,
    Linked,
    LinkInfo,
    LinkList,
    Links,
    Message,
    Named,
    Nick,
    Page,
    People,
    Ping,
    Revoke,
    RoomInfo,
    RoomList,
    Rooms,
    Search,
    Told,
    Who,
)

PAGE = 500
"""Messages asked for at a time."""

MOST = 1000
"""Pages of one list at most: beyond, the broker makes them up."""

WEEK = 7 * 24 * 3600
"""Seconds that a link holds where nothing else is said."""

T = TypeVar("T")
Listed = TypeVar("Listed", People, LinkList, RoomList)


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
        asked = self._listed(People, lambda last: partial(Who, room=room, after=last), _names)
        return [name for people in asked for name in people.names]

    def people(self, room: str = "") -> int:
        """How many people are in a room, or here at all.

        Raises:
            errors.NoSuchRoom: there is no such room.
        """
        return self.ask(partial(Who, room=room), People).count

    def last_seen(self) -> dict[str, datetime | None]:
        """Everybody whom the broker knows, in order: when they were here last, in UTC; None for who is here now."""
        found: dict[str, datetime | None] = {}
        for people in self._listed(People, lambda last: partial(Who, after=last, away=True), _names):
            if len(people.seen) != len(people.names):
                raise errors.Refusal("the broker does not tell who is away: it is older than this zchat")
            found.update((name, _moment(ms)) for name, ms in zip(people.names, people.seen, strict=True))
        return found

    def link(self, room: str = LOBBY, *, uses: int = 1, seconds: int = WEEK, role: str = "member") -> str:
        """A link that lets others in.

        Args:
            room: where it leads.
            uses: how many may come in by it, one at least.
            seconds: how long it holds.
            role: of who comes in by it: `member`, `moderator` or `owner`.

        Raises:
            errors.NotAllowed: this person may not make such a link.
        """
        return link_text(self.ask(partial(Link, room=room, uses=uses, seconds=seconds, role=role), Linked))

    def add_device(self) -> str:
        """A link that lets one more key in as this same person, once, within the hour."""
        return link_text(self.ask(Device, Linked))

    def links(self) -> list[LinkInfo]:
        """The links that may still be used, in order of their ids.

        Raises:
            errors.NotAllowed: this person may not see them.
        """
        asked = self._listed(LinkList, lambda last: partial(Links, after=last), _ids)
        return [link for listed in asked for link in listed.links]

    def revoke(self, *, name: str = "", link: str = "", undo: bool = False) -> None:
        """Has a person, or a link, let in no more.

        Args:
            name: of the person: none of that person's keys is let in from now on.
            link: the link itself, or its id.
            undo: lets the person in again.

        Raises:
            ValueError: it is not exactly one of name and link, or a link that is to be undone.
            address.BadAddress: the link is none, or lets nobody in.
            errors.NotAllowed: this person may not do that.
        """
        if bool(name) == bool(link) or (link and undo):
            raise ValueError("give a name, or a link, which cannot be undone")
        self.ask(partial(Revoke, link=link_id(link) if link else "", name=name, undo=undo), Done)

    def rooms(self) -> list[RoomInfo]:
        """The public rooms, in order of their names."""
        asked = self._listed(RoomList, lambda last: partial(Rooms, after=last), _rooms)
        return [room for listed in asked for room in listed.rooms]

    def _listed(
        self,
        kind: type[Listed],
        make: Callable[[str], Callable[[int], Any]],
        keys: Callable[[Listed], Sequence[str]],
    ) -> Iterator[Listed]:
        """All pages of a list, each of which goes on beyond the one before.

        Raises:
            errors.Refusal: it has no end.
        """
        last = ""
        for _ in range(MOST):
            page = self.ask(make(last), kind)
            yield page
            found = keys(page)
            if not (page.more and found and last < found[0] <= found[-1]):
                return
            last = found[-1]
        raise errors.Refusal("what the broker lists has no end: it is not to be believed")

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


def link_text(linked: Linked) -> str:
    """The link that the broker made.

    Raises:
        errors.Refusal: it is none.
    """
    try:
        return str(links.parse_link(linked.link))
    except BadAddress:
        raise errors.Refusal("the broker made a link that is none: nobody can use it") from None


def link_id(link: str) -> str:
    """What a link is called where its secret must not be told: out of the link itself, or of its id.

    Raises:
        address.BadAddress: it is a link that lets nobody in, or none.
    """
    if not links.is_link(link):
        return link
    invite = links.parse_link(link).invite
    if invite is None:
        raise BadAddress("that link lets nobody in, so there is nothing to revoke: it only says where the broker is")
    return links.id_text(links.invite_id(invite))


def _names(people: People) -> Sequence[str]:
    return people.names


def _ids(listed: LinkList) -> Sequence[str]:
    return [link.id for link in listed.links]


def _rooms(listed: RoomList) -> Sequence[str]:
    return [room.room for room in listed.rooms]


def _moment(ms: int) -> datetime | None:
    return datetime.fromtimestamp(min(ms, LATEST_MS) / 1000, UTC) if ms else None
