"""What can wait: done a little at a time, each step a transaction of some milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from zchat.store.sqlite.cache import Cache, changing
from zchat.store.sqlite.clients import End, answer, count, is_refusal, last
from zchat.store.sqlite.database import Database
from zchat.store.sqlite.erase import Eraser
from zchat.store.sqlite.events import Events, Room
from zchat.store.sqlite.index import MERGED, Index
from zchat.store.sqlite.log import settle
from zchat.store.sqlite.retention import DAY_MS, Clock, Retention
from zchat.store.sqlite.rows import pack, seal, unpack, verify

SETTLED, SETTLED_SIZE = 1000, 1 << 20
"""Events in the log, and its bytes, beyond which it is settled: the more at once, the less each costs."""

SETTLE_AFTER = 1.0
"""Seconds of silence after which it is settled."""

BUSY_EVERY = 0.02
"""Seconds between two looks at what there is to do while it is busy."""

PRUNED = 500
"""Events that a step drops at most."""

VISITED = 500
"""Rooms of which a step asks how old their oldest event is, and clients when they were last heard, at most."""

FOLDED = 2000
"""Sends that a step folds, about."""

FOLD_BEYOND = 20
"""Sends are folded once there is a twentieth more of them than is kept: many at once."""

INDEXED = 256
"""Events that a step indexes at most."""

INDEX_AFTER, INDEX_AT_LATEST = 1.0, 30.0
"""Seconds of silence until what was said is indexed, and after which it is indexed in what pauses there are; a search
does not wait.
"""

MERGE_IDLE, MERGE_BUSY = 8, 64
"""Transactions that added to the index before it is merged a little."""

WRITTEN_BACK = 1000
"""Pages in the WAL beyond which it is written back."""

WRITE_BACK_AFTER = 1.0
"""Seconds after the last write until all of it is written back, when idle."""

AGED_EVERY = 300.0
"""Seconds between looking for what is too old."""

FORGET_MS = 7 * DAY_MS
"""How long a client is remembered that is not heard of."""


class Upkeep:
    """Tidies up.

    Args:
        db, cache, events, index: the store's.
        retention: what is kept.
        clock: a clock that only rises, in seconds.
        keep_outcomes: sends whose outcome is kept in full.
        window: how many outcomes are remembered per client.
    """

    def __init__(
        self,
        db: Database,
        cache: Cache,
        events: Events,
        index: Index,
        retention: Retention,
        clock: Callable[[], float],
        keep_outcomes: int,
        window: int,
    ) -> None:
        self._db, self._cache, self._events, self._index = db, cache, events, index
        self._retention, self._clock = retention, clock
        self._keep_outcomes, self._window = keep_outcomes, window
        self.age = Clock(db.meta["clock"])
        self._aging: list[Room] = []
        self._aged_at: float | None = None
        self._folding = False
        self._sweeping: bytes | None = None
        self._swept = 0  # the day on which all clients were looked at
        self._behind_since: float | None = None
        self._turn, self._turn_at = 0, 0.0  # the last turn that was seen, and when
        self._unmerged = 0  # transactions that added to the index since all of it was merged
        self._eraser = Eraser(db, index, self.settle)
        self.reset()
        self._frames, self._written_at = 0, 0.0
        self._busy_at = 0.0

    def rests(self, *, idle: bool) -> float:
        """Seconds for which a store that is busy need not be tidied: looking at everything costs a turn too much."""
        log = self._cache.log
        if idle or log.events >= SETTLED or log.size >= SETTLED_SIZE or self._db.frames >= WRITTEN_BACK:
            return 0.0
        return max(self._busy_at - self._clock(), 0.0)

    def tidy(self, ms: int, *, idle: bool) -> float:
        """See `Store.tidy`."""
        now = self._clock()
        self.age.advance(ms, now)
        wait = self._write_back(now, idle=idle)  # first: a full disk may take this, and nothing else
        waits = [
            self._settle(now, idle=idle),
            self._fold(),
            self._prune(now, idle=idle),
            self._sweep(idle=idle),
            self._fill(now, idle=idle),
            self._merge(idle=idle),
            self._eraser.step(now, idle=idle),
        ]
        if self._db.frames:
            waits.append(WRITE_BACK_AFTER)
        wait = min(wait, *waits)
        self._busy_at = now + min(wait, BUSY_EVERY)
        return wait

    def retain(self, retention: Retention) -> None:
        """Goes by another retention from now on."""
        self._retention = retention
        self.reset()

    def reset(self) -> None:
        """The cache was read anew: its rooms are other objects now."""
        self._aging, self._aged_at = [], None
        self._cache.over.clear()
        self.note_over(self._cache.rooms.values())

    def note_over(self, rooms: Iterable[Room]) -> None:
        """These rooms may have more events than are to be kept."""
        keep = self._retention.keep_messages
        if keep is not None:
            for room in rooms:
                if room.head - room.first >= keep:
                    self._cache.over[room] = None

    # The log --------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Puts what was logged into its rooms, if there is anything."""
        if self._cache.turn > self._cache.log.settled:
            undo = None
            try:
                with self._db.transaction():
                    undo = settle(self._db, self._cache)
            except BaseException:
                if undo is not None:
                    undo()
                raise

    def _settle(self, now: float, *, idle: bool) -> float:
        log = self._cache.log
        if self._cache.turn != self._turn:
            self._turn, self._turn_at = self._cache.turn, now
        turns = self._cache.turn - log.settled
        if not log.ends and turns < SETTLED:
            return float("inf")
        wait = self._turn_at + SETTLE_AFTER - now
        if max(log.events, turns) >= SETTLED or log.size >= SETTLED_SIZE or (idle and wait <= 0):
            self.settle()
            return float("inf")
        return max(wait, 0.0)

    # Sends ----------------------------------------------------------------------------------------------------------

    def _fold(self) -> float:
        """The oldest turns become what must be known of their clients for long."""
        recent, keep = self._cache.recent, self._keep_outcomes
        if recent.count <= (keep if self._folding else keep + keep // FOLD_BEYOND):
            return float("inf")
        db, ends, turn = self._db, list[End](), 0
        for raw in db.execute("SELECT turn, ends, sum FROM turns ORDER BY turn LIMIT 500"):
            turn, told = verify("turns", raw)
            ends += [tuple(end) for end in unpack(told)[1]]
            folded = sum(map(count, ends))
            if folded >= FOLDED or recent.count - folded <= keep:
                break
        if not turn:
            return float("inf")
        numbers = {end[0]: last(end) for end in ends}
        refused = [(end[0], end[1], answer(end, str)) for end in ends if is_refusal(end)]
        with db.transaction():
            for client, n in numbers.items():
                if not db.execute("SELECT 1 FROM clients WHERE client = ?", (client,)).fetchone():
                    db.count("clients", 1)
                db.execute("REPLACE INTO clients VALUES (?, ?, ?, ?)", seal("clients", client, n, self.age.ms))
            for client, n, answered in refused:
                db.execute("INSERT INTO refused VALUES (?, ?, ?, ?)", seal("refused", client, n, pack(answered)))
            db.count("refused", len(refused))
            if db.counted("refused"):
                for client, n in numbers.items():
                    gone = db.execute("DELETE FROM refused WHERE client = ? AND n <= ?", (client, n - self._window))
                    db.count("refused", -gone.rowcount)
            db.execute("DELETE FROM turns WHERE turn <= ?", (turn,))
            db.put("folded", turn)
        db.frames += len(numbers) + len(refused) + 4
        recent.forget(ends)
        self._folding = recent.count > keep
        return 0.0 if self._folding else float("inf")

    def _sweep(self, *, idle: bool) -> float:
        """Clients that are unheard of for long are forgotten, wholly: of one whose refusals alone were forgotten a
        repeat would be taken for one that was stored.
        """
        db, today = self._db, self.age.ms // DAY_MS
        if not idle or (self._swept == today and self._sweeping is None):
            return 3600.0
        sql = "SELECT * FROM clients WHERE client > ? ORDER BY client LIMIT ?"
        rows = list(db.rows("clients", sql, (self._sweeping or b"", VISITED)))
        gone = [
            (client,) for client, _, ms in rows if ms < self.age.ms - FORGET_MS and not self._cache.recent.of(client)
        ]
        if gone:
            with db.transaction():
                db.count("clients", -db.executemany("DELETE FROM clients WHERE client = ?", gone).rowcount)
                db.count("refused", -db.executemany("DELETE FROM refused WHERE client = ?", gone).rowcount)
            db.frames += len(gone)
        self._swept, self._sweeping = today, rows[-1][0] if len(rows) == VISITED else None
        return 3600.0 if self._sweeping is None else 0.0

    # Retention ------------------------------------------------------------------------------------------------------

    def _prune(self, now: float, *, idle: bool) -> float:
        wait = self._prune_many(idle=idle)
        return wait if self._retention.keep_days is None else min(wait, self._prune_old(now, self._retention.keep_days))

    def _prune_many(self, *, idle: bool) -> float:
        keep = self._retention.keep_messages
        if keep is None:
            return float("inf")
        over = self._cache.over
        if not over or not (idle or sum(room.head - room.first + 1 - keep for room in over) >= PRUNED):
            return float("inf")
        budget = PRUNED
        while over and budget:
            room = next(iter(over))
            count = min(room.head - room.first + 1 - keep, budget)
            self._drop(room, count)
            budget -= count
            if room.head - room.first + 1 <= keep:
                del over[room]
        return 0.0 if over else float("inf")

    def _prune_old(self, now: float, keep_days: float) -> float:
        if not self._aging:
            if self._aged_at is not None and now < self._aged_at + AGED_EVERY:
                return self._aged_at + AGED_EVERY - now
            self._aging, self._aged_at = list(self._cache.rooms.values()), now
            if self.age.ms != self._db.meta["clock"]:
                with self._db.transaction():
                    self._db.put("clock", self.age.ms)
                self._db.frames += 1
        oldest, rooms, events = self.age.oldest(keep_days), VISITED, PRUNED
        while self._aging and rooms and events:
            room, count = self._aging[-1], 0
            for event, _, _ in self._events.rows(room, room.first, room.head, events):
                if getattr(event, "ms", 0) >= oldest:
                    break
                count += 1
            if count:
                self._drop(room, count)
            rooms, events = rooms - 1, events - count
            if events:
                self._aging.pop()
        return 0.0 if self._aging else AGED_EVERY

    def _drop(self, room: Room, count: int) -> None:
        """Drops so many of a room's oldest events."""
        self.settle()
        low, high = room.key(room.first), room.key(room.first + count - 1)
        sizes = self._events.sizes(low, high)
        less = {self._cache.author(self._db, author): size for author, size in sizes.items()}
        with changing(self._db, room, less=less):
            for row in list(self._events.rows(room, room.first, room.first + count - 1, count)):
                self._index.remove(room, row)
            self._db.execute("DELETE FROM events WHERE id BETWEEN ? AND ?", (low, high))
            room.first += count
            room.size -= sum(sizes.values())
            room.indexed = max(room.indexed, room.first - 1)
        self._unmerged += 1
        self._db.frames += count // 20 + len(less) + 10

    # The index ------------------------------------------------------------------------------------------------------

    def _fill(self, now: float, *, idle: bool) -> float:
        if not self._cache.behind:
            self._behind_since = None
            return float("inf")
        if self._behind_since is None:
            self._behind_since = now
        wait = min(self._turn_at + INDEX_AFTER, self._behind_since + INDEX_AT_LATEST) - now
        if not idle or wait > 0:
            return max(wait, 0.0)
        if self.fill():
            return 0.0
        self._behind_since = None
        return float("inf")

    def fill(self) -> bool:
        """Indexes a little of what is settled. Returns whether there is more."""
        self.settle()
        behind, budget = self._cache.behind, INDEXED
        done: list[Room] = []
        rooms: list[Room] = []
        total = 0
        for room in behind:
            rooms.append(room)
            total += max(room.head - room.indexed, 1)
            if total >= budget:
                break
        with changing(self._db, *rooms):
            for room in rooms:
                before = room.indexed
                room.indexed = self._index.extend(room, budget)
                budget -= room.indexed - before
                if room.indexed == room.head:
                    done.append(room)
        self._unmerged += 1
        self._db.frames += len(rooms) + 30
        for room in done:
            del behind[room]
        return bool(behind)

    def _merge(self, *, idle: bool) -> float:
        """Merges what was indexed a little at a time: by itself FTS5 takes seconds at once."""
        if self._eraser.busy or self._unmerged < (MERGE_IDLE if idle else MERGE_BUSY):
            return float("inf")
        with self._db.transaction():
            more = self._index.merge()
        self._db.frames += MERGED * 2
        self._unmerged = self._unmerged if more else 0
        return 0.0 if more else float("inf")

    # Files ----------------------------------------------------------------------------------------------------------

    def _write_back(self, now: float, *, idle: bool) -> float:
        db = self._db
        db.look()
        if db.frames != self._frames:
            self._frames, self._written_at = db.frames, now
        if db.frames < WRITTEN_BACK and not (idle and db.frames and now >= self._written_at + WRITE_BACK_AFTER):
            return self._written_at + WRITE_BACK_AFTER - now if db.frames else float("inf")
        db.checkpoint()
        self._frames, self._written_at = db.frames, now
        return WRITE_BACK_AFTER if db.frames else float("inf")
