"""A client with its sockets, and the rules that what it hears must keep."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Protocol

from client.lives import POISON, Life, Logged
from client.network import EVERYTHING, Broker, Connected, Dealer, Lost, Pipe, Sub

from zchat import codec, errors, names
from zchat.client import events as heard
from zchat.client.channel import OpenSub, Reopen, Subscribe, Transmit, Unsubscribe
from zchat.client.positions import HEAD, Begin
from zchat.client.session import Session
from zchat.messages import (
    Acted,
    Added,
    Failed,
    Hello,
    History,
    Join,
    Joined,
    Message,
    Nick,
    Private,
    Removed,
    Replies,
    Request,
    Stamp,
    Welcome,
)

GIVE_UP = 20.0

PRIVATE = "@+"
"""With which the names of private rooms begin."""


def tokens(kind: int) -> Callable[[int], bytes]:
    """Secrets that are the same in every run of a test."""
    numbers = count(1)
    return lambda size: bytes([kind]) + next(numbers).to_bytes(size - 1, "little")


class Network(Protocol):
    """What a client is in."""

    broker: Broker
    clock: float
    peers: count[int]


@dataclass
class Tail:
    """The last messages with which a reader begins.

    Attributes:
        head: they are those up to this number.
        wanted: so many.
        found: the numbers of those that were heard.
        refused: whether they could not be had.
    """

    head: int
    wanted: int
    found: list[int] = field(default_factory=list)
    refused: bool = False


@dataclass
class Following:
    """What a reader must hear of a room.

    Attributes:
        given: the names by which the user joined it, and whether quietly.
        since: joins numbered above this tell where it begins.
        begin: where the user wants to begin.
        position: the last number heard, or covered by a gap; None until a join was answered.
        tail: what comes before that, while it may come.
        until: what was missed reaches up to here; None if nothing was.
        impossible: the number that the user wanted to begin after, and that there was not yet.
        names: who is in it, from what was told of it.
    """

    given: dict[str, bool]
    since: int
    begin: Begin = HEAD
    position: int | None = None
    tail: Tail | None = None
    until: int | None = None
    impossible: int | None = None
    names: set[str] | None = None

    @property
    def quiet(self) -> bool:
        return all(self.given.values())

    def anew(self, since: int, begin: Begin) -> None:
        """Its place is to be found anew."""
        self.since, self.begin = since, begin
        self.position = self.tail = self.until = self.impossible = None


@dataclass
class Ticket:
    """What was said and is under way.

    Attributes:
        text: of a message or an edit; None for a deletion.
        target: the message that is changed; 0 for the last, None for a new one.
        broker: of the connection there was when it was said.
        since: when it was.
        after: the highest numbers acked before, by log and room.
        room: where it was said.
        verb: what was done; empty for what is said.
    """

    text: str | None
    target: int | None
    broker: Broker
    since: float
    after: dict[tuple[int, str], int]
    room: str
    verb: str


@dataclass
class Place:
    """What a resume file holds.

    Attributes:
        seen: what stood in each room under the last number heard.
    """

    stamp: Stamp
    positions: dict[str, int]
    seen: dict[str, Logged]


class Client:
    """A session, its sockets, and the rules that what it hears must keep. Its program may end, and begin again where
    it was.

    Args:
        missed: whether it wants to hear what its person has not read.
    """

    def __init__(self, network: Network, number: int, name: str | None, person: bytes, *, missed: bool = False) -> None:
        self.network = network
        self.number = number
        self.person = person
        self.refused: list[tuple[str, Life]] = []
        self.saved: Place | None = None
        self._name = name
        self._missed = missed
        self._token = tokens(10 + number)
        self._sub: Sub | None = None
        self._live(None)

    def _live(self, place: Place | None) -> None:
        resumed = None if place is None else (place.stamp, dict(place.positions))
        self.session = Session(self._name, self.person, self._token, resumed, missed=self._missed)
        positions = {} if place is None else place.positions
        self.following: dict[str, Following] = {}
        self.private = {room: seq for room, seq in positions.items() if room[0] == "@"}
        self.resumed = {room: seq for room, seq in positions.items() if room[0] != "@"}
        self.left: dict[str, int] = {}
        self.seen: dict[str, Logged] = {} if place is None else dict(place.seen)
        self.tickets: dict[int, Ticket] = {}
        self._acked: dict[tuple[int, str], int] = {}
        self._joins: dict[int, str] = {}
        self._histories: dict[int, str] = {}
        self._hello = 0
        self.titles: dict[str, str] = {}  # what private rooms with members are called, by id
        self.inside: dict[str, set[str]] = {}  # who is in those that were entered, from what was told of them
        self.pending: set[str] = set()  # those of which an answer is waited for
        self._added: dict[str, int] = {}  # where those begin that are new
        self._gone: list[str] = []  # those that a welcome does not name any more
        self._met = place is not None
        self._first = True
        self._anew = False  # whether this very frame says that nothing is vouched for
        self._open()

    def _open(self) -> None:
        self._dealer = Dealer(b"%d.%d" % (self.number, next(self.network.peers)))
        self.broker = self.network.broker
        self.broker.dealers.append(self._dealer)

    @property
    def store(self) -> Life:
        return self.broker.store

    # Sockets

    def obey(self) -> None:
        for command in self.session.commands():
            match command:
                case Transmit(requests):
                    self._note(requests)
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

    def _note(self, requests: list[Request]) -> None:
        for request in requests:
            match request:
                case Join():
                    self._joins[request.q] = request.room
                case History():
                    self._histories[request.q] = request.room
                case Hello():
                    self._hello = request.q

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
                frame_ = codec.decode_replies(frame)
                # What is called what may change in the midst of such a frame.
                apart = any(isinstance(item, Added | Removed) for item in frame_.items)
                for part in [(item,) for item in frame_.items] if apart else [frame_.items]:
                    self._replied(Replies(frame_.stamp, part))
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

    # The program ends, and begins again

    def place(self) -> Place | None:
        """Where it is: just where it has heard everything."""
        positions = {name: seq for name, (_, seq) in self.session.positions().items()}
        known = {
            room: following.position
            for room, following in self.following.items()
            if following.position is not None and not self._beginning(room)
        }
        assert {room: seq for room, seq in positions.items() if room[0] != "@"} == {
            **self.resumed,
            **self.left,
            **known,
        }
        assert all(seq == self.private.get(room, 0) for room, seq in positions.items() if room[0] == "@")
        return None if self.session.stamp is None else Place(self.session.stamp, positions, dict(self.seen))

    def _beginning(self, room: str) -> bool:
        """Whether the last messages of a room are still to come."""
        followed = self.session._rooms._rooms.get(room)
        return followed is not None and followed.tail is not None

    def reborn(self, place: Place | None, *, bye: bool, sent: int, again: Begin | None) -> None:
        """Its program ends, and another begins where that one was.

        Args:
            bye: whether it says so.
            sent: so many frames that were under way arrive yet.
            again: where the same rooms are begun; None if they are not joined.
        """
        if bye:
            self.session.bye()
            self.obey()
            sent = EVERYTHING
        joined = [(given, quiet) for following in self.following.values() for given, quiet in following.given.items()]
        entered = sorted({self.titles[room] for room in self.inside} | self.pending)
        self.snap(0, sent)
        self._close_sub(sent)
        self._live(place)
        for given, quiet in joined if again is not None else []:
            self.join(given, again or HEAD, quiet=quiet)
        for label in entered if again is not None else []:
            self.enter(label)

    # What the user does

    def join(self, given: str, begin: Begin, *, quiet: bool) -> None:
        given, room = given.removeprefix("#"), names.room(given)
        if given != room:
            begin = HEAD
        since = self.session._channel._q
        new = self.session.room_names.get(given, given) not in self.session._rooms._rooms
        self.session.join(given, begin, quiet=quiet, now=self.network.clock)
        following = self.following.setdefault(room, Following({}, since))
        if given == room and new:
            following.begin = begin
        following.given[given] = following.given.get(given, True) and quiet
        self.obey()

    def label(self, which: int) -> str:
        """One of the private rooms that it knows, or what they are called mostly."""
        labels = sorted(self.titles.values())
        return labels[which % len(labels)] if labels and which else "+plans"

    def enter(self, label: str) -> None:
        """Joins a private room."""
        if not any(self.titles.get(room) == label for room in self.inside):
            self.pending.add(label)
        self.session.join(label, quiet=False, now=self.network.clock)
        self.obey()

    def give_up(self, label: str) -> None:
        """Leaves a private room for good."""
        self.pending.discard(label)
        self.session.leave(label)
        for room in [room for room in self.inside if self.titles[room] == label]:
            del self.inside[room]
        self.obey()

    def act(self, verb: str, room: str, name: str, text: str) -> None:
        self._say(
            text,
            None,
            lambda: self.session.act(verb, room, name=name, text=text, now=self.network.clock),
            room,
            verb,
        )

    def leave(self, given: str) -> None:
        given, room = given.removeprefix("#"), names.room(given)
        called = self.session.room_names.get(given)
        following = self.following.get(room)
        if called == room and following is not None and following.position is not None and not self._beginning(room):
            self.left[room] = following.position
        self.session.leave(given)
        if following is not None and called is not None:
            if called == room:
                self._off(room, following)
            else:
                del following.given[given]
                if not following.given:
                    del self.following[room]
        self.obey()

    def _off(self, room: str, following: Following) -> None:
        """It is not in a room by any name that was told to be its."""
        following.given = {name: q for name, q in following.given.items() if name in self.session.room_names}
        if not following.given:
            del self.following[room]
        else:
            following.names = None
            following.anew(self.session._channel._q, HEAD)

    def send(self, room: str, text: str) -> None:
        self._say(text, None, lambda: self.session.send(room, text, action=False, now=self.network.clock), room)

    def edit(self, room: str, seq: int, text: str) -> None:
        self._say(text, seq, lambda: self.session.edit(room, text, seq=seq, now=self.network.clock), room)

    def delete(self, room: str, seq: int) -> None:
        self._say(None, seq, lambda: self.session.delete(room, seq=seq, now=self.network.clock), room)

    def _say(self, text: str | None, target: int | None, say: Callable[[], int], room: str, verb: str = "") -> None:
        if self.session.sendable:
            ticket = say()
            assert ticket not in self.tickets
            self.tickets[ticket] = Ticket(text, target, self.broker, self.network.clock, dict(self._acked), room, verb)
            self.obey()

    def mark(self, room: str) -> None:
        following = self.following.get(room)
        if following is not None and following.position is not None and not self._beginning(room):
            self.session.mark(room, following.position)

    def nick(self, name: str) -> None:
        self.session.ask(partial(Nick, name=name))
        self.obey()

    # What it hears

    def _replied(self, frame: Replies) -> None:
        self._anew = False
        self.session.replied(frame, self.network.clock)
        for item in frame.items:
            if isinstance(item, Welcome):
                if item.q == self._hello:
                    self._welcomed(item)
            elif isinstance(item, Added):
                self.titles[item.room], self._added[item.room] = item.label, item.head
            elif isinstance(item, Private) and item.room in self.titles:
                assert item.label == self.titles[item.room]
            elif isinstance(item, Joined):
                following = self.following.get(item.room)
                asked = self._joins.get(item.q)
                if following is None or asked != item.room or item.q <= following.since:
                    continue
                self._joined(item, following, alone=len(frame.items) == 1)
            elif isinstance(item, Failed):
                assert item.code in ("store-unavailable", "unknown-session", "rate-limited", "no-such-room"), item
                tailed = self.following.get(self._histories.get(item.q, ""))
                if tailed is not None and tailed.tail is not None and item.code != "rate-limited":
                    tailed.tail.refused = True
        self.listen()

    def _joined(self, joined: Joined, following: Following, *, alone: bool) -> None:
        assert joined.mark is None or joined.mark <= joined.head
        if following.position is None:
            begin = following.begin
            self.left.pop(joined.room, None)
            after = self.resumed.pop(joined.room, begin.after)
            if after is None and begin.missed:
                after = joined.mark
            if after is None and begin.tail and joined.head:
                following.tail = Tail(joined.head, begin.tail)
            if after is not None and after > joined.head:
                following.impossible, after = after, None
            following.position = joined.head if after is None else after
        _, there = self.session.positions().get(joined.room, ("", joined.head))  # with what came before the answer
        if alone and following.until is None and there < joined.head:
            assert heard.Missed(joined.room, joined.head - there) in self.session.events

    def _welcomed(self, welcome: Welcome) -> None:
        gaps = [event for event in self.session.events if isinstance(event, heard.Gap) and event.last is None]
        self._anew = not welcome.vouched
        if welcome.vouched:
            assert not gaps
            assert all(self.store.fits(room, event) for room, event in self.seen.items())
        else:
            lost = dict(self.resumed)
            for room, following in self.following.items():
                last = following.begin.after if following.position is None else following.position
                if last is not None:
                    lost.setdefault(room, last)
                    following.begin = HEAD
                following.anew(self.session._channel._q, following.begin)
            assert {gap.room: gap.first for gap in gaps if gap.room[0] not in PRIVATE} == {
                room: last + 1 for room, last in lost.items()
            }
            assert len([gap for gap in gaps if gap.room[0] in PRIVATE]) >= len(self.private)
            self.private, self.resumed, self.left, self.seen, self._met = {}, {}, {}, {}, False
        renamed: dict[str, str] = {}
        there = {told.room for told in welcome.private}
        self.private = {room: seq for room, seq in self.private.items() if room in there}
        for room in self.titles.keys() - there:
            self._gone.append(self.titles.pop(room))
            self.inside.pop(room, None)
        for told in welcome.private:
            begin = 0 if self._met else told.mark if self._missed and self._first else told.head
            if told.label[0] == "+":
                if self._met and told.room not in self.private:
                    self._added[told.room] = told.mark
                else:
                    self.private.setdefault(told.room, begin)
                renamed[self.titles.get(told.room, told.label)] = told.label
                self.titles[told.room] = told.label
            else:
                self.private.setdefault(told.room, begin)
        self.pending = {renamed.get(label, label) for label in self.pending}
        self._met, self._first = True, False

    def _removed(self, told: heard.Removed) -> None:
        if told.room in self._gone:
            self._gone.remove(told.room)
            return
        if told.room[0] == "+":
            room = self._called(told.room)
            self.private.pop(room, None)
            self.inside.pop(room, None)
            del self.titles[room]
            return
        following = self.following[told.room]
        if told.room in self.session.positions():
            self.left[told.room] = following.position or 0
        self._off(told.room, following)

    def _called(self, label: str) -> str:
        """The id of a private room with members."""
        (room,) = [room for room, title in self.titles.items() if title == label]
        return room

    def listen(self) -> None:
        oldest = min((ticket.since for ticket in self.tickets.values()), default=self.network.clock)
        while self.session.events:
            event = self.session.events.popleft()
            match event:
                case heard.Said():
                    self._event(event.room, event.message, private=event.private)
                case heard.Edited():
                    self._event(event.room, event.edit, private=event.private)
                case heard.Deleted():
                    self._event(event.room, event.deletion, private=event.private)
                case heard.Gap():
                    self._gap(event)
                case heard.Acted():
                    self._event(event.room, event.act, private=event.private)
                case heard.Added():
                    room = self._called(event.room)
                    assert room not in self.private
                    self.private[room] = self._added.pop(room)
                case heard.Removed():
                    self._removed(event)
                case heard.Missed() if event.room[0] not in PRIVATE:
                    following = self.following[event.room]
                    assert following.position is not None
                    assert following.until is None
                    following.until = following.position + event.count  # what came before is heard by now
                case heard.UpToDate() if event.room[0] not in PRIVATE:
                    following = self.following[event.room]
                    assert following.until is not None
                    assert following.position is not None
                    assert following.position >= following.until
                    following.until = None
                case heard.Entered() if event.room[0] == "+":
                    self.pending.discard(event.room)
                    self.inside[self._called(event.room)] = _told(event.names, event.count)
                case heard.Entered():
                    self.following[event.room].names = _told(event.names, event.count)
                case heard.Presence():
                    self._presence(event)
                case heard.Sent():
                    self._sent(event)
                case heard.NotSent():
                    self._not_sent(event, oldest)
                case heard.NotEntered():
                    assert isinstance(event.error, errors.NotAllowed)
                    assert event.room not in self.following
                    self.pending.discard(event.room)
                case heard.Ended():
                    raise AssertionError(event)
        for following in self.following.values():  # that it is all is told at once
            assert following.until is None or following.position is None or following.position < following.until

    def _event(self, label: str, event: Logged, *, private: bool) -> None:
        if private:
            room = self._called(label) if label[0] == "+" else self.store.place(event)
            assert room in self.private or label[0] == "@"
            assert event.seq == self.private.get(room, 0) + 1
            self.private[room] = event.seq
        else:
            room, following = label, self.following[label]
            assert following.position is not None
            if following.tail is not None and event.seq <= following.tail.head:
                assert isinstance(event, Message)
                assert event.seq > (following.tail.found or [0])[-1]
                assert self.store.fits_now(room, event)
                following.tail.found.append(event.seq)
                return
            self._tail_over(room, following)
            assert event.seq == following.position + 1
            following.position += 1
        assert self.store.fits(room, event)
        self.seen[room] = event

    def _tail_over(self, room: str, following: Following) -> None:
        """All of the last messages that could be had, and none between them left out."""
        tail, following.tail = following.tail, None
        if tail is None:
            return
        assert len(tail.found) <= tail.wanted
        enough = tail.refused or len(tail.found) == tail.wanted
        lowest = min(tail.found, default=tail.head + 1) if enough else 1
        there = [
            seq
            for seq, event in self.store.log.get(room, {}).items()
            if max(lowest, self.store.first(room)) <= seq <= tail.head
            if isinstance(event, Message) and not self.store.deletion(room, seq)
        ]
        assert set(there) <= set(tail.found)

    def _gap(self, gap: heard.Gap) -> None:
        if gap.room[0] in PRIVATE:
            if gap.last is not None:
                known = self.session._rooms._rooms.values()
                called = [one.name for one in known if one.private and one.label == gap.room]
                fit = [room for room in called if self.private.get(room, 0) + 1 == gap.first]
                room = next(room for room in fit if self._lost(room, gap.first, gap.last))
                self.private[room] = gap.last
            return
        following = self.following.get(gap.room)
        if gap.last is not None:
            assert following is not None
            assert following.position is not None
            self._tail_over(gap.room, following)
            assert gap.first == following.position + 1
            assert self._lost(gap.room, gap.first, gap.last)
            following.position = gap.last
        elif following is not None and following.impossible is not None:
            assert gap.first == following.impossible + 1
            following.impossible = None

    def _lost(self, room: str, first: int, last: int) -> bool:
        return first <= last < self.store.inner.read(room, 0, 1, 1).first

    def _presence(self, told: heard.Presence) -> None:
        names = self.inside[self._called(told.room)] if told.room[0] == "+" else self.following[told.room].names
        assert names is not None
        gone = {*told.left, *told.lost, *(old for old, _ in told.renamed)}
        come = {*told.joined, *(new for _, new in told.renamed)}
        assert gone <= names
        assert not come & names
        names -= gone
        names |= come

    def _sent(self, sent: heard.Sent) -> None:
        ticket = self.tickets.pop(sent.ticket)
        event = self.store.log[sent.room][sent.seq]
        assert getattr(event, "text", None) == ticket.text
        assert isinstance(event, Acted) == bool(ticket.verb)
        assert isinstance(event, Message) == (ticket.target is None and not ticket.verb)
        assert not ticket.target or getattr(event, "target", 0) == ticket.target
        assert self.store.authors[sent.room, sent.seq] == self.person
        key = (id(self.store.log), sent.room)
        assert sent.seq > ticket.after.get(key, 0)
        self._acked[key] = max(sent.seq, self._acked.get(key, 0))

    def _not_sent(self, told: heard.NotSent, oldest: float) -> None:
        ticket = self.tickets.pop(told.ticket)
        if isinstance(told.error, errors.Unknown):
            lost = ticket.broker is not self.broker or (ticket.target is not None and self._anew)
            assert lost or self.network.clock >= oldest + GIVE_UP
            return
        assert (
            isinstance(told.error, errors.TooLong | errors.NoSuchPerson)
            or ((ticket.verb or ticket.room[0] == "+") and isinstance(told.error, errors.NotAllowed))
            or (ticket.target is not None and isinstance(told.error, errors.NoSuchMessage | errors.NoSuchRoom))
            or (POISON in (ticket.text or "") and isinstance(told.error, errors.BadRequest))
        ), told
        if ticket.text is not None:
            self.refused.append((ticket.text, self.store))

    # At the end

    def unsettled(self) -> str | None:
        """What is still to come; None if all is well."""
        hub = self.network.broker.hub
        if not self.session.open or self.session.waiting or self.tickets:
            return f"open: {self.session.open}, unanswered: {self.tickets}"
        for name, following in self.following.items():
            if following.position != self.store.head(name):
                return f"{name} at {following.position}, not {self.store.head(name)}"
            if self._beginning(name) or following.until is not None or following.impossible is not None:
                return f"{name} is not where it is to be: {following}"
            if following.names != set(hub.rooms.by_name[name].roster.names()):
                return f"{name} has {hub.rooms.by_name[name].roster.names()}, not {following.names}"
        for kept in self.store.rooms():
            if kept.room[0] != "@":
                continue
            members = self.store.members(kept.room, self.broker.people)
            mine = self.person in ([member.person for member in kept.members] if members is None else members)
            if not mine and (kept.room in self.private or kept.room in self.titles):
                return f"{kept.room} is known still"
            if mine and self.private.get(kept.room, 0) != self.store.head(kept.room):
                return f"{kept.room} at {self.private.get(kept.room)}, not {self.store.head(kept.room)}"
        for room, present in self.inside.items():
            if present != set(hub.rooms.by_name[room].roster.names()):
                return f"{room} has {hub.rooms.by_name[room].roster.names()}, not {present}"
        return f"{self.pending} not answered, {self._gone} not told" if self.pending or self._gone else None

    def settled(self) -> None:
        """Nothing is to come any more: what must have been heard was."""
        assert not (problem := self.unsettled()), problem
        for room, following in self.following.items():
            self._tail_over(room, following)
        assert not any(life.find(text) for text, life in self.refused)
        self.place()


def _told(told: tuple[str, ...], people: int) -> set[str]:
    assert len(told) == people
    return set(told)
