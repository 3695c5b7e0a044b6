"""The promise, attacked: a real hub and a real store against real sessions, over a network that does its worst.

What is between them is a model of the sockets, with what libzmq does: queues that drain at their own pace, topics
matched by prefix, subscriptions that arrive when they arrive, frames that PUB drops, connections that break with
frames in flight, a SUB that reconnects by itself and says its topics again in order, a broker that hears late of a
connection's end.
"""

from __future__ import annotations

import copy
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from zchat import codec, errors, names
from zchat.broker.hub import Hub
from zchat.broker.inputs import FenceMoved, Gone, Input, Now, Received
from zchat.broker.settings import Settings
from zchat.client import events as heard
from zchat.client.channel import OpenSub, Reopen, Subscribe, Transmit, Unsubscribe
from zchat.client.session import Session
from zchat.messages import Failed, Hello, Join, Joined, Message, Nick, Replies, Stamp, Welcome
from zchat.store.base import Greeted, Greeting, Outcome, RoomRecord, Slice, Work
from zchat.store.memory import MemoryStore

RESERVE = 3

GIVE_UP = 20.0

PATCHES = {
    "zchat.client.positions.HELD": 3,
    "zchat.client.rooms.PAGE": 5,
    "zchat.client.channel.RESERVE": RESERVE,
    "zchat.client.session.RESERVE": RESERVE,
    "zchat.client.outbox.GIVE_UP": GIVE_UP,
}

SETTINGS = Settings(
    pub_port=5556,
    credit=RESERVE + 4,
    text_limit=50,
    grace=3.0,
    silence=8.0,
    heartbeat=4.0,
    page=3,
    page_size=200,
    work_budget=4,
)
"""Everything small, so that a few messages go over every bound."""

ROOMS = ["lobby", "Lobby", "den", "#Den"]

EVERYTHING = 10_000


def tokens(kind: int) -> Callable[[int], bytes]:
    """Secrets that are the same in every run of a test."""
    numbers = count(1)
    return lambda size: bytes([kind]) + next(numbers).to_bytes(size - 1, "big")


# The store ----------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Life:
    """A store that may fail and be reopened, and that remembers all it ever kept.

    Attributes:
        log: what was kept, by room and number, whatever retention dropped since.
        ends: the runs it knows, and the last turn of each.
        failing: so many commits will fail.
    """

    inner: MemoryStore
    run: bytes
    log: dict[str, dict[int, Message]] = field(default_factory=dict)
    ends: dict[bytes, int] = field(default_factory=dict)
    failing: int = 0

    @property
    def stamp(self) -> Stamp:
        return Stamp(self.run, self.inner.stamp.turn)

    def commit(self, work: Work) -> Outcome:
        if self.failing:
            self.failing -= 1
            raise errors.StoreUnavailable("as the test wants it")
        greetings = [Greeting(greeting.client, None) for greeting in work.greetings]
        outcome = self.inner.commit(Work(work.rooms, work.sends, greetings))
        for send, event in zip(work.sends, outcome.sends, strict=True):
            if isinstance(event, Message):
                assert event.seq not in self.log.setdefault(getattr(send, "room", ""), {})
                self.log[getattr(send, "room", "")][event.seq] = event
        greeted = [
            Greeted(greeted.record, self._vouches(greeting.stamp))
            for greeting, greeted in zip(work.greetings, outcome.greeted, strict=True)
        ]
        return Outcome(outcome.sends, greeted)

    def _vouches(self, stamp: Stamp | None) -> bool:
        return stamp is None or stamp.turn <= {**self.ends, self.run: self.stamp.turn}.get(stamp.run, -1)

    def read(self, room: str, after: int, limit: int, size: int) -> Slice:
        return self.inner.read(room, after, limit, size)

    def rooms(self) -> list[RoomRecord]:
        return self.inner.rooms()

    def close(self) -> None:
        pass

    def reopened(self, run: bytes) -> Life:
        """The same log, in a run of its own: what a durable store, or a snapshot of one, is after a restart."""
        return Life(self.inner, run, self.log, {**self.ends, self.run: self.stamp.turn})

    def snapshot(self) -> Life:
        return Life(copy.deepcopy(self.inner), self.run, copy.deepcopy(self.log), dict(self.ends))

    def head(self, room: str) -> int:
        return max(self.log.get(room, {}), default=0)

    def find(self, text: str) -> list[tuple[str, int]]:
        return [(room, seq) for room, log in self.log.items() for seq, event in log.items() if event.text == text]


