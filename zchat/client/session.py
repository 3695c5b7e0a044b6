"""The client's side of the protocol, without I/O: positions, gaps, retries, reconnection.

The shell tells it what happened (`connected`, `disconnected`, `replied`, `published`, `tick`), does the commands
it takes out with `commands`, and hands the user the events it takes out with `events`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from zchat import errors
from zchat.client import events as heard
from zchat.client.outbox import Outbox
from zchat.client.positions import Lost, Stream
from zchat.codec import fence_topic, room_topic
from zchat.messages import (
    VERSION,
    Ack,
    Beat,
    Bye,
    Closing,
    Done,
    Event,
    Failed,
    Fenced,
    Head,
    Heartbeat,
    Hello,
    Join,
    Joined,
    Leave,
    Message,
    Named,
    Notice,
    Page,
    People,
    Pong,
    Presence,
    Private,
    Published,
    Read,
    Refused,
    Replies,
    Reply,
    Request,
    RoomList,
    Stamp,
    Told,
    Welcome,
    Who,
)

PATIENCE = 5.0
"""Seconds for hello to be answered, before both sockets are opened anew."""

FENCE_PATIENCE = 1.0
"""Seconds for a fence to be answered, before the next is tried."""

BEAT_PATIENCE = 10.0
"""Seconds for a heartbeat to be answered, before both sockets are opened anew."""

TARGET_PATIENCE = 1.0
"""Seconds for a head that was only named to be reached by itself, before it is read up to."""

RESERVE = 32
"""How much of the credit sends leave to other requests."""

PAGE = 500
"""Events asked for at a time."""

FOREIGN = 1024
"""Frames of another run held until hello has settled it."""


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send these requests over DEALER."""

    requests: list[Request]


@dataclass(frozen=True, slots=True)
class OpenSub:
    """Connect a new SUB to this port of the broker's host."""

    port: int


@dataclass(frozen=True, slots=True)
class Subscribe:
    topic: bytes


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    topic: bytes


@dataclass(frozen=True, slots=True)
class Reopen:
    """Close both sockets and connect anew."""


Command = Transmit | OpenSub | Subscribe | Unsubscribe | Reopen

Answer = Done | Named | People | RoomList | Told | Pong


@dataclass(slots=True)
class _Room:
    """A room that is followed, or that is about to be.

    Attributes:
        k: the fence that proves its subscription.
        q: the number of the join that is not answered yet.
        joined: whether the broker answered a join over this connection.
        entered: whether the user was told.
        names: who is in it, if that is told.
        read_at: when to read what is missing; None if nothing is known to be.
    """

    name: str
    quiet: bool
    stream: Stream = field(default_factory=Stream)
    k: int = 0
    q: int | None = None
    joined: bool = False
    entered: bool = False
    names: set[str] | None = None
    count: int = 0
    version: int = 0
    read_at: float | None = None


@dataclass(slots=True)
class _Private:
    """A private room."""

    name: str
    peer: str
    stream: Stream
    read_at: float | None = None


