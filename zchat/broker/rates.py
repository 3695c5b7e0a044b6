"""How much a person may ask for in a time, and what becomes of who keeps asking although refused. Pure.

Each person has a bucket of each kind: it holds so many tokens, is full at first, and fills up at a steady rate. The
time is handed in: the hub's own, which stalls and jumps of the machine's clocks do not move.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, inf
from typing import Final

from zchat import errors

MESSAGES: Final = 0
BYTES: Final = 1
JOINS: Final = 2
CREATIONS: Final = 3
HELLOS: Final = 4
READS: Final = 5
QUESTIONS: Final = 6
"""The kinds, in the order of the fields of `Limits`."""

_REFUSALS: Final = 7
_EMPTY = (0.0,) * 8

HOLD = (10.0, 3600.0)
"""Seconds that an offender is held off: the first time, and at most. Each time is twice as long as the one before."""

DRAIN = 20.0
"""Seconds at most in which as many refusals as are allowed at once are forgotten."""

FORGIVEN = 6 * 3600.0
"""Seconds after the end of a hold until it is forgotten."""

PERSONS = 100_000
"""Of whom something is remembered; beyond it the oldest are forgotten."""

OFFENDERS = 10_000
"""Of whom a hold is remembered; beyond it the oldest are forgotten."""

SWEEP = 1000
"""Persons from which on those whose buckets are full again are looked for, and forgotten."""


SLOWEST, MOST = 1e-6, 1e9
"""Tokens a second at least; and at most, as well as at once. What takes longer to fill is no time that one can tell."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A bucket.

    Args:
        burst: tokens that it holds, from 1 to `MOST`.
        per_second: tokens that come in a second, from `SLOWEST` to `MOST`.

    Raises:
        errors.BadOption: it would never let anything through, or is beyond all measure.
    """

    burst: float
    per_second: float

    def __post_init__(self) -> None:
        if not (1 <= self.burst <= MOST and SLOWEST <= self.per_second <= MOST):
            told = f"{self.burst:g} at once, then {self.per_second:g} a second"
            most = f"{MOST:.0f}"
            raise errors.BadOption(f"no rate: {told}; it takes 1 to {most} at once, and 0.000001 to {most} a second")


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a person may ask for, with all devices and programs together; None for as much as they like.

    Attributes:
        messages: said, edited and deleted.
        bytes: of their texts, in UTF-8.
        joins: the first of so many that whoever follows as many rooms as is allowed may come back to all at once.
        creations: of rooms, also of private ones.
        hellos: said.
        reads: of what was said: a page each.
        questions: everything else.
    """

    messages: Rate | None = Rate(200, 50)
    bytes: Rate | None = Rate(1024 * 1024, 256 * 1024)
    joins: Rate | None = Rate(2500, 20)
    creations: Rate | None = Rate(100, 0.2)
    hellos: Rate | None = Rate(200, 10)
    reads: Rate | None = Rate(3000, 200)
    questions: Rate | None = Rate(500, 50)

    def kinds(self) -> tuple[Rate | None, ...]:
        """By kind."""
        return (self.messages, self.bytes, self.joins, self.creations, self.hellos, self.reads, self.questions)


BOTS = Limits(
    messages=Rate(100, 20),
    bytes=Rate(512 * 1024, 128 * 1024),
    joins=Rate(500, 10),
    creations=Rate(10, 0.05),
    hellos=Rate(50, 2),
    reads=Rate(1000, 100),
    questions=Rate(200, 20),
)
"""The same for each bot."""


class _Measure:
    """Limits, and what is worked out of them once.

    Attributes:
        rates: by kind.
        say: messages and bytes that one with full buckets may say at once.
        a_message, a_byte: seconds until what one takes has come back.
    """

    __slots__ = ("a_byte", "a_message", "limits", "rates", "say")

    def __init__(self, limits: Limits | None) -> None:
        self.limits = limits
        self.rates = limits.kinds() if limits is not None else (None,) * 7
        messages, size = self.rates[MESSAGES], self.rates[BYTES]
        self.say = (messages.burst if messages else inf, int(size.burst) if size else sys.maxsize)
        self.a_message = 1 / messages.per_second if messages else 0.0
        self.a_byte = 1 / size.per_second if size else 0.0


def _nobody(_person: bytes) -> bool:
    return False


