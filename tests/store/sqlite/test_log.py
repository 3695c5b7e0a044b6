"""The log of turns: what is in it, and not in the rooms yet, is read, outlives a crash, and is settled in time."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest
from store.saying import (
    ANN,
    BOB,
    LOTS,
    MS,
    PAIR,
    Watch,
    amend,
    append,
    appends,
    crash,
    do,
    everything,
    failing,
    filled,
    greeted,
    history,
    in_memory,
    limit,
    opened,
    outcomes,
    read,
    rows,
    say,
    search,
    sent,
    settle,
    sqlite_error,
    texts,
    unsettled,
)

from zchat import errors
from zchat.messages import Refused, Stamp
from zchat.store.base import KnownName, NewRoom, Query, ReadMark, Refusal, Sending, Span, Work
from zchat.store.memory import MemoryStore
from zchat.store.sqlite import SqliteStore, open_store
from zchat.store.sqlite.check import check
from zchat.store.sqlite.folder import DATABASE
from zchat.store.sqlite.retention import Retention
from zchat.store.sqlite.rows import unpack
from zchat.store.sqlite.upkeep import SETTLED
from zchat.store.sqlite.wal import FRAME_HEADER

FRAME = FRAME_HEADER + 4096


@pytest.fixture(name="watch")
def _watch() -> Watch:
    return Watch()


def whole(folder: Path) -> bool:
    """Whether a check finds nothing."""
    return check(folder, lambda *_: None).damage == 0


def rows_of(folder: Path, table: str) -> int:
    """How many rows a table has in a folder that nobody holds."""
    with closing(sqlite3.connect(f"file:{folder / DATABASE}?mode=ro", uri=True)) as db:
        (count,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
        return int(count)


def refusal(n: int, client: bytes = ANN) -> Refusal:
    return Refusal(client, Refused(n, "too-long", f"why {n}"))


# Writing --------------------------------------------------------------------------------------------------------------


def test_a_turn_is_a_row_until_it_is_settled(folder: Path) -> None:
    store = opened(folder)
    store.commit(Work([NewRoom("lobby"), NewRoom("den")], [appends(1, "a", "b"), append(3, room="den")]))
    store.commit(Work(sends=[append(4), refusal(1, BOB)]))
    store.commit(Work(marks=[ReadMark(ANN, "lobby", 1)]))
    assert [rows(store, table) for table in ("log", "events", "turns")] == [4, 0, 0]  # a start is a turn too
    assert unsettled(store) == 4
    for _ in range(2):
        store._upkeep.settle()
        assert [rows(store, table) for table in ("log", "events", "turns")] == [0, 4, 1]
        assert unsettled(store) == 0
    turn, told, _ = store._db.execute("SELECT * FROM turns").fetchone()
    first, ends = unpack(told)
    assert (first, turn) == (1, store.stamp.turn)
    assert [(end[0], end[1]) for end in ends] == [(ANN, 1), (ANN, 3), (ANN, 4), (BOB, 1)]
    store.close()


def test_a_turn_of_known_people_writes_one_page_however_many_rooms_spoke(folder: Path) -> None:
    def written() -> int:
        return (folder / "zchat.db-wal").stat().st_size

    store = opened(folder)
    rooms = [f"room{n}" for n in range(10)]
    store.commit(Work([NewRoom(room) for room in rooms], [append(1, room="room0")]))
    for turn in range(1, 3):
        before = written()
        store.commit(Work(sends=[append(turn * 10 + n, "hi", room) for n, room in enumerate(rooms)]))
        assert written() == before + FRAME
    assert unsettled(store) == 21
    store.close()


# Reading --------------------------------------------------------------------------------------------------------------


def works() -> list[Work]:
    """Turns with runs, edits and deletions, of which some are of messages of the same turn."""
    turns: list[list[Sending]] = [
        [appends(1, "apple", "banana", "cherry"), append(1, "his", client=BOB)],
        [appends(4, "date", "elder"), appends(6, "x", "y", room="@x")],
        [amend(8, 2, "blueberry"), refusal(2, BOB)],
        [append(9, "fig", ms=MS), appends(3, "hers", "not", client=BOB, ms=MS + 3)],  # a clock that was set back
        [append(10, "grape"), amend(11, 5, None), append(12, "honey"), amend(13, 10, "grapes")],
        [amend(5, 0, "mine", client=BOB), amend(14, 99, "no")],
        [amend(15, 2, "bilberry"), appends(16, "iris", "jam"), amend(18, 0, None), amend(19, 0, "Iris")],
        [append(20, "z", room="@x"), amend(21, 1, None, room="@x"), amend(22, 2, None)],
        [append(23, "end")],
    ]
    made = [Work(sends=sends) for sends in turns]
    made[0].rooms += [NewRoom("lobby"), NewRoom("@x", PAIR)]
    made[2].marks += [ReadMark(BOB, "lobby", 3)]
    made[5].names += [KnownName("ann", "Ann", ANN)]
    return made


def alike(disk: SqliteStore, memory: MemoryStore) -> None:
    """Compares all that two stores can be asked."""
    assert {record.room: record for record in disk.rooms()} == {record.room: record for record in memory.rooms()}
    assert disk.names() == memory.names()
    for room, many, size in product(("lobby", "@x"), (0, 3, 99), (300, LOTS)):
        for start in range(28):
            assert disk.read(room, start, many, size) == memory.read(room, start, many, size)
        for after, before, since in product(
            (None, 0, 1, 4, 9, 15, 24, 99), (0, 1, 2, 9, 16, 23, 99), (0, MS + 4, MS + 14, 2 * MS)
        ):
            span = Span(many, after, before, since, size)
            assert disk.history(room, span) == memory.history(room, span), span
    for who in (ANN, BOB):
        ours, theirs = greeted(disk, who, person=who), greeted(memory, who, person=who)
        assert (ours.record, ours.marks) == (theirs.record, theirs.marks)


def searched(disk: SqliteStore, memory: MemoryStore) -> None:
    """Compares what they find: this settles."""
    for word in ("apple", "banana", "bilberry", "blueberry", "iris", "jam", "grapes", "x", "y", "z", "end", "mine"):
        for query in (Query((word,)), Query((word,), private=("@x",), limit=2), Query((word,), name="bob")):
            assert disk.search(query) == memory.search(query)


AFTER: list[frozenset[int]] = [frozenset(), *(frozenset({n}) for n in range(9)), frozenset(range(9))]
"""After which turns it is settled."""


@pytest.mark.parametrize("after", AFTER, ids=lambda after: "".join(map(str, sorted(after))) or "never")
def test_whatever_is_settled_the_same_is_read(folder: Path, after: frozenset[int]) -> None:
    disk, memory = opened(folder), MemoryStore()
    for n, work in enumerate(works()):
        assert disk.commit(work).sends == memory.commit(work).sends
        if n in after:
            disk._upkeep.settle()
    assert (unsettled(disk) == 0) is (8 in after)
    alike(disk, memory)
    searched(disk, memory)
    assert unsettled(disk) == 0
    alike(disk, memory)
    disk.close()
    assert whole(folder)


def test_after_every_turn_the_same_is_read(folder: Path) -> None:
    disk, memory = opened(folder), MemoryStore()
    for work in works():
        assert disk.commit(work).sends == memory.commit(work).sends
        alike(disk, memory)
        assert whole(folder)
    disk.close()


def test_what_is_searched_is_settled_first(folder: Path) -> None:
    store = opened(folder)
    say(store, "one", "two")
    assert unsettled(store) == 2
    assert search(store, "two") == ["two"]
    assert unsettled(store) == 0
    do(store, amend(3, 2, "zwei"))
    assert unsettled(store) == 1
    assert search(store, "two") == []
    assert search(store, "zwei") == ["zwei"]
    store.close()


# After a crash --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", AFTER[::2], ids=lambda after: "".join(map(str, sorted(after))) or "never")
def test_what_is_not_settled_outlives_a_crash(folder: Path, after: frozenset[int]) -> None:
    disk, memory = opened(folder), MemoryStore()
    stamps = [disk.stamp]
    for n, work in enumerate(works()):
        disk.commit(work)
        memory.commit(work)
        stamps.append(disk.stamp)
        if n in after:
            disk._upkeep.settle()
    crash(disk, folder)
    assert whole(folder)
    disk = opened(folder)
    assert disk.warnings == []
    assert (unsettled(disk), rows(disk, "log")) == (0, 1)  # that of the start
    assert all(greeted(disk, stamp=stamp).vouched for stamp in stamps)
    assert not greeted(disk, stamp=Stamp(stamps[-1].run, stamps[-1].turn + 1)).vouched
    alike(disk, memory)
    searched(disk, memory)
    disk.close()


@pytest.mark.parametrize("settles", [False, True])
def test_after_every_turn_a_crash(folder: Path, settles: bool) -> None:
    disk, memory = opened(folder), MemoryStore()
    for n, work in enumerate(works()):
        assert disk.commit(work).sends == memory.commit(work).sends
        if settles and n % 2:
            disk._upkeep.settle()
        crash(disk, folder)
        disk = opened(folder)
        assert disk.warnings == []
        alike(disk, memory)
    crash(disk, folder)
    assert whole(folder)
    disk = opened(folder)
    searched(disk, memory)
    disk.close()


def test_turns_of_marks_alone_outlive_a_crash(folder: Path) -> None:
    store = filled(opened(folder))
    kept = everything(store)
    for n in range(3, 6):
        store.commit(Work(marks=[ReadMark(ANN, "lobby", n)]))
    stamp = store.stamp
    assert kept != (kept := everything(store))
    crash(store, folder)
    store = opened(folder)
    assert everything(store) == kept
    assert greeted(store, stamp=stamp).vouched
    store.close()


# When it is settled ---------------------------------------------------------------------------------------------------


def test_it_is_settled_after_a_second_of_silence(folder: Path, watch: Watch) -> None:
    store = opened(folder, watch=watch)
    settle(store, watch=watch)
    say(store, "one")
    assert 0 < store.tidy(MS, idle=True) <= 1
    watch.now += 0.9
    say(store, "two", n=2)
    store.tidy(MS, idle=True)
    watch.now += 0.9
    assert 0 < store.tidy(MS, idle=True) < 0.2
    watch.now += 0.2
    assert store.tidy(MS, idle=False) <= 0
    assert unsettled(store) == 2  # while there is other work
    store.tidy(MS, idle=True)
    assert unsettled(store) == rows(store, "log") == 0
    assert texts(read(store)) == ["one", "two"]
    store.close()


def test_so_many_events_are_settled_though_it_is_never_silent(folder: Path, watch: Watch) -> None:
    store = opened(folder, watch=watch)
    store.commit(Work([NewRoom("lobby")], [appends(1, *["x"] * (SETTLED - 1))]))
    for _ in range(60):
        watch.now += 1
        store.tidy(MS, idle=False)
    assert unsettled(store) == SETTLED - 1
    say(store, "x", n=SETTLED)
    store.tidy(MS, idle=False)
    assert unsettled(store) == 0
    assert read(store)[-1].seq == SETTLED
    store.close()


def test_so_many_bytes_are_settled_though_it_is_never_silent(folder: Path) -> None:
    store = opened(folder)
    for n in range(1, 100):
        say(store, "x" * 16_000, n=n)
        store.tidy(MS, idle=False)
        if unsettled(store) != n:
            break
    assert unsettled(store) == 0
    assert n * 16_100 > 1 << 20 > (n - 1) * 16_000
    store.close()


def test_turns_that_keep_no_event_are_settled_too(folder: Path, watch: Watch) -> None:
    store = open_store(folder, clock=watch, keep_outcomes=20, window=10)
    for n in range(1, 100):
        store.commit(Work(sends=[refusal(n)]))
    settle(store, watch=watch)
    assert rows(store, "log") == 0
    assert store._cache.recent.count <= 21
    assert set(outcomes(greeted(store).record)) == set(range(90, 100))
    store.commit(Work([NewRoom("lobby")]))
    for n in range(SETTLED + 10):
        store.commit(Work(marks=[ReadMark(ANN, "lobby", n)]))
        watch.now += 0.1
        store.tidy(MS, idle=False)
    assert rows(store, "log") < 20
    stamp = store.stamp
    crash(store, folder)
    store = open_store(folder, clock=watch, keep_outcomes=20, window=10)
    assert greeted(store, stamp=stamp).vouched
    assert set(outcomes(greeted(store).record)) == set(range(90, 100))
    store.close()


def test_a_turn_settles_what_nobody_did(folder: Path) -> None:
    store = opened(folder)
    store.commit(Work([NewRoom("lobby")], [appends(1, *["x"] * SETTLED)]))
    store.commit(Work(sends=[appends(SETTLED + 1, *["x"] * SETTLED)]))
    assert unsettled(store) == 2 * SETTLED
    say(store, "last", n=2 * SETTLED + 1)
    assert unsettled(store) == 1
    assert store.counts() == (1, 2 * SETTLED + 1)
    kept = everything(store)
    crash(store, folder)
    store = opened(folder)
    assert everything(store) == kept
    store.close()


@pytest.mark.parametrize("raises", [False, True])
def test_a_whole_of_many_turns(folder: Path, raises: bool) -> None:
    store = filled(opened(folder))
    before, (_, events) = everything(store), store.counts()

    def much() -> None:
        with store.whole():
            for n in range(10):
                store.commit(Work([NewRoom("new")], [appends(n * 500 + 1, *["x"] * 500, room="new")]))
                do(store, amend(9000 + n, 9 + n, f"edited {n}"))
            assert unsettled(store) < 3 * SETTLED
            assert len(history(store, "new")) == 5000
            if raises:
                raise ZeroDivisionError

    if raises:
        with pytest.raises(ZeroDivisionError):
            much()
        assert everything(store) == before
    else:
        much()
    assert whole(folder)
    say(store, "and on", n=99)
    kept = everything(store)
    crash(store, folder)
    store = opened(folder)
    assert everything(store) == kept
    assert store.counts()[1] == events + (1 if raises else 5011)
    store.close()


def test_what_is_dropped_is_settled_before(folder: Path, watch: Watch) -> None:
    store = opened(folder, Retention(keep_messages=3), watch)
    say(store, *"abcdefg")
    do(store, amend(8, 6, "F"))
    while store.tidy(MS, idle=True) == 0:
        pass
    assert texts(read(store)) == ["f", "g"]
    assert texts(history(store)) == ["F", "g"]
    kept = everything(store)
    crash(store, folder)
    assert whole(folder)
    store = opened(folder, Retention(keep_messages=3), watch)
    assert everything(store) == kept
    store.close()


# When it cannot be settled --------------------------------------------------------------------------------------------

SETTLES: dict[str, Callable[[SqliteStore, Watch], object]] = {
    "tidying": lambda store, _: store.tidy(MS, idle=True),
    "searching": lambda store, _: search(store, "uno"),
    "a turn": lambda store, _: say(store, "x", n=9999),
    "an edit": lambda store, _: do(store, amend(9999, 9, "x")),
    "erasing": lambda store, _: next(store._upkeep._eraser._erase()),
    "all": lambda store, _: store._upkeep.settle(),
}


@pytest.mark.parametrize("how", SETTLES)
@pytest.mark.parametrize("on", ["COMMIT", "INSERT INTO events", "UPDATE heads", "DELETE FROM log", "INSERT INTO turns"])
@pytest.mark.parametrize(
    ("code", "raised"),
    [(sqlite3.SQLITE_FULL, errors.StoreUnavailable), (sqlite3.SQLITE_IOERR, errors.StoreFailed)],
)
def test_settling_that_fails_changes_nothing(
    folder: Path, watch: Watch, how: str, on: str, code: int, raised: type[errors.ZchatError]
) -> None:
    store = filled(opened(folder, watch=watch))
    store.commit(Work([NewRoom("many")], [appends(1000, *["x"] * 2 * SETTLED, room="many")]))
    assert unsettled(store) > 2 * SETTLED
    before, kept = everything(store), in_memory(store)
    with failing(store, sqlite_error(code), on):
        if how == "searching" and raised is errors.StoreUnavailable:
            SETTLES[how](store, watch)  # what is indexed can still be searched
        else:
            with pytest.raises((raised, sqlite3.OperationalError) if how in ("erasing", "all") else raised):
                SETTLES[how](store, watch)
    assert in_memory(store) == kept
    if raised is errors.StoreUnavailable:
        assert everything(store) == before
        SETTLES[how](store, watch)
        assert unsettled(store) <= 1
        before = everything(store)
        store.close()
    else:
        crash(store, folder)
    store = opened(folder)
    assert everything(store) == before
    store.close()
    assert whole(folder)


def test_a_full_disk_puts_settling_off(folder: Path, watch: Watch) -> None:
    store = opened(folder, watch=watch)
    store.commit(Work([NewRoom("lobby")], [appends(1, *["x" * 3000] * 300)]))
    store.tidy(MS, idle=True)
    watch.now += 2
    limit(store, 10)
    before, kept = everything(store), in_memory(store)
    for _ in range(3):
        with pytest.raises(errors.StoreUnavailable, match="disk is full"):
            store.tidy(MS, idle=True)
        watch.now += 2
        assert everything(store) == before
        assert in_memory(store) == kept
    say(store, "still fits", n=301)
    before = everything(store)
    limit(store, None)
    settle(store, watch=watch)
    assert unsettled(store) == 0
    assert everything(store) == before
    store.close()
    store = opened(folder)
    assert everything(store) == before
    store.close()


@pytest.mark.parametrize("settled", [False, True])
def test_a_turn_that_fails_after_it_settled_is_undone(folder: Path, settled: bool) -> None:
    store = filled(opened(folder))
    if settled:
        store._upkeep.settle()
    before, kept = everything(store), in_memory(store)
    work = Work(
        [NewRoom("new")],
        [
            appends(47, "a", "b", "c"),
            amend(50, 0, "C"),
            appends(51, "d", "e", room="den"),
            append(53, "f", ms=MS),
            amend(54, 1, "eins"),
            appends(1, "g", "h", room="new", client=BOB),
            amend(3, 0, None, "new", BOB),
            append(55, "i"),
        ],
        marks=[ReadMark(BOB, "new", 1)],
        names=[KnownName("new", "New", BOB)],
    )
    for on in ("COMMIT", "INSERT INTO log", "INSERT INTO names"):
        with failing(store, sqlite_error(sqlite3.SQLITE_FULL), on), pytest.raises(errors.StoreUnavailable):
            store.commit(work)
        assert in_memory(store) == kept
        assert everything(store) == before
    assert whole(folder)
    store.commit(Work([NewRoom("other")]))  # takes the key that the new room had
    assert [part.room for part in store.rooms()] == ["lobby", "den", "@x", "@3f", "@audit", "other"]
    store._upkeep.settle()
    events = sent(store.commit(work))
    assert [getattr(event, "seq", 0) for event in events] == [45, 46, 47, 48, 2, 3, 49, 50, 1, 2, 3, 51]
    kept_then = everything(store)
    crash(store, folder)
    assert whole(folder)
    store = opened(folder)
    assert everything(store) == kept_then
    store.close()


def test_a_store_that_cannot_settle_as_it_is_closed_loses_nothing(folder: Path) -> None:
    store = filled(opened(folder))
    say(store, *"abc", n=47)
    kept, stamp = everything(store), store.stamp
    with failing(store, sqlite_error(sqlite3.SQLITE_FULL), "INSERT INTO events"):
        store.close()
    assert rows_of(folder, "log") > 3
    store = opened(folder)
    assert everything(store) == kept
    assert greeted(store, stamp=stamp).vouched
    store.close()
    assert (rows_of(folder, "log"), whole(folder)) == (0, True)
