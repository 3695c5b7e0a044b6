"""The broker's mind: it plans a turn, and once the store has committed it, says what to do. It does no I/O and has
no clock.

A turn is two steps, since only the store numbers events: `handle` executes requests and plans the store's work;
`committed` or `failed` yields the effects. Nothing leaves before the commit, so nobody sees what a crash could
take back.
"""

from __future__ import annotations

import hashlib
from bisect import insort
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from zchat import errors
from zchat.broker.commands import execute
from zchat.broker.effects import Effects, Level, Log, ReadJob
from zchat.broker.rooms import Room, Roster
from zchat.broker.sessions import Names, Session
from zchat.broker.settings import RETRY_MS, Settings
from zchat.codec import Malformed
from zchat.messages import (
    LOBBY,
    Ack,
    Closing,
    Event,
    Failed,
    Fenced,
    Head,
    Notice,
    Private,
    Refused,
    Reply,
    Request,
    Send,
    Unfenced,
)
from zchat.store.base import Append, Greeted, Greeting, NewRoom, Outcome, Refusal, RoomRecord, Work

OPERATOR = "operator"
"""Whom the console speaks as: a reserved name."""


@dataclass(slots=True, frozen=True)
class Now:
    """The time of a turn, as data.

    Attributes:
        clock: monotonic, in seconds: when things fall due.
        ms: milliseconds since 1970 UTC: only shown, never compared.
    """

    clock: float
    ms: int


@dataclass(slots=True, frozen=True)
class Received:
    """A frame of requests came from a peer."""

    peer: bytes
    requests: Sequence[Request | Malformed]


@dataclass(slots=True, frozen=True)
class FenceMoved:
    """A fence topic was subscribed (up), or the connection over which it was has ended."""

    fence: bytes
    k: int
    up: bool


@dataclass(slots=True, frozen=True)
class Gone:
    """A peer's connection ended."""

    peer: bytes


@dataclass(slots=True, frozen=True)
class Announce:
    """The operator says something to everybody."""

    text: str


@dataclass(slots=True, frozen=True)
class Shutdown:
    """The broker is about to stop."""

    text: str


Input = Received | FenceMoved | Gone | Announce | Shutdown


