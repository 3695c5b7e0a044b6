"""Sessions: who has one, where it is reached, and when it is over."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field

from zchat import errors
from zchat.broker.effects import Level
from zchat.broker.marks import Marks
from zchat.broker.people import Names
from zchat.broker.rooms import Rooms
from zchat.broker.turn import Turn
from zchat.messages import Fenced, Reply, Unfenced
from zchat.store.base import ClientRecord


@dataclass(slots=True)
class Client:
    """A client's send numbers while it has a session. A cache of the store's record.

    Attributes:
        known: what the store said, and what was committed since.
        planned: the last number used up, with those of the turn under way.
    """

    known: ClientRecord
    planned: int


@dataclass(slots=True, eq=False)
class Session:
    """One program's standing with the broker. Compared by identity.

    Attributes:
        token: the secret that resumes it.
        peer: where it is reached now, None while it is not.
        name: whom it speaks as, None for one who only looks.
        person, client: secrets; see messages.Hello.
        sender: the client's public id.
        sends: its send numbers; None until the store has told them.
        fence: the random token of its fence topics.
        key: that its connection has shown; empty on plaintext.
        hears: whether its SUB is connected; None while it has not been fenced over this connection.
        rooms: the rooms it follows, and whether it is in the roster of each.
        reading: whether something that is to be looked up is not answered yet.
        pending: requests of earlier turns that are not answered yet.
        since: when it began, in milliseconds since 1970 UTC.
        beat: the turn in which its last heartbeat, or its hello, was answered.
    """

    token: bytes
    peer: bytes | None
    name: str | None
    person: bytes
    client: bytes
    sender: bytes
    fence: bytes
    key: bytes = b""
    sends: Client | None = None
    hears: bool | None = None
    rooms: dict[str, bool] = field(default_factory=dict)
    reading: bool = False
    pending: int = 0
    beat: int = 0
    since: int = 0


class Sessions:
    """All sessions of a broker.

    Args:
        turn: the turn under way.
        rooms: what ending sessions leave.
        names: what they go by, and no longer.
        marks: of those who are here, and no longer.
    """

    def __init__(self, turn: Turn, rooms: Rooms, names: Names, marks: Marks) -> None:
        self._turn = turn
        self._rooms = rooms
        self._names = names
        self._marks = marks
        self._peers: dict[bytes, Session] = {}
        self._tokens: dict[bytes, Session] = {}
        self._clients: dict[bytes, Session] = {}
        self._fences: dict[bytes, Session] = {}
        self._persons: dict[bytes, set[Session]] = {}
        self._unfenced: OrderedDict[Session, float] = OrderedDict()  # since when nothing was heard, oldest first
        self._leaving: dict[Session, float] = {}  # since when a connection is lost, longest first

    def __len__(self) -> int:
        return len(self._tokens)

    def at(self, peer: bytes) -> Session | None:
        """The session that a peer has, if it said hello."""
        return self._peers.get(peer)

    def resumable(self, token: bytes) -> Session | None:
        """The session of a resume token, if it is still there."""
        return self._tokens.get(token)

    def of_client(self, client: bytes) -> Session | None:
        """The session of a client id."""
        return self._clients.get(client)

    def fenced(self, fence: bytes) -> Session | None:
        """The session of a fence token."""
        return self._fences.get(fence)

    def of(self, person: bytes) -> Collection[Session]:
        """A person's sessions; not to be changed."""
        return self._persons.get(person, ())

    def all(self) -> list[Session]:
        """Every session."""
        return list(self._tokens.values())

    def reply(self, session: Session, item: Reply) -> None:
        """Sends something to a session, if it is connected."""
        self._turn.effects.reply(session.peer, item)

    def tell_all(self, item: Reply) -> None:
        """Sends something to everybody who is connected."""
        for peer in self._peers:
            self._turn.effects.reply(peer, item)

    # Coming and going -----------------------------------------------------------------------------------------------

    def begin(self, session: Session, peer: bytes) -> None:
        """A session begins or comes back at a peer. Whoever was this client, or at this peer, is over."""
        for old in dict.fromkeys((self._clients.get(session.client), self._peers.get(peer))):
            if old is not None and old is not session:
                if old.peer != peer:
                    self._supersede(old)
                self.end(old)
        self._peers[peer] = session
        self._tokens[session.token] = self._clients[session.client] = self._fences[session.fence] = session
        self._persons.setdefault(session.person, set()).add(session)
        self._rooms.came(session.person)
        self._leaving.pop(session, None)
        session.hears = None  # its SUB is connected anew as well
        session.reading = False
        self._unfenced[session] = self._turn.clock
        self._unfenced.move_to_end(session)

    def rebind(self, session: Session, peer: bytes, fence: bytes) -> None:
        """A session is reached at another peer from now on; whoever was there before is told so."""
        if session.peer != peer:
            self._supersede(session)
        if session.fence != fence:
            self._fences.pop(session.fence, None)
            session.fence = fence
        session.peer = peer

    def end(self, session: Session, *, lost: bool = False) -> None:
        """A session is over: its person left, or was lost."""
        for name in list(session.rooms):
            self._rooms.leave(session, name, lost=lost)
        if session.name is not None:
            self._names.release(session.name)
        for table, key in (
            (self._peers, session.peer),
            (self._tokens, session.token),
            (self._clients, session.client),
            (self._fences, session.fence),
        ):
            if key is not None and table.get(key) is session:
                del table[key]
        mine = self._persons.get(session.person, set())
        mine.discard(session)
        if session.key and not any(other.key == session.key for other in mine):
            self._turn.effects.shut.append(session.key)
        if session.peer is not None:
            self._over(session.peer)
        if not mine:
            self._persons.pop(session.person, None)
            self._marks.left(session.person)
        self._unfenced.pop(session, None)
        self._leaving.pop(session, None)
        self._turn.log(Level.INFO, f"{called(session)} {'was lost' if lost else 'left'}", session.peer)
        session.peer = None

    def _over(self, peer: bytes) -> None:
        self._turn.effects.over.append((peer, self._turn.settings.hello_wait))

    def _supersede(self, session: Session) -> None:
        if session.peer is not None:
            self._turn.fail(session.peer, 0, errors.Superseded())
            self._over(session.peer)
            self._peers.pop(session.peer, None)
            session.peer = None

    # Signs of life --------------------------------------------------------------------------------------------------

    def heard(self, session: Session) -> None:
        """A request came: a session that is known only by its requests is alive."""
        if session in self._unfenced:
            self._unfenced[session] = self._turn.clock
            self._unfenced.move_to_end(session)

    def gone(self, peer: bytes) -> None:
        """A peer's connection ended: its session has the grace to come back."""
        session = self._peers.pop(peer, None)
        if session is not None:
            session.peer = None
            self._unfenced.pop(session, None)
            self._may_leave(session)

    def fence_reached(self, fence: bytes, k: int) -> None:
        """A session's fence came over SUB."""
        session = self._fences.get(fence)
        if session is not None:
            session.hears = True
            self._unfenced.pop(session, None)
            if session.peer is not None:
                self._leaving.pop(session, None)
            self.reply(session, Fenced(k))

    def fence_lost(self, fence: bytes) -> None:
        """The connection of a session's SUB ended: it has the grace to come back."""
        session = self._fences.get(fence)
        if session is not None and session.hears:
            session.hears = False
            self._may_leave(session)
            self.reply(session, Unfenced())

    def _may_leave(self, session: Session) -> None:
        self._leaving.setdefault(session, self._turn.clock)

    def make_room(self) -> bool:
        """Ends the session whose grace ends next; says whether there was one."""
        first = next(iter(self._leaving), None)
        if first is not None:
            self.end(first, lost=True)
        return first is not None

    def expire(self) -> None:
        """Ends those whose grace is over, and those that never fenced and are silent."""
        clock = self._turn.clock
        while self._leaving and self.due() <= clock:
            self.end(next(iter(self._leaving)), lost=True)
        while self._unfenced and next(iter(self._unfenced.values())) + self._turn.settings.silence <= clock:
            self.end(next(iter(self._unfenced)), lost=True)

    def due(self) -> float:
        """When a grace ends next, by the hub's clock; infinite if none does."""
        return next(iter(self._leaving.values()), float("inf")) + self._turn.settings.grace


def called(session: Session | None) -> str:
    """How the log calls a session."""
    if session is None:
        return "a stranger"
    return session.name or "a visitor"
