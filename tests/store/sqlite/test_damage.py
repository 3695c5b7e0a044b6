"""Files that are not what was written: refused loudly, or all that is told of them is right."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest
from store.saying import (
    ANN,
    BOB,
    CAT,
    Watch,
    amend,
    append,
    appends,
    do,
    everything,
    filled,
    greeted,
    opened,
    rows,
    say,
    search,
    settle,
    unsettled,
)

from zchat import errors
from zchat.messages import Refused, Stamp
from zchat.store.base import Device, NewRoom, Refusal, Sending, Work
from zchat.store.sqlite import SqliteStore, open_store
from zchat.store.sqlite.check import check
from zchat.store.sqlite.database import Database
from zchat.store.sqlite.rows import pack, seal, unpack

COPIES = int(os.environ.get("ZCHAT_DAMAGED_COPIES", "150"))
"""Damaged copies of a database that are tried."""

TOO_LONG = Refused(2, "too-long", "no")

WORDS = ("uno", "three", "and", "word7", "late150", "said", "tail150")


@pytest.fixture(name="_closed")
def _closing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has files closed that would be left as they are for good: these are copies."""
    monkeypatch.setattr(Database, "abandon", Database.close)


@pytest.fixture(name="original", scope="module")
def _original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with something of everything in it."""
    folder = tmp_path_factory.mktemp("original") / "data"
    store = open_store(folder, clock=Watch(), keep_outcomes=10)
    filled(store)
    sends: list[Sending] = [append(n, f"word{n} " * 20, "big", CAT) for n in range(1, 300)]
    sends.append(Refusal(BOB, TOO_LONG))
    store.commit(Work([NewRoom("big")], sends))
    do(store, amend(300, 7, "x" * 9000, "big", CAT))
    settle(store)
    search(store, "word7")
    say(store, *(f"{n}" for n in range(47, 60)), n=47)
    settle(store)
    store.close()
    return folder


@pytest.fixture(name="logged", scope="module")
def _logged(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same folder later, when the broker was stopped amid its work: its log is long, and written back."""
    before, folder = tmp_path_factory.mktemp("before") / "data", tmp_path_factory.mktemp("logged") / "data"
    shutil.copytree(original, before)
    store = open_store(before, clock=Watch(), keep_outcomes=10)
    store.commit(Work([NewRoom("late")], [appends(301, *("said " * 10 for _ in range(5)), room="late", client=CAT)]))
    for n in range(100, 190):
        store.commit(Work(sends=[append(n, f"late{n} " * 20), append(n, "late", "late", BOB)]))
    do(store, amend(190, 8, "last but one"))
    store.commit(Work(sends=[append(191, "x" * 9000, "late"), amend(192, 0, "once"), Refusal(BOB, TOO_LONG)]))
    say(store, *(f"tail{n} " * 20 for n in range(200)), n=193)
    assert (unsettled(store), rows(store, "log")) == (201, 201)
    store._db.checkpoint("TRUNCATE")
    folder.mkdir()
    shutil.copyfile(before / "zchat.db", folder / "zchat.db")
    store.close()
    return folder


@pytest.fixture(name="folders")
def _folders(original: Path, logged: Path) -> dict[str, Path]:
    """Both by name."""
    return {"original": original, "logged": logged}


def asked(store: SqliteStore) -> tuple[list[object], list[list[str]]]:
    """All that can be asked, and searches apart: the index has no checksums, and may find less."""
    return [*everything(store)], [search(store, word, limit=1000) for word in WORDS]


def damages(whole: bytes, random: Random) -> Iterator[bytes]:
    """Damaged copies: bits and bytes flipped, pages swapped or emptied, the end cut off."""
    pages = len(whole) // 4096
    for n in range(COPIES):
        copy = bytearray(whole)
        match n % 10:
            case 0:
                del copy[random.randrange(len(copy)) :]
            case 1:
                del copy[4096 * random.randrange(pages) :]
            case 2:
                page = random.randrange(pages)
                copy[page * 4096 : page * 4096 + 4096] = bytes(4096)
            case 3:
                a, b = (4096 * page for page in random.sample(range(pages), 2))
                copy[a : a + 4096], copy[b : b + 4096] = copy[b : b + 4096], copy[a : a + 4096]
            case 4:
                start = 512 * random.randrange(len(copy) // 512)
                copy[start : start + 512] = random.randbytes(512)
            case 5 | 6:  # where a page says what is in it
                copy[4096 * random.randrange(pages) + random.randrange(100)] ^= 1 << random.randrange(8)
            case _:
                copy[random.randrange(len(copy))] ^= 1 << random.randrange(8)
        yield bytes(copy)


@pytest.mark.parametrize("which", ["original", "logged"])
@pytest.mark.usefixtures("_closed")
def test_no_damage_is_told_as_if_it_were_true(folders: dict[str, Path], folder: Path, which: str) -> None:
    shutil.copytree(folders[which], folder)
    store = opened(folder)
    told, hits = asked(store)
    store.close()
    whole = (folders[which] / "zchat.db").read_bytes()
    refused = unharmed = 0
    for n, copy in enumerate(damages(whole, Random(1))):
        for path in folder.iterdir():
            path.unlink()
        (folder / "zchat.db").write_bytes(copy)
        store = None  # type: ignore[assignment]
        try:
            store = opened(folder)
            now, found = asked(store)
            assert now == told, n
            assert all(set(some) <= set(every) for some, every in zip(found, hits, strict=True)), n
        except (errors.StoreDamaged, errors.DataUnusable) as error:
            refused += "\n" not in str(error)
        else:
            unharmed += 1
        finally:
            if store is not None:
                store.close()
    assert refused + unharmed == COPIES  # each refusal is one line
    assert refused > COPIES // 3


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM {} WHERE rowid = (SELECT max(rowid) FROM {})",
        "DELETE FROM {} WHERE rowid = (SELECT min(rowid) FROM {})",
    ],
)
@pytest.mark.parametrize("table", ["rooms", "heads", "persons", "events", "names", "runs", "turns"])
@pytest.mark.parametrize("which", ["original", "logged"])
@pytest.mark.usefixtures("_closed")
def test_a_row_that_is_lost_is_missed(
    folders: dict[str, Path], folder: Path, which: str, table: str, statement: str
) -> None:
    _tamper(folders[which], folder, statement.format(table, table))
    with pytest.raises(errors.StoreDamaged):
        opened(folder)


