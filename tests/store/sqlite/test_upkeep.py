"""What can wait: retention, the index, what was deleted, and the files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from store.saying import (
    ANN,
    BOB,
    DAY,
    LOTS,
    MS,
    Watch,
    amend,
    append,
    appends,
    crash,
    do,
    history,
    opened,
    read,
    say,
    search,
    sent,
    settle,
    texts,
    unsettled,
)

from zchat import errors
from zchat.messages import Message, Refused
from zchat.store.base import Append, NewRoom, Outcome, Query, Sending, Span, Work
from zchat.store.sqlite import SqliteStore, open_store
from zchat.store.sqlite.retention import Clock, Retention
from zchat.store.sqlite.upkeep import PRUNED

HOUR = 3600


@pytest.fixture(name="watch")
def _watch() -> Watch:
    return Watch()


# Retention -----------------------------------------------------------------------------------------------------------


def test_the_retention_clock_follows_the_wall_clock_but_not_its_jumps() -> None:
    clock = Clock()
    clock.advance(MS, 0)
    assert clock.ms == MS
    clock.advance(MS + 1000, 1)
    assert clock.ms == MS + 1000
    clock.advance(MS + 3650 * DAY, 1 + HOUR)
    assert clock.ms == MS + 1000 + DAY
    clock.advance(MS + 3650 * DAY, 1 + HOUR)
    assert clock.ms == MS + 1000 + DAY
    clock.advance(MS + DAY, 1 + 2 * HOUR)
    assert clock.ms == MS + DAY


def test_a_clock_that_is_too_early_makes_nothing_old() -> None:
    clock = Clock(MS)
    clock.advance(0, 0)
    assert clock.ms == MS
    assert clock.oldest(7) < 0
    clock.advance(MS, 1)
    assert clock.oldest(7) == MS - 7 * DAY


def test_a_clock_that_jumps_does_not_delete_a_log(folder: Path, watch: Watch) -> None:
    store = opened(folder, Retention(keep_days=7), watch)
    say(store, *"abc")
    settle(store, MS)
    for _ in range(60):  # not seven hours, in which it would be made up for a week
        watch.now += 400
        settle(store, MS + 3650 * DAY)
    assert read(store)[0].seq == 1
    store.close()
    watch.now = 5  # another machine's start, or this one's
    store = opened(folder, Retention(keep_days=7), watch)
    settle(store, MS + 3650 * DAY)
    assert read(store)[0].seq == 1
    for _ in range(30):
        watch.now += HOUR
        settle(store, MS + DAY)
    assert read(store)[0].seq == 1
    for _ in range(9 * 24):
        watch.now += HOUR
        settle(store, MS + 9 * DAY)
    assert read(store) == ()
    store.close()


def test_dropping_takes_small_steps(folder: Path, watch: Watch) -> None:
    store = opened(folder, watch=watch)
    for turn in range(8):
        sends = [append(turn * 300 + n, "x", f"room{n % 3}") for n in range(300)]
        store.commit(Work([NewRoom(f"room{n}") for n in range(3)], list(sends)))
    settle(store, watch=watch)
    store.close()
    store = opened(folder, Retention(keep_messages=10), watch)
    before = store.counts()[1]
    steps = 0
    while store.tidy(MS, idle=True) == 0:
        now = store.counts()[1]
        assert before - now <= PRUNED
        before, steps = now, steps + 1
    assert steps >= 4
    assert store.counts() == (3, 30)
    store.close()
    store = opened(folder)
    assert store.counts() == (3, 30)
    assert [read(store, f"room{n}")[0].seq for n in range(3)] == [791, 791, 791]
    assert store.read("room0", 5, 1, LOTS).first == 791
    assert len(search(store, "x", limit=99)) == 30
    store.close()


def test_dropping_waits_for_many_while_there_is_other_work(folder: Path, watch: Watch) -> None:
    store = opened(folder, Retention(keep_messages=10), watch)
    say(store, *map(str, range(100)))
    for _ in range(10):
        watch.now += 1
        store.tidy(MS, idle=False)
    assert store.counts() == (1, 100)
    store.commit(Work(sends=[append(n) for n in range(101, 700)]))
    watch.now += 1
    store.tidy(MS, idle=False)
    assert store.counts()[1] < 300
    store.close()


# Deletions -----------------------------------------------------------------------------------------------------------


def files(folder: Path) -> bytes:
    """All that is in the database and its log."""
    return b"".join((folder / name).read_bytes() for name in ("zchat.db", "zchat.db-wal") if (folder / name).exists())


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("idle", [True, False])
def test_what_was_deleted_is_in_no_file(folder: Path, watch: Watch, seed: int, *, idle: bool) -> None:
    random = Random(seed)
    store = opened(folder, watch=watch)
    sizes = [3, 50, 900, 4000, 9000]

    def text(n: int) -> str:
        return f"secret{n}begin " + "filling " * (random.choice(sizes) // 8) + f"secret{n}end"

    rooms = [NewRoom(f"room{n}") for n in range(4)]
    n = 0
    targets: list[tuple[str, int, list[int]]] = []
    for _ in range(6):
        work = Work(rooms)
        for size in random.choices([1, 2, 5], k=10):
            said = [text(n + i + 1) for i in range(size)]
            work.sends.append(appends(n + 1, *said, room=random.choice(rooms).room))
            n += size
        for parts, send in zip(store.commit(work).sends, work.sends, strict=True):
            assert isinstance(send, Append)
            for event in sent(Outcome([parts], [])):
                assert isinstance(event, Message)
                targets.append((send.room, event.seq, [event.n]))
        if random.random() < 0.6:
            settle(store, idle=True, watch=watch)
        for room, seq, ns in random.sample(targets, 8):
            n += 1
            do(store, amend(n, seq, text(n), room))
            ns.append(n)
    gone = random.sample(targets, 60)
    for room, seq, _ in gone:
        n += 1
        do(store, amend(n, seq, None, room))
    secrets = [f"secret{m}{end}".encode() for _, _, ns in gone for m in ns for end in ("begin", "end")]
    assert all(secret in files(folder) for secret in secrets)
    # That nothing else comes between, or that something always does.
    for second in range(90):
        watch.now += 1
        if idle:
            while store.tidy(MS, idle=True) <= 0:
                pass
            continue
        say(store, "load", n=n + second + 1)
        for _ in range(20):
            watch.now += 0.03
            store.tidy(MS, idle=False)
    left = files(folder)
    assert [secret for secret in secrets if secret in left] == []
    kept = [target for target in targets if target not in gone]
    assert all(any(f"secret{m}end".encode() in left for m in ns) for _, _, ns in kept)
    assert not search(store, f"secret{gone[0][2][-1]}begin")
    store.close()
    left = files(folder)
    assert [secret for secret in secrets if secret in left] == []


@pytest.mark.parametrize("settled", [False, True])
def test_what_was_deleted_is_erased_also_after_a_crash(folder: Path, watch: Watch, *, settled: bool) -> None:
    store = opened(folder, watch=watch)
    say(store, "secretword", "other")
    if settled:
        settle(store, watch=watch)
    do(store, amend(3, 1, None))
    store.commit(Work(sends=[append(4, "secretword"), amend(5, 0, None)]))
    crash(store, folder)
    assert b"secretword" in files(folder)
    store = opened(folder, watch=watch)
    assert texts(read(store)) == ["", "other", ""]
    settle(store, watch=watch)
    assert b"secretword" not in files(folder)
    assert (folder / "zchat.db-wal").stat().st_size  # an empty one would look like a lost one
    store.close()


@pytest.mark.parametrize(
    "how",
    [
        lambda it, den: [[appends(1, "a", it, "b")], [amend(4, 2, None)]],
        lambda it, den: [[appends(1, "a", it, "b"), amend(4, 2, None)]],
        lambda it, den: [[append(1, "a"), amend(2, 1, it)], [amend(3, 1, None)]],
        lambda it, den: [[append(1, it), amend(2, 1, it), amend(3, 1, it), amend(4, 0, None)]],
        # Settled amid its turn, and in the row of that turn all the same.
        lambda it, den: [[append(1, it), append(2, "x", den), amend(3, 1, "y", den)], [amend(4, 1, None)]],
        lambda it, den: [[append(1, "x", den), append(2, it), amend(3, 0, "y", den)], [amend(4, 0, None)]],
        lambda it, den: [[append(1, it)], [append(2, "x", den), amend(3, 1, "y", den)], [amend(4, 1, None)]],
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [10, 3000, 9000])
@pytest.mark.parametrize("crashes", [False, True])
def test_what_was_deleted_from_the_log_is_in_no_file(
    folder: Path, watch: Watch, how: Callable[[str, str], list[list[Sending]]], *, size: int, crashes: bool
) -> None:
    store = opened(folder, watch=watch)
    secret = "secretword " + "secret" * (size // 6)
    store.commit(Work([NewRoom(room) for room in ("lobby", "den", "hall")], [append(1, "stays", "hall", BOB)]))
    for sends in how(secret, "den"):
        assert Refused not in map(type, sent(store.commit(Work(sends=sends))))
    assert b"secretword" in files(folder)
    if crashes:
        crash(store, folder)
        store = opened(folder, watch=watch)
    settle(store, watch=watch)
    assert b"secret" not in files(folder)
    assert store._db.meta["erase"] == 0
    assert b"stays" in files(folder)
    assert secret not in texts(history(store))
    store.close()
    assert b"secret" not in files(folder)


@pytest.mark.parametrize("seed", range(4))
def test_what_was_deleted_from_a_long_log_is_in_no_file(folder: Path, watch: Watch, seed: int) -> None:
    random = Random(seed)
    store = opened(folder, watch=watch)
    sizes = random.choice([[20], [20, 300, 1200], [900, 2000], [30, 4000, 5000]])
    store.commit(Work([NewRoom(room) for room in "abc"]))
    for n in range(1, 400):
        store.commit(Work(sends=[append(n, f"secret{n} " + "filling " * (random.choice(sizes) // 8), "abc"[n % 3])]))
    assert unsettled(store) == 399
    for n in random.sample(range(1, 400), 200):
        do(store, amend(1000 + n, (n + 2) // 3, None, "abc"[n % 3]))
    settle(store, watch=watch)
    left = {int(number) for number in re.findall(rb"secret([0-9]+) ", files(folder))}
    kept = {int(message.text.split()[0][6:]) for room in "abc" for message in history(store, room) if message.text}
    assert len(kept) == 199
    assert left == kept
    store.close()


def test_a_reader_puts_erasing_off(folder: Path, watch: Watch) -> None:
    import sqlite3
    from contextlib import closing

    store = opened(folder, watch=watch)
    say(store, "secretword")
    with closing(sqlite3.connect(folder / "zchat.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM events").fetchone()
        do(store, amend(2, 1, None))
        for _ in range(20):
            watch.now += 5
            store.tidy(MS, idle=True)
        assert b"secretword" in files(folder)
        reader.execute("COMMIT")
    settle(store, watch=watch)
    assert b"secretword" not in files(folder)
    store.close()


# The index -----------------------------------------------------------------------------------------------------------


def test_a_search_that_takes_too_long_is_given_up(folder: Path, watch: Watch) -> None:
    store = opened(folder, watch=watch)
    sends = [append(n, "common one" if n % 2 else "common two") for n in range(1, 3000)]
    store.commit(Work([NewRoom("lobby")], list(sends)))
    settle(store, watch=watch)
    assert len(search(store, "common", limit=5000)) == 2999

    class Hurried(Watch):
        def __call__(self) -> float:
            self.now += 0.06
            return self.now

    store._clock = Hurried()
    with pytest.raises(errors.TooSlow):
        search(store, "common", limit=5000)
    store._clock = watch
    assert len(search(store, "common", limit=5000)) == 2999
    store.close()


def test_messages_of_one_moment_are_all_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zchat.store.sqlite.index.TIE_BITS", 3)
    monkeypatch.setattr("zchat.store.sqlite.index.TIE_MASK", 7)
    store = opened(folder)
    sends = [append(n, f"word {n}", ms=MS + n // 30) for n in range(1, 100)]
    store.commit(Work([NewRoom("lobby")], list(sends)))
    assert sorted(search(store, "word", limit=200)) == sorted(f"word {n}" for n in range(1, 100))
    for n in (1, 8, 9, 25, 60, 99):
        do(store, amend(n + 100, n, f"edited {n}"))
        assert search(store, str(n)) == [f"edited {n}"]
        do(store, amend(n + 200, n, None))
    assert search(store, "edited") == []
    assert len(search(store, "word", limit=200)) == 93
    store.close()


def test_many_private_rooms(folder: Path) -> None:
    from zchat.store.base import Member

    store = opened(folder)
    pair = (Member(ANN, "ann"), Member(BOB, "bob"))
    rooms = [f"@{n}" for n in range(1200)]
    store.commit(
        Work([NewRoom(room, pair) for room in rooms], [append(n, "hello", room) for n, room in enumerate(rooms)])
    )
    assert len(search(store, "hello", private=tuple(rooms[:1100]), limit=9999)) == 1100
    assert len(search(store, "hello", rooms=tuple(rooms[100:600]), limit=9999)) == 500
    assert search(store, "hello") == []
    store.close()


def test_an_index_by_other_rules_is_made_anew(folder: Path) -> None:
    store = opened(folder)
    say(store, "one", "two")
    settle(store, watch=None)
    assert search(store, "one") == ["one"]
    with store._db.transaction():
        store._db.put("words", "0/1.2.3")
    store.close()
    store = opened(folder)
    assert search(store, "one") == ["one"]
    assert store._db.execute("SELECT count(*) FROM docs").fetchone() == (2,)
    store.close()


def test_what_the_index_has_too_much_is_not_found(folder: Path) -> None:
    store = opened(folder)
    say(store, "one", "two")
    assert search(store, "one") == ["one"]
    store._db.execute(
        "INSERT INTO words (rowid, room, author, text) SELECT max(doc), 'r1 public', 'x', 'three' FROM docs"
    )
    assert search(store, "three") == []
    store.close()


def test_tidying_says_when_there_is_more_to_do(folder: Path, watch: Watch) -> None:
    store = opened(folder, watch=watch)
    settle(store, watch=watch)
    say(store, "one")
    waits = []
    for _ in range(20):
        wait = store.tidy(MS, idle=True)
        if wait > 60:
            break
        waits.append(wait)
        watch.now += wait
    assert waits
    assert all(wait <= 1 for wait in waits)
    assert not store._cache.behind
    assert store._db.frames == 0
    store.close()


@pytest.fixture(name="history_store")
def _history_store(folder: Path) -> Iterator[SqliteStore]:
    store = open_store(folder, clock=Watch())
    yield store
    store.close()


def test_since_reads_few_rows(history_store: SqliteStore) -> None:
    sends = [append(n) for n in range(1, 5001)]
    history_store.commit(Work([NewRoom("lobby")], list(sends)))
    statements: list[str] = []
    history_store._db.connection.set_trace_callback(statements.append)
    found = history_store.history("lobby", Span(3, after=0, since=MS + 4000))
    history_store._db.connection.set_trace_callback(None)
    assert [event.seq for event in found.events] == [4000, 4001, 4002]
    assert len(statements) < 20
    assert history_store.search(Query(("hi",), since=MS + 5000))[0][1].seq == 5000
