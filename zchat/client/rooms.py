"""The rooms that a client follows: fences, joins, rosters, positions, and what is read again. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from zchat import errors
from zchat.client import events as heard
from zchat.client.channel import Channel, OpenSub, Subscribe, Unsubscribe
from zchat.client.positions import Lost, Stream
from zchat.codec import fence_topic, room_topic
from zchat.messages import (
    Beat,
    Event,
    Failed,
    Head,
    Join,
    Joined,
    Leave,
    Message,
    Page,
    People,
    Presence,
    Private,
    Published,
    Read,
    Welcome,
    Who,
)

FENCE_PATIENCE = 1.0
"""Seconds for a fence to be answered, before the next is tried."""

TARGET_PATIENCE = 1.0
"""Seconds for a head that was only named to be reached by itself, before it is read up to."""

PAGE = 500
"""Events asked for at a time."""


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


class Rooms:
    """A client's rooms, public and private.

    Args:
        channel: the way out.
        events: where what the user is to hear goes.
        fence: the random token of the fence topics.

    Attributes:
        names: the canonical name of each room under the name the user gave.
        senders: the public ids that this client has had: what they say is its own.
        fence: as given; it changes with the client id.
    """

    def __init__(self, channel: Channel, events: deque[heard.Event], fence: bytes) -> None:
        self.names: dict[str, str] = {}
        self.senders: set[bytes] = set()
        self.fence = fence
        self._channel = channel
        self._events = events
        self._pub_port: int | None = None  # None while the broker has not welcomed this connection
        self._met = False  # whether all private rooms are known up to here
        self._k = 0
        self._fences: list[int] = []  # subscribed over this SUB
        self._fenced = 0
        self._fence_due: float | None = None
        self._fence_tries = 0
        self._unfenced_at = float("-inf")
        self._sub_open = False
        self._rooms: dict[str, _Room] = {}
        self._private: dict[str, _Private] = {}
        self._leaves: dict[int, tuple[Leave, bool]] = {}  # not answered yet, and whether the room was entered
        self._reading: tuple[int, _Room | _Private] | None = None
        self._rosters: dict[int, _Room] = {}  # who under way

    @property
    def anew(self) -> bool:
        """Whether some room that was entered has no place in it yet: what is said in it would not be heard."""
        return any(room.entered and room.stream.position is None for room in self._rooms.values())

    def due(self) -> float:
        """When `tick` must be called next; infinite if nothing falls due."""
        times = [self._fence_due]
        if self._pub_port is not None and self._reading is None:
            times += [room.read_at for room in self._followed()]
        return min((time for time in times if time is not None), default=float("inf"))

    def tick(self, now: float) -> bool:
        """Time passed; says whether both sockets must be opened anew, since no fence is answered."""
        if self._fence_due is not None and self._fence_due <= now:
            if self._fence_tries > 1:
                return True
            self._raise_fence(now)
        self.read_due(now)
        return False

    # The connection -------------------------------------------------------------------------------------------------

    def offline(self) -> None:
        """Nothing is known to be there any more."""
        self._pub_port = None
        self._reading = None
        self._rosters = {}
        self._fence_due = None
        for room in self._rooms.values():
            room.joined, room.q, room.again = False, None, False

    def sockets_closed(self) -> None:
        """SUB is closed, and what it was subscribed to is void."""
        self._sub_open = False
        self._fences = []
        for room in self._rooms.values():
            room.k = 0

    def new_fence(self, fence: bytes) -> None:
        """The fence is another from now on."""
        for k in self._fences:
            self._channel.do(Unsubscribe(fence_topic(self.fence, k)))
        self.fence, self._fences = fence, []

    def welcomed(self, welcome: Welcome, now: float) -> None:
        """The broker is there: what was not answered is asked again, and all rooms are followed again."""
        self._pub_port = welcome.pub_port
        self._meet(welcome, now)
        for leave, _ in self._leaves.values():
            self._channel.ask(leave)
        if self._rooms:
            self._follow(self._rooms.values(), now)

    def begin_anew(self) -> bool:
        """The store does not vouch for what was seen: numbers may have been used again. Says whether anything was."""
        seen = any(room.stream.position is not None for room in self._rooms.values())
        for room in self._rooms.values():
            if room.stream.position is not None:
                self._events.append(heard.Gap(room.name, room.stream.position + 1, None))
            room.stream, room.read_at = Stream(), None
        for private in self._private.values():
            self._events.append(heard.Gap(private.label, (private.stream.position or 0) + 1, None))
        self._private, self._met = {}, False
        return seen

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

    # What the user wants ----------------------------------------------------------------------------------------------

    def join(self, name: str, *, quiet: bool, now: float) -> None:
        """Follows a room from now on, over every reconnection.

        Args:
            quiet: without being in its roster.
        """
        canonical = self.names.setdefault(name, name)
        room = self._rooms.get(canonical)
        if room is None:
            room = self._rooms[canonical] = _Room(canonical, quiet)
            if self._pub_port is not None:
                self._follow([room], now)
        elif room.quiet and not quiet:
            room.quiet = False
            self._join_again(room)

    def leave(self, name: str) -> int | None:
        """Follows a room no longer; gives the number of the request, None if it was not followed."""
        room = self._rooms.get(self.names.get(name, name))
        if room is None:
            return None
        self._drop(room)
        self.names = {given: canonical for given, canonical in self.names.items() if canonical != room.name}
        leave = Leave(self._channel.number(), room.name)
        self._leaves[leave.q] = leave, room.entered
        if self._pub_port is not None:
            self._channel.ask(leave)
        return leave.q

    # Fences -----------------------------------------------------------------------------------------------------------

    def _follow(self, rooms: Iterable[_Room], now: float) -> None:
        for room in rooms:
            self._subscribe(room)
        self._fence_tries = 0
        self._raise_fence(now)

    def _subscribe(self, room: _Room) -> None:
        if not self._sub_open and self._pub_port is not None:
            self._channel.do(OpenSub(self._pub_port))
            self._sub_open = True
            self._fences = []
        if room.k == 0:
            self._channel.do(Subscribe(room_topic(room.name)))
        room.k = self._k + 1

    def _drop(self, room: _Room) -> None:
        del self._rooms[room.name]
        self._rosters = {q: asked for q, asked in self._rosters.items() if asked is not room}
        if room.k:
            self._channel.do(Unsubscribe(room_topic(room.name)))
            room.k = 0

    def _raise_fence(self, now: float) -> None:
        """Subscribes the next fence: once it is answered, so is everything that was subscribed before."""
        self._k += 1
        self._fences.append(self._k)
        self._fence_tries += 1
        self._fence_due = now + FENCE_PATIENCE
        self._channel.do(Subscribe(fence_topic(self.fence, self._k)))

    def fenced(self, k: int) -> None:
        """A fence was answered: everything subscribed before it is live."""
        if k not in self._fences:
            return
        before, self._fenced = self._fenced, max(k, self._fenced)
        # None is kept: when many clients go at once, libzmq walks through all topics for each of them.
        while self._fences and self._fences[0] <= k:
            self._channel.do(Unsubscribe(fence_topic(self.fence, self._fences.pop(0))))
        if all(room.k <= self._fenced for room in self._rooms.values()):
            self._fence_due = None
        for room in self._rooms.values():
            if before < room.k:
                self._join_again(room)

    def unfenced(self, now: float) -> None:
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

    # Joining and leaving ----------------------------------------------------------------------------------------------

    def _join(self, room: _Room) -> None:
        if room.q is None and 0 < room.k <= self._fenced:
            room.q = self._channel.number()
            self._channel.ask(Join(room.q, room.name, room.quiet))

    def _join_again(self, room: _Room) -> None:
        room.again = room.q is not None
        if self._pub_port is not None:
            self._join(room)

    def joined(self, joined: Joined, now: float) -> None:
        """A join was answered."""
        room = next((room for room in self._rooms.values() if room.q == joined.q), None)
        if room is None:
            return
        room.q = None
        if joined.room != room.name:
            if room.renamed:
                self._refuse(room, errors.Refusal("the broker calls the room otherwise each time"))
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
        self._events.append(heard.Entered(room.name, joined.names, joined.count))

    def _rename(self, room: _Room, name: str, now: float) -> None:
        """The broker calls the room otherwise: its topic is another, so it is followed from the start."""
        self._drop(room)
        for given, canonical in self.names.items():
            if canonical == room.name:
                self.names[given] = name
        self.names[name] = name
        twin = self._rooms.setdefault(name, room)
        if twin is room:
            room.name, room.renamed = name, True
            self._follow([room], now)
        else:
            twin.quiet = twin.quiet and room.quiet

    def left(self, q: int) -> None:
        """A leave was answered, if it was one."""
        _, sure = self._leaves.pop(q, (None, True))
        if not sure:  # that name may have been another of a room that is followed still
            for room in self._rooms.values():
                self._join_again(room)

    def failed(self, failed: Failed, problem: errors.Refusal, now: float) -> None:
        """A request was refused: a leave, a read or a join, if it was made here."""
        if self._leaves.pop(failed.q, None) is not None:
            return  # it was no room
        if self._reading is not None and self._reading[0] == failed.q:
            room, self._reading = self._reading[1], None
            room.read_at = now + 1.0 if problem.retryable else None
            return
        refused = next((room for room in self._rooms.values() if room.q == failed.q), None)
        if refused is not None:
            self._refuse(refused, problem)

    def _refuse(self, room: _Room, problem: errors.Refusal) -> None:
        self._drop(room)
        self.names = {given: name for given, name in self.names.items() if name != room.name}
        self._events.append(heard.NotEntered(room.name, problem))

    # Rosters ----------------------------------------------------------------------------------------------------------

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
        self._events.append(heard.Presence(room.name, told.count, told.joined, told.left, told.lost, told.renamed))

    def _ask_roster(self, room: _Room) -> None:
        if room not in self._rosters.values():
            q = self._channel.number()
            self._rosters[q] = room
            self._channel.ask(Who(q, room.name))

    def roster(self, people: People) -> bool:
        """Takes in who is in a room; says whether that was asked for here."""
        room = self._rosters.pop(people.q, None)
        if room is None:
            return False
        if people.version < room.version:
            self._ask_roster(room)  # a presence overtook it
        else:
            self._people(room, people.version, people.count, people.names)
        return True

    def _people(self, room: _Room, version: int, count: int, names: tuple[str, ...]) -> None:
        """Takes in a roster, and tells what changed."""
        before, room.names = room.names, set(names) if len(names) == count else None
        changed, room.version, room.count = count != room.count, version, count
        joined: tuple[str, ...] = ()
        left: tuple[str, ...] = ()
        if before is not None and room.names is not None:
            joined, left = tuple(sorted(room.names - before)), tuple(sorted(before - room.names))
        if joined or left or changed:
            self._events.append(heard.Presence(room.name, count, joined, left))

    # Events -----------------------------------------------------------------------------------------------------------

    def published(self, name: str, frame: Published, now: float) -> None:
        """A frame of the broker's present run came over SUB."""
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
        self.read_due(now)

    def private(self, told: Private, now: float) -> None:
        """Events of a private room came."""
        room = self._private.get(told.room)
        if room is None:
            room = self._private[told.room] = _Private(told.room, told.peer, Stream(0))
        room.peer = told.peer
        self._deliver(room, room.stream.offer(told.events))
        if room.stream.torn:
            room.read_at = now

    def moved(self, beat: Beat, now: float) -> None:
        """A heartbeat names rooms that moved."""
        for moved in beat.moved:
            room = self._rooms.get(moved.room) or self._private.get(moved.room)
            if room is None and moved.room.startswith("@"):
                room = self._private[moved.room] = _Private(moved.room, "?", Stream(0))
            if room is None:
                continue
            self._reach(room, moved.head, now)
            if isinstance(room, _Room) and room.joined and moved.version > room.version:
                self._ask_roster(room)

    def _followed(self) -> list[_Room | _Private]:
        return [*self._rooms.values(), *self._private.values()]

    def _deliver(self, room: _Room | _Private, found: Iterable[Event | Lost]) -> None:
        private = isinstance(room, _Private)
        label = room.label if isinstance(room, _Private) else room.name
        for event in found:
            if isinstance(event, Message):
                mine = event.sender in self.senders
                self._events.append(heard.Said(label, event, mine, private))
            elif isinstance(event, Lost):
                self._events.append(heard.Gap(label, event.first, event.last))

    def _reach(self, room: _Room | _Private, head: int, now: float, *, patient: bool = True) -> None:
        room.stream.reach(head)
        if room.stream.behind and room.read_at is None:
            room.read_at = now + TARGET_PATIENCE if patient else now

    def read_due(self, now: float) -> None:
        """Reads one page of one room that lacks something: the broker allows one read at a time."""
        if self._reading is not None or self._pub_port is None:
            return
        for room in self._followed():
            if room.read_at is not None and room.read_at <= now:
                room.read_at = None
                if room.stream.behind and room.stream.position is not None:
                    q = self._channel.number()
                    self._reading = (q, room)
                    self._channel.ask(Read(q, room.name, room.stream.position, PAGE))
                    return

    def paged(self, page: Page, now: float) -> None:
        """A read was answered."""
        if self._reading is None or self._reading[0] != page.q:
            return
        room, self._reading = self._reading[1], None
        if room not in self._followed():  # it was left meanwhile
            return
        before = room.stream.position
        self._deliver(room, room.stream.page(page))
        if room.stream.behind:
            room.read_at = now if room.stream.position != before else now + TARGET_PATIENCE