class Rates:
    """What everybody asked for lately.

    Args:
        limits: None for none.
        bots: the same for each bot.

    Attributes:
        limits, bots: as `set` told last.
        exempt: says who is not limited.
        is_bot: says who is one.
    """

    def __init__(self, limits: Limits | None = None, bots: Limits | None = None) -> None:
        self.exempt: Callable[[bytes], bool] = _nobody
        self.is_bot: Callable[[bytes], object] = _nobody
        self._full: dict[bytes, list[float]] = {}  # when each of a person's buckets will be full; what is past is full
        self._holds: dict[bytes, tuple[float, float]] = {}  # until when, and for how long altogether
        self._sweep = SWEEP
        self.set(limits, bots)

    def __len__(self) -> int:
        """Persons of whom something is remembered."""
        return len(self._full.keys() | self._holds.keys())

    def set(self, limits: Limits | None, bots: Limits | None = None) -> None:
        """Limits everybody so from now on; all buckets are full. Who is held off stays so, unless there are none.

        Args:
            bots: for each bot; where people have none, bots have none.
        """
        self.limits, self.bots = limits, bots
        self._people = _Measure(limits)
        self._bots = _Measure(None if limits is None else bots or limits)
        self._full.clear()
        if limits is None:
            self._holds.clear()

    def _measure(self, person: bytes) -> _Measure:
        return self._bots if self.is_bot(person) else self._people

    def limited(self, person: bytes) -> bool:
        """Whether there is any limit to what a person may ask for."""
        return self.limits is not None and not self.exempt(person)

    # Buckets --------------------------------------------------------------------------------------------------------

    def take(self, person: bytes, kind: int, clock: float, amount: float = 1.0) -> float:
        """Asks for tokens.

        Args:
            clock: the time in seconds; it never goes back.
            amount: if it is more than the bucket holds, a full one will do, and takes as much longer to fill again.

        Returns:
            0 if they were there, and have been taken; else in how many seconds they will be, if nothing else is asked
            for before.
        """
        rate = self._measure(person).rates[kind]
        if rate is None or self.exempt(person):
            return 0.0
        wait = self._wait(person, kind, rate, clock, amount)
        if not wait:
            self._spend(person, kind, rate, clock, amount)
        return wait

    def wait(self, person: bytes, kind: int, clock: float, amount: float = 1.0) -> float:
        """The same as `take`, and nothing is taken."""
        rate = self._measure(person).rates[kind]
        if rate is None or self.exempt(person):
            return 0.0
        return self._wait(person, kind, rate, clock, amount)

    def _wait(self, person: bytes, kind: int, rate: Rate, clock: float, amount: float) -> float:
        lacking = min(amount, rate.burst) - self._left(person, kind, rate, clock)
        # What the clock cannot tell apart is there: it would be asked for again and again, a moment later.
        return lacking / rate.per_second if lacking > 1e-6 * rate.burst else 0.0

    def sendable(self, person: bytes, clock: float) -> tuple[float, int] | None:
        """How many messages, and how many bytes, a person may say now: some huge number of what has no limit; None if
        neither has.
        """
        if self.limits is None or self.exempt(person):
            return None
        full, measure = self._full.get(person), self._measure(person)
        if full is None or (full[MESSAGES] <= clock and full[BYTES] <= clock):
            return measure.say
        messages, size = measure.rates[MESSAGES], measure.rates[BYTES]
        return (
            inf if messages is None else self._left(person, MESSAGES, messages, clock),
            sys.maxsize if size is None else int(self._left(person, BYTES, size, clock)),
        )

    def sent(self, person: bytes, clock: float, messages: int, size: int) -> None:
        """A person who is limited said so many messages of so many bytes altogether."""
        full = self._full.get(person)
        if full is None:
            full = self._begin(person, clock)
        first, second, measure = full[MESSAGES], full[BYTES], self._measure(person)
        full[MESSAGES] = (first if first > clock else clock) + messages * measure.a_message
        full[BYTES] = (second if second > clock else clock) + size * measure.a_byte

    def _left(self, person: bytes, kind: int, rate: Rate, clock: float) -> float:
        full = self._full.get(person, _EMPTY)[kind]
        return rate.burst if full <= clock else rate.burst - (full - clock) * rate.per_second

    def _spend(self, person: bytes, kind: int, rate: Rate, clock: float, amount: float) -> None:
        full = self._full.get(person)
        if full is None:
            full = self._begin(person, clock)
        full[kind] = max(full[kind], clock) + amount / rate.per_second

    def _begin(self, person: bytes, clock: float) -> list[float]:
        if len(self._full) >= self._sweep:
            self._forget(clock)
        full = self._full[person] = [*_EMPTY]
        return full

    def _forget(self, clock: float) -> None:
        """Forgets whose buckets are full again, so that what is remembered does not grow with all who ever came."""
        self._full = {person: full for person, full in self._full.items() if max(full) > clock}
        for person in list(self._full)[: PERSONS // 4 if len(self._full) > PERSONS * 3 // 4 else 0]:
            del self._full[person]
        self._sweep = min(max(2 * len(self._full), SWEEP), PERSONS)

    # Offenders ------------------------------------------------------------------------------------------------------

    def refused(self, person: bytes, count: int, clock: float, allowance: int) -> float:
        """Requests of a person were refused, since there were too many.

        Args:
            allowance: refusals at once that the most honest may meet.

        Returns:
            0 if that is no offence; else for how many seconds the person is held off from now on.
        """
        if not self.limited(person):
            return 0.0
        # Who says all there is to say at once, in one program after the other, is refused about as often as not.
        rates = self._measure(person).rates
        asked = (rates[kind] for kind in (MESSAGES, JOINS, READS, QUESTIONS))
        steady = 2 * max((rate.per_second for rate in asked if rate is not None), default=0.0)
        allowance = min(allowance, int(MOST))
        rate = Rate(allowance, min(max(allowance / DRAIN, steady), MOST))
        self._spend(person, _REFUSALS, rate, clock, count)
        full = self._full[person]
        if (full[_REFUSALS] - clock) * rate.per_second <= allowance:
            return 0.0
        full[_REFUSALS] = 0.0
        until, hold = self._holds.pop(person, (-inf, 0.0))
        hold = min(hold * 2, HOLD[1]) if hold and clock < until + FORGIVEN else HOLD[0]
        self._holds[person] = clock + hold, hold
        if len(self._holds) > OFFENDERS:
            del self._holds[next(iter(self._holds))]
        return hold

    def held(self, person: bytes, clock: float) -> float:
        """For how many seconds a person is still held off; 0 if it is not."""
        until, _ = self._holds.get(person, (-inf, 0.0))
        if until <= clock:
            if until + FORGIVEN <= clock:
                self._holds.pop(person, None)
            return 0.0
        return 0.0 if self.exempt(person) else until - clock


def retry_ms(wait: float) -> int:
    """Seconds to wait, as the wire says it: milliseconds, one at least."""
    return max(ceil(wait * 1000), 1)


def stranger(peer: bytes) -> bytes:
    """Under what the requests of a connection count of which nobody knows whose it is."""
    # A connection can choose its id, but no secret or key of another person begins so.
    return b"stranger\0" + peer
