"""What a session has the shell do, and its requests within the broker's credit. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from zchat.client.pace import Pace
from zchat.messages import History, Read, Request, Search, Value

RESERVE = 32
"""How much of the credit sends leave to other requests; what is asked beyond it waits."""

SELDOM = 1.0
"""Seconds to wait from which on what was too much is of a kind of its own, as making rooms is: the rest need not wait
with it.
"""

LOOKUPS = (Read, History, Search)
"""What the broker looks up: it allows a session one of these at a time."""


class Transmit(Value, frozen=True):
    """Send these requests over DEALER."""

    requests: list[Request]


class OpenSub(Value, frozen=True):
    """Connect a new SUB to this port of the broker's host."""

    port: int


class Subscribe(Value, frozen=True):
    topic: bytes


class Unsubscribe(Value, frozen=True):
    topic: bytes


class Reopen(Value, frozen=True):
    """Close both sockets and connect anew."""


Command = Transmit | OpenSub | Subscribe | Unsubscribe | Reopen


class Channel:
    """The way out."""

    def __init__(self) -> None:
        self._commands: deque[Command] = deque()
        self._requests: list[Request] = []
        self._waiting: deque[Request] = deque()  # for credit
        self._lookups: deque[Request] = deque()  # for the answer to the one before: the broker allows one at a time
        self._looking: int | None = None
        self._unanswered: dict[int, Request] = {}  # of those that were asked
        self._again: deque[Request] = deque()  # put off
        self._later: deque[tuple[float, Request]] = deque()  # put off for long, and until when
        self._pace = Pace()
        self._q = 0

    def number(self) -> int:
        """The number of the next request."""
        self._q += 1
        return self._q

    def do(self, command: Command) -> None:
        """Has the shell do something."""
        self._commands.append(command)

    def say(self, *requests: Request) -> None:
        """Sends these, whatever the credit: hello, heartbeats, and sends, which have a window of their own."""
        self._requests += requests

    def ask(self, request: Request) -> None:
        """Sends this as soon as there is credit for it."""
        (self._lookups if isinstance(request, LOOKUPS) else self._waiting).append(request)
        self.release()

    def answered(self, q: int) -> None:
        """A request was answered: another may have its place, after `release`."""
        if self._unanswered.pop(q, None) is not None:
            self._pace.taken(1)
        if q == self._looking:
            self._looking = None

    def put_off(self, q: int, now: float, delay: float, *, slow: bool = True) -> bool:
        """A request is to be asked again later; says whether it was one that was asked here.

        Args:
            delay: in seconds.
            slow: whether it was too much in too short a time, so that the others have to wait, too.
        """
        request = self._unanswered.pop(q, None)
        if request is None:
            return False
        if q == self._looking:
            self._looking = None
            self._lookups.appendleft(request)
        elif delay > SELDOM or not slow:
            # One after the other: as many as there are would be refused together again but for one.
            self._later.append((max(now, self._later[-1][0] if self._later else now) + delay, request))
            return True
        else:
            self._again.append(request)
        self._pace.refused(now, delay)
        return True

    def forget(self, q: int) -> None:
        """Nobody waits for the answer any more: it is not asked again."""
        self._again = deque(request for request in self._again if request_number(request) != q)
        self._later = deque(later for later in self._later if request_number(later[1]) != q)

    def due(self) -> float | None:
        """When `ask_again` has something to do; None if not for the time alone."""
        waiting = self._again or self._waiting or (self._lookups and self._looking is None)
        due = self._pace.due(len(self._unanswered)) if waiting and len(self._unanswered) < RESERVE - 1 else None
        if self._later and (due is None or self._later[0][0] < due):
            return self._later[0][0]
        return due

    def ask_again(self, now: float) -> None:
        """Asks what was put off, and what waits behind it, as fast as it is allowed."""
        while self._later and self._later[0][0] <= now:
            self._again.append(self._later.popleft()[1])
        self.release()
        allowed = self._pace.allows(now, len(self._unanswered))
        if allowed:
            self._pace.sent(self._release(allowed), now)

    def release(self) -> None:
        """Sends what waits, as far as there is credit; and no pace to be kept."""
        if not self._pace.limited:
            self._release(RESERVE)

    def _release(self, most: int) -> int:
        sent = 0
        while sent < most and len(self._unanswered) < RESERVE - 1:  # one is the heartbeat's
            if self._looking is None and self._lookups:
                self._looking = request_number(self._lookups[0])
                self._waiting.append(self._lookups.popleft())
            waiting = self._again or self._waiting
            if not waiting:
                break
            request = waiting.popleft()
            self._unanswered[request_number(request)] = request
            self._requests.append(request)
            sent += 1
        return sent

    def take(self) -> Iterable[Command]:
        """Takes out what is to be done, in order."""
        while self._commands:
            yield self._commands.popleft()
        if self._requests:
            requests, self._requests = self._requests, []
            yield Transmit(requests)

    def reset(self) -> None:
        """Nothing that was asked will be answered."""
        self._requests = []
        self._waiting.clear()
        self._lookups.clear()
        self._looking = None
        self._unanswered.clear()
        self._again.clear()
        self._later.clear()
        self._pace.anew()

    def drop(self) -> None:
        """The sockets are closed: what was to be done with them is void."""
        self._commands.clear()


def request_number(request: Request) -> int:
    """The number that a request's answer repeats."""
    number: int = getattr(request, "q", 0) or getattr(request, "n", 0)
    return number
