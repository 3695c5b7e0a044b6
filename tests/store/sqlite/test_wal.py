"""Reading a write-ahead log: those that SQLite itself wrote, whole and damaged."""

from __future__ import annotations

import re
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from store.saying import append, opened, read, say, unsettled

from zchat import errors
from zchat.messages import Message
from zchat.store.base import NewRoom, Work
from zchat.store.sqlite.wal import FRAME_HEADER, HEADER, Scan, scan

PAGE = 4096
FRAME = FRAME_HEADER + PAGE


@pytest.fixture(name="database")
def _database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("CREATE TABLE t (x)")
        yield db


def log(folder: Path) -> bytes:
    """The log of a database in a folder."""
    return (folder / "a.db-wal").read_bytes()


def test_an_empty_log_and_a_stub() -> None:
    assert scan(b"") == Scan(readable=True)
    assert not scan(b"x" * 31).readable
    assert not scan(b"x" * 32).readable
    assert not scan(bytes(10_000)).readable


@pytest.mark.parametrize("page", [512, 1024, 4096, 65536])
def test_logs_of_sqlite(tmp_path: Path, page: int) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as db:
        db.execute(f"PRAGMA page_size = {page}")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("CREATE TABLE t (x)")
        for n in range(5):
            db.execute("INSERT INTO t VALUES (?)", ("x" * 100 * n,))
        found = scan(log(tmp_path))
        (_, frames, _) = db.execute("PRAGMA wal_checkpoint").fetchone()
        assert found == Scan(readable=True, frames=frames, commits=6)
        db.execute("INSERT INTO t VALUES (1)")  # begins the log anew: what is left of its first life does not count
        assert scan(log(tmp_path)) == Scan(readable=True, frames=1, commits=1)


def test_a_log_in_the_other_byte_order(database: sqlite3.Connection, tmp_path: Path) -> None:
    for n in range(3):
        database.execute("INSERT INTO t VALUES (?)", (n,))
    whole = log(tmp_path)
    expected = scan(whole)
    assert expected.commits == 4
    other = bytearray(whole)
    struct.pack_into(">I", other, 0, struct.unpack_from(">I", whole)[0] ^ 1)
    order = ">" if other[3] & 1 else "<"

    def add(data: bytes, state: tuple[int, int]) -> tuple[int, int]:
        a, b = state
        words = struct.unpack(f"{order}{len(data) // 4}I", data)
        for x, y in zip(words[::2], words[1::2], strict=True):
            a = (a + x + b) & 0xFFFFFFFF
            b = (b + y + a) & 0xFFFFFFFF
        return a, b

    state = add(bytes(other[:24]), (0, 0))
    struct.pack_into(">2I", other, 24, *state)
    for start in range(HEADER, len(other), FRAME):
        state = add(bytes(other[start : start + 8]), state)
        state = add(bytes(other[start + FRAME_HEADER : start + FRAME]), state)
        struct.pack_into(">2I", other, start + 16, *state)
    assert scan(bytes(other)) == expected


def test_what_follows_damage_is_counted(database: sqlite3.Connection, tmp_path: Path) -> None:
    for n in range(9):
        database.execute("INSERT INTO t VALUES (?)", (n,))
    whole = log(tmp_path)
    total = (len(whole) - HEADER) // FRAME
    assert scan(whole) == Scan(readable=True, frames=total, commits=10)
    first = total - 8  # of nine insertions, a frame each, the second
    for place in (0, 5, 9, 13, 17, 21, FRAME_HEADER, FRAME_HEADER + 2000, FRAME - 1):
        broken = bytearray(whole)
        broken[HEADER + first * FRAME + place] ^= 4
        found = scan(broken)
        assert (found.readable, found.frames, found.commits, found.broken) == (True, first, 2, True)
        lost = 7 if 8 <= place < 16 else 8  # whose salt is another cannot be told from what was left over
        assert (found.unread, found.unread_commits) == (lost, lost)
    for place in range(32):
        broken = bytearray(whole)
        broken[place] ^= 1
        assert not scan(broken).readable