@pytest.mark.parametrize("offset", [0, 1, 100, 199])
@pytest.mark.usefixtures("_closed")
def test_a_turn_that_is_lost_from_the_log_is_missed(logged: Path, folder: Path, offset: int) -> None:
    _tamper(logged, folder, f"DELETE FROM log WHERE turn = (SELECT min(turn) + {offset} FROM log)")  # noqa: S608
    with pytest.raises(errors.StoreDamaged, match="a turn is missing"):
        opened(folder)


@pytest.mark.usefixtures("_closed")
def test_the_last_turns_of_a_log_are_missed_by_who_saw_them(logged: Path, folder: Path) -> None:
    shutil.copytree(logged, folder)
    with closing(opened(folder)) as store:
        stamps = [Stamp(run, end) for run, end in store._cache.runs.items() if end is not None]
    shutil.rmtree(folder)
    _tamper(logged, folder, "DELETE FROM log WHERE turn = (SELECT max(turn) FROM log)")
    with closing(opened(folder)) as store:  # nothing else was written in that turn: the files do not tell
        assert [greeted(store, stamp=stamp).vouched for stamp in stamps] == [True] * (len(stamps) - 1) + [False]


@pytest.mark.parametrize("table", ["meta", "members", "marks", "records", "clients", "refused", "turns", "log"])
@pytest.mark.usefixtures("_closed")
def test_any_row_that_is_lost_is_missed(logged: Path, folder: Path, table: str) -> None:
    _tamper(logged, folder, f"DELETE FROM {table}")  # noqa: S608
    with pytest.raises(errors.StoreDamaged):
        opened(folder)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE events SET author = author + 1 WHERE id = 1 << 40 | 5",
        "UPDATE events SET link = 0 WHERE link",
        "UPDATE events SET body = (SELECT body FROM events WHERE id = 1 << 40 | 6) WHERE id = 1 << 40 | 5",
        "DELETE FROM events WHERE id = 1 << 40 | 5",
        "UPDATE events SET id = 1 << 40 | 500 WHERE id = 1 << 40 | 5",
        "UPDATE heads SET head = head + 1",
        "UPDATE heads SET first = first + 1",
        "UPDATE members SET person = 3 - person",
        "UPDATE marks SET seq = 0",
        "UPDATE names SET person = x'00'",
        "UPDATE names SET until = until + 1",
        "UPDATE names SET seen = 0 WHERE seen",
        "UPDATE rooms SET founder = x'00'",
        "UPDATE heads SET bytes = bytes - 1",
        "UPDATE persons SET bytes = 0",
        "UPDATE records SET body = (SELECT body FROM records WHERE kind = 'invite') WHERE kind = 'account'",
        "UPDATE records SET id = x'00' WHERE kind = 'device'",
        "DELETE FROM records WHERE kind = 'invite'",
        "UPDATE clients SET last = last - 1",
        "UPDATE runs SET begins = begins + 100 WHERE begins = (SELECT max(begins) FROM runs)",
        "UPDATE meta SET value = x'07' WHERE key = 'folded'",
        "UPDATE turns SET ends = x'9200' WHERE turn = (SELECT max(turn) FROM turns)",
        "UPDATE turns SET turn = turn + 500 WHERE turn = (SELECT max(turn) FROM turns)",
        "UPDATE log SET sent = x'93909090' WHERE turn = (SELECT max(turn) FROM log)",
        "UPDATE log SET sent = (SELECT sent FROM log ORDER BY turn LIMIT 1 OFFSET 9) WHERE turn % 8 = 3",
        "UPDATE log SET turn = turn + 1000 WHERE turn = (SELECT max(turn) FROM log)",
        "UPDATE log SET turn = turn - 1000 WHERE turn = (SELECT min(turn) FROM log)",
        "UPDATE log SET sum = sum + 1 WHERE turn % 8 = 3",
        "DELETE FROM log WHERE turn % 8 = 3",
        "DELETE FROM persons WHERE id = 1",
        "ALTER TABLE marks RENAME COLUMN seq TO sec",
        "DROP TABLE docs",
        "DROP TABLE words",
        "DROP TABLE log",
    ],
)
@pytest.mark.usefixtures("_closed")
def test_what_was_changed_is_noticed(logged: Path, folder: Path, change: str) -> None:
    _tamper(logged, folder, change)
    with pytest.raises(errors.StoreDamaged), closing(opened(folder)) as store:
        everything(store)