class Hub:
    """All sessions and rooms of a broker.

    Args:
        settings: bounds and times.
        rooms: what the store keeps.
        token: makes a secret of so many random bytes.
    """

    def __init__(self, settings: Settings, rooms: Iterable[RoomRecord], token: Callable[[int], bytes]) -> None:
        self.settings = settings
        self.token = token
        self.rooms: dict[str, Room] = {
            kept.room: Room(kept.room, kept.head, kept=True, members=kept.members) for kept in rooms
        }
        self.public = sorted(room.name for room in self.rooms.values() if not room.members)
        self.people: dict[bytes, set[Session]] = {}
        self.private: dict[bytes, list[Room]] = {}  # by person
        for room in self.rooms.values():
            for person in set(room.members):
                self.private.setdefault(person, []).append(room)
        self.names = Names()
        self.everybody = Roster()
        self.turn = 0
        self.now = Now(0.0, 0)
        self.draining = False
        self.clock = 0.0
        self._last: float | None = None
        self._peers: dict[bytes, Session] = {}
        self._tokens: dict[bytes, Session] = {}
        self._clients: dict[bytes, Session] = {}
        self._fences: dict[bytes, Session] = {}
        self._unfenced: OrderedDict[Session, float] = OrderedDict()  # since when nothing was heard, oldest first
        self._leaving: dict[Session, float] = {}  # when the grace ends, soonest first, since all have the same grace
        self._quieting: deque[tuple[float, Room]] = deque()
        self._changed: dict[str, Room] = {}  # rooms whose roster has something to tell
        self._reads: deque[tuple[Session, ReadJob]] = deque()
        self._cut: set[bytes] = set()  # peers of which nothing more is heard until their connection has ended
        self._asked: dict[bytes, int] = {}  # requests of each peer in this turn
        self._sends: list[tuple[Session, Room | None, Append | Refusal]] = []
        self._after: list[Callable[[], None]] = []
        self._welcomes: list[tuple[Session, int, Callable[[Greeted], None]]] = []
        self.work = Work()
        self.effects = Effects()
        self.room(LOBBY)

    # A turn ---------------------------------------------------------------------------------------------------------

    def handle(self, inputs: Iterable[Input], now: Now) -> Work:
        """Executes what came in and what fell due.

        Args:
            inputs: in the order in which they came.
            now: the time of this turn.

        Returns:
            What the store must commit before `committed` may be called; `failed` if it cannot.
        """
        # The hub's own clock never advances by more than a second a turn: after the loop was stalled (a stopped
        # process, a suspended machine) what has arrived meanwhile is heard before anyone is expired.
        self.clock += 0.0 if self._last is None else min(max(now.clock - self._last, 0.0), 1.0)
        self._last, self.now = now.clock, now
        self.turn += 1
        self._asked.clear()
        for item in inputs:
            match item:
                case Received():
                    self._received(item)
                case FenceMoved():
                    self._fence_moved(item)
                case Gone():
                    self._gone(item.peer)
                case Announce():
                    self._tell_all(Notice(now.ms, OPERATOR, item.text))
                case Shutdown():
                    self.draining = True
                    self._tell_all(Closing(item.text))
        self._expire()
        return self.work

    def committed(self, outcome: Outcome) -> Effects:
        """What the turn leads to, its work having been committed."""
        for (_, _, welcome), greeted in zip(self._welcomes, outcome.greeted, strict=True):
            welcome(greeted)  # first, so that nobody hears anything in a private room before
        for (session, room, send), event in zip(self._sends, outcome.sends, strict=True):
            if isinstance(send, Append) and room is not None and event is not None:
                self._appended(session, room, send, event)
            elif isinstance(send, Refusal):
                self._used(session, send.answer)
                self.reply(session, send.answer)
        for new in self.work.rooms:
            self.rooms[new.room].kept = True
        return self._finish()

    def failed(self, error: errors.StoreUnavailable) -> Effects:
        """What the turn leads to, nothing of its work having been kept: sends and hellos may be tried again, all else
        goes on.
        """
        for session, _room, send in self._sends:
            n = send.n if isinstance(send, Append) else send.answer.n
            if session.sends is not None:
                session.sends.planned = session.sends.known.last
            self.reply(session, Refused(n, errors.Unavailable.code, errors.Unavailable.says, retry_ms=RETRY_MS))
        for session, q, _ in self._welcomes:
            if session.peer is not None:
                self._fail(session.peer, q, errors.Unavailable())
                if session.sends is None:
                    self.end(session)
        self.log(Level.WARNING, f"the store could not commit: {error}")
        return self._finish()

    def wait(self) -> float:
        """Seconds until something falls due, at most one: a longer sleep would count as a stall."""
        if self._reads:
            return 0.0
        due = self.clock + 1.0
        if self._quieting:
            due = min(due, self._quieting[0][0])
        if self._leaving:
            due = min(due, next(iter(self._leaving.values())))
        for room in self._changed.values():
            due = min(due, room.told + self.settings.crowd_pause)
        return max(due - self.clock, 0.0)

    def _finish(self) -> Effects:
        self._publish_presence()  # first, so that a roster told below is not older than the presence published
        for answer in self._after:
            answer()
        self._release_reads()
        done = self.effects
        self.work, self.effects = Work(), Effects()
        self._sends, self._after, self._welcomes = [], [], []
        return done

    # Requests -------------------------------------------------------------------------------------------------------

    def _received(self, item: Received) -> None:
        peer = item.peer
        if peer in self._cut:
            return
        asked = self._asked[peer] = self._asked.get(peer, 0) + len(item.requests)
        session = self._peers.get(peer)
        if asked + (session is not None and session.reading) > self.settings.credit:
            self._fail(peer, 0, errors.OverCredit())
            self.effects.cuts.append(peer)
            self._cut.add(peer)
            self.log(Level.WARNING, f"cut {_called(session)}: {asked} requests at once", peer)
            return
        malformed = [request for request in item.requests if isinstance(request, Malformed)]
        if malformed:
            who, problem = _called(session), malformed[0].problem
            self.log(Level.WARNING, f"could not read {len(malformed)} requests of {who}: {problem}", peer)
        for request in item.requests:
            if isinstance(request, Malformed):
                self._fail(peer, request.q, request.problem)
                continue
            try:
                execute(self, peer, self._peers.get(peer), request)
            except errors.Refusal as problem:
                if isinstance(request, Send):
                    self.effects.reply(peer, Refused(request.n, problem.code, str(problem), retry_ms=RETRY_MS))
                else:
                    self._fail(peer, request.q, problem)

    def _fail(self, peer: bytes, q: int, problem: errors.Refusal) -> None:
        self.effects.reply(peer, Failed(q, problem.code, str(problem)))

    def heard(self, session: Session) -> None:
        """A request came: a session that is known only by its requests is alive."""
        if session in self._unfenced:
            self._unfenced[session] = self.clock
            self._unfenced.move_to_end(session)

    def reply(self, session: Session, item: Reply) -> None:
        """Sends something to a session, if it is connected."""
        self.effects.reply(session.peer, item)

    def after(self, answer: Callable[[], None]) -> None:
        """Has something done after the commit: what names a head must be."""
        self._after.append(answer)

    def log(self, level: Level, text: str, peer: bytes | None = None) -> None:
        """A line for the operator."""
        self.effects.log.append(Log(level, text, peer))

    # Sessions -------------------------------------------------------------------------------------------------------

    def begin(
        self, session: Session, peer: bytes, q: int, greeting: Greeting, welcome: Callable[[Greeted], None]
    ) -> None:
        """A session begins or comes back at a peer with hello number `q`; `welcome` is called after the commit.

        Whoever was this client, or at this peer, is over.
        """
        for old in dict.fromkeys((self._clients.get(session.client), self._peers.get(peer))):
            if old is not None and old is not session:
                if old.peer != peer:
                    self._supersede(old)
                self.end(old)
        self._peers[peer] = session
        self._tokens[session.token] = self._clients[session.client] = self._fences[session.fence] = session
        self.people.setdefault(session.person, set()).add(session)
        self._leaving.pop(session, None)
        session.hears = None  # its SUB is connected anew as well
        self._unfenced[session] = self.clock
        self._unfenced.move_to_end(session)
        self.work.greetings.append(greeting)
        self._welcomes.append((session, q, welcome))

    def resumable(self, token: bytes) -> Session | None:
        """The session of a resume token, if it is still there."""
        return self._tokens.get(token)

    def rebind(self, session: Session, peer: bytes, fence: bytes) -> None:
        """A session is reached at another peer from now on; whoever was there before is told so."""
        if session.peer != peer:
            self._supersede(session)
        if session.fence != fence:
            self._fences.pop(session.fence, None)
            session.fence = fence
        session.peer = peer

    def fenced(self, fence: bytes) -> Session | None:
        """The session of a fence token."""
        return self._fences.get(fence)

    @property
    def sessions(self) -> int:
        """How many sessions there are."""
        return len(self._tokens)

    def end(self, session: Session, *, lost: bool = False) -> None:
        """A session is over: its person left, or was lost."""
        for name in list(session.rooms):
            self.leave(session, name, lost=lost)
        if session.name is not None:
            self.names.release(session.name)
        if session.peer is not None and self._peers.get(session.peer) is session:
            del self._peers[session.peer]
        self._tokens.pop(session.token, None)
        if self._clients.get(session.client) is session:
            del self._clients[session.client]
        if self._fences.get(session.fence) is session:
            del self._fences[session.fence]
        mine = self.people.get(session.person)
        if mine is not None:
            mine.discard(session)
            if not mine:
                del self.people[session.person]
        self._unfenced.pop(session, None)
        self._leaving.pop(session, None)
        self.log(Level.INFO, f"{_called(session)} {'was lost' if lost else 'left'}", session.peer)
        session.peer = None

    def _supersede(self, session: Session) -> None:
        if session.peer is None:
            return
        self._fail(session.peer, 0, errors.Superseded())
        self._peers.pop(session.peer, None)
        session.peer = None

    def _fence_moved(self, item: FenceMoved) -> None:
        session = self._fences.get(item.fence)
        if session is None:
            return
        if item.up:
            session.hears = True
            self._unfenced.pop(session, None)
            if session.peer is not None:
                self._leaving.pop(session, None)
            self.reply(session, Fenced(item.k))
        elif session.hears:
            session.hears = False
            self._leaving.setdefault(session, self.clock + self.settings.grace)
            self.reply(session, Unfenced())

    def _gone(self, peer: bytes) -> None:
        self._cut.discard(peer)
        session = self._peers.pop(peer, None)
        if session is None:
            return
        session.peer = None
        self._unfenced.pop(session, None)
        self._leaving.setdefault(session, self.clock + self.settings.grace)

    def _expire(self) -> None:
        while self._leaving:
            session, due = next(iter(self._leaving.items()))
            if due > self.clock:
                break
            self.end(session, lost=True)
        while self._unfenced:
            session, since = next(iter(self._unfenced.items()))
            if since + self.settings.silence > self.clock:
                break
            self.end(session, lost=True)
        while self._quieting and self._quieting[0][0] <= self.clock:
            _, room = self._quieting.popleft()
            if room.said + self.settings.quiet > self.clock:
                self._quieting.append((room.said + self.settings.quiet, room))
            else:
                room.quieting = False
                self.after(partial(self._say_head, room))

    def _say_head(self, room: Room) -> None:
        self.effects.publication(room.name).states.append(Head(room.head))

    def _tell_all(self, item: Reply) -> None:
        for peer in self._peers:
            self.effects.reply(peer, item)

    # Rooms ----------------------------------------------------------------------------------------------------------

    def room(self, name: str, members: tuple[bytes, ...] = ()) -> Room:
        """A room by its canonical name, made if it is not there.

        Raises:
            errors.LimitReached: there are too many rooms.
        """
        room = self.rooms.get(name)
        if room is None:
            if len(self.rooms) >= self.settings.max_rooms:
                raise errors.LimitReached("there are as many rooms as the broker allows: use one that is there")
            room = self.rooms[name] = Room(name, members=members)
            if not members:
                insort(self.public, name)
            for person in set(members):
                self.private.setdefault(person, []).append(room)
        if not room.kept:
            self.work.rooms.append(NewRoom(name, room.members))
        return room

    def private_room(self, one: bytes, other: bytes) -> Room:
        """The room of two persons, made if it is not there.

        Raises:
            errors.LimitReached: one of them has too many.
        """
        # The id says nothing of whose it is to those who do not know both secrets, and every broker makes the same one.
        pair = (min(one, other), max(one, other))
        name = "@" + hashlib.blake2b(b"\0".join(part.hex().encode() for part in pair), digest_size=12).hexdigest()
        if name not in self.rooms:
            for person in pair:
                if len(self.private.get(person, ())) >= self.settings.max_private_rooms:
                    raise errors.LimitReached("too many private conversations")
        return self.room(name, pair)

    def peer_name(self, room: Room, person: bytes) -> str:
        """How the other of a private room is called by now, as far as is known."""
        other = room.members[0] if room.members[1] == person else room.members[1]
        for session in self.people.get(other, ()):
            if session.name is not None:
                return session.name
        return room.called.get(other, "?")

    def enter(self, session: Session, room: Room, *, quiet: bool) -> None:
        """A session follows a room, and unless quiet is in its roster."""
        if not session.rooms.get(room.name, False) and not quiet and session.name is not None:
            room.roster.add(session.name)
            self.everybody.add(session.name)
            session.rooms[room.name] = True
            self._changed[room.name] = room
            self.log(Level.INFO, f"{session.name} joined {room.name}", session.peer)
        session.rooms.setdefault(room.name, False)

    def leave(self, session: Session, name: str, *, lost: bool = False) -> None:
        """A session follows a room no longer."""
        if session.rooms.pop(name, False) and session.name is not None:
            room = self.rooms[name]
            room.roster.remove(session.name, lost=lost)
            self.everybody.remove(session.name)
            self._changed[name] = room

    def rename(self, session: Session, name: str) -> None:
        """A session that has a name goes by another one, which is its own already."""
        for joined, present in session.rooms.items():
            if present and session.name is not None:
                room = self.rooms[joined]
                room.roster.rename(session.name, name)
                self.everybody.rename(session.name, name)
                self._changed[joined] = room
        session.name = name

    def _publish_presence(self) -> None:
        for name, room in list(self._changed.items()):
            crowded = len(room.roster) > self.settings.named_members
            if crowded and room.told + self.settings.crowd_pause > self.clock:
                continue
            del self._changed[name]
            presence = room.roster.presence(self.settings.named_members)
            if presence is not None:
                room.told, room.moved = self.clock, self.turn
                self.effects.publication(name).states.append(presence)
        self.everybody.presence(0)  # nobody is told: only forgets what changed

    # Sends ----------------------------------------------------------------------------------------------------------

    def stage(self, session: Session, room: Room | None, send: Append | Refusal) -> None:
        """Plans a send: it is answered after the commit."""
        self._sends.append((session, room, send))
        self.work.sends.append(send)

    def _appended(self, session: Session, room: Room, send: Append, event: Event) -> None:
        room.head, room.moved, room.said = event.seq, self.turn, self.clock
        if not room.members:
            self.effects.publication(room.name).events.append(event)
            if not room.quieting:
                room.quieting = True
                self._quieting.append((self.clock + self.settings.quiet, room))
        else:
            room.called[session.person] = send.name
            for person in set(room.members):
                for reader in self.people.get(person, ()):
                    self.reply(reader, Private(room.name, self.peer_name(room, person), (event,)))
        ack = Ack(send.n, room.name, event.seq, send.ms)
        self._used(session, ack)
        self.reply(session, ack)

    def _used(self, session: Session, answer: Ack | Refused) -> None:
        if session.sends is not None:
            known = session.sends.known
            known.last = answer.n
            known.outcomes[answer.n] = answer
            known.outcomes.pop(answer.n - self.settings.credit, None)

    # Reads ----------------------------------------------------------------------------------------------------------

    def read(self, session: Session, job: ReadJob) -> None:
        """Queues a read; it is done after a commit, as soon as the turn's budget allows."""
        session.reading = True
        self._reads.append((session, job))

    def _release_reads(self) -> None:
        budget = self.settings.read_budget
        while self._reads and budget > 0:
            session, job = self._reads.popleft()
            session.reading = False
            if session.peer == job.peer:
                self.effects.reads.append(job)
                budget -= job.limit


def _called(session: Session | None) -> str:
    if session is None:
        return "a stranger"
    return session.name or "a visitor"