# The sockets --------------------------------------------------------------------------------------------------------


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
    """The shell around the hub, with queues for sockets."""

    def __init__(self, store: Life, settings: Settings, token: Callable[[int], bytes]) -> None:
        self.store = store
        self.hub = Hub(settings, store.rooms(), token)
        self.dealers: list[Dealer] = []
        self.pipes: list[Pipe] = []
        self.fences: dict[bytes, Pipe] = {}
        self.ended: deque[Dealer | Pipe] = deque()  # of which it does not know yet
        self._given: list[Input] = []

    def turn(self, clock: float, *, dealers: int = EVERYTHING, pipes: int = EVERYTHING, ended: int = 0) -> None:
        """One turn, with so many frames of each connection and so many ends of connections."""
        inputs = [*self._given, *self._heard(dealers), *self._subscribed(pipes)]
        self._given = []
        for _ in range(min(ended, len(self.ended))):
            inputs += self._end(self.ended.popleft())
        work = self.hub.handle(inputs, Now(clock, int(clock * 1000)))
        try:
            effects = self.hub.committed(self.store.commit(work))
        except errors.StoreUnavailable as error:
            effects = self.hub.failed(error)
        assert not effects.cuts
        stamp = self.store.stamp
        for room, publication in effects.published.items():
            for frame in codec.encode_published(room, stamp, publication.events, publication.states):
                for pipe in self.pipes:
                    if any(frame.startswith(topic) for topic in pipe.topics):
                        pipe.down.append(frame)
        for job in effects.reads:
            effects.reply(job.peer, job.answer(self.store.read(job.room, job.after, job.limit, SETTINGS.page_size)))
        for peer, items in effects.replies.items():
            dealer = next(dealer for dealer in self.dealers if dealer.peer == peer)
            if dealer.gone:  # EHOSTUNREACH
                self._given.append(Gone(peer))
            elif not dealer.broken:
                dealer.down.extend(codec.encode_replies(stamp, items))

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


# The clients, and what each must hear -------------------------------------------------------------------------------


@dataclass
class Following:
    """What a reader must hear of a room.

    Attributes:
        given: the names by which the user joined it, and whether quietly.
        since: joins numbered above this tell where it begins.
        position: the last number heard, or covered by a gap; None until a join was answered.
        names: who is in it, from what was told of it.
    """

    given: dict[str, bool]
    since: int
    position: int | None = None
    names: set[str] | None = None

    @property
    def quiet(self) -> bool:
        return all(self.given.values())


@dataclass
class Ticket:
    """A message under way.

    Attributes:
        broker: of the connection there was when it was said.
        since: when it was.
        after: the highest numbers acked before, by log and room.
    """

    text: str
    broker: Broker
    since: float
    after: dict[tuple[int, str], int]