class Session:
    """One client's session.

    Args:
        name: whom it speaks as; None for one who only looks.
        person: who owns the name: a secret of 16 bytes.
        token: makes a secret of so many random bytes.

    Attributes:
        events: what the user is to hear, oldest first; the shell takes from the left.
        answers: what was asked for with `ask`, by its number: the answer, or what went wrong.
        room_names: the canonical name of each room under the name the user gave.
    """

    def __init__(self, name: str | None, person: bytes, token: Callable[[int], bytes]) -> None:
        self.name = name
        self.events: deque[heard.Event] = deque()
        self.answers: dict[int, Answer | errors.ZchatError] = {}
        self.room_names: dict[str, str] = {}
        self.ended: errors.ZchatError | None = None
        self._person = person
        self._token = token
        self._client = token(16)
        self._fence = token(16)
        self._resume: bytes | None = None
        self._stamp: Stamp | None = None
        self._senders: set[bytes] = set()
        self._commands: deque[Command] = deque()
        self._requests: list[Request] = []
        self._online = False
        self._welcome: Welcome | None = None  # of this connection
        self._again = False
        self._q = 0
        self._hello_q = 0
        self._hello_due: float | None = None
        self._hello_at: float | None = None
        self._k = 0
        self._fences: list[int] = []  # subscribed over this SUB
        self._fenced = 0
        self._fence_due: float | None = None
        self._fence_tries = 0
        self._sub_open = False
        self._rooms: dict[str, _Room] = {}
        self._private: dict[str, _Private] = {}
        self._foreign: deque[tuple[str, Published]] = deque(maxlen=FOREIGN)
        self._asked: dict[int, Request] = {}
        self._reading: tuple[int, _Room | _Private] | None = None
        self._rosters: dict[int, _Room] = {}  # who under way
        self._beat_due = float("inf")
        self._beat_late: float | None = None
        self._outbox = Outbox()

    # What the shell asks ----------------------------------------------------------------------------------------------

    def commands(self) -> Iterable[Command]:
        """Takes out what is to be done, in order."""
        while self._commands:
            yield self._commands.popleft()
        if self._requests:
            requests, self._requests = self._requests, []
            yield Transmit(requests)

    @property
    def open(self) -> bool:
        """Whether the broker has welcomed this connection."""
        return self._welcome is not None

    @property
    def waiting(self) -> int:
        """Messages that are not answered yet."""
        return len(self._outbox)

    @property
    def sendable(self) -> bool:
        """Whether another message may be queued: there is a bound, the broker's credit."""
        return len(self._outbox) < (self._welcome.credit if self._welcome else 1024)

    def due(self) -> float:
        """When `tick` must be called next, in the shell's seconds; infinite if nothing falls due."""
        times = [self._hello_due, self._hello_at, self._fence_due, self._beat_late]
        if self.open:
            times += [self._beat_due, self._outbox.due()]
            if self._reading is None:
                times += [room.read_at for room in self._followed()]
        return min((time for time in times if time is not None), default=float("inf"))

    # What the user wants ----------------------------------------------------------------------------------------------

    def join(self, name: str, *, quiet: bool, now: float) -> None:
        """Follows a room from now on, over every reconnection.

        Args:
            quiet: without being in its roster.
        """
        name = name.removeprefix("#")
        canonical = self.room_names.setdefault(name, name)
        if canonical in self._rooms:
            return
        room = self._rooms[canonical] = _Room(canonical, quiet)
        if self.open:
            self._follow(room, now)

    def leave(self, name: str) -> int | None:
        """Follows a room no longer; gives the number of the request, None if it was not followed."""
        room = self._rooms.pop(self.room_names.get(name.removeprefix("#"), name), None)
        if room is None:
            return None
        self.room_names = {given: canonical for given, canonical in self.room_names.items() if canonical != room.name}
        if self._sub_open:
            self._commands.append(Unsubscribe(room_topic(room.name)))
        return self.ask(lambda q: Leave(q, room.name))

    def send(self, room: str, text: str, *, action: bool, now: float) -> int:
        """Queues a message; `Sent` or `NotSent` will carry the ticket that is returned.

        Args:
            room: a room, or `@NAME` for a person.
        """
        ticket = self._outbox.add(room, text, action, now)
        self._transmit_sends(now)
        return ticket

    def ask(self, make: Callable[[int], Request]) -> int:
        """Asks the broker something that may be asked again; the answer will be in `answers` under the number
        returned.
        """
        request = make(self._number())
        self._asked[request_number(request)] = request
        if self.open:
            self._requests.append(request)
        return request_number(request)

    def forget(self, q: int) -> None:
        """The answer is not waited for any more."""
        self._asked.pop(q, None)
        self.answers.pop(q, None)

    def bye(self) -> int:
        """Ends the session; gives the number of the request."""
        return self.ask(Bye)

    # What happens -----------------------------------------------------------------------------------------------------

    def connected(self, now: float) -> None:
        """DEALER is connected."""
        self._online = True
        self._say_hello(now)

    def disconnected(self, why: str, now: float) -> None:
        """The connection is lost, both sockets are closed, and new ones are being connected."""
        if self.open:
            self.events.append(heard.Disconnected(why))
        self._online = False
        self._offline()
        self._hello_due = self._hello_at = None
        self._sub_open = False
        self._fences = []
        self._commands.clear()

    def replied(self, frame: Replies, now: float) -> None:
        """A frame came over DEALER."""
        for item in frame.items:
            if isinstance(item, Welcome):
                self._welcomed(item, frame.stamp, now)
            else:
                self._reply(item, now)
        if self._welcome is not None and self._stamp is not None and frame.stamp.run == self._stamp.run:
            self._stamp = max(self._stamp, frame.stamp, key=lambda stamp: stamp.turn)
        self._transmit_sends(now)

    def published(self, name: str, frame: Published, now: float) -> None:
        """A frame came over SUB."""
        if self._welcome is None or self._stamp is None or frame.stamp.run != self._stamp.run:
            self._foreign.append((name, frame))  # numbers of another run mean nothing before hello has settled which
            return
        if frame.stamp.turn > self._stamp.turn:
            self._stamp = frame.stamp
        room = self._rooms.get(name)
        if room is None:
            return
        if frame.events:
            self._deliver(room, room.stream.offer(frame.events))
            if room.stream.torn:
                room.read_at = now  # something was lost on the way: what comes in order would be here by now
        for state in frame.states:
            if isinstance(state, Head):
                self._reach(room, state.seq, now)
            else:
                self._presence(room, state)
        self._read_due(now)

    def tick(self, now: float) -> None:
        """Time passed."""
        if self._hello_at is not None and self._hello_at <= now:
            self._say_hello(now)
        for due in (self._hello_due, self._beat_late):
            if due is not None and due <= now:
                self._reopen()
                return
        if self._fence_due is not None and self._fence_due <= now:
            if self._fence_tries > 1:
                self._reopen()
                return
            self._raise_fence(now)
        if self.open and self._beat_due <= now:
            self._requests.append(Heartbeat(self._number()))
            self._beat_due, self._beat_late = float("inf"), now + BEAT_PATIENCE
        if self._outbox.expired(now):
            self._lose_sends(now)
        self._transmit_sends(now)
        self._read_due(now)

    # Hello ------------------------------------------------------------------------------------------------------------

    def _say_hello(self, now: float) -> None:
        self._offline()
        self._hello_at = None
        if not self._online or self.ended is not None:
            return
        self._hello_q = self._number()
        self._hello_due = now + PATIENCE
        self._requests = [
            Hello(
                self._hello_q,
                VERSION,
                self.name,
                self._person,
                self._client,
                self._fence,
                self._resume,
                self._stamp,
            )
        ]

    def _unknown_session(self, now: float) -> None:
        if self._hello_due is None and self._hello_at is None:  # one hello answers for all that were refused
            self._say_hello(now)

    def _offline(self) -> None:
        """Nothing is known to be there any more; what is not answered will be asked again."""
        self._welcome = None
        self._requests = []
        self._reading = None
        self._rosters = {}
        self._fence_due = self._beat_late = None
        self._beat_due = float("inf")
        for room in self._rooms.values():
            room.joined, room.q = False, None

    def _reopen(self) -> None:
        self._hello_due = self._beat_late = self._fence_due = None
        self._commands.append(Reopen())

    def _welcomed(self, welcome: Welcome, stamp: Stamp, now: float) -> None:
        if welcome.q != self._hello_q:
            return
        self._hello_due = None
        self._resume = welcome.session
        self._senders.add(welcome.sender)
        vouched = welcome.vouched
        if not vouched:
            self._begin_anew()
        self._stamp = stamp
        if not self._outbox.agrees(welcome.last, vouched):
            self._lose_sends(now)
            return
        self._welcome = welcome
        self.name = welcome.name
        self.events.append(heard.Connected(welcome.name, welcome.banner, self._again))
        self._meet(welcome, vouched=vouched, now=now)
        self._again = True
        self._beat_due = now + welcome.heartbeat
        self._outbox.again()
        self._requests.extend(self._asked.values())
        if self._rooms:
            self._follow_all(now)
        foreign, self._foreign = self._foreign, deque(maxlen=FOREIGN)
        for name, frame in foreign:
            if frame.stamp.run == stamp.run:
                self.published(name, frame, now)

    def _begin_anew(self) -> None:
        """The store does not vouch for what was seen: numbers may have been used again."""
        for room in self._rooms.values():
            if room.stream.position is not None:
                self.events.append(heard.Gap(room.name, room.stream.position + 1, None))
            room.stream, room.read_at = Stream(), None
        self._private = {}

    def _meet(self, welcome: Welcome, *, vouched: bool, now: float) -> None:
        for told in welcome.private:
            known = self._private.get(told.room)
            if known is None:
                # Before the first hello nothing is missed; a private room made while we were away is read from its
                # start.
                begin = 0 if self._again and vouched else told.head
                known = self._private[told.room] = _Private(told.room, told.peer, Stream(begin))
            known.peer = told.peer
            self._reach(known, told.head, now)

    def _lose_sends(self, now: float) -> None:
        for pending in self._outbox.restart():
            error = errors.Unknown("the broker's memory of this client is gone: whether it was stored is unknown")
            self.events.append(heard.NotSent(pending.ticket, error))
        self._client = self._token(16)
        self._resume = None
        if self._online:
            self._say_hello(now)

    # Fence and rooms --------------------------------------------------------------------------------------------------

    def _follow_all(self, now: float) -> None:
        if not self._sub_open:
            for room in self._rooms.values():
                room.k = 0
        for room in list(self._rooms.values()):
            self._subscribe(room)
        self._fence_tries = 0
        self._raise_fence(now)

    def _follow(self, room: _Room, now: float) -> None:
        self._subscribe(room)
        self._fence_tries = 0
        self._raise_fence(now)

    def _subscribe(self, room: _Room) -> None:
        if not self._sub_open and self._welcome is not None:
            self._commands.append(OpenSub(self._welcome.pub_port))
            self._sub_open = True
            self._fences = []
        self._commands.append(Subscribe(room_topic(room.name)))
        room.k = self._k + 1

    def _raise_fence(self, now: float) -> None:
        """Subscribes the next fence: once it is answered, so is everything that was subscribed before."""
        self._k += 1
        self._fences.append(self._k)
        self._fence_tries += 1
        self._fence_due = now + FENCE_PATIENCE
        self._commands.append(Subscribe(fence_topic(self._fence, self._k)))

    def _reached_fence(self, k: int) -> None:
        if self._welcome is None or k != self._k:
            return
        self._fence_due = None
        again, self._fenced = k == self._fenced, k
        for old in self._fences[:-1]:
            self._commands.append(Unsubscribe(fence_topic(self._fence, old)))
        self._fences = self._fences[-1:]
        for room in self._rooms.values():
            # A fence that is told again means that SUB reconnected: what came meanwhile is asked for.
            if again or not room.joined:
                self._join(room)

    def _join(self, room: _Room) -> None:
        if room.q is None and room.k <= self._fenced:
            room.q = self._number()
            self._requests.append(Join(room.q, room.name, room.quiet))

    def _joined(self, joined: Joined, now: float) -> None:
        room = next((room for room in self._rooms.values() if room.q == joined.q), None)
        if room is None:
            return
        room.q = None
        if joined.room != room.name:
            self._rename(room, joined.room, now)
            return
        room.joined = True
        if room.stream.position is None:
            self._deliver(room, room.stream.begin(joined.head))
        self._reach(room, joined.head, now, patient=False)
        room.version, room.count = joined.version, joined.count
        room.names = set(joined.names) if len(joined.names) == joined.count else None
        if not room.entered:
            room.entered = True
            self.events.append(heard.Entered(room.name, joined.names, joined.count))

    def _rename(self, room: _Room, name: str, now: float) -> None:
        """The broker calls the room otherwise: its topic is another, so it is followed from the start."""
        self._commands.append(Unsubscribe(room_topic(room.name)))
        del self._rooms[room.name]
        for given, canonical in self.room_names.items():
            if canonical == room.name:
                self.room_names[given] = name
        self.room_names[name] = name
        if name not in self._rooms:
            room.name = name
            self._rooms[name] = room
            self._follow(room, now)

    def _presence(self, room: _Room, told: Presence) -> None:
        if not room.joined or told.version <= room.version:
            return
        missed, room.version, room.count = told.version != room.version + 1, told.version, told.count
        if missed and room.names is not None:
            self._ask_roster(room)
            return
        if room.names is not None:
            gone = {*told.left, *told.lost, *(old for old, _ in told.renamed)}
            room.names = (room.names - gone) | {*told.joined, *(new for _, new in told.renamed)}
            if len(room.names) != told.count:
                room.names = None
        self.events.append(heard.Presence(room.name, told.count, told.joined, told.left, told.lost, told.renamed))

    def _ask_roster(self, room: _Room) -> None:
        if room not in self._rosters.values():
            q = self._number()
            self._rosters[q] = room
            self._requests.append(Who(q, room.name))

    def _roster(self, room: _Room, people: People) -> None:
        if people.version < room.version or people.more:
            return
        before, room.names = room.names or set(), set(people.names)
        room.version, room.count = people.version, people.count
        joined, left = sorted(room.names - before), sorted(before - room.names)
        if joined or left:
            self.events.append(heard.Presence(room.name, people.count, tuple(joined), tuple(left)))

    # Events -----------------------------------------------------------------------------------------------------------

    def _followed(self) -> list[_Room | _Private]:
        return [*self._rooms.values(), *self._private.values()]

    def _deliver(self, room: _Room | _Private, found: Iterable[Event | Lost]) -> None:
        private = isinstance(room, _Private)
        label = f"@{room.peer}" if isinstance(room, _Private) else room.name
        for event in found:
            if isinstance(event, Message):
                mine = event.sender in self._senders
                self.events.append(heard.Said(label, event, mine, private))
            elif isinstance(event, Lost):
                self.events.append(heard.Gap(label, event.first, event.last))

    def _reach(self, room: _Room | _Private, head: int, now: float, *, patient: bool = True) -> None:
        room.stream.reach(head)
        if room.stream.behind and room.read_at is None:
            room.read_at = now + TARGET_PATIENCE if patient else now

    def _read_due(self, now: float) -> None:
        """Reads one page of one room that lacks something: the broker allows one read at a time."""
        if self._reading is not None or self._welcome is None:
            return
        for room in self._followed():
            if room.read_at is not None and room.read_at <= now:
                room.read_at = None
                if room.stream.behind and room.stream.position is not None:
                    q = self._number()
                    self._reading = (q, room)
                    self._requests.append(Read(q, room.name, room.stream.position, PAGE))
                    return

    def _paged(self, page: Page, now: float) -> None:
        if self._reading is None or self._reading[0] != page.q:
            return
        room, self._reading = self._reading[1], None
        self._deliver(room, room.stream.page(page))
        if room.stream.behind:
            room.read_at = now

    def _private_events(self, told: Private, now: float) -> None:
        room = self._private.get(told.room)
        if room is None:
            room = self._private[told.room] = _Private(told.room, told.peer, Stream(0))
        room.peer = told.peer
        self._deliver(room, room.stream.offer(told.events))
        if room.stream.torn:
            room.read_at = now

    # Replies ----------------------------------------------------------------------------------------------------------

    def _reply(self, item: Reply, now: float) -> None:
        match item:
            case Ack():
                pending = self._outbox.answered(item.n)
                if pending is not None:
                    self.events.append(heard.Sent(pending.ticket, item.room or pending.room, item.seq, item.ms))
            case Refused():
                self._refused(item, now)
            case Fenced():
                self._reached_fence(item.k)
            case Joined():
                self._joined(item, now)
            case Page():
                self._paged(item, now)
            case Private():
                self._private_events(item, now)
            case Beat():
                self._beaten(item, now)
            case People() if item.q in self._rosters:
                self._roster(self._rosters.pop(item.q), item)
            case Done() | Named() | People() | RoomList() | Told() | Pong():
                self._answer(item)
            case Failed():
                self._failed(item, now)
            case Notice():
                self.events.append(heard.Notice(item.ms, item.name, item.text))
            case Closing():
                self.events.append(heard.Closing(item.text))
            case _:
                pass
        self._read_due(now)

    def _answer(self, item: Answer) -> None:
        if self._asked.pop(item.q, None) is None:
            return
        if isinstance(item, Named):
            self.name = item.name
        self.answers[item.q] = item

    def _beaten(self, beat: Beat, now: float) -> None:
        self._beat_late = None
        self._beat_due = now + beat.interval
        for moved in beat.moved:
            room = self._rooms.get(moved.room) or self._private.get(moved.room)
            if room is None and moved.room.startswith("@"):
                room = self._private[moved.room] = _Private(moved.room, "?", Stream(0))
            if room is None:
                continue
            self._reach(room, moved.head, now)
            if isinstance(room, _Room) and room.joined and moved.version > room.version:
                self._ask_roster(room)

    def _refused(self, refused: Refused, now: float) -> None:
        problem = errors.refusal(refused.code, refused.detail)
        if isinstance(problem, errors.UnknownSession):
            self._unknown_session(now)
        elif isinstance(problem, errors.OutOfOrder):
            self._outbox.go_back(refused.expected, now, 0.0)
        elif problem.retryable:
            self._outbox.go_back(refused.n, now, refused.retry_ms / 1000)
        else:
            pending = self._outbox.answered(refused.n)
            if pending is not None:
                self.events.append(heard.NotSent(pending.ticket, problem))

    def _failed(self, failed: Failed, now: float) -> None:
        problem = errors.refusal(failed.code, failed.detail)
        if failed.q == self._hello_q and self._hello_due is not None:
            self._hello_due = None
            if problem.retryable:
                self._hello_at = now + 1.0
            else:
                self._end(problem)
        elif isinstance(problem, errors.UnknownSession):
            self._unknown_session(now)
        elif isinstance(problem, errors.Superseded | errors.OverCredit):
            self._end(problem)
        elif self._asked.pop(failed.q, None) is not None:
            self.answers[failed.q] = problem
        elif self._reading is not None and self._reading[0] == failed.q:
            room, self._reading = self._reading[1], None
            room.read_at = now + 1.0 if problem.retryable else None
        else:
            self._join_refused(failed.q, problem)

    def _join_refused(self, q: int, problem: errors.Refusal) -> None:
        room = next((room for room in self._rooms.values() if room.q == q), None)
        if room is not None:
            self.leave(room.name)
            self.events.append(heard.NotEntered(room.name, problem))

    def _end(self, problem: errors.ZchatError) -> None:
        self.ended = problem
        self._offline()
        self.events.append(heard.Ended(problem))

    # Sending ----------------------------------------------------------------------------------------------------------

    def _transmit_sends(self, now: float) -> None:
        if self._welcome is not None and len(self._outbox):
            self._requests.extend(self._outbox.take(self._welcome.credit - RESERVE, now))

    def _number(self) -> int:
        self._q += 1
        return self._q


def request_number(request: Request) -> int:
    """The number that a request's answer repeats."""
    number: int = getattr(request, "q", 0) or getattr(request, "n", 0)
    return number
