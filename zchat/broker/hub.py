"""The broker's mind: it plans a turn, and once the store has committed it, says what to do. It does no I/O and has no
clock.

A turn is two steps, since only the store numbers events: `handle` executes requests and plans the store's work;
`committed` or `failed` yields the effects. Nothing leaves before the commit, so nobody sees what a crash could
take back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterable, Sequence
from functools import partial
from itertools import groupby, zip_longest

from zchat import codec, errors
from zchat.broker.admission import Admission, Door
from zchat.broker.commands import BATCHED, admin, execute
from zchat.broker.doors import Doors
from zchat.broker.effects import Effects, Level
from zchat.broker.inputs import Announce, FenceMoved, Gone, Input, Met, Now, Ordered, Received, Shutdown
from zchat.broker.marks import Marks
from zchat.broker.people import RESERVED_DAYS, Names
from zchat.broker.rates import Rates, retry_ms
from zchat.broker.rights import Rights
from zchat.broker.rooms import Room, Rooms, other_of
from zchat.broker.sessions import Session, Sessions, called
from zchat.broker.settings import RETRY_MS, Settings
from zchat.broker.turn import Turn
from zchat.codec import Malformed
from zchat.messages import Ack, Closing, Done, Linked, Named, Notice, Numbered, Private, Refused, Reply, Request
from zchat.store.base import (
    Amend,
    Append,
    Deed,
    Greeted,
    Greeting,
    Invite,
    Kept,
    KnownName,
    Outcome,
    Record,
    Refusal,
    RoomRecord,
    Sending,
    Work,
)
from zchat.verbs import LISTS, OPERATOR, Rank

Settled = Linked | Done | Named
"""What is answered once the turn's work is kept."""

LET_OUT_SAYS = "you are not let in here any more"

LET_OUT = 0.5
"""Seconds that a connection lasts after its person was let out: so long the reason has to get there."""