class Client:
    """A session, its sockets, and the rules that what it hears must keep."""

    def __init__(self, network: Delivery, number: int, name: str | None, person: bytes) -> None:
        self.session = Session(name, person, tokens(10 + number))
        self.number = number
        self.network = network
        self.person = person
        self.following: dict[str, Following] = {}
        self.private: dict[str, int] = {}
        self.tickets: dict[int, Ticket] = {}
        self.refused: list[tuple[str, Life]] = []
        self._acked: dict[tuple[int, str], int] = {}
        self._joins: dict[int, str] = {}
        self._hello = 0
        self._met = False
        self._sub: Sub | None = None
        self._open()

    def _open(self) -> None:
        self._dealer = Dealer(b"%d.%d" % (self.number, next(self.network.peers)))
        self.broker = self.network.broker
        self.broker.dealers.append(self._dealer)

    # Sockets

    def obey(self) -> None:
        for command in self.session.commands():
            match command:
                case Transmit(requests):
                    self._joins |= {request.q: request.room for request in requests if isinstance(request, Join)}
                    self._hello = next((request.q for request in requests if isinstance(request, Hello)), self._hello)
                    self._dealer.up.extend(codec.encode_requests(requests))
                case OpenSub():
                    self._close_sub(0)
                    self._sub = Sub(Pipe())
                    self.broker.pipes.append(self._sub.pipe)
                case Subscribe(topic):
                    assert self._sub is not None
                    self._sub.subscribe(topic)
                case Unsubscribe(topic):
                    assert self._sub is not None
                    assert topic in self._sub.topics
                    self._sub.unsubscribe(topic)
                case Reopen():
                    self.lose(EVERYTHING)
        self.listen()

    def receive(self, replies: int, published: int) -> None:
        """Takes in so many frames of each socket."""
        dealer = self._dealer
        for _ in range(min(replies, len(dealer.down))):
            frame = dealer.down.popleft()
            if isinstance(frame, Lost):
                self.lose(0)
                return
            if isinstance(frame, Connected):
                self.session.connected(self.network.clock)
            else:
                self._replied(codec.decode_replies(frame))
        if self._sub is not None:
            queue = self._sub.pipe.down
            for _ in range(min(published, len(queue))):
                self.session.published(*codec.decode_published(queue.popleft()), self.network.clock)
                self.listen()
        self.obey()

    def tick(self) -> None:
        for _ in range(2):
            self.session.tick(self.network.clock)
            self.obey()
        assert self.session.due() > self.network.clock  # else the shell would spin

    def lose(self, sent: int) -> None:
        """Both sockets are closed and opened anew; so many frames that were under way reach the broker yet."""
        self.snap(0, sent)
        self._close_sub(sent)
        self.session.disconnected("the test wants it so", self.network.clock)
        self.listen()
        self._open()

    def snap(self, received: int, sent: int) -> None:
        """The DEALER's connection breaks; so many frames that were under way arrive yet."""
        dealer = self._dealer
        if not dealer.broken:
            dealer.broken = True
            dealer.up = deque(list(dealer.up)[:sent])
            dealer.down = deque([*list(dealer.down)[:received], Lost()])
            self.broker.ended.append(dealer)

    def snap_sub(self, received: int, sent: int) -> None:
        """The SUB's connection breaks, and SUB reconnects by itself."""
        if self._sub is None:
            return
        self._part(self._sub.pipe, sent)
        pipe = Pipe(down=deque(list(self._sub.pipe.down)[:received]))
        pipe.up.extend(b"\1" + topic for topic in sorted(self._sub.topics))
        self._sub.pipe = pipe
        self.network.broker.pipes.append(pipe)

    def _close_sub(self, sent: int) -> None:
        if self._sub is not None:
            self._part(self._sub.pipe, sent)
            self._sub = None

    def _part(self, pipe: Pipe, sent: int) -> None:
        pipe.up = deque(list(pipe.up)[:sent])
        self.network.broker.ended.append(pipe)

    def drop(self, which: int) -> None:
        """PUB drops a frame."""
        if self._sub is not None and (queue := self._sub.pipe.down):
            del queue[min(which, len(queue) - 1)]

    def repeat(self, which: int) -> None:
        """A frame comes twice, the second time late."""
        if self._sub is not None and (queue := self._sub.pipe.down):
            queue.append(queue[min(which, len(queue) - 1)])

    @property
    def idle(self) -> bool:
        return not self._dealer.down and not (self._sub and self._sub.pipe.down)

    # What the user does

    def join(self, given: str, *, quiet: bool) -> None:
        given, room = given.removeprefix("#"), names.room(given)
        since = self.session._channel._q
        self.session.join(given, quiet=quiet, now=self.network.clock)
        following = self.following.setdefault(room, Following({}, since))
        following.given[given] = following.given.get(given, True) and quiet
        self.obey()

    def leave(self, given: str) -> None:
        given, room = given.removeprefix("#"), names.room(given)
        called = self.session.room_names.get(given)
        self.session.leave(given)
        following = self.following.get(room)
        if following is not None and called is not None:
            if called == room:  # then it goes by all names that were told to be its
                following.given = {name: q for name, q in following.given.items() if name in self.session.room_names}
            else:
                del following.given[given]
            if not following.given:
                del self.following[room]
            elif called == room:
                following.since, following.position, following.names = self.session._channel._q, None, None
        self.obey()

    def send(self, room: str, text: str) -> None:
        if self.session.sendable:
            ticket = self.session.send(room, text, action=False, now=self.network.clock)
            assert ticket not in self.tickets
            self.tickets[ticket] = Ticket(text, self.broker, self.network.clock, dict(self._acked))
            self.obey()

    # What it hears

    def _replied(self, frame: Replies) -> None:
        self.session.replied(frame, self.network.clock)
        for item in frame.items:
            if isinstance(item, Welcome):
                if item.q == self._hello:
                    self._welcomed(item)
            elif isinstance(item, Joined):
                following = self.following.get(item.room)
                asked = self._joins.get(item.q)
                if following is None or asked != item.room or item.q <= following.since:
                    continue
                if following.position is None:
                    following.position = item.head
            elif isinstance(item, Failed):
                assert item.code in ("store-unavailable", "busy", "unknown-session"), item
        self.listen()

    def _welcomed(self, welcome: Welcome) -> None:
        gaps = [event.room for event in self.session.events if isinstance(event, heard.Gap) and event.last is None]
        if welcome.vouched:
            assert not gaps
        else:
            known = [room for room, following in self.following.items() if following.position is not None]
            assert sorted(room for room in gaps if room[0] != "@") == sorted(known)
            assert len([room for room in gaps if room[0] == "@"]) >= len(self.private)
            self.private, self._met = {}, False
        if any(isinstance(event, heard.Connected) for event in self.session.events):
            for told in welcome.private:
                self.private.setdefault(told.room, 0 if self._met else told.head)
            self._met = True

    def listen(self) -> None:
        oldest = min((ticket.since for ticket in self.tickets.values()), default=self.network.clock)
        while self.session.events:
            event = self.session.events.popleft()
            match event:
                case heard.Said(private=True):
                    ((room, seq),) = self.broker.store.find(event.message.text)
                    assert seq == event.message.seq == self.private.get(room, 0) + 1
                    self.private[room] = seq
                case heard.Said():
                    following = self.following[event.room]
                    assert following.position is not None
                    assert event.message.seq == following.position + 1
                    assert event.message == self.broker.store.log[event.room][event.message.seq]
                    following.position += 1
                case heard.Gap():
                    self._gap(event)
                case heard.Entered():
                    self.following[event.room].names = _told(event.names, event.count)
                case heard.Presence():
                    self._presence(event)
                case heard.Sent():
                    self._sent(event)
                case heard.NotSent():
                    ticket = self.tickets.pop(event.ticket)
                    if isinstance(event.error, errors.Unknown):
                        assert ticket.broker is not self.broker or self.network.clock >= oldest + GIVE_UP
                    else:
                        assert isinstance(event.error, errors.TooLong | errors.NoSuchPerson), event
                        self.refused.append((ticket.text, self.broker.store))
                case heard.NotEntered() | heard.Ended():
                    raise AssertionError(event)

    def _gap(self, gap: heard.Gap) -> None:
        if gap.room.startswith("@"):
            if gap.last is not None:
                called = [name for name, private in self.session._rooms._private.items() if private.label == gap.room]
                fit = [room for room in called if self.private.get(room, 0) + 1 == gap.first]
                room = next(room for room in fit if self._lost(room, gap.first, gap.last))
                self.private[room] = gap.last
            return
        following = self.following[gap.room]
        assert following.position is not None
        assert gap.first == following.position + 1
        if gap.last is None:
            following.position, following.since = None, self.session._channel._q
        else:
            assert self._lost(gap.room, gap.first, gap.last)
            following.position = gap.last

    def _lost(self, room: str, first: int, last: int) -> bool:
        return first <= last < self.broker.store.read(room, 0, 1, 1).first

    def _presence(self, told: heard.Presence) -> None:
        following = self.following[told.room]
        assert following.names is not None
        gone = {*told.left, *told.lost, *(old for old, _ in told.renamed)}
        come = {*told.joined, *(new for _, new in told.renamed)}
        assert gone <= following.names
        assert not come & following.names
        following.names = (following.names - gone) | come

    def _sent(self, sent: heard.Sent) -> None:
        ticket = self.tickets.pop(sent.ticket)
        assert self.broker.store.log[sent.room][sent.seq].text == ticket.text
        key = (id(self.broker.store.log), sent.room)
        assert sent.seq > ticket.after.get(key, 0)
        self._acked[key] = max(sent.seq, self._acked.get(key, 0))

    # At the end

    def unsettled(self) -> str | None:
        """What is still to come; None if all is well."""
        hub, store = self.network.broker.hub, self.network.broker.store
        if not self.session.open or self.session.waiting or self.tickets:
            return f"open: {self.session.open}, unanswered: {self.tickets}"
        for name, following in self.following.items():
            if following.position != store.head(name):
                return f"{name} at {following.position}, not {store.head(name)}"
            if following.names != set(hub.rooms.by_name[name].roster.names()):
                return f"{name} has {hub.rooms.by_name[name].roster.names()}, not {following.names}"
        for kept in store.rooms():
            if self.person in kept.members and self.private.get(kept.room, 0) != store.head(kept.room):
                return f"{kept.room} at {self.private.get(kept.room)}, not {store.head(kept.room)}"
        return None


