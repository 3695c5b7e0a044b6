"""What a check finds, on real files."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from zchat.errors import DataUnusable
from zchat.messages import Acted, Refused, Send
from zchat.store.base import Account, Amend, Append, Deed, KnownName, Member, NewRoom, ReadMark, Refusal, Sending, Work
from zchat.store.sqlite import SqliteStore, open_store
from zchat.store.sqlite.check import NAMED, Examined, check, examine, explained, snapshot
from zchat.store.sqlite.folder import DATABASE
from zchat.store.sqlite.rows import event_row, pack, read_event, seal, unpack

ANN, BOB = b"ann" * 5 + b"!", b"bob" * 5 + b"!"
MS = 1_700_000_000_000


def fill(folder: Path) -> None:
    """Fills a folder: a room of ten events and a private one of five."""
    _fill(folder).close()


def fill_and_die(folder: Path, how: Callable[[Path], SqliteStore] | None = None) -> None:
    """The same by a process that is killed then."""
    pid = os.fork()
    if not pid:
        try:
            (how or _fill)(folder)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def _fill(folder: Path) -> SqliteStore:
    clock = iter(range(100_000))  # a second goes by whenever it is looked at
    store = open_store(folder, clock=lambda: float(next(clock)))
    members = (Member(ANN, "ann"), Member(BOB, "bob"))
    rooms = [NewRoom("lobby"), NewRoom("@x", members)]
    sends = [_append("lobby", n, f"text {n}") for n in range(1, 4)]
    sends += [_append("lobby", 4, "text 4", "text 5"), _append("@x", 6, *(f"secret {n}" for n in range(6, 11)))]
    names = [KnownName("ann", "ann", ANN)]
    records = [Account(ANN, "owner")]
    store.commit(Work(rooms, [*sends], marks=[ReadMark(BOB, "lobby", 3)], names=names, records=[*records]))
    for n, target, text in ((11, 2, "once"), (12, 2, "twice"), (13, 3, "thrice"), (14, 3, None), (15, 4, None)):
        store.commit(Work(sends=[_amend("lobby", n, target, text)]))
    while store.tidy(MS, idle=True) < 10:
        pass
    store.commit(Work(names=[KnownName("bob", "bob", BOB)]))  # that there is a log
    return store


def fill_the_log(folder: Path) -> SqliteStore:
    """The same, and then so much that stays in the log: of a third room, and of turns of which a part is settled."""
    store = _fill(folder)
    refusal = Refusal(ANN, Refused(22, "too-long", "why"))
    for sends in (
        [_append("lobby", 16, "late 1", "late 2")],
        [_amend("lobby", 18, 12, "late two")],
        [_append("@x", 19, "late secret 1", "late secret 2"), _amend("lobby", 21, 1, None)],
        [_act("new", 0), refusal, _append("new", 23, "new 1"), _act("lobby", 24)],
        [_append("new", 1, "new 2", "new 3", client=BOB), _act("@x", 0), _append("lobby", 25, "last")],
    ):
        store.commit(Work([NewRoom("new")], sends))
    return store


LOGGED = Examined(rooms=3, messages=16 + 2, edits=3 + 1, deletions=2 + 1, deeds=3)
"""What is in it then."""


def _amend(room: str, n: int, target: int, text: str | None) -> Sending:
    return Amend(room, ANN, MS + n, "ann", ANN[:8], ANN, n, target, text)


def _act(room: str, n: int) -> Sending:
    """Something done by ann, or without a number by nobody who has such."""
    return Deed(room, ANN if n else b"", ANN, Acted(0, MS + n, "ann", ANN[:8], n, "topic", text="all of it"))


def _append(room: str, n: int, *texts: str, client: bytes = ANN) -> Sending:
    said = [Send(n, room, text) for n, text in enumerate(texts, n)]
    return Append(room, client, MS + n, "ann", client[:8], client, said)


def examined(folder: Path) -> Examined:
    return check(folder, lambda *_: None)


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    fill(tmp_path / "data")
    return tmp_path / "data"


def test_what_is_whole(folder: Path) -> None:
    told: list[str] = []
    found = check(folder, lambda what, _done, _total: told.append(what))
    assert found == Examined(rooms=2, messages=10, edits=3, deletions=2)
    assert "checking the file" in told


def test_it_changes_nothing_and_the_store_opens_after_it(folder: Path) -> None:
    before = (folder / DATABASE).read_bytes()
    examined(folder)
    assert (folder / DATABASE).read_bytes() == before
    store = open_store(folder)
    assert store.warnings == []
    assert store.counts() == (2, 15)
    assert examined(folder).damage == 0  # also while it is open
    store.close()


def test_what_a_killed_broker_left_is_whole(tmp_path: Path) -> None:
    fill_and_die(tmp_path)
    assert (tmp_path / f"{DATABASE}-wal").stat().st_size
    assert examined(tmp_path) == Examined(rooms=2, messages=10, edits=3, deletions=2)


def test_what_is_in_the_log_is_whole_and_counted(tmp_path: Path) -> None:
    store = fill_the_log(tmp_path)
    assert store._db.execute("SELECT count(*) FROM log").fetchone() == (3,)
    assert examined(tmp_path) == LOGGED
    store._upkeep.settle()
    assert store._db.execute("SELECT count(*) FROM log").fetchone() == (0,)
    assert examined(tmp_path) == LOGGED
    store.close()
    assert examined(tmp_path) == LOGGED


def test_what_a_killed_broker_left_in_the_log_is_whole_and_counted(tmp_path: Path) -> None:
    fill_and_die(tmp_path, fill_the_log)
    assert examined(tmp_path) == LOGGED
    store = open_store(tmp_path)
    assert store.warnings == []
    assert examined(tmp_path) == LOGGED
    assert store.counts() == (3, 18 + 4 + 3 + 3)
    store.close()


def test_a_folder_without_a_database_is_left_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(DataUnusable, match="there is no database in"):
        examined(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / DATABASE).write_bytes(b"hello" * 1000)
    with pytest.raises(DataUnusable, match="no database"):
        examined(tmp_path)
    with closing(sqlite3.connect(tmp_path / "other")) as db:
        db.execute("CREATE TABLE t (x)")
    (tmp_path / "other").replace(tmp_path / DATABASE)
    with pytest.raises(DataUnusable, match="no database of zchat"):
        examined(tmp_path)


LOBBY = 1 << 40


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        ("DELETE FROM events WHERE id = LOBBY + 5", "lobby: 5 is missing"),
        ("DELETE FROM events WHERE id BETWEEN LOBBY AND LOBBY + 2", "lobby: 1 to 2 are missing"),
        ("DELETE FROM events WHERE id = LOBBY + 10", "lobby: 10 is missing"),
        ("DELETE FROM events", "@x: 1 to 5 are missing"),
        ("UPDATE events SET body = substr(body, 2) WHERE id = LOBBY + 5", "lobby: 5 does not match its checksum"),
        ("UPDATE events SET author = author + 1 WHERE id = LOBBY + 5", "lobby: 5 does not match its checksum"),
        ("UPDATE events SET id = LOBBY + 11 WHERE id = LOBBY + 10", "lobby: 11 is there, though it has 1 to 10"),
        ("UPDATE events SET id = (7 << 40 | 1) WHERE id = LOBBY + 10", "1 events are of no room"),
        ("UPDATE heads SET head = 9 WHERE room = 1", "a row of heads does not match its checksum"),
        ("DELETE FROM heads WHERE room = 1", "lobby: its row of heads is missing"),
        ("DELETE FROM rooms WHERE id = 1", "room 1: its row of rooms is missing"),
        ("DELETE FROM members WHERE place = 0", "@x has 1 members, not 2"),
        ("DELETE FROM marks", "marks has 0 rows, not 1"),
        ("UPDATE records SET body = x'90'", "a row of records does not match its checksum"),
        ("DELETE FROM records", "records has 0 rows, not 1"),
        ("UPDATE names SET name = 'eve'", "a row of names does not match its checksum"),
        ("DELETE FROM persons WHERE id = 1", "lobby: 1 is of nobody"),
        ("UPDATE docs SET event = event + 1000 WHERE doc = (SELECT min(doc) FROM docs)", "a row of docs does"),
        ("UPDATE meta SET value = x'05' WHERE key = 'folded'", "a row of meta does not match its checksum"),
        ("DROP TABLE refused", "the table refused is not as it was made"),
    ],
)  # fmt: skip
def test_what_is_not_as_it_was_put_there_is_found(folder: Path, damage: str, finding: str) -> None:
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        db.executescript(damage.replace("LOBBY", str(LOBBY)))
    found = examined(folder)
    assert found.damage == len(found.found) > 0
    assert any(finding in what for what in found.found), found.found


def test_rows_that_are_sealed_and_yet_contradict_each_other_are_found(folder: Path) -> None:
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        for seq, link in ((2, 8), (5, 7)):  # the edits of 2 are 6 and 7
            row = db.execute("SELECT * FROM events WHERE id = ?", (LOBBY + seq,)).fetchone()
            _, author, _ = read_event(row)
            db.execute("REPLACE INTO events VALUES (?, ?, ?, ?, ?)", event_row(row[0], row[3], author, link))
        db.commit()
    found = examined(folder).found
    assert "lobby: 8 is not what edited 2" in found
    assert "lobby: 7 is not what edited 5" in found


@pytest.mark.parametrize(
    ("table", "column", "finding"),
    [
        ("heads", 7, "lobby: +7 bytes are counted that it does not have"),
        ("persons", 2, "of 1 persons not as many bytes are kept as are counted"),
    ],
)
@pytest.mark.parametrize("log", [False, True])
def test_bytes_that_are_sealed_and_yet_are_not_those_of_the_messages_are_found(
    tmp_path: Path, table: str, column: int, finding: str, *, log: bool
) -> None:
    fill_and_die(tmp_path, fill_the_log if log else _fill)
    with closing(sqlite3.connect(tmp_path / DATABASE)) as db:
        *columns, _ = db.execute(f"SELECT * FROM {table} LIMIT 1").fetchone()  # noqa: S608
        columns[column] += 7
        marks = ", ".join("?" * (len(columns) + 1))
        tampered = (f"REPLACE INTO {table} VALUES ({marks})", seal(table, *columns))  # noqa: S608
    tamper(tmp_path, tampered)
    assert examined(tmp_path).found == [finding]


def tamper(folder: Path, *statements: tuple[str, tuple[Any, ...]]) -> None:
    """Changes a database that was not closed, and has it look as if it had been."""
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        for statement, values in (*statements, ("REPLACE INTO meta VALUES (?, ?, ?)", seal("meta", "clean", pack(1)))):
            db.execute(statement, values)
        db.commit()


ROW = "WHERE turn = (SELECT turn FROM log ORDER BY turn LIMIT 1 OFFSET {})"
"""A row of the log: the first is that of the third turn in `fill_the_log`, of which a part is settled.

