"""The client's side of the protocol, without I/O: positions, gaps, retries, reconnection.

The shell tells it what happened (`connected`, `disconnected`, `replied`, `published`, `tick`), does the commands
it takes out with `commands`, and hands the user the events it takes out with `events`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import isfinite

from zchat import errors
from zchat.client import events as heard
from zchat.client.outbox import Outbox
from zchat.client.positions import Lost, Stream
from zchat.codec import fence_topic, room_topic
from zchat.messages import (
    VERSION,
    Ack,
    Ask,
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
    Nick,
    Notice,
    Page,
    People,
    Ping,
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
    Rooms,
    Stamp,
    Told,
    Unfenced,
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
"""How much of the credit sends leave to other requests; what is asked beyond it waits."""

PAGE = 500
"""Events asked for at a time."""

AGAIN = 1.0
"""Seconds before hello is said again on a connection where it was answered already, or was refused."""

BEATS = (1.0, 3600.0)
"""Seconds between two heartbeats at least and at most, whatever the broker says."""

TEXT_LIMIT = 16 * 1024
"""Bytes of a text at most, before the broker has said."""

NAME_LIMIT = 1024
"""Characters of anything else at most: the broker takes far less, and cuts who sends a frame that is too long."""

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

ANSWERS: dict[type[Request], type[Answer]] = {
    Who: People,
    Rooms: RoomList,
    Nick: Named,
    Ask: Told,
    Ping: Pong,
    Bye: Done,
}
"""What each question is answered with."""


@dataclass(slots=True, eq=False)
class _Room:
    """A room that is followed, or that is about to be.

    Attributes:
        k: the fence that proves its subscription; 0 if it is not subscribed.
        q: the number of the join that is not answered yet.
        again: whether to join once more when it is.
        joined: whether the broker answered a join over this connection.
        entered: whether the user was told.
        renamed: whether the broker has called it otherwise than the user.
        names: who is in it, if that is told.
        read_at: when to read what is missing; None if nothing is known to be.
    """

    name: str
    quiet: bool
    stream: Stream = field(default_factory=Stream)
    k: int = 0
    q: int | None = None
    again: bool = False
    joined: bool = False
    entered: bool = False
    renamed: bool = False
    names: set[str] | None = None
    count: int = 0
    version: int = 0
    read_at: float | None = None


@dataclass(slots=True, eq=False)
class _Private:
    """A private room."""

    name: str
    peer: str
    stream: Stream
    read_at: float | None = None

    @property
    def label(self) -> str:
        return f"@{self.peer}"


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
        self._waiting: deque[Request] = deque()  # for credit
        self._unanswered: set[int] = set()  # requests under way, but for sends, hello and heartbeats
        self._online = False
        self._welcome: Welcome | None = None  # of this connection
        self._again = False
        self._anew = False  # whether some room's place is to be found anew
        self._met = False  # whether all private rooms are known up to here
        self._q = 0
        self._hello_q = 0
        self._greeted_at = float("-inf")
        self._hellos = 0  # on this connection
        self._hello_due: float | None = None
        self._hello_at: float | None = None
        self._k = 0
        self._fences: list[int] = []  # subscribed over this SUB
        self._fenced = 0
        self._fence_due: float | None = None
        self._fence_tries = 0
        self._unfenced_at = float("-inf")
        self._sub_open = False
        self._rooms: dict[str, _Room] = {}
        self._private: dict[str, _Private] = {}
        self._foreign: deque[tuple[str, Published]] = deque(maxlen=FOREIGN)
        self._asked: dict[int, Request] = {}
        self._leaves: dict[int, tuple[Leave, bool]] = {}  # not answered yet, and whether the room was entered
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
        times = [self._hello_due, self._hello_at, self._fence_due, self._beat_late, self._outbox.expires()]
        if self.open:
            times += [self._beat_due, None if self._anew else self._outbox.due()]
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
        if len(name) > NAME_LIMIT:
            self.events.append(heard.NotEntered(name, errors.NameInvalid()))
            return
        canonical = self.room_names.setdefault(name, name)
        room = self._rooms.get(canonical)
        if room is None:
            room = self._rooms[canonical] = _Room(canonical, quiet)
            if self.open:
                self._follow([room], now)
        elif room.quiet and not quiet:
            room.quiet = False
            self._join_again(room)

    def leave(self, name: str) -> int | None:
        """Follows a room no longer; gives the number of the request, None if it was not followed."""
        name = name.removeprefix("#")
        room = self._rooms.get(self.room_names.get(name, name))
        if room is None:
            return None
        self._drop(room)
        self.room_names = {given: canonical for given, canonical in self.room_names.items() if canonical != room.name}
        leave = Leave(self._number(), room.name)
        self._leaves[leave.q] = leave, room.entered
        if self.open:
            self._request(leave)
        return leave.q

    def send(self, room: str, text: str, *, action: bool, now: float) -> int:
        """Queues a message; `Sent` or `NotSent` will carry the ticket that is returned.

        Args:
            room: a room, or `@NAME` for a person.
        """
        limit = self._welcome.text_limit if self._welcome else TEXT_LIMIT
        size = len(text.encode(errors="replace"))
        if size > limit or len(room) > NAME_LIMIT:  # the broker would cut us for a frame that is too long
            ticket = self._outbox.ticket()
            detail = f"the text has {size} bytes and {limit} are allowed: say it in parts"
            problem = errors.TooLong(detail) if size > limit else errors.NameInvalid()
            self.events.append(heard.NotSent(ticket, problem))
            return ticket
        ticket = self._outbox.add(room, text, action)
        self._transmit_sends(now)
        return ticket

    def ask(self, make: Callable[[int], Request]) -> int:
        """Asks the broker something that may be asked again; the answer will be in `answers` under the number
        returned.
        """
        request = make(self._number())
        if any(len(getattr(request, field, "")) > NAME_LIMIT for field in ("room", "name", "word", "after")):
            self.answers[request_number(request)] = errors.NameInvalid()
            return request_number(request)
        self._asked[request_number(request)] = request
        if self.open:
            self._request(request)
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
        self._online, self._hellos = True, 0
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
        for room in self._rooms.values():
            room.k = 0
        self._commands.clear()

    def replied(self, frame: Replies, now: float) -> None:
        """A frame came over DEALER."""
        for item in frame.items:
            if isinstance(item, Welcome):
                self._welcomed(item, frame.stamp, now)
            elif self.open or isinstance(item, Failed | Notice | Closing):
                self._reply(item, now)  # what was said before the welcome is said of the session before, or in it
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
        if self._outbox.expires() <= now:
            self._forget_sends()
            if self._online:
                self._reopen()
                return
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
        self._greeted_at = now
        self._hellos += 1
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
            self._say_hello_again(now)

    def _say_hello_again(self, now: float) -> None:
        """Says hello once more on this connection, but not over and over: once is usual, with a new client id."""
        if self._hellos < 2 or now - self._greeted_at >= AGAIN:
            self._say_hello(now)
        else:
            self._offline()
            self._hello_at = self._greeted_at + AGAIN

    def _offline(self) -> None:
        """Nothing is known to be there any more; what is not answered will be asked again."""
        self._welcome = None
        self._requests = []
        self._waiting.clear()
        self._unanswered.clear()
        self._reading = None
        self._rosters = {}
        self._fence_due = self._beat_late = None
        self._beat_due = float("inf")
        for room in self._rooms.values():
            room.joined, room.q, room.again = False, None, False

    def _reopen(self) -> None:
        self._hello_due = self._beat_late = self._fence_due = None
        self._commands.append(Reopen())

    def _welcomed(self, welcome: Welcome, stamp: Stamp, now: float) -> None:
        if welcome.q != self._hello_q:
            return
        self._hello_due = None
        if not 0 < welcome.pub_port < 65536 or welcome.credit < 1:
            self._end(errors.Refusal("what answers there is no broker that one can work with"))
            return
        self._resume = welcome.session
        self._senders.add(welcome.sender)
        vouched = welcome.vouched
        if not vouched:
            self._begin_anew()
        self._stamp = stamp
        if not self._outbox.agrees(welcome.last, vouched):
            self._forget_sends()
            self._say_hello_again(now)
            return
        self._welcome = welcome
        self.name = welcome.name
        self.events.append(heard.Connected(welcome.name, welcome.banner, self._again))
        self._meet(welcome, now)
        self._again = True
        self._beat_due = now + _beat(welcome.heartbeat)
        self._outbox.again()
        for request in (*(leave for leave, _ in self._leaves.values()), *self._asked.values()):
            self._request(request)
        if self._rooms:
            self._follow(self._rooms.values(), now)
        foreign, self._foreign = self._foreign, deque(maxlen=FOREIGN)
        for name, frame in foreign:
            if frame.stamp.run == stamp.run:
                self.published(name, frame, now)

    def _begin_anew(self) -> None:
        """The store does not vouch for what was seen: numbers may have been used again."""
        for room in self._rooms.values():
            if room.stream.position is not None:
                self.events.append(heard.Gap(room.name, room.stream.position + 1, None))
                self._anew = True
            room.stream, room.read_at = Stream(), None
        for private in self._private.values():
            self.events.append(heard.Gap(private.label, (private.stream.position or 0) + 1, None))
        self._private, self._met = {}, False

    def _meet(self, welcome: Welcome, now: float) -> None:
        for told in welcome.private:
            known = self._private.get(told.room)
            if known is None:
                # Before the first hello nothing is missed; a private room made while we were away is read from its
                # start.
                begin = 0 if self._met else told.head
                known = self._private[told.room] = _Private(told.room, told.peer, Stream(begin))
            known.peer = told.peer
            self._reach(known, told.head, now)
        self._met = True

    def _forget_sends(self) -> None:
        """Numbers begin anew under another id, with the next hello."""
        for pending in self._outbox.restart():
            error = errors.Unknown("no answer could be had: whether it was stored is unknown")
            self.events.append(heard.NotSent(pending.ticket, error))
        for k in self._fences:
            self._commands.append(Unsubscribe(fence_topic(self._fence, k)))
        self._client, self._fence, self._fences, self._resume = self._token(16), self._token(16), [], None

    # Fence and rooms --------------------------------------------------------------------------------------------------

    def _follow(self, rooms: Iterable[_Room], now: float) -> None:
        for room in rooms:
            self._subscribe(room)
        self._fence_tries = 0
        self._raise_fence(now)

    def _subscribe(self, room: _Room) -> None:
        if not self._sub_open and self._welcome is not None:
            self._commands.append(OpenSub(self._welcome.pub_port))
            self._sub_open = True
            self._fences = []
        if room.k == 0:
            self._commands.append(Subscribe(room_topic(room.name)))
        room.k = self._k + 1

    def _drop(self, room: _Room) -> None:
        del self._rooms[room.name]
        self._rosters = {q: asked for q, asked in self._rosters.items() if asked is not room}
        if room.k:
            self._commands.append(Unsubscribe(room_topic(room.name)))
            room.k = 0

    def _raise_fence(self, now: float) -> None:
        """Subscribes the next fence: once it is answered, so is everything that was subscribed before."""
        self._k += 1
        self._fences.append(self._k)
        self._fence_tries += 1
        self._fence_due = now + FENCE_PATIENCE
        self._commands.append(Subscribe(fence_topic(self._fence, self._k)))

    def _reached_fence(self, k: int) -> None:
        if k not in self._fences:
            return
        before, self._fenced = self._fenced, max(k, self._fenced)
        # None is kept: when many clients go at once, libzmq walks through all topics for each of them.
        while self._fences and self._fences[0] <= k:
            self._commands.append(Unsubscribe(fence_topic(self._fence, self._fences.pop(0))))
        if all(room.k <= self._fenced for room in self._rooms.values()):
            self._fence_due = None
        for room in self._rooms.values():
            if before < room.k:
                self._join_again(room)

    def _lost_fence(self, now: float) -> None:
        """SUB was cut, and reconnects by itself: once a new fence is reached, what came meanwhile is asked for."""
        if self._sub_open and self._rooms:
            for room in self._rooms.values():
                room.joined, room.k = False, self._k + 1
            self._fence_tries = 0
            if now - self._unfenced_at >= FENCE_PATIENCE:
                self._unfenced_at = now
                self._raise_fence(now)
            else:
                self._fence_due = self._unfenced_at = now + FENCE_PATIENCE

    def _join(self, room: _Room) -> None:
        if room.q is None and 0 < room.k <= self._fenced:
            room.q = self._number()
            self._request(Join(room.q, room.name, room.quiet))

    def _join_again(self, room: _Room) -> None:
        room.again = room.q is not None
        if self.open:
            self._join(room)

    def _joined(self, joined: Joined, now: float) -> None:
        room = next((room for room in self._rooms.values() if room.q == joined.q), None)
        if room is None:
            return
        room.q = None
        if joined.room != room.name:
            if room.renamed:
                self._refuse_room(room, errors.Refusal("the broker calls the room otherwise each time"))
            else:
                self._rename(room, joined.room, now)
            return
        room.joined = True
        if room.again:
            self._join_again(room)
        if room.stream.position is None:
            self._deliver(room, room.stream.begin(joined.head))
        self._reach(room, joined.head, now, patient=False)
        if room.entered:
            self._people(room, joined.version, joined.count, joined.names)
            return
        room.entered = True
        room.version, room.count = joined.version, joined.count
        room.names = set(joined.names) if len(joined.names) == joined.count else None
        self.events.append(heard.Entered(room.name, joined.names, joined.count))

    def _rename(self, room: _Room, name: str, now: float) -> None:
        """The broker calls the room otherwise: its topic is another, so it is followed from the start."""
        self._drop(room)
        for given, canonical in self.room_names.items():
            if canonical == room.name:
                self.room_names[given] = name
        self.room_names[name] = name
        twin = self._rooms.setdefault(name, room)
        if twin is room:
            room.name, room.renamed = name, True
            self._follow([room], now)
        else:
            twin.quiet = twin.quiet and room.quiet

    def _presence(self, room: _Room, told: Presence) -> None:
        if not room.joined or told.version <= room.version:
            return
        missed, room.version, room.count = told.version != room.version + 1, told.version, told.count
        if room.names is not None and (missed or room in self._rosters.values()):
            self._ask_roster(room)
            return
        if room.names is None and (told.joined or told.left or told.lost or told.renamed):
            self._ask_roster(room)  # it is a crowd no more
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
            self._request(Who(q, room.name))

    def _roster(self, room: _Room, people: People) -> None:
        if people.version < room.version:
            self._ask_roster(room)  # a presence overtook it
        else:
            self._people(room, people.version, people.count, people.names)

    def _people(self, room: _Room, version: int, count: int, names: tuple[str, ...]) -> None:
        """Takes in a roster, and tells what changed."""
        before, room.names = room.names, set(names) if len(names) == count else None
        changed, room.version, room.count = count != room.count, version, count
        joined: tuple[str, ...] = ()
        left: tuple[str, ...] = ()
        if before is not None and room.names is not None:
            joined, left = tuple(sorted(room.names - before)), tuple(sorted(before - room.names))
        if joined or left or changed:
            self.events.append(heard.Presence(room.name, count, joined, left))

    # Events -----------------------------------------------------------------------------------------------------------

    def _followed(self) -> list[_Room | _Private]:
        return [*self._rooms.values(), *self._private.values()]

    def _deliver(self, room: _Room | _Private, found: Iterable[Event | Lost]) -> None:
        private = isinstance(room, _Private)
        label = room.label if isinstance(room, _Private) else room.name
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
                    self._request(Read(q, room.name, room.stream.position, PAGE))
                    return

    def _paged(self, page: Page, now: float) -> None:
        if self._reading is None or self._reading[0] != page.q:
            return
        room, self._reading = self._reading[1], None
        if room not in self._followed():  # it was left meanwhile
            return
        before = room.stream.position
        self._deliver(room, room.stream.page(page))
        if room.stream.behind:
            room.read_at = now if room.stream.position != before else now + TARGET_PATIENCE

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
        self._unanswered.discard(getattr(item, "q", 0))
        match item:
            case Ack():
                pending = self._outbox.answered(item.n)
                if pending is not None:
                    self.events.append(heard.Sent(pending.ticket, item.room or pending.room, item.seq, item.ms))
            case Refused():
                self._refused(item, now)
            case Fenced():
                self._reached_fence(item.k)
            case Unfenced():
                self._lost_fence(now)
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
        self._release()

    def _answer(self, item: Answer) -> None:
        _, sure = self._leaves.pop(item.q, (None, True))
        if not sure:  # that name may have been another of a room that is followed still
            for room in self._rooms.values():
                self._join_again(room)
        request = self._asked.pop(item.q, None)
        if request is None:
            return
        if not isinstance(item, ANSWERS[type(request)]):
            self.answers[item.q] = errors.Refusal("the broker answered something else than was asked")
            return
        if isinstance(item, Named):
            self.name = item.name
        self.answers[item.q] = item

    def _beaten(self, beat: Beat, now: float) -> None:
        self._beat_late = None
        self._beat_due = now + _beat(beat.interval)
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
            self._outbox.go_back(refused.expected, now, refused.retry_ms / 1000)
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
                self._hello_at = now + AGAIN
            else:
                self._end(problem)
        elif isinstance(problem, errors.UnknownSession):
            self._unknown_session(now)
        elif isinstance(problem, errors.Superseded | errors.OverCredit):
            self._end(problem)
        elif self._asked.pop(failed.q, None) is not None:
            self.answers[failed.q] = problem
        elif self._leaves.pop(failed.q, None) is not None:
            pass  # it was no room
        elif self._reading is not None and self._reading[0] == failed.q:
            room, self._reading = self._reading[1], None
            room.read_at = now + 1.0 if problem.retryable else None
        else:
            self._join_refused(failed.q, problem)

    def _join_refused(self, q: int, problem: errors.Refusal) -> None:
        room = next((room for room in self._rooms.values() if room.q == q), None)
        if room is not None:
            self._refuse_room(room, problem)

    def _refuse_room(self, room: _Room, problem: errors.Refusal) -> None:
        self._drop(room)
        self.room_names = {given: name for given, name in self.room_names.items() if name != room.name}
        self.events.append(heard.NotEntered(room.name, problem))

    def _end(self, problem: errors.ZchatError) -> None:
        self.ended = problem
        self._offline()
        self.events.append(heard.Ended(problem))

    # Sending ----------------------------------------------------------------------------------------------------------

    def _transmit_sends(self, now: float) -> None:
        if self._anew:  # what is said before there is a place in its room again would not be heard
            self._anew = any(room.entered and room.stream.position is None for room in self._rooms.values())
        if self._welcome is not None and len(self._outbox) and not self._anew:
            self._requests.extend(self._outbox.take(max(self._welcome.credit - RESERVE, 1), now))

    def _request(self, request: Request) -> None:
        """Asks as soon as there is credit for it."""
        self._waiting.append(request)
        self._release()

    def _release(self) -> None:
        while self._waiting and len(self._unanswered) < RESERVE - 1:  # one is the heartbeat's
            request = self._waiting.popleft()
            self._unanswered.add(request_number(request))
            self._requests.append(request)

    def _number(self) -> int:
        self._q += 1
        return self._q


def _beat(seconds: float) -> float:
    """An interval between heartbeats, as the broker wants it within reason."""
    return min(max(seconds, BEATS[0]), BEATS[1]) if isfinite(seconds) else BEATS[1]


def request_number(request: Request) -> int:
    """The number that a request's answer repeats."""
    number: int = getattr(request, "q", 0) or getattr(request, "n", 0)
    return number
