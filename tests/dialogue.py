"""Turns of a real hub on a real store, without sockets: who says what, and what everybody hears."""

from __future__ import annotations

from itertools import count
from typing import Any

from zchat import codec, errors
from zchat.broker.admission import Door
from zchat.broker.effects import Effects, Level, Publication
from zchat.broker.hub import Hub
from zchat.broker.inputs import FenceMoved, Gone, Input, Now, Received
from zchat.broker.settings import Settings
from zchat.messages import (
    VERSION,
    Ack,
    Failed,
    Hello,
    Join,
    Joined,
    Message,
    Presence,
    Published,
    Refused,
    Reply,
    Request,
    Send,
    Stamp,
    Welcome,
)
from zchat.store import apart
from zchat.store.base import Invite
from zchat.store.memory import MemoryStore

DAY = 1_700_000_000_000
"""When it is: 2023-11-14 22:13:20 UTC, in milliseconds."""


class Dialogue:
    """A broker without sockets.

    Attributes:
        clock: the monotonic time of the next turn.
        ms: the time of day of the next turn.
        broken: whether the store refuses to commit.
        effects: of the last turn.
        replies: what everybody heard in it.
        logged: all lines so far.
    """

    def __init__(self, store: MemoryStore | None = None, door: Door | None = None, **settings: Any) -> None:
        self.settings = Settings(banner="hello", **settings)
        self.store = store or MemoryStore()
        self._secrets = count(1)
        self.links: list[Invite] = []  # that lie in the broker's folder
        self.hub = Hub(
            self.settings,
            self.store.rooms(),
            self.store.names(),
            self.secret,
            door,
            self.store.records(),
            lambda: [self.links.pop() for _ in self.links[:]],
        )
        self.clock = 1000.0
        self.ms = DAY
        self.broken = False
        self.effects = Effects()
        self.replies: dict[bytes, list[Reply]] = {}
        self._published: dict[str, Published] = {}
        self.logged: list[tuple[Level, str]] = []

    def secret(self, size: int = 16) -> bytes:
        """So many bytes that were never given before."""
        return next(self._secrets).to_bytes(size, "big")

    def turn(self, *inputs: Input, after: float = 0.0) -> Effects:
        """Runs a turn so many seconds after the last one."""
        self.clock += after
        work = self.hub.handle(inputs, Now(self.clock, self.ms))
        try:
            if self.broken:
                raise errors.StoreUnavailable("the disk is full")
            self.effects = self.hub.committed(apart.commit(self.store, work))
        except errors.StoreUnavailable as error:
            self.effects = self.hub.failed(error)
        for lookup in self.effects.lookups:
            try:
                self.effects.reply(lookup.peer, lookup.answer(self.store))
            except errors.Refusal as problem:
                self.effects.reply(lookup.peer, Failed(lookup.q, problem.code, str(problem)))
        self.logged += [(line.level, line.text) for line in self.effects.log]
        self._travels()
        return self.effects

    def _travels(self) -> None:
        """What is said goes through the codec, and is heard as it comes out of it."""
        stamp = Stamp(b"12345678", 1)
        self.replies, self._published = {}, {}
        for peer, items in self.effects.replies.items():
            self.replies[peer] = []
            for frame in codec.encode_replies(stamp, items):
                self.replies[peer] += codec.decode_replies(frame).items
        for name, publication in self.effects.published.items():
            told = self._published[name] = Published(stamp, (), ())
            for frame in codec.encode_published(name, stamp, publication.events, publication.states):
                room, part = codec.decode_published(frame)
                assert room == name
                told = Published(stamp, (*told.events, *part.events), (*told.states, *part.states))
            self._published[name] = told

    def passes(self, seconds: float, step: float = 0.5) -> list[Effects]:
        """Turns in which nothing comes in, until so many seconds have passed."""
        return [self.turn(after=step) for _ in range(round(seconds / step))]

    def month_passes(self) -> None:
        """So long that the names of who is away are free again."""
        self.ms += 31 * 24 * 3600 * 1000

    def published(self, room: str = "lobby") -> Published:
        """What the last turn published to a room."""
        return self._published.get(room, Published(Stamp(b"12345678", 1), (), ()))

    def stranger(self) -> Peer:
        """A connection that has not said hello."""
        return Peer(self, None)

    def visitor(self) -> Peer:
        """A session without a name, and without a fence."""
        peer = Peer(self, None)
        peer.hello()
        return peer

    def person(self, name: str, *rooms: str, **secrets: bytes) -> Peer:
        """A session with a name and a fence, in these rooms."""
        peer = Peer(self, name, **secrets)
        peer.hello()
        peer.fences()
        for room in rooms:
            peer.joins(room)
        return peer


