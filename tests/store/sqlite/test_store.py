"""The store on disk: what outlives it, and what it says when the disk does not do its part."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

import pytest
from store.saying import (
    ANN,
    BOB,
    CAT,
    LOTS,
    MS,
    Watch,
    amend,
    append,
    appends,
    crash,
    deed,
    do,
    everything,
    failing,
    filled,
    greeted,
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
from zchat.messages import Ack, Message, Refused, Stamp
from zchat.store.base import ClientRecord, Greeting, KnownName, NewRoom, ReadMark, Refusal, Sending, Work
from zchat.store.sqlite import open_store
from zchat.store.sqlite.check import Examined, check
from zchat.store.sqlite.rows import unpack

# What is kept --------------------------------------------------------------------------------------------------------


def test_everything_outlives_the_store(folder: Path) -> None:
    store = filled(opened(folder))
    kept, stamp = everything(store), store.stamp
    for _ in range(3):
        store.close()
        store = opened(folder)
        assert store.warnings == []
        assert everything(store) == kept
        assert greeted(store, stamp=stamp).vouched
        assert search(store, "uno") == ["uno"]
    say(store, "more", n=99)
    assert read(store)[-1].seq == 45
    store.close()


def test_closing_twice_is_harmless(folder: Path) -> None:
    store = opened(folder)
    store.close()
    store.close()
    assert sorted(path.name for path in folder.iterdir()) == ["lock", "zchat.db"]


def test_files_are_the_owners_alone(folder: Path) -> None:
    before = os.umask(0)
    try:
        store = filled(opened(folder / "deep"))
    finally:
        os.umask(before)
    assert [path.stat().st_mode & 0o777 for path in (folder, folder / "deep")] == [0o700, 0o700]
    files = {path.name: path.stat().st_mode & 0o777 for path in (folder / "deep").iterdir()}
    assert files == dict.fromkeys(("lock", "zchat.db", "zchat.db-wal", "zchat.db-shm"), 0o600)
    store.close()


def test_a_second_one_is_refused(folder: Path) -> None:
    store = opened(folder)
    with pytest.raises(errors.DataUnusable, match=f"{folder} is in use by process {os.getpid()}: stop"):
        opened(folder)
    say(store, "goes on")
    store.close()
    opened(folder).close()


def test_stamps_of_all_runs_are_vouched_for_up_to_their_ends(folder: Path) -> None:
    ends: list[Stamp] = []
    for n in range(1, 4):
        store = opened(folder)
        say(store, "x", n=n)
        ends.append(store.stamp)
        store.close()
    store = opened(folder)
    assert len({end.run for end in [*ends, store.stamp]}) == 4
    assert [end.turn for end in ends] == sorted(end.turn for end in ends)
    for end in [*ends, store.stamp]:
        assert greeted(store, stamp=end).vouched
        assert not greeted(store, stamp=Stamp(end.run, end.turn + 1)).vouched
    assert not greeted(store, stamp=Stamp(b"whatever", 1)).vouched
    store.close()


def test_a_restored_copy_vouches_for_what_it_has_and_no_more(folder: Path, tmp_path: Path) -> None:
    store = opened(folder)
    say(store, "old")
    old = store.stamp
    with closing(sqlite3.connect(folder / "zchat.db")) as source, closing(sqlite3.connect(tmp_path / "copy")) as target:
        source.backup(target)
    say(store, "new", n=2)
    new = store.stamp
    store.close()
    (tmp_path / "copy").replace(folder / "zchat.db")
    store = opened(folder)
    say(store, "other", "and more", n=2)
    assert greeted(store, stamp=old).vouched
    assert not greeted(store, stamp=new).vouched
    store.close()


def test_old_sends_are_folded_and_their_refusals_stay_known(folder: Path) -> None:
    watch = Watch()
    store = open_store(folder, clock=watch, keep_outcomes=20, window=10)
    no = {n: Refused(n, "too-long", f"why {n}", 1, 2) for n in range(3, 60, 4)}
    for n in range(1, 61):
        send = Refusal(ANN, no[n]) if n in no else append(n)
        store.commit(Work([NewRoom("lobby")], [send]))
        if n % 3 == 0:  # what is still in the log is not folded
            settle(store, watch=watch)
    for n in range(1, 31):
        say(store, "x", client=BOB, n=n)
        if n % 10 == 0:
            settle(store, watch=watch)
    assert rows(store, "turns") < 10
    for _ in range(2):
        record = greeted(store).record
        assert record.last == 60
        assert outcomes(record) == {n: no[n] for n in range(51, 61) if n in no}
        assert list(outcomes(greeted(store, BOB).record)) == list(range(21, 31))
        store.close()
        store = open_store(folder, clock=watch, keep_outcomes=20, window=10)
    say(store, "again", n=61)
    record = greeted(store).record
    assert record.last == 61
    assert outcomes(record) == {n: no[n] for n in range(52, 61) if n in no} | {61: Ack(61, "lobby", 76, MS + 61)}
    store.close()


def test_what_nobody_has_sent_is_with_no_client(folder: Path) -> None:
    watch = Watch()
    store = open_store(folder, clock=watch, keep_outcomes=20, window=10)
    for n in range(1, 61):
        store.commit(Work([NewRoom("lobby")], [deed("topic"), append(n), deed("pin", target=n)]))
        if n % 3 == 0:
            settle(store, watch=watch)
    store.commit(Work(sends=[deed("topic")]))
    assert 0 < store.tidy(MS, idle=True) <= 1
    watch.now += 1.1
    store.tidy(MS, idle=True)
    assert unsettled(store) == 0  # as if somebody had sent it
    told = [unpack(row) for (row,) in store._db.execute("SELECT ends FROM turns")]
    assert sum(len(ends) for _, ends in told) == store._cache.recent.count <= 22
    assert rows(store, "clients") == 1
    for _ in range(3):
        assert len(read(store)) == 181
        assert list(outcomes(greeted(store).record)) == list(range(51, 61))
        assert greeted(store, b"").record == ClientRecord()
        assert store._cache.recent.of(b"") == ()
        assert store._cache.recent.count <= 22
        assert check(folder, lambda *_: None) == Examined(rooms=1, messages=60, deeds=121)
        crash(store, folder)
        store = open_store(folder, clock=watch, keep_outcomes=20, window=10)
    store.close()


def test_runs_are_folded_as_a_whole(folder: Path) -> None:
    watch = Watch()
    store = open_store(folder, clock=watch, keep_outcomes=20, window=10)
    no = Refused(16, "too-long", "why")
    for sends in ([appends(1, *["x"] * 15)], [Refusal(ANN, no), appends(17, *["x"] * 15)], [appends(32, *["x"] * 15)]):
        store.commit(Work([NewRoom("lobby")], [*sends]))
        settle(store, watch=watch)
    last = {n: Ack(n, "lobby", n - 1, MS + 32) for n in range(32, 47)}
    for _ in range(2):
        assert outcomes(greeted(store).record) == last
        store.close()
        store = open_store(folder, clock=watch, keep_outcomes=20, window=10)
    folded: list[Sending] = [
        Refusal(ANN, Refused(47, "too-long", "why")),
        appends(1, *"abc", client=CAT),
        appends(1, *["x"] * 25, client=BOB),
    ]
    store.commit(Work(sends=folded))
    settle(store, watch=watch)
    say(store, "x", client=BOB, n=26)
    for _ in range(2):
        record = greeted(store).record
        assert (record.last, outcomes(record)) == (47, {47: Refused(47, "too-long", "why")})
        record = greeted(store, BOB).record
        assert (record.last, outcomes(record)) == (26, {26: Ack(26, "lobby", 74, MS + 26)})
        record = greeted(store, CAT).record
        assert (record.last, outcomes(record)) == (3, {})
        store.close()
        store = open_store(folder, clock=watch, keep_outcomes=20, window=10)
    assert store.counts() == (1, 74)
    store.close()


def test_clients_unheard_of_for_a_week_are_forgotten_wholly(folder: Path) -> None:
    watch = Watch()
    store = open_store(folder, clock=watch, keep_outcomes=0)
    store.commit(Work([NewRoom("lobby")], [append(1), Refusal(ANN, Refused(2, "too-long", ""))]))
    say(store, "x", client=BOB)
    settle(store, watch=watch)
    ms = MS
    for day, ann, bob in ((3, True, 1), (6, True, 2), (8, False, 2), (10, False, 2), (14, False, 0)):
        while ms < MS + day * 24 * 3600_000:
            ms += 3600_000
            watch.now += 3600
            settle(store, ms)
        assert (greeted(store).record.last == 2) is ann
        assert (greeted(store).record.outcome(2) is not None) is ann
        assert greeted(store, BOB).record.last == bob
        if day == 3:
            say(store, "y", client=BOB, n=2)
    assert rows(store, "clients") == rows(store, "refused") == 0
    store.close()


def test_names_are_bounded(folder: Path) -> None:
    store = open_store(folder, keep_people=3)
    for key in "abcdbe":
        store.commit(Work(names=[KnownName(key, key, b"p")]))
    assert "".join(known.key for known in store.names()) == "dbe"
    store.close()


def test_a_whole_is_kept_or_not(folder: Path) -> None:
    store = filled(opened(folder))
    before = everything(store)
    with pytest.raises(ZeroDivisionError), store.whole():  # noqa: PT012
        say(store, *"abc", room="new", client=CAT)
        do(store, amend(99, 1, None))
        store.commit(Work(names=[KnownName("new", "new", CAT)], marks=[ReadMark(ANN, "new", 1)]))
        with pytest.raises(errors.StoreRejected):
            store.commit(Work(sends=[append(9, client=CAT), append(10, room="nowhere")]))
        assert store.tidy(MS, idle=True) > 0
        assert texts(read(store, "new")) == ["a", "b", "c"]
        raise ZeroDivisionError
    assert everything(store) == before
    with store.whole():
        say(store, *"abc", room="new", client=CAT)
        with pytest.raises(errors.StoreRejected):
            store.commit(Work(sends=[append(9, client=CAT), append(10, room="nowhere")]))
    assert texts(read(store, "new")) == ["a", "b", "c"]
    assert search(store, "uno") == ["uno"]
    kept = everything(store)
    store.close()
    store = opened(folder)
    assert everything(store) == kept
    store.close()


KILLED = """
import sys
from pathlib import Path
from store.saying import append, appends, sent, MS
from zchat.store.base import NewRoom, Work
from zchat.store.sqlite import open_store, upkeep
upkeep.SETTLED = 20
store = open_store(Path(sys.argv[1]))
n = int(sys.argv[2])
while True:
    rooms = [NewRoom("lobby"), NewRoom("den")] if n % 2 else []
    work = Work(rooms, [appends(n, f"{n}", f"{n + 1}"), append(n + 2, f"{n + 2}", "den")])
    for event in sent(store.commit(work)):
        print(event.seq, event.n, flush=True)
    n += 3
    store.tidy(MS, idle=n % 4 == 0)