That the very last is missing cannot be told: nothing else is written in its turn.
"""


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        ("SELECT 1", None),
        ("DELETE FROM log ROW0", "a turn is missing before turn {}"),
        ("DELETE FROM log ROW1", "a turn is missing before turn {}"),
        ("DELETE FROM log", "the last turns are missing"),
        ("DELETE FROM turns WHERE turn = (SELECT max(turn) FROM turns)", "a turn is missing before turn {}"),
        ("DELETE FROM turns WHERE turn = (SELECT min(turn) FROM turns)", "a turn is missing before turn {}"),
        ("UPDATE log SET sent = substr(sent, 2) ROW2", "a row of log does not match its checksum"),
        ("UPDATE log SET turn = turn + 9 ROW2", "a row of log does not match its checksum"),
        ("UPDATE log SET sum = sum + 1 ROW0", "a row of log does not match its checksum"),
        ("UPDATE log SET sent = (SELECT sent FROM log ROW1) ROW2", "a row of log does not"),
        ("DELETE FROM events WHERE id = LOBBY + 13", "lobby: 13 is missing"),
        ("UPDATE events SET link = 99 WHERE id = LOBBY + 12", "lobby: 12 does not match its checksum"),
        ("DELETE FROM persons WHERE id = 2", "new: 3 is of nobody"),
        ("DELETE FROM heads WHERE room = 3", "a turn in the log is of room 3, which is missing"),
        ("DROP TABLE log", "the table log is not as it was made"),
    ],
)  # fmt: skip
def test_what_is_not_as_it_was_logged_is_found(tmp_path: Path, damage: str, finding: str | None) -> None:
    fill_and_die(tmp_path, fill_the_log)
    statement = re.sub("ROW([0-9])", lambda row: ROW.format(row[1]), damage.replace("LOBBY", str(LOBBY)))
    tamper(tmp_path, (statement, ()))
    found = examined(tmp_path)
    if finding is None:
        assert found == LOGGED
    else:
        assert found.damage == len(found.found) > 0
        assert any(re.search(finding.replace("{}", "[0-9]+"), what) for what in found.found), found.found


@pytest.mark.parametrize(
    ("turn", "change", "finding"),
    [
        (0, lambda ends, runs: runs[-1][2].pop(), "lobby: 14 is not what deleted 1"),
        (1, lambda ends, runs: runs[0].__setitem__(0, 77), "new: 1 is of nobody"),
        (1, lambda ends, runs: ends[0].__setitem__(3, 2), "new: 1 is missing"),
        (2, lambda ends, runs: ends[2].__setitem__(3, 17), "lobby: 16 is missing"),
        (2, lambda ends, runs: runs[0].__setitem__(0, 77), "new: 3 is of nobody"),
        (2, lambda ends, runs: ends[0].__setitem__(2, 77), "a turn in the log is of room 77, which is missing"),
    ],
)
def test_turns_that_are_sealed_and_yet_contradict_the_rooms_are_found(
    tmp_path: Path, turn: int, change: Callable[[list[Any], list[Any]], object], finding: str
) -> None:
    fill_and_die(tmp_path, fill_the_log)
    with closing(sqlite3.connect(f"file:{tmp_path / DATABASE}?mode=ro", uri=True)) as db:
        number, sent, _ = db.execute("SELECT * FROM log ORDER BY turn LIMIT 1 OFFSET ?", (turn,)).fetchone()
    ends, runs, freed = unpack(sent)
    change(ends, runs)
    tamper(tmp_path, ("REPLACE INTO log VALUES (?, ?, ?)", seal("log", number, pack((ends, runs, freed)))))
    assert finding in examined(tmp_path).found


def test_many_findings_are_counted_and_so_many_are_told(folder: Path) -> None:
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        for number in range(2 * NAMED):
            db.execute("INSERT INTO names VALUES (?, ?, 'x', x'', 0, 0, 0)", (number + 10, str(number)))
        db.commit()
    found = examined(folder)
    assert found.damage > 2 * NAMED
    assert len(found.found) == NAMED


def _cut(content: bytearray) -> None:
    del content[len(content) // 2 :]


def _flip(content: bytearray) -> None:
    content[content.index(b"secret 7")] ^= 4


def _flip_index(content: bytearray) -> None:
    content[content.rindex(b"lobby")] ^= 4  # of the names of rooms


def _flip_header(content: bytearray) -> None:
    content[18] = 1


@pytest.mark.parametrize("damage", [_cut, _flip, _flip_index, _flip_header])
def test_damaged_files_are_found_or_refused(folder: Path, damage: Callable[[bytearray], None]) -> None:
    content = bytearray((folder / DATABASE).read_bytes())
    damage(content)
    (folder / DATABASE).write_bytes(content)
    assert examined(folder).damage > 0


@pytest.mark.parametrize("place", [40, 40 + 4096])
def test_a_damaged_log_is_found_which_sqlite_itself_leaves_out_silently(tmp_path: Path, place: int) -> None:
    fill_and_die(tmp_path)
    log = tmp_path / f"{DATABASE}-wal"
    content = bytearray(log.read_bytes())
    content[place] ^= 1
    log.write_bytes(content)
    (finding,) = [what for what in examined(tmp_path).found if "wal" in what]
    assert "after its damage are lost" in finding


def test_a_damaged_log_is_found_while_a_broker_runs(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    try:
        store.commit(Work([NewRoom("lobby")], [_append("lobby", 1, "hi")]))
        assert examined(tmp_path).damage == 0
        log = os.open(tmp_path / f"{DATABASE}-wal", os.O_RDWR)
        flipped = bytes([os.pread(log, 1, 100)[0] ^ 1])
        os.pwrite(log, flipped, 100)
        os.close(log)
        assert any("do not match their checksums" in what for what in examined(tmp_path).found)
    finally:
        store._db.abandon()
        store._lock.release()


def test_ctrl_c_ends_even_a_long_statement(folder: Path) -> None:
    path = folder / DATABASE

    def interrupted() -> None:
        with explained(path), snapshot(path) as db:
            db.set_progress_handler(lambda: 1, 1)  # as the one of the snapshot says when it is interrupted
            examine(db, path, lambda *_: None)

    with pytest.raises(KeyboardInterrupt):
        interrupted()


def test_a_missing_log_is_found(tmp_path: Path) -> None:
    fill_and_die(tmp_path)
    (tmp_path / f"{DATABASE}-wal").unlink()
    (tmp_path / f"{DATABASE}-shm").unlink()
    assert any("the log of its last writes is missing" in what for what in examined(tmp_path).found)