def test_a_log_that_ends_early(database: sqlite3.Connection, tmp_path: Path) -> None:
    database.execute("INSERT INTO t VALUES (zeroblob(20000))")
    database.execute("INSERT INTO t VALUES (zeroblob(20000))")
    whole = log(tmp_path)
    total = (len(whole) - HEADER) // FRAME
    unfinished = scan(whole[: -FRAME - 100])
    assert unfinished.commits == 2
    assert 0 < unfinished.unread < total - unfinished.frames
    assert (unfinished.unread_commits, unfinished.broken) == (0, False)
    assert scan(whole[: HEADER + 10]) == Scan(readable=True, unread=1)


# The store, on a log that is damaged ---------------------------------------------------------------------------------


def crashed(folder: Path) -> tuple[bytes, bytes]:
    """The database and the log of a store that was not closed, with twenty turns in the log, of which half are
    settled.
    """
    store = opened(folder)
    say(store, *(str(n) for n in range(10)))
    store._upkeep.settle()
    say(store, *(str(n) for n in range(10, 20)), n=11)
    assert unsettled(store) == 10
    files = (folder / "zchat.db").read_bytes(), (folder / "zchat.db-wal").read_bytes()
    store.close()
    return files


def put(folder: Path, database: bytes, log: bytes | None) -> None:
    """Leaves a folder as a crash would."""
    (folder / "zchat.db").write_bytes(database)
    if log is not None:
        (folder / "zchat.db-wal").write_bytes(log)


def _flip(log: bytes, at: float) -> bytes:
    place = HEADER + int((len(log) - HEADER) * at)
    return log[:place] + bytes([log[place] ^ 8]) + log[place + 1 :]


@pytest.mark.parametrize(
    ("damage", "says", "lost"),
    [
        (lambda log: log, None, False),
        (lambda log: log[: -FRAME // 2], "last turn was being written", True),
        (lambda log: _flip(log, 0.5), "is damaged: .* turns after the damage are lost", True),
        (lambda log: _flip(log, 0.999), "is damaged", True),
        (lambda log: b"x" + log[1:], "damaged header", True),
        (lambda log: None, "is missing", True),
        (lambda log: b"", "is missing", True),
    ],
)
def test_a_damaged_log_is_said_and_noticed(
    folder: Path, damage: Callable[[bytes], bytes | None], says: str | None, *, lost: bool
) -> None:
    database, log = crashed(folder)
    put(folder, database, log)
    store = opened(folder)
    last = store.stamp  # of the run after: what follows must not be vouched for by name alone
    whole = read(store)
    store.close()
    put(folder, database, damage(log))
    store = opened(folder)
    if says is None:
        assert store.warnings == []
    else:
        (warning,) = store.warnings
        assert "\n" not in warning
        assert re.search(says, warning)
    kept = read(store)
    assert kept == whole[: len(kept)]
    assert (len(kept) < len(whole)) is lost
    assert last.run != store.stamp.run
    store.close()
    store = opened(folder)
    assert store.warnings == []
    store.close()


def test_any_bit_of_a_log(folder: Path) -> None:
    database, log = crashed(folder)
    random = Random(7)
    for _ in range(60):
        place = random.randrange(len(log))
        put(folder, database, log[:place] + bytes([log[place] ^ 1 << random.randrange(8)]) + log[place + 1 :])
        try:
            store = opened(folder)
        except (errors.StoreDamaged, errors.DataUnusable):
            continue
        said = [event.text for event in read(store) if isinstance(event, Message)]
        assert said == [str(n) for n in range(len(said))]
        assert store.warnings or len(said) == 20
        (folder / "zchat.db-wal").unlink()
        store._db.close()
        store._lock.release()


def test_a_log_is_written_over_and_does_not_grow(folder: Path) -> None:
    store = opened(folder)
    sizes = []
    n = 0
    for turn in range(600):
        store.commit(
            Work([NewRoom(f"r{turn % 50}")], [append(n := n + 1, "x" * 500, f"r{turn % 50}") for _ in range(20)])
        )
        store.tidy(0, idle=False)
        sizes.append((folder / "zchat.db-wal").stat().st_size)
    assert max(sizes) < 1600 * FRAME  # a thousand, and what a turn and one step of tidying add: it may settle
    assert max(sizes[300:]) <= max(sizes[:300]) * 1.2
    store.close()