"""


def test_killed_at_any_moment_nothing_is_lost_that_was_acknowledged(folder: Path) -> None:
    n = 1
    acked: dict[int, int] = {}
    for lines in (1, 30, 101, 250):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(folder), str(n)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": "tests:."},
        )
        assert child.stdout is not None
        said = [child.stdout.readline() for _ in range(lines)]
        child.send_signal(signal.SIGKILL)
        said += child.stdout.read().splitlines(keepends=True)
        child.wait()
        child.stdout.close()
        acked |= {int(line.split()[1]): int(line.split()[0]) for line in said if line.endswith(b"\n")}
        store = opened(folder)
        kept = {
            event.n: event.seq for room in ("lobby", "den") for event in read(store, room) if isinstance(event, Message)
        }
        assert acked.items() <= kept.items()
        assert set(kept) == set(range(1, len(kept) + 1))
        record = greeted(store).record
        assert record.last == len(kept) == max(outcomes(record))
        for known, answer in outcomes(record).items():
            assert isinstance(answer, Ack)
            assert answer.seq == kept[known]
        n = record.last + 1
        store.close()


# What the disk does --------------------------------------------------------------------------------------------------


def test_a_full_disk_is_said_and_passes(folder: Path) -> None:
    store = filled(opened(folder))
    settle(store)
    before, stamp = everything(store), store.stamp
    limit(store, 0)
    big = Work([NewRoom("new")], [append(1, "x" * 16_000, "new", CAT)] * 5, names=[KnownName("new", "new", CAT)])
    for _ in range(3):
        with pytest.raises(errors.StoreUnavailable, match="disk is full"):
            store.commit(big)
        assert everything(store) == before
        assert store.stamp == stamp
        assert search(store, "uno") == ["uno"]
    limit(store, None)
    assert [event.seq for event in sent(store.commit(big)) if isinstance(event, Message)] == [1, 2, 3, 4, 5]
    store.close()
    store = opened(folder)
    assert len(read(store, "new")) == 5
    store.close()


def test_a_search_on_a_full_disk_finds_what_is_indexed(folder: Path) -> None:
    store = opened(folder)
    say(store, "one")
    settle(store, watch=None)
    assert search(store, "one") == ["one"]
    store.commit(Work([], [append(n, " ".join(f"w{n}x{k}" for k in range(2000))) for n in range(2, 40)]))
    limit(store, 0)
    assert search(store, "one") == ["one"]
    assert search(store, "w5x5") == []
    limit(store, None)
    assert len(search(store, "w5x5")) == 1
    store.close()


def test_what_cannot_be_written_is_unavailable_until_it_can(folder: Path) -> None:
    store = filled(opened(folder))
    store._db.execute("PRAGMA query_only = ON")
    before = everything(store)
    with pytest.raises(errors.StoreUnavailable, match="cannot be written"):
        say(store, "no", n=99)
    assert everything(store) == before
    store._db.execute("PRAGMA query_only = OFF")
    say(store, "yes", n=99)
    store.close()


def test_a_lock_on_the_database_passes(folder: Path) -> None:
    store = opened(folder)
    store._db.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(folder / "zchat.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(errors.StoreUnavailable):
        say(store, "no")
    other.execute("ROLLBACK")
    say(store, "yes")
    other.close()
    store.close()


FAILS = """
import resource, signal, sys
from pathlib import Path
from store.saying import append, say
from zchat import errors
from zchat.store.sqlite import open_store
store = open_store(Path(sys.argv[1]))
say(store, "one")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
size = (Path(sys.argv[1]) / "zchat.db-wal").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
for n in range(2, 4):
    try:
        say(store, "two", n=n)
    except errors.StoreFailed as error:
        print(type(error).__name__, error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
store.close()
"""


def test_a_failing_disk_stops_everything_and_the_files_are_left_as_they_are(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FAILS, str(folder)],
        env={**os.environ, "PYTHONPATH": "tests:."},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = done.stdout.splitlines()
    assert first == second
    assert first.startswith("StoreFailed the disk failed")
    assert (folder / "zchat.db-wal").stat().st_size
    store = opened(folder)
    assert texts(read(store)) == ["one"]
    store.close()


@pytest.mark.parametrize(
    ("error", "raised", "lasts"),
    [
        (sqlite_error(sqlite3.SQLITE_FULL), errors.StoreUnavailable, False),
        (sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT), errors.StoreUnavailable, False),
        (sqlite_error(sqlite3.SQLITE_IOERR_SHMSIZE), errors.StoreUnavailable, False),
        (sqlite_error(sqlite3.SQLITE_CANTOPEN), errors.StoreUnavailable, False),
        (sqlite_error(sqlite3.SQLITE_READONLY_DIRECTORY), errors.StoreUnavailable, False),
        (sqlite_error(sqlite3.SQLITE_TOOBIG), errors.StoreRejected, False),
        (sqlite3.InterfaceError("unsupported"), errors.StoreRejected, False),
        (OverflowError("too large"), errors.StoreRejected, False),
        (sqlite_error(sqlite3.SQLITE_IOERR_FSYNC), errors.StoreFailed, True),
        (sqlite_error(sqlite3.SQLITE_CORRUPT_INDEX), errors.StoreDamaged, True),
        (sqlite_error(sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY), errors.StoreDamaged, True),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("works", "on"),
    [
        ("in many statements", "COMMIT"),
        ("in many statements", "INSERT INTO log"),
        ("in one", "INSERT INTO log"),
        ("and settles", "COMMIT"),
        ("and settles", "INSERT INTO log"),
        ("and settles", "INSERT INTO events"),
        ("and settles", "UPDATE heads"),
        ("and settles", "INSERT INTO turns"),
        ("and settles", "DELETE FROM log"),
        ("and settles", "UPDATE events"),
    ],
)
def test_each_error_has_its_meaning(
    folder: Path, error: Exception, raised: type[errors.ZchatError], *, lasts: bool, works: str, on: str
) -> None:
    store = filled(opened(folder))
    before, kept = everything(store), in_memory(store)
    work = {
        "in many statements": Work(
            [NewRoom("new")], [append(1, room="new", client=CAT), append(47)], [Greeting(CAT, None)]
        ),
        "in one": Work([], [append(5, room="den", client=BOB), append(47)]),
        "and settles": Work(
            [NewRoom("new")],
            [append(1, room="new", client=CAT), append(47), amend(48, 9, "again"), amend(2, 0, None, "new", CAT)],
        ),
    }[works]
    with failing(store, error, on), pytest.raises(raised) as caught:
        store.commit(work)
    assert type(caught.value) is raised
    assert "\n" not in str(caught.value)
    if lasts:
        for again in (
            lambda: store.read("lobby", 0, 1, LOTS),
            lambda: store.tidy(MS, idle=True),
            lambda: store.commit(work),
        ):
            with pytest.raises(raised):
                again()
    else:
        assert everything(store) == before
        assert in_memory(store) == kept
        numbers = {"in many statements": [1, 45], "in one": [2, 45], "and settles": [1, 45, 46, 2]}[works]
        assert [getattr(event, "seq", None) for event in sent(store.commit(work))] == numbers
        kept_then = everything(store)
        store.close()
        store = opened(folder)
        assert everything(store) == kept_then
    store.close()


def test_what_cannot_be_kept_is_rejected(folder: Path) -> None:
    store = filled(opened(folder))
    before, kept = everything(store), in_memory(store)
    for send in (
        append(47, "\ud800"),
        appends(47, "a", "\ud800"),
        append(47, ms=2**63),
        append(47, ms=-1),
        append(2**63),
        append(-1),
        appends(2**63 - 2, "a", "b", "c", ms=MS),
        append(2**63, ms=MS),
        append(47, room="nowhere"),
        amend(47, 9, "\ud800"),
        amend(2**63, 9, "x"),
        amend(2**63, 9, None),
        amend(47, 9, "x", room="nowhere"),
    ):
        for rooms in ([], [NewRoom("new")]):
            with pytest.raises(errors.StoreRejected):
                store.commit(Work(rooms, [append(46, "before"), amend(47, 8, "again"), send]))
            assert everything(store) == before
            assert in_memory(store) == kept
    for most in (append(47, ms=2**63 - 1), append(2**63 - 1, ms=MS)):
        do(store, most)
    kept_then = everything(store)
    store.close()
    store = opened(folder)
    assert everything(store) == kept_then
    store.close()


# What is no data folder ----------------------------------------------------------------------------------------------


@contextmanager
def without_rights() -> Iterator[None]:
    """As somebody who is not root."""
    if os.geteuid():
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def _a_file(path: Path) -> None:
    path.write_text("no folder")


def _no_rights(path: Path) -> None:
    path.mkdir(0o500)


def _no_database(path: Path) -> None:
    path.mkdir()
    (path / "zchat.db").write_text("x" * 5000)


def _empty(path: Path) -> None:
    path.mkdir()
    (path / "zchat.db").touch()


def _of_another(path: Path) -> None:
    path.mkdir()
    with closing(sqlite3.connect(path / "zchat.db")) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE theirs (x)")


def _newer(path: Path) -> None:
    opened(path).close()
    with closing(sqlite3.connect(path / "zchat.db")) as db:
        db.execute("PRAGMA user_version = 99")


def _without_its_database(path: Path) -> None:
    path.mkdir()
    (path / "zchat.db-wal").write_text("what is left of one")


def _a_directory(path: Path) -> None:
    (path / "zchat.db").mkdir(parents=True)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_a_file, "data"),
        (_no_rights, "Permission denied"),
        (_no_database, "no database"),
        (_empty, "no database"),
        (_of_another, "no database of zchat"),
        (_newer, "newer zchat"),
        (_without_its_database, "missing"),
        (_a_directory, "directory"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_line(folder: Path, make: Callable[[Path], None], says: str) -> None:
    make(folder)
    folder.parent.chmod(0o755)
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lock"}
    rights = without_rights() if make is _no_rights else nullcontext()
    with rights, pytest.raises(errors.DataUnusable, match=says) as caught:
        opened(folder)
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in files} == files
