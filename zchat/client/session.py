"""The client's side of the protocol, without I/O: hello, heartbeats, questions and sends; its rooms are in `rooms`.

The shell tells it what happened (`connected`, `disconnected`, `replied`, `published`, `tick`), does the commands it
takes out with `commands`, and hands the user the events it takes out of `events`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from math import isfinite

from zchat import errors
from zchat.client import events as heard
from zchat.client.channel import RESERVE, Channel, Command, Reopen, request_number
from zchat.client.marks import Marks
from zchat.client.outbox import Outbox, Pending
from zchat.client.positions import HEAD, Begin
from zchat.client.rooms import Rooms as FollowedRooms
from zchat.client.sayable import no_name, unaskable, unsayable
from zchat.messages import (
    VERSION,
    About,
    Ack,
    Act,
    Added,
    Admin,
    Ask,
    Beat,
    Bot,
    Bye,
    Closing,
    Delete,
    Device,
    Done,
    Edit,
    Failed,
    Fenced,
    Found,
    Heartbeat,
    Hello,
    History,
    Joined,
    Leave,
    Link,
    Linked,
    LinkList,
    Links,
    List,
    Listed,
    Named,
    Nick,
    Notice,
    Numbered,
    Page,
    People,
    Ping,
    Pong,
    Private,
    Published,
    Read,
    Refused,
    Removed,
    Replies,
    Reply,
    Request,
    Revoke,
    RoomList,
    Rooms,
    RoomState,
    Search,
    Send,
    Stamp,
    Told,
    Unfenced,
    Welcome,
    Who,
)
from zchat.names import is_bot

BATCH = 128
"""Messages that are worth a frame, though more might come to go with them."""

PATIENCE = 5.0
"""Seconds for hello to be answered, before both sockets are opened anew."""

BEAT_PATIENCE = 10.0
"""Seconds for a heartbeat to be answered, before both sockets are opened anew."""

AGAIN = 1.0
"""Seconds before hello is said again on a connection where it was answered already, or was refused."""

RETRY = (0.02, 60.0)
"""Seconds at least and at most before asking again what was too much in too short a time, whatever the broker says."""

LATER = {errors.RateLimited.code, errors.Draining.code}
"""Refusals of what is asked again by itself: later, or of the broker that comes after this one."""

BEATS = (1.0, 3600.0)
"""Seconds between two heartbeats at least and at most, whatever the broker says."""

TEXT_LIMIT = 16 * 1024
"""Bytes of a text at most, before the broker has said."""

FOREIGN = 1024
"""Frames of another run held until hello has settled it."""

Answer = Done | Named | People | RoomList | Told | Pong | Page | Found | Linked | LinkList | RoomState | Listed

ANSWERS: dict[type[Request], type[Answer]] = {
    History: Page,
    Search: Found,
    Who: People,
    Rooms: RoomList,
    Nick: Named,
    Ask: Told,
    Ping: Pong,
    Bye: Done,
    Link: Linked,
    Device: Linked,
    Links: LinkList,
    Revoke: Done,
    Admin: Done,
    About: RoomState,
    List: Listed,
    Bot: Named,
    Read: Page,
    Leave: Done,
}
"""What each question is answered with."""


class Session:
    """One client's session.

    Args:
        name: whom it speaks as; None for one who only looks.
        person: who owns the name: a secret of 16 bytes. Under CURVE the public key, which the broker knows anyway.
        token: makes a secret of so many random bytes.
        resumed: the stamp and the positions of an earlier life.
        missed: whether what the person has not read in private rooms was missed, and is to be heard.
        invite: the secret of a link. It is said with every hello: the broker heeds it only for a key that it does not
            know.

    Attributes:
        events: what the user is to hear, oldest first; the shell takes from the left.
        answers: what was asked for with `ask`, by its number: the answer, or what went wrong.
        ended: why it is over; None while it is not.
        role: what the broker said last that this person may do: `owner`, `moderator` or `member`; else empty.
    """

    def __init__(
        self,
        name: str | None,
        person: bytes,
        token: Callable[[int], bytes],
        resumed: tuple[Stamp, dict[str, int]] | None = None,
        *,
        missed: bool = False,
        invite: bytes | None = None,
    ) -> None:
        self.name = name
        self.events: deque[heard.Event] = deque()
        self.answers: dict[int, Answer | errors.ZchatError] = {}
        self.ended: errors.ZchatError | None = None
        self.role = ""
        self._person = person
        self._invite = invite
        self._token = token
        self._client = token(16)
        self._channel = Channel()
        stamp, positions = resumed or (None, None)
        self._rooms = FollowedRooms(self._channel, self.events, token(16), positions, missed=missed)
        self._marks = Marks(self._channel)
        self._outbox = Outbox()
        self._said_at = 0.0  # when the last message was queued
        self._asked: dict[int, Request] = {}
        self._resume: bytes | None = None
        self._stamp = stamp
        self._online = False
        self._welcome: Welcome | None = None  # of this connection
        self._again = False
        self._anew = False  # whether some room's place is to be found anew
        self._hello_q = 0
        self._greeted_at = float("-inf")
        self._hellos = 0  # on this connection
        self._hello_due: float | None = None
        self._hello_at: float | None = None
        self._beat_due = float("inf")
        self._beat_late: float | None = None
        self._beat_q = 0
        self._foreign: deque[tuple[str, Published]] = deque(maxlen=FOREIGN)

    # What the shell asks ----------------------------------------------------------------------------------------------

    def commands(self) -> Iterable[Command]:
        """Takes out what is to be done, in order."""
        self._transmit_sends(self._said_at)
        return self._channel.take()

    @property
    def room_names(self) -> dict[str, str]:
        """The canonical name of each room under the name the user gave."""
        return self._rooms.names

    @property
    def open(self) -> bool:
        """Whether the broker has welcomed this connection."""
        return self._welcome is not None

    @property
    def stamp(self) -> Stamp | None:
        """The newest stamp seen."""
        return self._stamp

    def positions(self) -> dict[str, tuple[str, int]]:
        """Where the user has been told of everything: by a room's name or id, what the user calls it, and the
        number.
        """
        return self._rooms.positions()

    @property
    def waiting(self) -> int:
        """Messages that are not answered yet."""
        return len(self._outbox)

    @property
    def sendable(self) -> bool:
        """Whether another message may be queued: there is a bound, the broker's credit."""
        return len(self._outbox) < (self._welcome.credit if self._welcome else 1024)

    @property
    def pressing(self) -> bool:
        """Whether what was queued last is better sent at once than with what comes next: nothing else is under way,
        or there is enough for a frame.
        """
        return len(self._outbox) < 2 or self._outbox.fresh >= BATCH

    @property
    def text_limit(self) -> int:
        """Bytes of a text at most."""
        return self._welcome.text_limit if self._welcome else TEXT_LIMIT

    def due(self) -> float:
        """When `tick` must be called next, in the shell's seconds; infinite if nothing falls due."""
        times = [self._hello_due, self._hello_at, self._beat_late, self._outbox.expires(), self._rooms.due()]
        if self.open:
            times += [
                self._beat_due,
                self._marks.due(),
                None if self._anew else self._outbox.due(),
                self._channel.due(),
            ]
        return min((time for time in times if time is not None), default=float("inf"))

    # What the user wants ----------------------------------------------------------------------------------------------

    def join(self, name: str, begin: Begin = HEAD, *, quiet: bool, now: float) -> None:
        """Follows a room from now on, over every reconnection.

        Args:
            name: of a public room, or with its `+` of a private one.
            begin: where to begin, if it is not followed yet, and of a private one if nothing was heard of it.
            quiet: without being in its roster.
        """
        self._transmit_sends(now)
        name = name.removeprefix("#")
        if no_name(name):
            self.events.append(heard.NotEntered(name, errors.NameInvalid()))
        else:
            self._rooms.join(name, begin, quiet=quiet, now=now)

    def leave(self, name: str) -> int | None:
        """Follows a room no longer; gives the number of the request, None if there is nothing to leave.

        A private one is given up, if `answers` will say so: until `Removed` tells that, it is heard.
        """
        self._transmit_sends(self._said_at)
        leave = self._rooms.leave(name.removeprefix("#"))
        if leave is not None and leave.room.startswith("@"):
            self._asked[leave.q] = leave  # it may be refused
        return None if leave is None else leave.q

    def send(self, room: str, text: str, *, action: bool, now: float, reply: int = 0) -> int:
        """Queues a message; `Sent` or `NotSent` will carry the ticket that is returned.

        Args:
            room: a room, or `@NAME` for a person.
            reply: the number of the message that it answers; 0 for none.
        """
        return self._say(Send(self._outbox.number, room, text, action, reply), text, now)

    def edit(self, room: str, text: str, *, seq: int, now: float) -> int:
        """Queues an edit of a message of one's own; see `send`.

        Args:
            seq: its number; 0 for the last.
        """
        return self._say(Edit(self._outbox.number, room, seq, text), text, now)

    def delete(self, room: str, *, seq: int, now: float) -> int:
        """Queues the deletion of a message of one's own; see `edit`."""
        return self._say(Delete(self._outbox.number, room, seq), "", now)

    def act(
        self,
        verb: str,
        room: str,
        *,
        name: str = "",
        target: int = 0,
        seconds: int = 0,
        text: str = "",
        on: bool = True,
        now: float,
    ) -> int:
        """Queues what is to be done in a room, see `messages.Act`; the rest is as with `send`."""
        return self._say(Act(self._outbox.number, verb, room, name, target, seconds, text, on), text, now)

    def _say(self, request: Numbered, text: str, now: float) -> int:
        problem = unsayable(text, self.text_limit)
        if any(no_name(getattr(request, field, "")) for field in ("room", "verb", "name")):
            problem = problem or errors.NameInvalid()
        if problem is not None:
            ticket = self._outbox.ticket()
            self.events.append(heard.NotSent(ticket, problem))
            return ticket
        self._said_at = now
        return self._outbox.add(request)

    def mark(self, room: str, seq: int) -> None:
        """The person has read a room, by its name or id, up to a number: the broker is told so in a while."""
        self._marks.rise(room, seq)

    def ask(self, make: Callable[[int], Request]) -> int:
        """Asks the broker something that may be asked again; the answer will be in `answers` under the number
        returned.
        """
        self._transmit_sends(self._said_at)  # what was said before is said before
        request = make(self._channel.number())
        problem = unaskable(request, self.text_limit)
        if problem is not None:
            self.answers[request_number(request)] = problem
            return request_number(request)
        self._asked[request_number(request)] = request
        if self.open:
            self._channel.ask(request)
        return request_number(request)

    def forget(self, q: int) -> None:
        """The answer is not waited for any more."""
        self._asked.pop(q, None)
        self.answers.pop(q, None)
        self._channel.forget(q)

    def bye(self) -> int:
        """Ends the session; gives the number of the request."""
        self._marks.tell(0.0, at_once=True)
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
        self._rooms.sockets_closed()
        self._channel.drop()

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
        self._rooms.published(name, frame, now)

    def tick(self, now: float) -> None:
        """Time passed."""
        if self._hello_at is not None and self._hello_at <= now:
            self._say_hello(now)
        for due in (self._hello_due, self._beat_late):
            if due is not None and due <= now:
                self._reopen()
                return
        if self._rooms.tick(now):
            self._reopen()
            return
        if self.open and self._beat_due <= now:
            self._beat_q = self._channel.number()
            self._channel.say(Heartbeat(self._beat_q))
            self._beat_due, self._beat_late = float("inf"), now + BEAT_PATIENCE
        if self.open:
            self._marks.tell(now)
            self._channel.ask_again(now)
        if self._outbox.expires() <= now:
            self._forget_sends()
            if self._online:
                self._reopen()
                return
        self._transmit_sends(now)

    # Hello ------------------------------------------------------------------------------------------------------------

    def _say_hello(self, now: float) -> None:
        self._offline()
        self._hello_at = None
        if not self._online or self.ended is not None:
            return
        self._hello_q = self._channel.number()
        self._hello_due = now + PATIENCE
        self._greeted_at = now
        self._hellos += 1
        self._channel.say(
            Hello(
                self._hello_q,
                VERSION,
                self.name,
                self._person,
                self._client,
                self._rooms.fences.token,
                self._resume,
                self._stamp,
                self._invite,
            )
        )

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
        self._beat_late = None
        self._beat_due = float("inf")
        self._channel.reset()
        self._rooms.offline()

    def _reopen(self) -> None:
        self._hello_due = self._beat_late = None
        self._rooms.offline()
        self._channel.do(Reopen())

    def _welcomed(self, welcome: Welcome, stamp: Stamp, now: float) -> None:
        if welcome.q != self._hello_q:
            return
        self._hello_due = None
        if not 0 < welcome.pub_port < 65536 or welcome.credit < 1:
            self.end(errors.Refusal("what answers there is no broker that one can work with"))
            return
        self._resume = welcome.session
        self._rooms.senders.add(welcome.sender)
        vouched = welcome.vouched
        if welcome.name is not None and is_bot(welcome.name):
            self._rooms.begin_here()
        if not vouched:
            self._anew = self._rooms.begin_anew(welcome) or self._anew
            self._marks.forget()
            self._unknown(self._outbox.void())
        self._stamp = stamp
        if not self._outbox.agrees(welcome.last, vouched):
            self._rooms.meet(welcome, now)  # what comes until the next hello is answered is missed by then
            self._forget_sends()
            self._say_hello_again(now)
            return
        self._welcome = welcome
        self.name, self.role = welcome.name, welcome.role
        self.events.append(heard.Connected(welcome.name, welcome.banner, self._again))
        self._again = True
        self._beat_due = now + _beat(welcome.heartbeat)
        self._outbox.again()
        self._marks.again()
        self._rooms.meet(welcome, now)
        self._rooms.welcomed(welcome, now)
        for request in self._asked.values():
            if not isinstance(request, Leave):  # that is told by its room
                self._channel.ask(request)
        foreign, self._foreign = self._foreign, deque(maxlen=FOREIGN)
        for name, frame in foreign:
            if frame.stamp.run == stamp.run:
                self.published(name, frame, now)

    def _forget_sends(self) -> None:
        """Numbers begin anew under another id, with the next hello."""
        self._unknown(self._outbox.restart())
        self._client, self._resume = self._token(16), None
        self._rooms.fences.renew(self._token(16))

    def _unknown(self, sends: Iterable[Pending]) -> None:
        for pending in sends:
            error = errors.Unknown("no answer could be had: whether it was stored is unknown")
            self.events.append(heard.NotSent(pending.ticket, error))

    # Replies ----------------------------------------------------------------------------------------------------------

    def _reply(self, item: Reply, now: float) -> None:
        if isinstance(item, Failed) and item.code in LATER and self._put_off(item, now):
            return
        self._channel.answered(getattr(item, "q", 0))
        self._marks.answered(getattr(item, "q", 0))
        match item:
            case Ack():
                self.events += [
                    heard.Sent(
                        pending.ticket,
                        item.room or pending.request.room,
                        item.seq + pending.request.n - item.n if item.seq else 0,
                        item.ms,
                    )
                    for pending in self._outbox.acked(item.n, item.count)
                ]
            case Refused():
                self._refused(item, now)
            case Fenced():
                self._rooms.fenced(item.k)
            case Unfenced():
                self._rooms.unfenced(now)
            case Joined():
                self._rooms.joined(item, now)
            case Page() if item.q not in self._asked:
                self._rooms.paged(item, now)
            case Private():
                self._rooms.private(item, now)
            case Added():
                self._rooms.added(item, now)
            case Removed():
                self._rooms.removed(item)
            case Beat():
                self._beaten(item, now)
            case People() if self._rooms.roster(item):
                pass
            case Failed():
                self._failed(item, now)
            case Notice():
                self.events.append(heard.Notice(item.ms, item.name, item.text))
            case Closing():
                self.events.append(heard.Closing(item.text))
            case Welcome():
                pass
            case _:
                self._answer(item)
        self._rooms.read_due(now)
        self._channel.release()

    def _put_off(self, failed: Failed, now: float) -> bool:
        """It was too much in too short a time, and is asked again; says whether it was asked at all."""
        delay = _patience(failed.retry_ms)
        if self._beat_late is not None and failed.q == self._beat_q:
            self._beat_late, self._beat_due = None, now + delay
            return True
        return self._channel.put_off(failed.q, now, delay, slow=failed.code == errors.RateLimited.code)

    def _answer(self, item: Answer) -> None:
        self._rooms.left(item.q)
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
        self._rooms.moved(beat, now)

    def _refused(self, refused: Refused, now: float) -> None:
        problem = errors.refusal(refused.code, refused.detail)
        if isinstance(problem, errors.UnknownSession):
            self._unknown_session(now)
        elif isinstance(problem, errors.OutOfOrder):
            self._outbox.go_back(refused.expected, now, refused.retry_ms / 1000)
        elif isinstance(problem, errors.RateLimited):
            self._outbox.slow_down(refused.n, now, _patience(refused.retry_ms))
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
                self._hello_at = now + max(AGAIN, _patience(failed.retry_ms))
            else:
                self.end(problem)
        elif isinstance(problem, errors.UnknownSession):
            self._unknown_session(now)
        elif isinstance(problem, errors.Superseded | errors.OverCredit | errors.NotAdmitted):
            self.end(problem)
        elif isinstance(problem, errors.RateLimited):
            pass  # of nothing that was asked here: the broker says why it ends the connection
        else:
            asked = self._asked.pop(failed.q, None)
            if asked is None or isinstance(asked, Leave):
                self._rooms.failed(failed, problem, now)
            if asked is not None:
                self.answers[failed.q] = problem

    def end(self, problem: errors.ZchatError) -> None:
        """It is over, and does not come back."""
        self.ended = problem
        self._offline()
        self.events.append(heard.Ended(problem))

    # Sending ----------------------------------------------------------------------------------------------------------

    def _transmit_sends(self, now: float) -> None:
        if self._anew:  # what is said before there is a place in its room again would not be heard
            self._anew = self._rooms.anew
        if self._welcome is not None and len(self._outbox) and not self._anew:
            self._channel.say(*self._outbox.take(max(self._welcome.credit - RESERVE, 1), now))


def _patience(retry_ms: int) -> float:
    """Seconds to wait, as the broker wants it within reason."""
    return min(max(retry_ms / 1000, RETRY[0]), RETRY[1])


def _beat(seconds: float) -> float:
    """An interval between heartbeats, as the broker wants it within reason."""
    return min(max(seconds, BEATS[0]), BEATS[1]) if isfinite(seconds) else BEATS[1]