@pytest.mark.usefixtures("_closed")
def test_any_bit_of_a_logged_turn(logged: Path, folder: Path) -> None:
    whole = (logged / "zchat.db").read_bytes()
    begin, end = whole.index(b"tail120 "), whole.rindex(b"tail120 ") + 8
    random = Random(2)
    folder.mkdir()
    for _ in range(40):
        copy = bytearray(whole)
        copy[random.randrange(begin - 20, end)] ^= 1 << random.randrange(8)
        (folder / "zchat.db").write_bytes(copy)
        (folder / "zchat.db-wal").unlink(missing_ok=True)
        with pytest.raises(errors.StoreDamaged, match="a row of log does not match its checksum"):
            opened(folder)


@pytest.mark.parametrize(
    "change",
    [
        lambda ends, _: ends[0].__setitem__(2, 99),
        lambda ends, _: ends[0].__setitem__(3, ends[0][3] + 1),
    ],
)
@pytest.mark.usefixtures("_closed")
def test_a_turn_that_is_sealed_and_yet_contradicts_the_rooms(
    logged: Path, folder: Path, change: Callable[[list[Any], list[Any]], object]
) -> None:
    shutil.copytree(logged, folder)
    with closing(sqlite3.connect(folder / "zchat.db")) as db, db:
        turn, told, _ = db.execute("SELECT * FROM log ORDER BY turn DESC LIMIT 1 OFFSET 20").fetchone()
        ends, runs, freed = unpack(told)
        change(ends, runs)
        db.execute("REPLACE INTO log VALUES (?, ?, ?)", seal("log", turn, pack((ends, runs, freed))))
    with pytest.raises(errors.StoreDamaged, match=r"room \d+ is missing"):
        opened(folder)


@pytest.mark.parametrize("body", [b"", b"\x90", pack(Device(b"k" * 32, ANN)), pack(["account", 7])])
@pytest.mark.usefixtures("_closed")
def test_a_record_that_is_sealed_and_yet_is_none_is_noticed(original: Path, folder: Path, body: bytes) -> None:
    shutil.copytree(original, folder)
    with closing(sqlite3.connect(folder / "zchat.db")) as db, db:
        db.execute("REPLACE INTO records VALUES (?, ?, ?, ?)", seal("records", "account", ANN, body))
    with closing(opened(folder)) as store, pytest.raises(errors.StoreDamaged, match="a record of kind account"):
        store.records()
    assert "a record of kind account is another" in check(folder, lambda *_: None).found


def _tamper(original: Path, folder: Path, statement: str) -> None:
    shutil.copytree(original, folder)
    database = Database(folder / "zchat.db")
    database.execute(statement)
    database.close()


@pytest.mark.parametrize("which", ["original", "logged"])
def test_all_of_them_are_told_of(folders: dict[str, Path], folder: Path, which: str) -> None:
    shutil.copytree(folders[which], folder)
    with closing(sqlite3.connect(f"file:{folder / 'zchat.db'}?immutable=1", uri=True)) as db:
        (turns,) = db.execute("SELECT count(*) FROM log").fetchone()
        assert turns == (201 if which == "logged" else 0)
    store = opened(folder)
    for table in (
        "rooms",
        "heads",
        "persons",
        "events",
        "names",
        "runs",
        "turns",
        "meta",
        "members",
        "marks",
        "records",
        "clients",
    ):
        assert store._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] > 0, table  # noqa: S608
    assert store._db.execute("SELECT count(*) FROM refused").fetchone() != (0,)
    assert {ANN, BOB, CAT} == {row[0] for row in store._db.execute("SELECT person FROM persons")}
    store.close()


@pytest.mark.usefixtures("_closed")
def test_a_schema_that_is_no_text_is_damage_like_any_other(original: Path, folder: Path) -> None:
    shutil.copytree(original, folder, dirs_exist_ok=True)
    path = folder / "zchat.db"
    content = bytearray(path.read_bytes())
    content[content.index(b"sqlite_autoindex_persons_1") + len(b"sqlite_auto")] ^= 0x80
    path.write_bytes(content)
    with pytest.raises(errors.StoreDamaged, match="restore a backup"):
        open_store(folder)
