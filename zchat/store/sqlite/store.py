"""The store itself: turns, what is looked up, and what SQLite says when it fails."""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import msgspec

from zchat import errors
from zchat.messages import Message, Refused, Stamp
from zchat.store.base import (
    Append,
    ClientRecord,
    Greeted,
    Greeting,
    KnownName,
    Outcome,
    Query,
    Quotas,
    Record,
    Refusal,
    RoomRecord,
    Slice,
    Span,
    Work,
)
from zchat.store.sqlite import schema, wal
from zchat.store.sqlite.cache import UPDATE_HEAD, Cache
from zchat.store.sqlite.clients import End, answer, last, refusal
from zchat.store.sqlite.database import Database
from zchat.store.sqlite.events import Events, as_record
from zchat.store.sqlite.faults import FAULTS, meaning
from zchat.store.sqlite.folder import DATABASE, Lock
from zchat.store.sqlite.index import Index
from zchat.store.sqlite.log import Spoken, settle, write
from zchat.store.sqlite.retention import Retention
from zchat.store.sqlite.rows import damaged, read_record, seal, unpack, verify
from zchat.store.sqlite.turn import Turn
from zchat.store.sqlite.upkeep import SETTLED, Upkeep
from zchat.store.words import VERSION as WORDS
from zchat.verbs import AUDIT

SEARCH_SECONDS = 0.1
"""How long a search may take."""

KEEP_RUNS = 1000

LOOK_EVERY = 1.0
"""Seconds between two looks at whether the file is still there."""


def open_store(
    folder: Path,
    retention: Retention = Retention(),  # noqa: B008
    quotas: Quotas = Quotas(),  # noqa: B008
    *,
    clock: Callable[[], float] = time.monotonic,
    keep_outcomes: int = 50_000,
    keep_people: int = 100_000,
    window: int = 1024,
) -> SqliteStore:
    """Opens the store of a data folder, and makes both if they are not there. A run begins.

    Args:
        folder: held until the store is closed.
        retention: what is kept.
        quotas: how much of each person and room.
        clock: a clock that only rises, in seconds.
        keep_outcomes: sends, of all clients, whose outcome is kept in full; of older ones what is kept is which were
            refused, for a week after the client was last heard of.
        keep_people: names that are kept; the oldest are forgotten first.
        window: how many outcomes are remembered per client: at least the broker's credit.

    Raises:
        errors.DataUnusable: it is in use, or it cannot be used.
        errors.StoreDamaged: what is there is not what was put there.
    """
    lock = Lock(folder)
    try:
        return SqliteStore(folder, lock, retention, quotas, clock, keep_outcomes, keep_people, window)
    except FAULTS as error:
        problem = meaning(error, errors.StoreFailed)
        if isinstance(problem, errors.StoreUnavailable):
            problem = errors.DataUnusable(
                f"the data folder {folder} cannot be used ({error}): see to its rights and disk"
            )
        lock.release()
        raise problem from error
    except OSError as error:
        lock.release()
        raise errors.DataUnusable(f"the data folder {folder} cannot be used ({error.strerror})") from error
    except BaseException:
        lock.release()
        raise