class Hub:
    """All of a broker but its sockets and its store.

    Args:
        settings: bounds and times.
        kept: the rooms that the store keeps.
        known: whose the names are.
        token: makes a secret of so many random bytes.
        door: to whom it is open, under CURVE; None on plaintext.
        records: what the store keeps of who may come in.
        fresh: gives the links that were put into the broker's folder since it was asked last.

    Attributes:
        turn: the turn under way.
        rooms, sessions, names, marks: what there is.
        doors: who belongs to which room, and who is kept out or silent; rights: who may do what.
        admission: who may come in; None on plaintext.
        rates: how much each person may ask for.
        draining: whether it was told to stop.
    """

    def __init__(
        self,
        settings: Settings,
        kept: Iterable[RoomRecord],
        known: Iterable[KnownName],
        token: Callable[[int], bytes],
        door: Door | None = None,
        records: Iterable[Record] = (),
        fresh: Callable[[], Iterable[Invite]] = tuple,
    ) -> None:
        records = [*records]
        self.settings = settings
        self.token = token
        self.turn = Turn(settings)
        self.rates = Rates(settings.rates, settings.bot_rates)
        self.admission = Admission(self.turn, records, door, token, fresh) if door is not None else None
        if self.admission is not None:
            self.rates.exempt = self.admission.is_owner
            self.rates.is_bot = self.admission.answers
        if self.admission is None:  # anybody may be any number of persons, and lose them
            self.names = Names(self.turn, known, forgotten=RESERVED_DAYS)
        else:
            self.names = Names(self.turn, known, stays=self.admission.has_account)
        self.doors = Doors(self.turn, records)
        self.rooms = Rooms(self.turn, self.names, self.doors, kept)
        self.rights = Rights(self.doors, self.rooms, self.names, self.admission)
        self.marks = Marks(self.turn)
        self.sessions = Sessions(self.turn, self.rooms, self.names, self.marks)
        self.draining = False
        self._jobs: deque[tuple[Session, bytes | None, int, Callable[[], None]]] = deque()
        self._cut: set[bytes] = set()  # peers of which nothing more is heard until their connection has ended
        self._asked: dict[bytes, int] = {}  # requests of each peer in this turn
        self._sends: list[tuple[Session | None, Room | None, Sending]] = []
        self._hellos: list[tuple[Session, int, Callable[[Greeted], None], bool]] = []
        self._settled: list[tuple[Session, Settled, Callable[[], None]]] = []
        self._recheck = False

    def admit_by(self, door: Door) -> None:
        """Goes by another door from now on: who may not come in by it any more has to leave with the next turn."""
        if self.admission is not None:
            self.admission.open(door)
            self._recheck = True

    @property
    def busy(self) -> bool:
        """Whether something is left to be answered that was asked in earlier turns."""
        return bool(self._jobs)

    @property
    def queue(self) -> int:
        """How much that is."""
        return len(self._jobs)

    def reload(self, settings: Settings) -> None:
        """Goes by other bounds and times from now on; see limits.kept."""
        self.settings = self.turn.settings = settings
        if (settings.rates, settings.bot_rates) != (self.rates.limits, self.rates.bots):
            self.rates.set(settings.rates, settings.bot_rates)

    # A turn ---------------------------------------------------------------------------------------------------------

    def handle(self, inputs: Iterable[Input], now: Now) -> Work:
        """Executes what came in and what fell due.

        Args:
            inputs: in the order in which they came.
            now: the time of this turn.

        Returns:
            What the store must commit before `committed` may be called; `failed` if it cannot.
        """
        self.turn.begin(now)
        self._asked.clear()
        for item in inputs:
            match item:
                case Received():
                    self._received(item)
                case Met(peer, key):
                    if self.admission is not None:
                        self.admission.met(peer, key)
                case FenceMoved(fence, k, up=True):
                    self.sessions.fence_reached(fence, k)
                case FenceMoved(fence):
                    self.sessions.fence_lost(fence)
                case Gone(peer):
                    self._cut.discard(peer)
                    self.sessions.gone(peer)
                    if self.admission is not None:
                        self.admission.gone(peer)
                case Announce(text):
                    self.sessions.tell_all(Notice(now.ms, OPERATOR, text))
                case Ordered():
                    self._ordered(item)
                case Shutdown(text):
                    self.drain(text)
        if self._recheck and self.admission is not None:
            self._recheck = False
            for session in self.sessions.all():
                if not self.admission.may_come(session.key):
                    self._let_out(session)
        self.sessions.expire()
        work = self.turn.work
        self.names.save(at_once=self.draining)
        self.marks.save(at_once=bool(work.greetings) or self.draining)
        return work

    def committed(self, outcome: Outcome) -> Effects:
        """What the turn leads to, its work having been committed, or a part of it."""
        for (greeter, q, welcome, _), greeted in zip(self._hellos, outcome.greeted, strict=True):
            if greeted is not None:
                welcome(greeted)  # first, so that nobody hears anything in a private room before
            else:
                self._not_greeted(greeter, q)
        self.turn.kept()
        for (session, room, send), parts in zip(self._sends, outcome.sends, strict=True):
            n = send.n
            for part in parts:
                if isinstance(part, Refused):
                    if session is not None:
                        self._used(session, part)
                    n += 1
                elif room is not None and not isinstance(send, Refusal):
                    self._kept(session, room, send, n, part)
                    n += len(part.events)
            if session is not None and n <= send.last:
                self._not_sent(session, range(n, send.last + 1))
        for asker, answer, then in self._settled:
            self.sessions.reply(asker, answer)
            then()
        for new in self.turn.work.rooms:
            self.rooms.by_name[new.room].kept = True
        self.names.saved()
        self.marks.saved()
        return self._finish()

    def failed(self, error: errors.StoreUnavailable, greeted: Iterable[Greeted | None] = ()) -> Effects:
        """What the turn leads to, nothing of its work having been kept: sends may be tried again, all else goes on.

        Args:
            error: why.
            greeted: the answers to the greetings, as far as there are any; the others may say hello again.
        """
        new = {session.person for session, _, _, first in self._hellos if first}
        for (session, q, welcome, _), known in zip_longest(self._hellos, greeted):
            if known is not None and session.person not in new:
                welcome(known)
            else:
                self._not_greeted(session, q)
        for sender, _room, send in self._sends:
            if sender is not None:
                self._not_sent(sender, range(send.n, send.last + 1))
        for session, answer, _ in self._settled:
            self.turn.fail(session.peer, answer.q, errors.Unavailable())
        self.turn.lost()
        self.names.failed()
        self.marks.failed()
        if self.admission is not None:
            self.admission.failed()
        self.turn.log(Level.WARNING, f"the store could not commit: {error}")
        return self._finish()

    def _not_sent(self, session: Session, left: range) -> None:
        if session.sends is not None:
            session.sends.planned = session.sends.known.last
        for n in left:
            refused = Refused(n, errors.Unavailable.code, errors.Unavailable.says, retry_ms=RETRY_MS)
            self.sessions.reply(session, refused)

    def _not_greeted(self, session: Session, q: int) -> None:
        if session.peer is not None:
            self.turn.fail(session.peer, q, errors.Unavailable())
            if session.sends is None:
                self.sessions.end(session)

    def wait(self) -> float:
        """Seconds until something falls due, at most one: a longer sleep would count as a stall."""
        if self._jobs:
            return 0.0
        due = min(self.sessions.due(), self.rooms.due(), self.marks.due(), self.names.due())
        return min(max(due - self.turn.clock, 0.0), 1.0)

    def _finish(self) -> Effects:
        self.rooms.publish_presence()  # first, so that a roster told below is not older than the presence published
        self._tell_presences()
        self.rooms.publish_heads()
        self.turn.finish()
        self._release_jobs()
        self._sends, self._hellos, self._settled = [], [], []
        return self.turn.take()

    def _ordered(self, item: Ordered) -> None:
        """The operator gives an order at the console, or asks for a list."""
        operator = admin.Actor(b"", OPERATOR, Rank.OPERATOR)
        tell = self.turn.effects.console
        try:
            if item.verb in LISTS:
                rows, more = admin.listed(self, operator, item.verb, after=item.after)
                tell.extend(admin.row_text(row) for row in rows)
                tell.append("there are more" if more else f"that is all: {len(rows)}")
                return
            admin.order(self, operator, item.verb, item.name, item.seconds, item.text)
        except errors.Refusal as problem:
            tell.append(str(problem))
        else:
            self.turn.once_kept(lambda: tell.append(f"done: {item.verb} {item.name}".rstrip()))

    # Requests -------------------------------------------------------------------------------------------------------

    def _received(self, item: Received) -> None:
        peer = item.peer
        if peer in self._cut:
            return
        session = self.sessions.at(peer)
        before = self._asked.get(peer, session.pending if session else 0)  # what is not answered from earlier turns
        asked = self._asked[peer] = before + len(item.requests)
        if asked > self.settings.credit:
            self.turn.fail(peer, 0, errors.OverCredit())
            self.turn.effects.cuts.append(peer)
            self._cut.add(peer)
            self.turn.log(Level.WARNING, f"cut {called(session)}: {asked} requests at once", peer)
            return
        unread: list[Malformed] = []
        for kind, alike in groupby(item.requests, type):
            if kind in BATCHED:
                if not self._cut or peer not in self._cut:
                    self._execute(peer, [*alike])
                continue
            for request in alike:
                if isinstance(request, Malformed):
                    unread.append(request)
                if peer not in self._cut:
                    self._execute(peer, [request])
        if unread:
            who, problem = called(session), unread[0].problem
            self.turn.log(Level.WARNING, f"could not read {len(unread)} requests of {who}: {problem}", peer)

    def _execute(self, peer: bytes, requests: Sequence[Request | Malformed]) -> None:
        try:
            execute(self, peer, self.sessions.at(peer), requests)
        except errors.Refusal as problem:
            for request in requests:
                if isinstance(request, Numbered):
                    refused = Refused(request.n, problem.code, str(problem), retry_ms=problem.retry_ms or RETRY_MS)
                    self.turn.effects.reply(peer, refused)
                else:
                    self.turn.fail(peer, request.q, problem)

    def too_much(self, peer: bytes, person: bytes, count: int) -> None:
        """So many requests of a peer were refused as too much for its person: who goes on is cut, and held off."""
        mine = list(self.sessions.of(person))
        # An honest library may have all its credit under way when the first refusal comes, and comes back with as much.
        hold = self.rates.refused(person, count, self.turn.clock, 2 * self.settings.credit * max(len(mine), 1))
        if not hold:
            return
        kept_on = errors.RateLimited(f"held off for {hold:g} s: it went on although refused", retry_ms=retry_ms(hold))
        who = called(next(iter(mine), None))
        self.turn.log(Level.WARNING, f"cut {who}, held off for {hold:g} s: it asks for too much and goes on", peer)
        for one in dict.fromkeys((peer, *(session.peer for session in mine))):
            if one is not None and one not in self._cut:
                self.turn.fail(one, 0, kept_on)
                self.turn.effects.cuts.append(one)
                self._cut.add(one)
        for session in mine:
            self.sessions.end(session)

    def greet(
        self,
        session: Session,
        peer: bytes,
        q: int,
        greeting: Greeting,
        welcome: Callable[[Greeted], None],
        *,
        new: bool,
    ) -> None:
        """A session begins or comes back at a peer.

        Args:
            q: the number of its hello.
            welcome: called after the commit.
            new: whether its person may come in only once that is kept.
        """
        self.sessions.begin(session, peer)
        self.turn.work.greetings.append(greeting)
        self._hellos.append((session, q, welcome, new))

    def drain(self, why: str) -> None:
        """Takes nothing any more, and tells everybody: the broker is about to stop."""
        self.draining = True
        self.sessions.tell_all(Closing(why))

    def let_out(self, person: bytes, keys: Container[bytes], why: str = LET_OUT_SAYS) -> None:
        """Ends all sessions of a person, and those of keys, who may not be here any more."""
        persons = {person, *self.bots(person)}
        for session in self.sessions.all():
            if session.person in persons or session.key in keys:
                self._let_out(session, why)

    def bots(self, person: bytes) -> list[bytes]:
        """The bots for which a person answers."""
        return self.admission.bots(person) if person and self.admission is not None else []

    def _let_out(self, session: Session, why: str = LET_OUT_SAYS) -> None:
        if session.peer is not None:
            self.turn.fail(session.peer, 0, errors.NotAdmitted(why))
            self.turn.effects.over.append((session.peer, LET_OUT))
        self.sessions.end(session)

    def settle(self, session: Session, answer: Settled, then: Callable[[], None]) -> None:
        """Answers a request once the turn's work is kept, and does what follows; if it cannot be kept, the request is
        refused.
        """
        self._settled.append((session, answer, then))

    # Sends ----------------------------------------------------------------------------------------------------------

    def stage(self, session: Session | None, room: Room | None, send: Sending) -> None:
        """Plans a send: it is answered after the commit, if a session sent it."""
        self._sends.append((session, room, send))
        self.turn.work.sends.append(send)

    def run_of(self, session: Session) -> Append | None:
        """What was planned last, if the session's next message may be added to it."""
        last, _, send = self._sends[-1] if self._sends else (None, None, None)
        return send if last is session and isinstance(send, Append) and send.name == session.name else None

    def _kept(self, session: Session | None, room: Room, send: Append | Amend | Deed, n: int, kept: Kept) -> None:
        count = len(kept.events)
        self.rooms.spoke(room, kept)
        if room.private:
            self._tell_members(room, kept)
        if session is not None:
            self.marks.spoke(session.person, room.name, kept.seq, count, private=room.private)
            self._used(session, Ack(n, room.name, kept.seq, send.ms, count))

    def _tell_members(self, room: Room, kept: Kept) -> None:
        """Tells those who belong to a private room, and nobody else, what was kept of it."""
        parts = [codec.as_encoded(events) for events in codec.frame_fuls(kept.events)]
        told: dict[str, list[Reply]] = {}  # by label: most call it the same, and hear the same bytes
        for person in room.members:
            readers = self.sessions.of(person)
            if room.pair and not readers:
                room.waiting[person] = room.waiting.get(person, 0) + len(kept.events)
            if readers:
                self.turn.effects.told += len(readers) * len(kept.events)
                label = self.label(room, person)
                if label not in told:
                    told[label] = [codec.encoded_reply(Private(room.name, label, events)) for events in parts]
                for reader in readers:
                    for item in told[label]:
                        self.sessions.reply(reader, item)

    def _tell_presences(self) -> None:
        """Tells those who follow a private room who came and went."""
        for room, presence in self.rooms.presences:
            for person in room.members:
                for reader in self.sessions.of(person):
                    if room.name in reader.rooms:
                        self.sessions.reply(reader, Private(room.name, self.label(room, person), (), (presence,)))
        self.rooms.presences.clear()

    def _used(self, session: Session, answer: Ack | Refused) -> None:
        """Send numbers are used up: notes the outcome, and tells it."""
        if session.sends is not None:
            session.sends.known.used(answer, self.settings.credit)
        self.sessions.reply(session, answer)

    def label(self, room: Room, person: bytes) -> str:
        """What a person calls a private room; of one of two it is the other's name, as far as is known by now."""
        if not room.pair:
            return room.members.get(person, room.title)
        other = other_of(room, person)
        for session in self.sessions.of(other):
            if session.name is not None:
                return f"@{session.name}"
        return f"@{room.called.get(other, '?')}"

    # What takes long ------------------------------------------------------------------------------------------------

    def later(self, session: Session, q: int, cost: int, answer: Callable[[], None]) -> None:
        """Has a request answered after a commit, as soon as the turn's budget allows: what takes long waits its turn.

        Args:
            q: the number of the request.
            cost: how many events or names are looked at.
            answer: may raise any `errors.Refusal`: what was allowed when it was asked for may not be any more.
        """
        session.pending += 1
        self._jobs.append((session, session.peer, cost, partial(self.answer, session, q, answer)))

    def answer(self, session: Session, q: int, answer: Callable[[], None]) -> None:
        """Answers a request, if it is not refused by now."""
        try:
            answer()
        except errors.Refusal as problem:
            self.turn.fail(session.peer, q, problem)

    def _release_jobs(self) -> None:
        budget = self.settings.work_budget
        while self._jobs and budget > 0:
            session, peer, cost, answer = self._jobs.popleft()
            session.pending -= 1
            if session.peer is not None and session.peer == peer:
                answer()
                budget -= cost