class Peer:
    """One connection, and the client behind it."""

    def __init__(self, dialogue: Dialogue, name: str | None, **secrets: bytes) -> None:
        self.dialogue = dialogue
        self.name = name
        self.person = secrets.get("person") or dialogue.secret()
        self.client = secrets.get("client") or dialogue.secret()
        self.fence = secrets.get("fence") or dialogue.secret()
        self.secrets = [self.client]
        self.id = dialogue.secret(5)
        self.token: bytes | None = None
        self.k = 0
        self.n = 0

    @property
    def heard(self) -> list[Reply]:
        """What came to it in the last turn."""
        return self.dialogue.replies.get(self.id, [])

    def asks(self, *requests: Request | codec.Malformed) -> list[Reply]:
        """Sends one frame; gives what it hears in that turn."""
        self.dialogue.turn(Received(self.id, requests))
        return self.heard

    def greeting(self, **changes: Any) -> Hello:
        """What it says hello with."""
        fields: dict[str, Any] = {
            "q": 1,
            "version": VERSION,
            "name": self.name,
            "person": self.person,
            "client": self.client,
            "fence": self.fence,
            "resume": self.token,
            "stamp": None,
            **changes,
        }
        return Hello(**fields)

    def hello(self, **changes: Any) -> Welcome:
        """Says hello, and is welcomed."""
        (welcome,) = self.asks(self.greeting(**changes))
        assert isinstance(welcome, Welcome), welcome
        self.token = welcome.session
        return welcome

    def hello_fails(self, **changes: Any) -> str:
        """Says hello, and is refused: with which code."""
        (failed,) = self.asks(self.greeting(**changes))
        assert isinstance(failed, Failed), failed
        return failed.code

    def fences(self) -> list[Reply]:
        """Subscribes the next fence."""
        self.k += 1
        self.dialogue.turn(FenceMoved(self.fence, self.k, up=True))
        return self.heard

    def unfenced(self) -> FenceMoved:
        """Its fence is down: what tells so."""
        return FenceMoved(self.fence, self.k, up=False)

    def vanishes(self, after: float = 0.0) -> None:
        """Both connections end."""
        self.dialogue.turn(self.unfenced(), Gone(self.id), after=after)

    def returns(self) -> Peer:
        """The same client on a new connection, which has said nothing yet."""
        peer = Peer(self.dialogue, self.name, person=self.person, client=self.client, fence=self.fence)
        peer.token, peer.k, peer.n = self.token, self.k, self.n
        return peer

    def joins(self, room: str = "lobby", *, quiet: bool = False) -> Joined:
        """Enters a room."""
        (joined,) = self.asks(Join(2, room, quiet))
        assert isinstance(joined, Joined), joined
        return joined

    def says(self, text: str, room: str = "lobby") -> Ack:
        """Says something under the next send number; gives what acknowledges it."""
        self.n += 1
        (ack,) = (item for item in self.asks(Send(self.n, room, text)) if isinstance(item, Ack | Refused))
        assert isinstance(ack, Ack), ack
        return ack

    def refused(self, request: Request) -> str:
        """Asks for what is refused: with which code."""
        (answer,) = self.asks(request)
        assert isinstance(answer, Failed | Refused), answer
        return answer.code


def presences(publication: Published | Publication | None) -> list[Presence]:
    """The presences that were published."""
    return [] if publication is None else [state for state in publication.states if isinstance(state, Presence)]


def texts(publication: Published | Publication) -> list[str]:
    """What was said."""
    events = (codec.decode_event(event) if isinstance(event, bytes) else event for event in publication.events)
    return [event.text for event in events if isinstance(event, Message)]