class SqliteStore:
    """See `store.base.Store`, and `open_store`.

    Attributes:
        warnings: what is to be told the operator loudly, a line each.
        quotas: may be changed.
    """

    def __init__(
        self,
        folder: Path,
        lock: Lock,
        retention: Retention,
        quotas: Quotas,
        clock: Callable[[], float],
        keep_outcomes: int,
        keep_people: int,
        window: int,
    ) -> None:
        self.warnings: list[str] = []
        self.quotas = quotas
        self._lock, self._clock, self._keep_people, self._window = lock, clock, keep_people, window
        self._failed: errors.ZchatError | None = None
        self._closed = False
        path = self._path = folder / DATABASE
        scanned = self._look(path)
        found = path.stat()
        self._file, self._looked_at = (found.st_dev, found.st_ino), clock()
        self._db = Database(path)
        try:
            self._cache = Cache()
            self._open(path, scanned)
            self._events = Events(self._db)
            self._index = Index(self._db, self._events)
            self._upkeep = Upkeep(
                self._db, self._cache, self._events, self._index, retention, clock, keep_outcomes, window
            )
            self._begin()
        except (*FAULTS, errors.StoreFailed):
            self._db.abandon()  # what is damaged is left as it is
            raise
        except BaseException:
            self._db.close()
            raise

    # Opening --------------------------------------------------------------------------------------------------------

    def _look(self, path: Path) -> wal.Scan | None:
        """Looks at the files before SQLite does: it drops what it cannot read of a WAL."""
        log = path.with_name(path.name + "-wal")
        if not path.exists():
            if log.exists():
                raise errors.DataUnusable(f"{path} is missing, but {log.name} is there: restore a backup")
            schema.create(path)
        schema.verify_file(path)
        if not log.exists() or not log.stat().st_size:
            return None
        with (
            log.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole,
            memoryview(whole) as view,
        ):
            return wal.scan(view)

    def _open(self, path: Path, scanned: wal.Scan | None) -> None:
        schema.migrate(self._db.connection, path)
        schema.verify_tables(self._db.connection)
        self._db.load()
        self._cache.load(self._db)
        if scanned is not None:
            self._warn(scanned)
        elif not self._db.meta["clean"]:
            self.warnings.append(
                "the broker was not shut down, and the log of its last writes (zchat.db-wal) is missing: what was "
                "stored last may be lost; clients that saw it will be shown a gap"
            )

    def _warn(self, scanned: wal.Scan) -> None:
        if not scanned.readable:
            self.warnings.append(
                f"the log of the last writes (zchat.db-wal) has a damaged header: up to {scanned.unread} pages that "
                "were stored last are lost; clients that saw them will be shown a gap; see to the disk"
            )
        elif scanned.broken and scanned.unread_commits:
            self.warnings.append(
                f"the log of the last writes (zchat.db-wal) is damaged: {scanned.unread} pages of "
                f"{scanned.unread_commits} turns after the damage are lost, unless the machine lost power while it "
                "wrote them; clients that saw them will be shown a gap; see to the disk"
            )
        elif scanned.unread:
            self.warnings.append(
                f"the last turn was being written when the broker was stopped: its {scanned.unread} pages are dropped; "
                "nothing of it was acknowledged, unless the file was cut short later: then clients are shown a gap"
            )

    def _begin(self) -> None:
        db, cache = self._db, self._cache
        turn, run = cache.turn + 1, os.urandom(8)
        with db.transaction():
            settle(db, cache)
            if db.meta["words"] != WORDS:
                self._index.rebuild()
                for room in cache.rooms.values():
                    room.indexed = room.first - 1
                    cache.behind[room] = None
                    _, *columns, check = room.row()
                    db.execute(UPDATE_HEAD, (*columns, check, room.id))
            db.execute("INSERT INTO runs VALUES (?, ?, ?)", seal("runs", turn, run))
            db.count("runs", 1)
            gone = db.execute(
                "DELETE FROM runs WHERE begins <= (SELECT begins FROM runs ORDER BY begins DESC LIMIT 1 OFFSET ?)",
                (KEEP_RUNS,),
            )
            db.count("runs", -gone.rowcount)
            write(db, turn, Spoken())
            db.put("clean", 0)
        for known, end in cache.runs.items():
            cache.runs[known] = turn - 1 if end is None else end
        cache.runs[run] = None
        cache.turn, self._run = turn, run
        db.checkpoint()  # that it is not clean must stand in the database itself

    # The seam -------------------------------------------------------------------------------------------------------

    @property
    def stamp(self) -> Stamp:
        return Stamp(self._run, self._cache.turn)

    def commit(self, work: Work) -> Outcome:
        with self._guarded(errors.StoreRejected):
            self._cache.forget()
            if work.writes:
                return self._turn(work)
            return Outcome([], [self._greet(greeting, self._asked(greeting)) for greeting in work.greetings])

    def read(self, room: str, after: int, limit: int, size: int) -> Slice:
        with self._guarded():
            kept = self._cache.rooms.get(room)
            return Slice(1, 0, ()) if kept is None else self._events.read(kept, after, limit, size)

    def history(self, room: str, span: Span) -> Slice:
        with self._guarded():
            kept = self._cache.rooms.get(room)
            return Slice(1, 0, ()) if kept is None else self._events.history(kept, span)

    def search(self, query: Query) -> list[tuple[str, Message]]:
        with self._guarded():
            begun = self._clock()
            while self._cache.behind and self._clock() < begun + SEARCH_SECONDS / 2 and not self._db.in_whole:
                try:
                    self._upkeep.fill()
                except FAULTS as error:
                    if not isinstance(meaning(error, errors.StoreFailed), errors.StoreUnavailable):
                        raise
                    break  # a full disk, say: what is indexed can still be searched
            deadline = begun + SEARCH_SECONDS
            self._db.connection.set_progress_handler(lambda: self._clock() > deadline, 1000)
            try:
                return self._index.search(query, self._cache.rooms, self._cache.ids.get)
            finally:
                self._db.connection.set_progress_handler(None, 0)

    def rooms(self) -> list[RoomRecord]:
        return [as_record(room) for room in self._cache.rooms.values()]

    def names(self) -> list[KnownName]:
        with self._guarded():
            return [KnownName(*row[1:]) for row in self._db.rows("names", "SELECT * FROM names ORDER BY id")]

    def records(self) -> list[Record]:
        with self._guarded():
            return [read_record(row) for row in self._db.rows("records", "SELECT * FROM records")]

    def retain(self, keep_days: float | None, keep_messages: int | None) -> None:
        self._upkeep.retain(Retention(keep_days, keep_messages))

    def tidy(self, ms: int, *, idle: bool) -> float:
        if self._db.in_whole:
            return float("inf")
        if self._failed is None and (rest := self._upkeep.rests(idle=idle)):
            return rest
        with self._guarded():
            self._look_after_file()
            return self._upkeep.tidy(ms, idle=idle)

    def _look_after_file(self) -> None:
        """Fails once the database is no longer where it was: what is written then is gone with this process."""
        now = self._clock()
        if now < self._looked_at + LOOK_EVERY:
            return
        self._looked_at = now
        try:
            there = self._path.stat()
        except FileNotFoundError:
            there = None
        if there is None or (there.st_dev, there.st_ino) != self._file:
            raise errors.StoreFailed(
                f"{self._path} was removed or replaced under the running broker: what was said since is lost with it, "
                "unless the file is put back; start the broker again"
            )

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            if self._failed is None:
                with self._db.transaction():
                    settle(self._db, self._cache)
                    self._db.put("clean", 1)
                    self._db.put("clock", self._upkeep.age.ms)
                self._db.checkpoint("TRUNCATE")
        except FAULTS as error:
            self._failed = meaning(error, errors.StoreFailed)  # the next start will say that this one was not clean
        if isinstance(self._failed, errors.StoreFailed):
            self._db.abandon()
        else:
            self._db.close()
        self._lock.release()

    # Beyond the seam ------------------------------------------------------------------------------------------------

    def counts(self) -> tuple[int, int]:
        """How many rooms there are, and events in them, the log of what was done not counted."""
        rooms = [room for room in self._cache.rooms.values() if room.name != AUDIT]
        return len(rooms), sum(room.head - room.first + 1 for room in rooms)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Makes all commits within it one transaction: all of them, or if anything is raised nothing.

        Raises:
            errors.StoreUnavailable, errors.StoreFailed: as `commit` does.
        """
        with self._guarded():
            try:
                with self._db.whole():
                    yield
            except BaseException:
                if not self._db.connection.in_transaction:
                    self._db.load()
                    self._cache.load(self._db)
                    self._upkeep.reset()
                raise

    # A turn ---------------------------------------------------------------------------------------------------------

    @contextmanager
    def _guarded(self, otherwise: type[errors.ZchatError] = errors.StoreFailed) -> Iterator[None]:
        """What SQLite raises becomes what the seam says; after a failure nothing is done any more."""
        if self._failed is not None:
            raise self._failed
        try:
            yield
        except FAULTS as error:
            problem = meaning(error, otherwise)
            if isinstance(problem, errors.StoreFailed):
                self._failed = problem
            raise problem from error
        except (OverflowError, UnicodeError) as error:
            raise errors.StoreRejected(f"the store cannot keep that: {error}") from error
        except errors.StoreFailed as error:
            self._failed = error
            raise

    def _turn(self, work: Work) -> Outcome:
        db, cache = self._db, self._cache
        if cache.log.events >= 2 * SETTLED:  # by then `tidy` should have done it
            self._upkeep.settle()
        plan = Turn(db, cache, self._events, self._index, cache.turn + 1, self.quotas)
        try:
            with self._transaction(work):
                for new in work.rooms:
                    plan.make(new)
                sends = plan.send(work.sends)
                for mark in work.marks:
                    plan.mark(mark)
                for key in work.freed:
                    plan.free(key)
                for known in work.names:
                    plan.name(known, self._keep_people)
                for record in work.records:
                    plan.record(record)
                for record in work.dropped:
                    plan.drop(record)
                plan.finish()
                asked = [self._asked(greeting) for greeting in work.greetings]
        except BaseException:
            plan.undo()
            raise
        cache.turn = plan.number
        cache.recent.note(plan.spoken.ends)
        cache.log.note(plan.touched, plan.sizes, plan.spoken.ends, plan.events, plan.size)
        for room in plan.touched:
            cache.behind[room] = None
        self._upkeep.note_over(plan.touched)
        db.frames += 1 + plan.size // 3500
        return Outcome(sends, [self._greet(*each) for each in zip(work.greetings, asked, strict=True)])

    def _transaction(self, work: Work) -> AbstractContextManager[None]:
        """A turn's transaction: of its own statement, where there will be only one."""
        persons = self._cache.persons
        alone = not (
            work.rooms or work.marks or work.names or work.greetings or work.asides or self._db.in_whole
        ) and all(
            isinstance(send, Refusal) or (isinstance(send, Append) and send.person in persons) for send in work.sends
        )
        return nullcontext() if alone else self._db.transaction()

    # Greetings ------------------------------------------------------------------------------------------------------

    def _asked(self, greeting: Greeting) -> tuple[int, list[End], dict[str, int]]:
        """What the database knows of who greets: last send number, refusals, read marks."""
        db, client = self._db, greeting.client
        number = 0
        refused: list[End] = []
        row = db.execute("SELECT * FROM clients WHERE client = ?", (client,)).fetchone()
        if row is not None:
            number = verify("clients", row)[1]
            for _, _, told in db.rows("refused", "SELECT * FROM refused WHERE client = ? ORDER BY n", (client,)):
                refused.append(refusal(client, msgspec.convert(unpack(told), Refused)))
        marks: dict[str, int] = {}
        person = self._cache.person(db, greeting.person)
        if person is not None:
            for _, room, seq in db.rows("marks", "SELECT * FROM marks WHERE person = ?", (person.id,)):
                if room not in self._cache.ids:
                    raise damaged(f"room {room} is missing")
                marks[self._cache.ids[room].name] = seq
        return number, refused, marks

    def _greet(self, greeting: Greeting, asked: tuple[int, list[End], dict[str, int]]) -> Greeted:
        number, ends, marks = asked
        recent = self._cache.recent.of(greeting.client)
        if recent:
            number = last(recent[-1])
        outcomes = [
            answer(end, lambda room: self._cache.ids[room].name)
            for end in (*ends, *recent)
            if last(end) > number - self._window
        ]
        return Greeted(ClientRecord(number, outcomes), self._vouches(greeting.stamp), marks)

    def _vouches(self, stamp: Stamp | None) -> bool:
        if stamp is None:
            return True
        if stamp.run not in self._cache.runs:
            return False
        end = self._cache.runs[stamp.run]
        return stamp.turn <= (self._cache.turn if end is None else end)
