"""A broker without its sockets, and a model of them, with what libzmq does."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from client.lives import Life

from zchat import codec, errors
from zchat.broker.effects import Lookup
from zchat.broker.hub import Hub
from zchat.broker.inputs import FenceMoved, Gone, Input, Now, Received
from zchat.broker.settings import Settings
from zchat.messages import Failed, Joined, Page, People, Private, Reply
from zchat.store import apart

EVERYTHING = 10_000


class Connected:
    """In a DEALER's queue: the handshake is done."""


class Lost:
    """In a DEALER's queue: the connection ended."""


@dataclass(eq=False)
class Dealer:
    """A DEALER and its connection; `gone` once the broker knows that it ended."""

    peer: bytes
    up: deque[bytes] = field(default_factory=deque)
    down: deque[bytes | Connected | Lost] = field(default_factory=lambda: deque([Connected()]))
    broken: bool = False
    gone: bool = False


@dataclass(eq=False)
class Pipe:
    """A connection of a SUB, as XPUB sees it."""

    up: deque[bytes] = field(default_factory=deque)
    topics: set[bytes] = field(default_factory=set)
    down: deque[bytes] = field(default_factory=deque)
    fence: bytes | None = None


@dataclass(eq=False)
class Sub:
    """A SUB: it counts its subscriptions, and outlives its connections."""

    pipe: Pipe
    topics: Counter[bytes] = field(default_factory=Counter)

    def subscribe(self, topic: bytes) -> None:
        self.topics[topic] += 1
        self.pipe.up.append(b"\1" + topic)

    def unsubscribe(self, topic: bytes) -> None:
        if topic in self.topics:
            self.topics[topic] -= 1
            if not self.topics[topic]:
                del self.topics[topic]
                self.pipe.up.append(b"\0" + topic)


class Broker:
    """The shell around the hub, with queues for sockets.

    Args:
        persons: who each client is, by the number with which what its sockets are called begins.
        people: who has each name.
    """

    def __init__(
        self,
        store: Life,
        settings: Settings,
        token: Callable[[int], bytes],
        persons: Sequence[bytes],
        people: dict[str, bytes],
    ) -> None:
        self.store = store
        self.people = people
        self._persons = persons
        self.hub = Hub(settings, store.rooms(), store.names(), token, records=store.records())
        self.dealers: list[Dealer] = []
        self.pipes: list[Pipe] = []
        self.fences: dict[bytes, Pipe] = {}
        self.ended: deque[Dealer | Pipe] = deque()  # of which it does not know yet
        self._given: list[Input] = []
        self._lengths: dict[str, int] = {}
        self._belong: dict[str, set[bytes]] = {}

    def turn(self, clock: float, *, dealers: int = EVERYTHING, pipes: int = EVERYTHING, ended: int = 0) -> None:
        """One turn, with so many frames of each connection and so many ends of connections."""
        inputs = [*self._given, *self._heard(dealers), *self._subscribed(pipes)]
        self._given = []
        for _ in range(min(ended, len(self.ended))):
            inputs += self._end(self.ended.popleft())
        before = self._members()
        work = self.hub.handle(inputs, Now(clock, int(clock * 1000)))
        try:
            effects = self.hub.committed(apart.commit(self.store, work))
        except errors.StoreUnavailable as error:
            effects = self.hub.failed(error)
        assert not effects.cuts
        stamp = self.store.stamp
        for room, publication in effects.published.items():
            for frame in codec.encode_published(room, stamp, publication.events, publication.states):
                for pipe in self.pipes:
                    if any(frame.startswith(topic) for topic in pipe.topics):
                        pipe.down.append(frame)
        for lookup in effects.lookups:
            effects.reply(lookup.peer, self._look_up(lookup))
        after = self._members()
        assert not any(room.startswith("@") for room in effects.published)
        for peer, items in effects.replies.items():
            frames = list(codec.encode_replies(stamp, items))
            self._check(peer, frames, before, after)
            dealer = next(dealer for dealer in self.dealers if dealer.peer == peer)
            if dealer.gone:  # EHOSTUNREACH
                self._given.append(Gone(peer))
            elif not dealer.broken:
                dealer.down.extend(frames)
        self.store.tidy(int(clock * 1000), idle=not inputs)

    def _members(self) -> dict[str, set[bytes]]:
        """Who belongs to each private room with members, by what was done in it."""
        lengths = {room: len(log) for room, log in self.store.log.items() if room[0] == "@"}
        if lengths != self._lengths:
            self._lengths = lengths
            found = {room: self.store.members(room, self.people) for room in lengths}
            self._belong = {room: members for room, members in found.items() if members is not None}
        return self._belong

    def _check(
        self, peer: bytes, frames: list[bytes], before: dict[str, set[bytes]], after: dict[str, set[bytes]]
    ) -> None:
        """Nobody hears anything of a private room but who belongs to it; what was asked for before one had to leave may
        be answered in that very turn.
        """
        person = self._persons[int(peer.split(b".")[0])]
        for item in (item for frame in frames for item in codec.decode_replies(frame).items):
            if isinstance(item, Private):
                assert person in after.get(item.room, {person}), item
            elif isinstance(item, Page | Joined | People):
                assert person in before.get(item.room, set()) | after.get(item.room, {person}), item

    def _look_up(self, lookup: Lookup) -> Reply:
        try:
            return lookup.answer(self.store)
        except errors.StoreUnavailable:
            return Failed(lookup.q, errors.Unavailable.code, "")

    @property
    def idle(self) -> bool:
        unheard = any(dealer.up for dealer in self.dealers) or any(pipe.up for pipe in self.pipes)
        return self.hub.wait() > 0 and not unheard

    def _heard(self, limit: int) -> Iterator[Input]:
        for dealer in self.dealers:
            for _ in range(min(limit, len(dealer.up))):
                yield Received(dealer.peer, codec.decode_requests(dealer.up.popleft()))

    def _subscribed(self, limit: int) -> Iterator[Input]:
        for pipe in self.pipes:
            for _ in range(min(limit, len(pipe.up))):
                message = pipe.up.popleft()
                topic, up = message[1:], message[0] == 1
                (pipe.topics.add if up else pipe.topics.discard)(topic)
                fence = codec.parse_fence(topic)
                if up and fence is not None:
                    pipe.fence = fence[0]
                    self.fences[pipe.fence] = pipe
                    yield FenceMoved(*fence, up=True)

    def _end(self, connection: Dealer | Pipe) -> Iterator[Input]:
        if isinstance(connection, Dealer):
            yield from self._heard(EVERYTHING)  # an end is told when everything that came before it has been read
            connection.gone = True
            yield Gone(connection.peer)
        elif connection in self.pipes:
            yield from self._subscribed(EVERYTHING)
            self.pipes.remove(connection)
            if connection.fence is not None and self.fences[connection.fence] is connection:
                yield FenceMoved(connection.fence, 0, up=False)
