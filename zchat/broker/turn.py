"""The turn under way: its time, what it asks of the store, and what it leads to."""

from __future__ import annotations

from collections.abc import Callable

from zchat import errors
from zchat.broker.effects import Effects, Level, Log
from zchat.broker.inputs import Now
from zchat.broker.settings import Settings
from zchat.messages import Failed
from zchat.store.base import Record, Work, identity


class Turn:
    """What all parts of the hub share.

    Args:
        settings: bounds and times.

    Attributes:
        number: of the turn, rising by one.
        now: its time, as the shell told it.
        clock: the hub's own clock, in seconds: when things fall due.
        work: what the store must commit.
        effects: what is to be done once it has.
        amends: edits and deletions so far.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.number = 0
        self.now = Now(0.0, 0)
        self.clock = 0.0
        self.work = Work()
        self.effects = Effects()
        self.amends = 0
        self._last: float | None = None
        self._after: list[Callable[[], None]] = []
        self._once_kept: list[Callable[[], None]] = []
        self._undo: list[Callable[[], object]] = []

    def begin(self, now: Now) -> None:
        """The next turn begins."""
        # The clock never advances by more than a second a turn: after the loop was stalled (a stopped process, a
        # suspended machine) what has arrived meanwhile is heard before anyone is expired.
        self.clock += 0.0 if self._last is None else min(max(now.clock - self._last, 0.0), 1.0)
        self._last, self.now = now.clock, now
        self.number += 1
        self.amends = 0

    def after(self, answer: Callable[[], None]) -> None:
        """Has something done after the commit: what names a head must be."""
        self._after.append(answer)

    def once_kept(self, do: Callable[[], None]) -> None:
        """Has something done if the turn's work is committed, before anything is told of it."""
        self._once_kept.append(do)

    def keep(self, record: Record, undo: Callable[[], object]) -> None:
        """Has a record kept; it counts from now on.

        Args:
            undo: makes it untrue again, should the commit fail.
        """
        if self.work.dropped:
            self.work.dropped = [other for other in self.work.dropped if identity(other) != identity(record)]
        self.work.records.append(record)
        self._undo.append(undo)

    def drop(self, record: Record, undo: Callable[[], object]) -> None:
        """Has a record be no more; see `keep`."""
        self.work.dropped.append(record)
        self._undo.append(undo)

    def if_lost(self, undo: Callable[[], object]) -> None:
        """Has something done if the turn's work cannot be committed."""
        self._undo.append(undo)

    def kept(self) -> None:
        """The work was committed."""
        self._undo.clear()
        once_kept, self._once_kept = self._once_kept, []
        for do in once_kept:
            do()

    def lost(self) -> None:
        """The work could not be committed: nothing of it is true."""
        self._once_kept.clear()
        while self._undo:
            self._undo.pop()()

    def finish(self) -> None:
        """The commit is over: does what was to be done after it."""
        after, self._after = self._after, []
        for answer in after:
            answer()

    def take(self) -> Effects:
        """Gives what the turn leads to; the next has none yet."""
        done = self.effects
        self.work, self.effects = Work(), Effects()
        return done

    def fail(self, peer: bytes | None, q: int, problem: errors.Refusal) -> None:
        """Refuses a request."""
        self.effects.reply(peer, Failed(q, problem.code, str(problem), problem.retry_ms))

    def log(self, level: Level, text: str, peer: bytes | None = None) -> None:
        """A line for the operator."""
        self.effects.log.append(Log(level, text, peer))