def _told(told: tuple[str, ...], people: int) -> set[str]:
    assert len(told) == people
    return set(told)


# The machine --------------------------------------------------------------------------------------------------------

who = st.integers(0, 3)
speaker = st.integers(0, 2)
some = st.sampled_from([0, 1, 2, EVERYTHING])


class Delivery(RuleBasedStateMachine):
    """Three who speak, two of them sessions of one person, and a visitor who only looks."""

    settings = SETTINGS
    mishaps: tuple[str, ...] = ("drop", "repeat", "snap", "snap_sub")

    def __init__(self) -> None:
        super().__init__()
        self._patches = [mock.patch(target, value) for target, value in PATCHES.items()]
        for patch in self._patches:
            patch.start()
        self.clock = 1000.0
        self.peers = count(1)
        self.token = tokens(1)
        self.texts = count(1)
        self.broker = Broker(Life(MemoryStore(), self.token(8)), self.settings, self.token)
        self.lives = [self.broker.store]
        self.kept: Life | None = None
        ann, bob, looker = (self.token(16) for _ in range(3))
        self.clients = [
            Client(self, number, name, person)
            for number, (name, person) in enumerate([("ann", ann), ("ann", ann), ("bob", bob), (None, looker)])
        ]

    @initialize(joined=st.sets(who))
    def begin(self, joined: set[int]) -> None:
        for client in sorted(joined):
            self.clients[client].join("lobby", quiet=False)
        self.flow(5)

    # What people do

    @rule(client=who, room=st.sampled_from(ROOMS), quiet=st.booleans())
    def join(self, client: int, room: str, quiet: bool) -> None:
        self.clients[client].join(room, quiet=quiet)

    @rule(client=who, room=st.sampled_from(ROOMS))
    def leave(self, client: int, room: str) -> None:
        self.clients[client].leave(room)

    @rule(client=speaker, room=st.sampled_from(["lobby", "den", "@ann", "@bob"]), times=st.integers(1, 7))
    def send(self, client: int, room: str, times: int) -> None:
        for _ in range(times):
            self.clients[client].send(room, f"text {next(self.texts)}")

    @rule(client=speaker, times=st.integers(1, 7), dealers=some)
    def speak(self, client: int, times: int, dealers: int) -> None:
        """What is said is published at once, and on its way to all."""
        self.send(client, "lobby", times)
        self.broker.turn(self.clock, dealers=dealers)

    @rule(client=speaker, room=st.sampled_from(["Lobby", "@nobody"]), width=st.sampled_from([0, 60]))
    def send_oddly(self, client: int, room: str, width: int) -> None:
        self.clients[client].send(room, f"text {next(self.texts)}".ljust(width))

    @rule(name=st.sampled_from(["bob", "rob"]))
    def nick(self, name: str) -> None:
        self.clients[2].session.ask(partial(Nick, name=name))
        self.clients[2].obey()

    # What passes

    @rule(dealers=some, pipes=some, ended=some)
    def turn(self, dealers: int, pipes: int, ended: int) -> None:
        self.broker.turn(self.clock, dealers=dealers, pipes=pipes, ended=ended)

    @rule(client=who, replies=some, published=some)
    def receive(self, client: int, replies: int, published: int) -> None:
        self.clients[client].receive(replies, published)

    @rule(rounds=st.integers(1, 5))
    def flow(self, rounds: int) -> None:
        for _ in range(rounds):
            self.broker.turn(self.clock)
            for client in self.clients:
                client.receive(EVERYTHING, EVERYTHING)

    @rule(seconds=st.sampled_from([0.1, 0.6, 1.0, 1.5, 4.0, 12.0]))
    def wait(self, seconds: float) -> None:
        while seconds > 0:
            self.clock += min(seconds, 1.0)
            seconds -= 1.0
            self.broker.turn(self.clock, dealers=0, pipes=0)
            for client in self.clients:
                client.tick()

    # What goes wrong

    @rule(client=who, kind=st.integers(0, 11), which=some, sent=some)
    def mishap(self, client: int, kind: int, which: int, sent: int) -> None:
        match self.mishaps[kind % len(self.mishaps)]:
            case "drop":
                self.clients[client].drop(which)
            case "repeat":
                self.clients[client].repeat(which)
            case "snap":
                self.clients[client].snap(which, sent)
            case "snap_sub":
                self.clients[client].snap_sub(which, sent)

    @rule(times=st.integers(1, 2))
    def fail(self, times: int) -> None:
        """The store cannot commit."""
        self.broker.store.failing = times

    @rule(kept=st.integers(1, 6))
    def forget(self, kept: int) -> None:
        """Retention drops what is old."""
        for room in self.broker.store.inner._rooms.values():
            while len(room.events) > kept:
                room.events.popleft()

    @rule()
    def keep(self) -> None:
        """A snapshot is taken."""
        self.kept = self.broker.store.snapshot()

    @rule(what=st.sampled_from(["lasts", "snapshot", "empty"]), received=some)
    def restart(self, what: str, received: int) -> None:
        """The broker restarts over a store that lasts, a snapshot of it, or an empty one."""
        life = self.broker.store
        if what == "snapshot" and self.kept is not None:
            life, self.kept = self.kept, None
        life = Life(MemoryStore(), self.token(8)) if what == "empty" else life.reopened(self.token(8))
        self.lives.append(life)
        self.broker = Broker(life, self.settings, self.token)
        for client in self.clients:
            client.snap(received, 0)
            client.snap_sub(received, 0)

    # The end

    def teardown(self) -> None:
        try:
            self._settle()
            self._check()
        finally:
            for patch in self._patches:
                patch.stop()

    def _settle(self) -> None:
        self.broker.store.failing = 0
        for second in range(90):
            for _ in range(1000):
                self.broker.turn(self.clock, ended=EVERYTHING)
                for client in self.clients:
                    client.receive(EVERYTHING, EVERYTHING)
                if self.broker.idle and all(client.idle for client in self.clients):
                    break
            else:
                raise AssertionError("it never comes to rest")
            self.clock += 0.5
            for client in self.clients:
                client.tick()
            if second > 25 and not any(client.unsettled() for client in self.clients):
                break

    def _check(self) -> None:
        for client in self.clients:
            assert not (problem := client.unsettled()), problem
            assert not any(life.find(text) for text, life in client.refused)
        for life in self.lives:
            for log in life.log.values():
                assert sorted(log) == list(range(1, len(log) + 1))
            texts = Counter(event.text for log in life.log.values() for event in log.values())
            assert all(times == 1 for times in texts.values())
        for name, room in self.broker.hub.rooms.by_name.items():
            there = {c.session.name for c in self.clients if name in c.following and not c.following[name].quiet}
            assert set(room.roster.names()) == there - {None}


class DeliveryAtOnce(Delivery):
    """Where PUB drops nothing, all comes without the help of heartbeats and of heads that are said once more."""

    settings = replace(SETTINGS, heartbeat=1e6, silence=1e9, quiet=1e6)
    mishaps = ("repeat", "snap", "snap_sub")


PROFILE = settings(max_examples=150, stateful_step_count=40, deadline=None, derandomize=True)

TestDelivery = Delivery.TestCase
TestDelivery.settings = PROFILE

TestDeliveryAtOnce = DeliveryAtOnce.TestCase
TestDeliveryAtOnce.settings = PROFILE
