"""What a program may ask the broker, and the answers: the part of the Python API that only asks.

Each question is written once, as a coroutine; see `synced`.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol, TypeVar

from zchat import errors, links
from zchat.address import BadAddress
from zchat.client.synced import stepped, synced
from zchat.messages import (
    LATEST_MS,
    LOBBY,
    About,
    Acted,
    Admin,
    Ask,
    Bot,
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
    List,
    Listed,
    Message,
    Named,
    Nick,
    Page,
    People,
    Ping,
    Read,
    Revoke,
    RoomInfo,
    RoomList,
    Rooms,
    RoomState,
    Row,
    Search,
    Told,
    Who,
)
from zchat.verbs import AUDIT

PAGE = 500
"""Messages asked for at a time."""

MOST = 1000
"""Pages of one list at most: beyond, the broker makes them up."""

WEEK = 7 * 24 * 3600
"""Seconds that a link holds where nothing else is said."""

T = TypeVar("T")
ListT = TypeVar("ListT", People, LinkList, RoomList, Listed)


class Asker(Protocol):
    """Whoever can ask."""

    async def _asked(self, make: Callable[[int], Any], kind: type[T] | None = None) -> T: ...


class AsyncQuestions(ABC):
    """What may be asked of whatever can ask."""

    @abstractmethod
    async def _asked(self, make: Callable[[int], Any], kind: type[T] | None = None) -> T:
        """Asks the broker something and waits for the answer."""

    async def who(self: Asker, room: str = "") -> list[str]:
        """Who is in a room, or here at all; in order.

        Raises:
            errors.NoSuchRoom: there is no such room.
        """
        asked = _listed(self, People, lambda last: partial(Who, room=room, after=last), _names)
        return [name async for people in asked for name in people.names]

    async def people(self: Asker, room: str = "") -> int:
        """How many people are in a room, or here at all.

        Raises:
            errors.NoSuchRoom: there is no such room.
        """
        return (await self._asked(partial(Who, room=room), People)).count

    async def last_seen(self: Asker) -> dict[str, datetime | None]:
        """Everybody whom the broker knows, in order: when they were here last, in UTC; None for who is here now."""
        found: dict[str, datetime | None] = {}
        async for people in _listed(self, People, lambda last: partial(Who, after=last, away=True), _names):
            if len(people.seen) != len(people.names):
                raise errors.Refusal("the broker does not tell who is away: it is older than this zchat")
            found.update((name, _moment(ms)) for name, ms in zip(people.names, people.seen, strict=True))
        return found

    async def link(self: Asker, room: str = LOBBY, *, uses: int = 1, seconds: int = WEEK, role: str = "member") -> str:
        """A link that lets others in.

        Args:
            room: where it leads.
            uses: how many may come in by it, one at least.
            seconds: how long it holds.
            role: of who comes in by it: `member`, `moderator` or `owner`.

        Raises:
            errors.NotAllowed: this person may not make such a link.
        """
        return link_text(await self._asked(partial(Link, room=room, uses=uses, seconds=seconds, role=role), Linked))

    async def add_device(self: Asker) -> str:
        """A link that lets one more key in as this same person, once, within the hour."""
        return link_text(await self._asked(Device, Linked))

    async def links(self: Asker) -> list[LinkInfo]:
        """The links that may still be used, in order of their ids.

        Raises:
            errors.NotAllowed: this person may not see them.
        """
        asked = _listed(self, LinkList, lambda last: partial(Links, after=last), _ids)
        return [link async for listed in asked for link in listed.links]

    async def revoke(self: Asker, *, name: str = "", link: str = "", undo: bool = False) -> None:
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
        await self._asked(partial(Revoke, link=link_id(link) if link else "", name=name, undo=undo), Done)

    async def about(self: Asker, room: str) -> RoomState:
        """How things are in a room: its topic, who may do what there, what is pinned.

        Raises:
            errors.NoSuchRoom: there is no such room, or it is not yours.
        """
        return await self._asked(partial(About, room=room), RoomState)

    async def listing(self: Asker, what: str, room: str = "") -> list[Row]:
        """A list, in order of its keys.

        Args:
            what: `bans` of a room, or of the broker; `rooms`, `people` and `sessions` of the broker; one's own `blocks`
                and `bots`. See `verbs.LISTS`.
            room: of which.

        Raises:
            errors.NotAllowed: this person may not see it.
        """
        asked = _listed(self, Listed, lambda last: partial(List, what=what, room=room, after=last), _row_keys)
        return [row async for listed in asked for row in listed.rows]

    async def admin(self: Asker, verb: str, name: str = "", *, seconds: int = 0, text: str = "") -> None:
        """Does something to the whole broker, or for oneself alone.

        Args:
            verb: one of `verbs.ADMIN`, as `ban`, `announce` or `block`.
            name: to whom, if to anybody.
            seconds: for how long; 0 for good.
            text: a reason, or what is to be announced.

        Raises:
            errors.NotAllowed: this person may not do that.
        """
        await self._asked(partial(Admin, verb=verb, name=name, seconds=seconds, text=text), Done)

    async def acts(self: Asker, room: str, after: int = 0, until: int | None = None) -> list[Acted]:
        """What was done in a room, oldest first: `history` has only what was said.

        Args:
            after: only with higher numbers.
            until: and with no higher ones than this; None for no bound.

        Raises:
            errors.NoSuchRoom: there is no such room, or it is not yours.
        """
        found: list[Acted] = []
        while until is None or after < until:
            limit = PAGE if until is None else min(until - after, PAGE)
            page = await self._asked(partial(Read, room=room, after=after, limit=limit), Page)
            found += [one for one in page.events if isinstance(one, Acted) and (until is None or one.seq <= until)]
            last = max((event.seq for event in page.events), default=page.head)
            if last >= page.head or last <= after:
                break
            after = last
        return found

    async def audit(self: Asker, after: int = 0) -> list[Acted]:
        """What was done by whom to whom in all rooms and to the broker, oldest first.

        Args:
            after: only lines with higher numbers.

        Raises:
            errors.NoSuchRoom: this person may not read that.
        """
        return await AsyncQuestions.acts(self, AUDIT, after)

    async def add_bot(self: Asker, key: bytes, name: str) -> str:
        """Lets a key in as a bot for which this person answers. Returns the bot's name, with its mark.

        Args:
            key: public, 32 bytes.
            name: of the bot, with the mark or without.

        Raises:
            errors.NameTaken, errors.NameInvalid: the name cannot be had.
            errors.NotAllowed: the key is somebody's already, or there are no keys here.
        """
        return (await self._asked(partial(Bot, key=key, name=name), Named)).name

    async def rooms(self: Asker) -> list[RoomInfo]:
        """The public rooms, in order of their names."""
        asked = _listed(self, RoomList, lambda last: partial(Rooms, after=last), _rooms)
        return [room async for listed in asked for room in listed.rooms]

    async def day(self: Asker, word: str, *, utc: bool = False) -> str:
        """What the broker's clock says.

        Args:
            word: `day` (of the week), `date` or `time`.
            utc: in UTC instead of the broker's zone.

        Raises:
            errors.UnknownWord: another word.
        """
        return (await self._asked(partial(Ask, word=word, utc=utc), Told)).text

    async def ping(self: Asker) -> float:
        """The round trip to the broker, in seconds."""
        begin = time.monotonic()
        await self._asked(Ping)
        return time.monotonic() - begin

    async def nick(self: Asker, name: str) -> str:
        """Goes by another name; gives it as it is shown.

        Raises:
            errors.NameTaken, errors.NameInvalid: it cannot be had.
        """
        return (await self._asked(partial(Nick, name=name), Named)).name

    async def history(
        self: Asker,
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
        pages = [page async for page in _pages(self, room, limit, after, before, since)]
        return [message for page in (pages if after is not None else reversed(pages)) for message in page]

    def pages(
        self: Asker,
        room: str,
        limit: int | None = None,
        *,
        after: int | None = None,
        before: int = 0,
        since: datetime | None = None,
    ) -> AsyncIterator[Sequence[Message]]:
        """The same, page by page: each oldest first; the newest page first, or with `after` the oldest."""
        return _pages(self, room, limit, after, before, since)

    async def before(self: Asker, room: str, since: datetime) -> int:
        """The number before a room's first message of that time or later; its head if there is none yet.

        Args:
            room: need not be there.
        """
        edge = 0
        ms = max(int(since.timestamp() * 1000), 0)
        while True:
            try:
                page = await self._asked(partial(History, room=room, limit=1, after=edge, since=ms), Page)
            except errors.NoSuchRoom:
                return 0
            if page.events:
                return page.events[0].seq - 1
            if not page.more or page.edge <= edge:
                return page.head
            edge = page.edge

    async def search(
        self: Asker,
        words: str,
        *,
        room: str = "",
        name: str = "",
        since: datetime | None = None,
        limit: int = 20,
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
        found = await self._asked(partial(Search, words=words, room=room, name=name, since=ms, limit=limit), Found)
        return list(found.hits)


class Questions(ABC):
    """The same, of whatever can ask while the program waits."""

    @abstractmethod
    def ask(self, make: Callable[[int], Any], kind: type[T] | None = None, timeout: float | None = 30.0) -> T:
        """Asks the broker something and waits for the answer."""

    async def _asked(self, make: Callable[[int], Any], kind: type[T] | None = None) -> T:
        return self.ask(make, kind)

    who = synced(AsyncQuestions.who)
    people = synced(AsyncQuestions.people)
    last_seen = synced(AsyncQuestions.last_seen)
    link = synced(AsyncQuestions.link)
    add_device = synced(AsyncQuestions.add_device)
    links = synced(AsyncQuestions.links)
    revoke = synced(AsyncQuestions.revoke)
    rooms = synced(AsyncQuestions.rooms)
    day = synced(AsyncQuestions.day)
    ping = synced(AsyncQuestions.ping)
    nick = synced(AsyncQuestions.nick)
    history = synced(AsyncQuestions.history)
    pages = stepped(AsyncQuestions.pages)
    before = synced(AsyncQuestions.before)
    search = synced(AsyncQuestions.search)
    about = synced(AsyncQuestions.about)
    listing = synced(AsyncQuestions.listing)
    admin = synced(AsyncQuestions.admin)
    acts = synced(AsyncQuestions.acts)
    audit = synced(AsyncQuestions.audit)
    add_bot = synced(AsyncQuestions.add_bot)


async def _listed(
    asker: Asker,
    kind: type[ListT],
    make: Callable[[str], Callable[[int], Any]],
    keys: Callable[[ListT], Sequence[str]],
) -> AsyncIterator[ListT]:
    """All pages of a list, each of which goes on beyond the one before.

    Raises:
        errors.Refusal: it has no end.
    """
    last = ""
    for _ in range(MOST):
        page = await asker._asked(make(last), kind)
        yield page
        found = keys(page)
        if not (page.more and found and last < found[0] <= found[-1]):
            return
        last = found[-1]
    raise errors.Refusal("what the broker lists has no end: it is not to be believed")


async def _pages(
    asker: Asker, room: str, limit: int | None, after: int | None, before: int, since: datetime | None
) -> AsyncIterator[Sequence[Message]]:
    ms = 0 if since is None else max(int(since.timestamp() * 1000), 0)
    more, empty = limit is None or limit > 0, 0
    while more:
        wanted = PAGE if limit is None else min(limit, PAGE)
        asked = partial(History, room=room, limit=wanted, after=after, before=before, since=ms)
        page = await asker._asked(asked, Page)
        found = [event for event in page.events if isinstance(event, Message)]
        empty = 0 if found else empty + 1
        if empty > MOST:
            raise errors.Refusal("what the broker tells of that room has no end: it is not to be believed")
        yield found
        limit = None if limit is None else limit - len(found)
        more = page.more and (limit is None or limit > 0)
        if after is not None:
            more, after = more and page.edge > after, page.edge
        else:
            more, before = more and (page.edge < before or not before), page.edge


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


def _row_keys(listed: Listed) -> Sequence[str]:
    return [row.key for row in listed.rows]


def _rooms(listed: RoomList) -> Sequence[str]:
    return [room.room for room in listed.rooms]


def _moment(ms: int) -> datetime | None:
    return datetime.fromtimestamp(min(ms, LATEST_MS) / 1000, UTC) if ms else None
