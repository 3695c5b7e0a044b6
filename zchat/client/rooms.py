"""The rooms that a client follows: fences, joins, rosters, positions, and what is read again. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from zchat import errors
from zchat.client import events as heard
from zchat.client.channel import Channel, OpenSub, Subscribe, Unsubscribe
from zchat.client.followed import Followed, Tail
from zchat.client.positions import HEAD, Begin, Lost, Stream
from zchat.client.rosters import Rosters
from zchat.codec import fence_topic, room_topic
from zchat.messages import (
    Acted,
    Added,
    Beat,
    Deleted,
    Edited,
    Event,
    Failed,
    Head,
    History,
    Join,
    Joined,
    Leave,
    Message,
    Page,
    People,
    Private,
    PrivateRoom,
    Published,
    Read,
    Removed,
    State,
    Welcome,
)
from zchat.names import PRIVATE

FENCE_PATIENCE = 1.0
"""Seconds for a fence to be answered, before the next is tried."""

TARGET_PATIENCE = 1.0
"""Seconds for a head that was only named to be reached by itself, before it is read up to."""

PAGE = 500
"""Events asked for at a time."""

UNKNOWN = "@?"
"""What a room of two is called while the other's name is not known."""


class Rooms:
    """A client's rooms, public and private.

    Args:
        channel: the way out.
        events: where what the user is to hear goes.
        fence: the random token of the fence topics.
        resumed: positions of an earlier life, by name or id; None if there was none.
        missed: whether what the person has not read yet was missed: private rooms begin there.

    Attributes:
        names: what the user hears each room called, under the name the user gave.
        senders: the public ids that this client has had: what they say is its own.
        fence: as given; it changes with the client id.
    """

    def __init__(
        self,
        channel: Channel,
        events: deque[heard.Event],
        fence: bytes,
        resumed: dict[str, int] | None = None,
        *,
        missed: bool = False,
    ) -> None:
        self.names: dict[str, str] = {}
        self._given: dict[str, str] = {}  # which room each of these names is of
        self.senders: set[bytes] = set()
        self.fence = fence
        self._channel = channel
        self._events = events
        self._pub_port: int | None = None  # None while the broker has not welcomed this connection
        self._met = resumed is not None  # whether all private rooms are known up to here
        self._resumed = resumed or {}
        self._left: dict[str, int] = {}  # positions in rooms that are followed no longer
        self._missed = missed
        self._k = 0
        self._fences: list[int] = []  # subscribed over this SUB
        self._fenced = 0
        self._fence_due: float | None = None
        self._fence_tries = 0
        self._unfenced_at = float("-inf")
        self._sub_open = False
        self._rooms: dict[str, Followed] = {}
        self._leaves: dict[int, tuple[Leave, bool]] = {}  # not answered yet, and whether the room was entered
        self._reading: tuple[int, Followed] | None = None
        self._rosters = Rosters(channel, events)

    @property
    def anew(self) -> bool:
        """Whether some room that was entered has no place in it yet: what is said in it would not be heard."""
        return any(room.entered and room.stream.position is None for room in self._rooms.values())

    def positions(self) -> dict[str, tuple[str, int]]:
        """Where the user has been told of everything: by name or id, what the user calls it, and the number."""
        found = {name: (name, seq) for name, seq in (self._resumed | self._left).items()}
        for room in self._rooms.values():
            if room.place is not None:
                found[room.name] = (room.label, room.place)
        return found

    def due(self) -> float:
        """When `tick` must be called next; infinite if nothing falls due."""
        times = [self._fence_due]
        if self._pub_port is not None and self._reading is None:
            times += [room.read_at for room in self._rooms.values()]
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
        self._rosters.offline()
        self._fence_due = None
        for room in self._rooms.values():
            room.joined, room.q, room.again = False, None, False
            if room.tail is not None:
                room.tail.q, room.tail.found = 0, ()

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
        # A broker lets SUB in by the session: one that was turned away meanwhile might not try again.
        self.sockets_closed()
        for leave, _ in self._leaves.values():
            self._channel.ask(leave)
        for room in [room for room in self._rooms.values() if room.nameless]:
            known = self._wanted(room.label)
            if known is not None and known is not room:
                self._take_over(room, known)
        self._follow([room for room in self._rooms.values() if room.inside], now)

    def begin_anew(self, welcome: Welcome) -> bool:
        """The store does not vouch for what was seen: numbers may have been used again. Says whether anything was."""
        seen = False
        labels = {told.room: told.label for told in welcome.private}
        lost: dict[str, tuple[str, int]] = {}  # what the user calls each room, and the last number known of it
        for name, seq in self._resumed.items():
            lost[name] = (labels.get(name, UNKNOWN) if name.startswith("@") else name), seq
        for room in self._rooms.values():
            last = room.tail.head if room.tail is not None else room.begin.after
            if room.stream.position is not None:
                last = room.stream.position
            if last is not None and not room.nameless:
                seen = seen or (room.entered and not room.private)
                lost.setdefault(room.name, (room.label, last))
                room.begin = HEAD
            room.stream, room.tail, room.read_at, room.caught_at = Stream(), None, None, None
        self._events += [heard.Gap(label, last + 1, None) for label, last in lost.values()]
        self._met, self._resumed, self._left = False, {}, {}
        return seen

    def meet(self, welcome: Welcome, now: float) -> None:
        """A welcome tells of the private rooms."""
        there = {told.room for told in welcome.private}
        for one in list(self._rooms.values()):
            if not one.private or one.nameless or one.name in there:
                continue
            if one.label.startswith(PRIVATE):
                self._remove(one, heard.Removed(one.label, "kick", ""))
            elif one.place is None:
                self._forget(one)
        for told in welcome.private:
            room = self._rooms.get(told.room)
            if room is None:
                room = self._found(told.room, told.label)
            self._label(room, told.label)
            if room.place is None:
                self._begin_private(room, told)
            if room.tail is None:
                self._catch_up(room, told.head)
            self._reach(room, told.head, now, patient=False)
        self._met, self._missed = True, False
        self._resumed = {
            name: seq for name, seq in self._resumed.items() if not name.startswith("@")
        }  # not its own now

    def _begin_private(self, room: Followed, told: PrivateRoom) -> None:
        """Finds the place in a private room that a welcome names."""
        begin = self._resumed.pop(told.room, None)
        invited = told.label.startswith(PRIVATE)
        if begin is None and not self._met and not self._missed:
            room.began = begin = told.head  # nothing is missed yet
        elif begin is None:
            # A room of two that was made while we were away is read from its start; who was let into another has read
            # all of it up to then.
            begin = told.mark if invited or not self._met else 0
            if invited and self._met:
                self._events.append(heard.Added(room.label))
        if begin > told.head:
            self._events.append(heard.Gap(room.label, begin + 1, None))
            begin = told.head
        self._deliver(room, room.stream.begin(begin))

    # What the user wants ----------------------------------------------------------------------------------------------

    def join(self, name: str, begin: Begin, *, quiet: bool, now: float) -> None:
        """Follows a room from now on, over every reconnection.

        Args:
            begin: where to begin, if it is not followed yet.
            quiet: without being in its roster.
        """
        room = self._wanted(name)
        if room is None and name.startswith("@"):
            why = "a person is no room: what is said to you in private is heard anyway"
            self._events.append(heard.NotEntered(name, errors.NameInvalid(why)))
            return
        new = room is None
        if room is None:
            room = self._rooms[name] = Followed(name, name, quiet, private=name.startswith(PRIVATE), begin=begin)
        self._given.setdefault(name, room.name)
        self.names.setdefault(name, room.label)
        if new:
            if self._pub_port is not None:
                self._follow([room], now)
        elif not room.inside:
            self._go_in(room, begin, quiet=quiet)
            self._join_again(room)
        elif room.quiet and not quiet:
            room.quiet = False
            self._join_again(room)

    def _wanted(self, name: str) -> Followed | None:
        """The room that the user means, but for rooms of two."""
        room = self._rooms.get(self._given.get(name, name))
        if name.startswith(PRIVATE) and (room is None or room.nameless):
            return next((one for one in self._rooms.values() if one.label == name and not one.nameless), room)
        return room if room is None or not room.private or room.label.startswith(PRIVATE) else None

    def _move(self, before: str, room: str) -> None:
        """What was given as names of one room are those of another."""
        self._given = {given: room if one == before else one for given, one in self._given.items()}
        self._name()

    def _name(self) -> None:
        self._given = {given: room for given, room in self._given.items() if room in self._rooms}
        self.names = {given: self._rooms[room].label for given, room in self._given.items()}

    def _go_in(self, room: Followed, begin: Begin, *, quiet: bool) -> None:
        """The user wants to be in a private room whose events are heard anyway."""
        room.inside, room.quiet = True, quiet
        if room.stream.position is None:
            room.begin = begin
        elif room.began == room.stream.position and (begin.after is not None or begin.tail) and room.began:
            # Nothing was heard of it yet: what comes from now on is heard after that with which the user begins.
            room.begin, room.tail = Begin(begin.after, tail=begin.tail), Tail(room.began)
            room.stream.position = None

    def _take_over(self, nameless: Followed, room: Followed) -> None:
        """Which room is meant by a name is known."""
        self._drop(nameless)
        self._move(nameless.name, room.name)
        if not room.inside:
            self._go_in(room, nameless.begin, quiet=nameless.quiet)
        elif not nameless.quiet:
            room.quiet = False

    def leave(self, name: str) -> Leave | None:
        """Follows a room no longer, or gives up a private one; gives the request, None if there is nothing to leave."""
        room = self._wanted(name)
        if room is None:
            return None
        leave = Leave(self._channel.number(), room.name)
        self._leaves[leave.q] = leave, room.entered or room.private
        if room.private and not room.nameless:  # it is its member until the broker has said so
            room.inside = room.entered = room.joined = room.again = False
            room.q = None
            if room.tail is not None:
                self._tail_told(room, room.tail, 0.0)
        else:
            self._forget(room)
        if self._pub_port is not None:
            self._channel.ask(leave)
        return leave

    def added(self, added: Added, now: float) -> None:
        """The person was let into a private room."""
        room = self._rooms.get(added.room)
        if room is None and added.room.startswith("@"):
            room = self._found(added.room, added.label)
            room.began = added.head
            self._resumed.pop(added.room, None)
            self._deliver(room, room.stream.begin(added.head))
            self._events.append(heard.Added(room.label))
        if room is not None and room.private:
            self._label(room, added.label)
            self._reach(room, added.head, now)

    def removed(self, removed: Removed) -> None:
        """The person is in a room no longer."""
        room = self._rooms.get(removed.room)
        if room is None or room.nameless:
            return
        if room.q is not None and not room.private:  # the join that is under way might let it in again
            leave = Leave(self._channel.number(), room.name)
            self._leaves[leave.q] = leave, True
            self._channel.ask(leave)
        self._remove(room, heard.Removed(room.label, removed.verb, removed.name, removed.seconds, removed.text))

    def _remove(self, room: Followed, told: heard.Removed) -> None:
        self._forget(room)
        self._events.append(told)
        if room.inside and not room.entered:
            problem = errors.Banned() if told.verb == "ban" else errors.NotAllowed("you were sent out of the room")
            self._events.append(heard.NotEntered(room.label, errors.NoSuchRoom() if room.private else problem))

    def _forget(self, room: Followed) -> None:
        """A room is followed no longer."""
        self._drop(room)
        if not room.private and room.stream.position is not None:
            self._left[room.name] = room.stream.position
        self._name()

    def _label(self, room: Followed, label: str) -> None:
        if room.label != label:
            room.label = label
            self._name()

    def _found(self, name: str, label: str) -> Followed:
        """A private room is known from now on."""
        room = self._rooms[name] = Followed(name, label, private=True, inside=False)
        return room

    # Fences -----------------------------------------------------------------------------------------------------------

    def _follow(self, rooms: Sequence[Followed], now: float) -> None:
        public = [room for room in rooms if not room.private]
        for room in rooms:
            (self._join if room.private else self._subscribe)(room)
        if public:
            self._fence_tries = 0
            self._raise_fence(now)

    def _subscribe(self, room: Followed) -> None:
        if not self._sub_open and self._pub_port is not None:
            self._channel.do(OpenSub(self._pub_port))
            self._sub_open = True
            self._fences = []
        if room.k == 0:
            self._channel.do(Subscribe(room_topic(room.name)))
        room.k = self._k + 1

    def _drop(self, room: Followed) -> None:
        del self._rooms[room.name]
        self._rosters.dropped(room)
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
        public = [room for room in self._rooms.values() if not room.private]
        if self._sub_open and public:
            for room in public:
                room.joined, room.k = False, self._k + 1
            self._fence_tries = 0
            if now - self._unfenced_at >= FENCE_PATIENCE:
                self._unfenced_at = now
                self._raise_fence(now)
            else:
                self._fence_due = self._unfenced_at = now + FENCE_PATIENCE

    # Joining and leaving ----------------------------------------------------------------------------------------------

    def _join(self, room: Followed) -> None:
        if room.q is None and (room.private or 0 < room.k <= self._fenced):
            room.q = self._channel.number()
            self._channel.ask(Join(room.q, room.name, room.quiet))

    def _join_again(self, room: Followed) -> None:
        room.again = room.q is not None
        if self._pub_port is not None:
            self._join(room)

    def joined(self, joined: Joined, now: float) -> None:
        """A join was answered."""
        room = next((room for room in self._rooms.values() if room.q == joined.q), None)
        if room is None:
            return
        room.q = None
        if room.nameless and joined.room.startswith("@"):
            nameless, room = room, self._rooms.get(joined.room) or self._found(joined.room, room.label)
            self._take_over(nameless, room)
        elif joined.room != room.name:
            if room.renamed or room.private or joined.room.startswith("@"):
                self._refuse(room, errors.Refusal("the broker calls the room otherwise each time"), now)
            else:
                self._rename(room, joined.room, now)
            return
        room.joined = True
        if room.again:
            self._join_again(room)
        if room.entered:
            self._rosters.take(room, joined.version, joined.count, joined.names)
        else:
            room.entered = True
            room.version, room.count = joined.version, joined.count
            room.names = set(joined.names) if len(joined.names) == joined.count else None
            topic = joined.topic, joined.topic_by, joined.topic_ms
            self._events.append(heard.Entered(room.label, joined.names, joined.count, *topic))
        if room.stream.position is None:
            self._begin(room, joined)
        if room.stream.position is not None:
            self._catch_up(room, joined.head)
            self._reach(room, joined.head, now, patient=False)

    def _begin(self, room: Followed, joined: Joined) -> None:
        """Finds where to begin in a room that was entered."""
        self._left.pop(room.name, None)
        after = self._resumed.pop(room.name, room.begin.after)
        if after is None and room.begin.missed:
            after = joined.mark
        if after is None and (room.tail is not None or (room.begin.tail and joined.head)):
            room.tail = room.tail or Tail(joined.head)
            room.tail.until = joined.head
            if not room.tail.q:
                self._ask_tail(room, room.tail, room.begin.tail, room.tail.head + 1)
            return
        if after is not None and after > joined.head:
            self._events.append(heard.Gap(room.label, after + 1, None))
            after = None
        head = joined.head if room.tail is None else room.tail.head
        room.tail, room.begin = None, HEAD
        self._deliver(room, room.stream.begin(head if after is None else after))

    def _ask_tail(self, room: Followed, tail: Tail, lacking: int, before: int) -> None:
        tail.q = self._channel.number()
        self._channel.ask(History(tail.q, room.name, min(lacking, PAGE), before=before))

    def _tail_paged(self, room: Followed, tail: Tail, page: Page, now: float) -> None:
        """Takes in some of the last messages of a room."""
        there = (event for event in page.events if not (isinstance(event, Message) and event.deleted))
        tail.found = (*there, *tail.found)
        lacking = room.begin.tail - len(tail.found)
        if lacking > 0 and page.more:
            self._ask_tail(room, tail, lacking, page.edge)
        else:
            self._tail_told(room, tail, now)

    def _tail_told(self, room: Followed, tail: Tail, now: float) -> None:
        """No more of the last messages of a room are to come: it goes on after them."""
        room.tail, room.begin = None, HEAD
        self._deliver(room, tail.found)
        self._deliver(room, room.stream.begin(tail.head))
        self._catch_up(room, tail.until)
        self._reach(room, tail.until, now, patient=False)

    def _catch_up(self, room: Followed, head: int) -> None:
        """Tells how much was missed, and later when all of it has been told."""
        missed = head - (room.stream.position or 0)
        if missed > 0 and room.caught_at is None:
            room.caught_at = head
            self._events.append(heard.Missed(room.label, missed))

    def _rename(self, room: Followed, name: str, now: float) -> None:
        """The broker calls the room otherwise: its topic is another, so it is followed from the start."""
        self._drop(room)
        before, twin = room.name, self._rooms.setdefault(name, room)
        if twin is room:
            room.name, room.label, room.renamed = name, name, True
            self._follow([room], now)
        else:
            twin.quiet = twin.quiet and room.quiet
        self._given[name] = name
        self._move(before, name)

    def roster(self, people: People) -> bool:
        """Takes in who is in a room; says whether that was asked for here."""
        return self._rosters.answered(people)

    def left(self, q: int) -> None:
        """A leave was answered, if it was one."""
        leave, sure = self._leaves.pop(q, (None, True))
        if leave is not None:
            self._gave_up(leave)
        if not sure:  # that name may have been another of a room that is followed still
            for room in self._rooms.values():
                if room.inside and not room.private:
                    self._join_again(room)

    def _gave_up(self, leave: Leave) -> None:
        room = self._rooms.get(leave.room)
        if room is not None and room.private and not room.nameless:
            self._remove(room, heard.Removed(room.label, "leave", ""))

    def failed(self, failed: Failed, problem: errors.Refusal, now: float) -> None:
        """A request was refused: a leave, a read or a join, if it was made here."""
        if self._leaves.pop(failed.q, None) is not None:
            return  # it was no room
        beginning = self._with_tail(failed.q)
        if beginning is not None:
            if beginning.tail is not None:
                self._tail_told(beginning, beginning.tail, now)
            return
        if self._reading is not None and self._reading[0] == failed.q:
            room, self._reading = self._reading[1], None
            room.read_at = now + 1.0 if problem.retryable else None
            return
        refused = next((room for room in self._rooms.values() if room.q == failed.q), None)
        if refused is not None:
            self._refuse(refused, problem, now)

    def _refuse(self, room: Followed, problem: errors.Refusal, now: float) -> None:
        room.q = None
        if room.private and not room.nameless:  # what happens there is heard as before
            room.inside = room.entered = False
            if room.tail is not None:
                self._tail_told(room, room.tail, now)
        else:
            self._drop(room)
        self._name()
        self._events.append(heard.NotEntered(room.label, problem))

    # Events -----------------------------------------------------------------------------------------------------------

    def published(self, name: str, frame: Published, now: float) -> None:
        """A frame of the broker's present run came over SUB."""
        room = self._rooms.get(name)
        if room is not None and not room.private:
            self._told(room, frame.events, frame.states, now)

    def private(self, told: Private, now: float) -> None:
        """Something happened in a private room."""
        room = self._rooms.get(told.room)
        if room is None and told.room.startswith("@") and not told.label.startswith(PRIVATE):  # one comes in by `added`
            room = self._found(told.room, told.label)
            room.stream.position = 0
        if room is not None and room.private:
            self._label(room, told.label)
            self._told(room, told.events, told.states, now)

    def _told(self, room: Followed, events: Sequence[Event], states: Iterable[State], now: float) -> None:
        if events:
            self._deliver(room, room.stream.offer(events))
            if room.stream.torn:
                room.read_at = now  # something was lost on the way: what comes in order would be here by now
        for state in states:
            if isinstance(state, Head):
                self._reach(room, state.seq, now)
            else:
                self._rosters.presence(room, state)
        if room.read_at is not None:
            self.read_due(now)

    def moved(self, beat: Beat, now: float) -> None:
        """A heartbeat names rooms that moved."""
        for moved in beat.moved:
            room = self._rooms.get(moved.room)
            if room is None and moved.room.startswith("@"):
                room = self._found(moved.room, UNKNOWN)
                room.stream.position = 0
            if room is None:
                continue
            self._reach(room, moved.head, now)
            if room.joined and moved.version > room.version:
                self._rosters.ask(room)

    def _deliver(self, room: Followed, found: Iterable[Event | Lost]) -> None:
        label, private = room.label, room.private
        for event in found:
            match event:
                case Message():
                    self._events.append(heard.Said(label, event, event.sender in self.senders, private))
                case Edited():
                    self._events.append(heard.Edited(label, event, event.sender in self.senders, private))
                case Deleted():
                    self._events.append(heard.Deleted(label, event, event.sender in self.senders, private))
                case Acted():
                    self._events.append(heard.Acted(label, event, event.sender in self.senders, private))
                case Lost():
                    self._events.append(heard.Gap(label, event.first, event.last))
        if room.caught_at is not None and room.stream.position is not None and room.stream.position >= room.caught_at:
            room.caught_at = None
            self._events.append(heard.UpToDate(label))

    def _reach(self, room: Followed, head: int, now: float, *, patient: bool = True) -> None:
        room.stream.reach(head)
        if room.stream.behind and room.read_at is None:
            room.read_at = now + TARGET_PATIENCE if patient else now

    def read_due(self, now: float) -> None:
        """Reads one page of one room that lacks something: the broker allows one read at a time."""
        if self._reading is not None or self._pub_port is None:
            return
        for room in self._rooms.values():
            if room.read_at is not None and room.read_at <= now:
                room.read_at = None
                if room.stream.behind and room.stream.position is not None:
                    q = self._channel.number()
                    self._reading = (q, room)
                    self._channel.ask(Read(q, room.name, room.stream.position, PAGE))
                    return

    def paged(self, page: Page, now: float) -> None:
        """A read was answered, or a question for a room's last messages."""
        beginning = self._with_tail(page.q)
        if beginning is not None and beginning.tail is not None:
            self._tail_paged(beginning, beginning.tail, page, now)
            return
        if self._reading is None or self._reading[0] != page.q:
            return
        room, self._reading = self._reading[1], None
        if self._rooms.get(room.name) is not room:  # it was left meanwhile
            return
        before = room.stream.position
        self._deliver(room, room.stream.page(page))
        if room.stream.behind:
            room.read_at = now if room.stream.position != before else now + TARGET_PATIENCE

    def _with_tail(self, q: int) -> Followed | None:
        """The room whose last messages were asked for under a number."""
        return next((room for room in self._rooms.values() if room.tail is not None and room.tail.q == q > 0), None)
