"""The store on disk does what the one in memory does, whatever is asked of it and however often it is opened anew."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace
from store.saying import (
    ANN,
    BOB,
    CAT,
    LOTS,
    MS,
    Watch,
    crash,
    failing,
    in_memory,
    opened,
    read,
    records,
    sizes,
    sqlite_error,
    unsettled,
)

from zchat import errors
from zchat.messages import Acted, Deleted, Edited, Message, Refused, Send
from zchat.store.base import (
    Account,
    Amend,
    Append,
    Block,
    Deed,
    Device,
    Greeting,
    Invite,
    KnownName,
    Member,
    Membership,
    NewRoom,
    Query,
    Quotas,
    ReadMark,
    Record,
    Refusal,
    Sanction,
    Sending,
    Span,
    Terms,
    Work,
)
from zchat.store.memory import MemoryStore
from zchat.store.sqlite import SqliteStore
from zchat.store.sqlite.check import check

ROOMS = {"lobby": (), "den": (), "@x": (Member(ANN, "ann"), Member(BOB, "bob")), "@3f": ()}
TEXTS = st.sampled_from(["apple", "Apple pie", "banana", "the apple, again", "", "🎉", "x" * 5000])
WHO = st.sampled_from([ANN, BOB, CAT])
ROOM = st.sampled_from(list(ROOMS))
ACTED = st.builds(
    Acted,
    st.just(0),
    st.just(0),
    st.just(""),
    st.just(b""),
    st.sampled_from([0, 1]),  # whether it uses a number up
    st.sampled_from(["topic", "pin"]),
    target=st.integers(0, 12),
    text=TEXTS,
)
SENDS = st.lists(
    st.tuples(
        WHO,
        ROOM,
        st.one_of(
            TEXTS,
            st.lists(TEXTS, min_size=2, max_size=4),
            st.tuples(st.integers(0, 12), st.one_of(TEXTS, st.none())),
            st.just(Refused(0, "too-long", "why", 3, 4)),
            ACTED,
        ),
    ),
    max_size=6,
)
Said = str | list[str] | tuple[int, str | None] | Refused | Acted
RECORD = st.one_of(
    st.builds(Account, WHO, st.sampled_from(["member", "owner"]), st.sampled_from([0, MS])),
    st.builds(Device, st.sampled_from([b"k" * 32, b"l" * 32]), WHO),
    st.builds(Invite, st.just(b"i" * 16), ROOM, st.just("member"), st.integers(1, 3), st.just(MS)),
    st.builds(Membership, ROOM, WHO, st.sampled_from(["member", "moderator"]), st.just(MS)),
    st.builds(
        Sanction,
        st.one_of(ROOM, st.just("")),
        WHO,
        st.sampled_from(["ban", "mute"]),
        st.just("bob"),
        st.just(0),
        st.just("ann"),
        st.just(MS),
        TEXTS,
    ),
    st.builds(Terms, ROOM, topic=TEXTS, pins=st.sampled_from([(), (2, 1)])),
    st.builds(Block, WHO, WHO),
)
QUOTA = st.sampled_from([300, 6000, LOTS])
FAULT = st.sampled_from(
    [
        "COMMIT",
        "INSERT INTO log",
        "DELETE FROM log",
        "INSERT INTO events",
        "UPDATE heads",
        "UPDATE persons",
        "INSERT INTO turns",
    ]
)


class Machine(RuleBasedStateMachine):
    """Drives both side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.watch = Watch()
        self.memory = MemoryStore()
        self.disk = self.open()
        self.last = dict.fromkeys((ANN, BOB, CAT), 0)
        self.ms = MS

    def open(self) -> SqliteStore:
        store = opened(self.folder, watch=self.watch)
        store._db.execute("PRAGMA synchronous = OFF")  # no power is lost here, and it is many turns
        store.quotas = self.memory.quotas
        return store

    def teardown(self) -> None:
        try:
            self.examined()
        finally:
            self.disk.close()
            shutil.rmtree(self.folder)

    def do(self, work: Work) -> None:
        """Has both do it."""
        ours, theirs = self.disk.commit(work), self.memory.commit(work)
        assert ours.sends == theirs.sends
        for mine, other in zip(ours.greeted, theirs.greeted, strict=True):
            assert mine is not None
            assert other is not None
            assert (mine.record, mine.marks) == (other.record, other.marks)

    @initialize()
    def rooms(self) -> None:
        self.do(Work([NewRoom(room, members) for room, members in ROOMS.items()]))

    @rule(
        sends=SENDS,
        marks=st.lists(st.tuples(WHO, ROOM, st.integers(0, 9)), max_size=2),
        names=st.lists(st.tuples(st.sampled_from("abc"), WHO), max_size=2),
        freed=st.lists(st.sampled_from("abc"), max_size=1),
        kept=st.lists(RECORD, max_size=2),
        dropped=st.lists(RECORD, max_size=1),
        greetings=st.lists(st.tuples(WHO, WHO), max_size=2),
    )
    def turn(
        self,
        sends: list[tuple[bytes, str, Said]],
        marks: list[tuple[bytes, str, int]],
        names: list[tuple[str, bytes]],
        freed: list[str],
        kept: list[Record],
        dropped: list[Record],
        greetings: list[tuple[bytes, bytes]],
    ) -> None:
        work = Work(
            marks=[ReadMark(*mark) for mark in marks],
            names=[KnownName(key, key.upper(), person, self.ms, self.ms + 1) for key, person in names],
            freed=freed,
            records=kept,
            dropped=dropped,
            greetings=[Greeting(client, None, person) for client, person in greetings],
        )
        work.sends += [self._send(*one) for one in sends]
        self.do(work)

    def _send(self, who: bytes, room: str, what: Said) -> Sending:
        name, n = who[:3].decode(), self.last[who] + 1
        if isinstance(what, Acted) and not what.n:
            n = 0
        else:
            self.last[who] += len(what) if isinstance(what, list) else 1
        self.ms += 1
        match what:
            case str() | list():
                said = [
                    Send(n + i, room, text, reply=self.ms % 3)
                    for i, text in enumerate([what] if isinstance(what, str) else what)
                ]
                return Append(room, who, self.ms, name, who[:8], who, said)
            case (target, text):
                return Amend(room, who, self.ms, name, who[:8], who, n, target, text)
            case Acted():
                act = replace(what, ms=self.ms, name=name, sender=who[:8], n=n)
                return Deed(room, who if n else b"", who, act)
        return Refusal(who, Refused(n, what.code, what.detail, what.expected, what.retry_ms))

    @rule(person=QUOTA, room=QUOTA)
    def bound(self, person: int, room: int) -> None:
        self.disk.quotas = self.memory.quotas = Quotas(person, room)

    @rule()
    def settle(self) -> None:
        self.disk._upkeep.settle()
        assert unsettled(self.disk) == 0

    @rule(on=FAULT)
    def fail_to_settle(self, on: str) -> None:
        kept = in_memory(self.disk)
        with failing(self.disk, sqlite_error(sqlite3.SQLITE_FULL), on):
            try:
                self.disk._upkeep.settle()
            except sqlite3.OperationalError:
                assert in_memory(self.disk) == kept
            else:
                assert unsettled(self.disk) == 0

    @rule(sends=SENDS, on=FAULT, named=st.booleans())
    def fail_to_write(self, sends: list[tuple[bytes, str, Said]], on: str, *, named: bool) -> None:
        work = Work([NewRoom("new")] if named else [], [self._send(*one) for one in sends])
        kept = in_memory(self.disk)
        try:
            with failing(self.disk, sqlite_error(sqlite3.SQLITE_FULL), on):
                ours = self.disk.commit(work)
        except errors.StoreUnavailable:
            assert in_memory(self.disk) == kept
        else:  # it did nothing of the kind
            assert ours.sends == self.memory.commit(work).sends

    @rule(seconds=st.sampled_from([0.0, 0.5, 2.0, 90.0]), idle=st.booleans())
    def tidy(self, seconds: float, *, idle: bool) -> None:
        self.watch.now += seconds
        for _ in range(100):
            if self.disk.tidy(self.ms, idle=idle) > 0:
                break

    @rule()
    def reopen(self) -> None:
        stamp = self.disk.stamp
        self.disk.close()
        self.disk = self.open()
        assert self.disk.warnings == []
        (told,) = self.disk.commit(Work(greetings=[Greeting(ANN, stamp)])).greeted
        assert told is not None
        assert told.vouched

    @rule()
    def crash(self) -> None:
        stamp = self.disk.stamp
        crash(self.disk, self.folder)
        self.disk = self.open()
        assert self.disk.warnings == []
        (told,) = self.disk.commit(Work(greetings=[Greeting(ANN, stamp)])).greeted
        assert told is not None
        assert told.vouched

    @rule()
    def examined(self) -> None:
        found = check(self.folder, lambda *_: None)
        assert found.found == []
        kinds = Counter(type(event) for record in self.memory.rooms() for event in read(self.memory, record.room))
        assert (found.rooms, found.messages) == (len(self.memory.rooms()), kinds[Message])
        assert (found.edits, found.deletions, found.deeds) == (kinds[Edited], kinds[Deleted], kinds[Acted])

    @precondition(lambda self: self.disk.counts()[1] > 0)
    @rule(work=SENDS)
    def fail(self, work: list[tuple[bytes, str, Said]]) -> None:
        try:
            with self.disk.whole():
                self.disk.commit(Work(sends=[self._send(*one) for one in work]))
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass

    @rule(
        room=ROOM,
        limit=st.integers(0, 9),
        after=st.one_of(st.none(), st.integers(0, 20)),
        before=st.integers(0, 20),
        since=st.one_of(st.just(0), st.integers(MS, MS + 40)),
        size=st.sampled_from([0, 200, 6000, LOTS]),
    )
    def look(self, room: str, limit: int, after: int | None, before: int, since: int, size: int) -> None:
        span = Span(limit, after, before, since, size)
        assert self.disk.history(room, span) == self.memory.history(room, span)
        assert self.disk.read(room, before, limit, size) == self.memory.read(room, before, limit, size)

    @rule(
        words=st.lists(st.sampled_from(["apple", "PIE", "banana", "again", "x" * 5000, "🎉"]), max_size=2),
        rooms=st.one_of(st.none(), st.lists(ROOM, max_size=2)),
        private=st.lists(ROOM, max_size=1),
        name=st.sampled_from(["", "ann", "BOB"]),
        since=st.one_of(st.just(0), st.integers(MS, MS + 40)),
        limit=st.sampled_from([1, 3, 1000]),
    )
    def search(
        self, words: list[str], rooms: list[str] | None, private: list[str], name: str, since: int, limit: int
    ) -> None:
        query = Query(tuple(words), None if rooms is None else tuple(rooms), tuple(private), name, since, limit)
        assert self.disk.search(query) == self.memory.search(query)

    @invariant()
    def same(self) -> None:
        assert {record.room: record for record in self.disk.rooms()} == {
            record.room: record for record in self.memory.rooms()
        }
        assert self.disk.names() == self.memory.names()
        assert sizes(self.disk) == sizes(self.memory)
        assert records(self.disk) == records(self.memory)

    @invariant()
    def folded(self) -> None:
        for room in ROOMS:
            assert self.disk.read(room, 0, 1000, LOTS) == self.memory.read(room, 0, 1000, LOTS)
            shown = self.disk.history(room, Span(1000)).events
            assert shown == self.memory.history(room, Span(1000)).events
            assert all(isinstance(event, Message) for event in shown)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
