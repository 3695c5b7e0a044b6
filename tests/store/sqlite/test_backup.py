"""Copies of a database, and back again, on real files."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from store.saying import RECORDS, filled, records

from zchat.errors import DataUnusable, StoreDamaged
from zchat.messages import Message, Send, Stamp
from zchat.store.base import Append, Greeting, NewRoom, Work, identity
from zchat.store.sqlite import SqliteStore, open_store
from zchat.store.sqlite.backup import Restored, backup, restore, target
from zchat.store.sqlite.check import Examined, check
from zchat.store.sqlite.folder import DATABASE

ANN = b"ann" * 5 + b"!"
MS = 1_700_000_000_000
NOW = datetime(2026, 11, 21, 10, 15, tzinfo=UTC)
KEPT = f"{DATABASE}.20261121T101500Z.old"


def quiet(_what: str, _done: int, _total: int) -> None:
    """Is not interested in how far it is."""


def say(store: SqliteStore, *words: str) -> None:
    """Says these in a turn."""
    sends = [
        Append("lobby", ANN, MS + n, "ann", ANN[:8], ANN, [Send(n, "lobby", word)]) for n, word in enumerate(words, 1)
    ]
    store.commit(Work([NewRoom("lobby")], [*sends]))


@contextmanager
def opened(folder: Path) -> Iterator[SqliteStore]:
    store = open_store(folder)
    try:
        yield store
    finally:
        store.close()


def said(folder: Path) -> list[str]:
    """What is in a folder; it opens without a warning."""
    with opened(folder) as store:
        assert store.warnings == []
        return [event.text for event in store.read("lobby", 0, 10_000, 1 << 30).events if isinstance(event, Message)]


def killed(do: Callable[[], object], step: int) -> bool:
    """Does something in a process that is killed as it opens, links, renames, removes or locks its n-th file; says
    whether it came so far.
    """
    pid = os.fork()
    if not pid:
        left = step

        def hook(event: str, _arguments: object) -> None:
            nonlocal left
            if event in ("open", "os.link", "os.rename", "os.remove", "fcntl.flock", "sqlite3.connect"):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        do()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    with opened(tmp_path / "data") as store:
        say(store, "one", "two")
    return tmp_path / "data"


@pytest.fixture(name="copy")
def _copy(folder: Path, tmp_path: Path) -> Path:
    backup(folder, tmp_path / "copy", quiet)
    return tmp_path / "copy"


# Backup ---------------------------------------------------------------------------------------------------------------


def test_a_backup_is_one_file_that_stands_alone(folder: Path, tmp_path: Path) -> None:
    told: list[str] = []
    done = backup(folder, tmp_path / "copy", lambda what, _done, _total: told.append(what))
    assert done == Examined(rooms=1, messages=2)
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "data"]
    assert (tmp_path / "copy").read_bytes()[18:20] == b"\1\1"  # no write-ahead log
    assert "copying pages" in told
    with closing(sqlite3.connect(tmp_path / "copy")) as db:
        assert db.execute("SELECT count(*) FROM events").fetchone() == (2,)


def test_a_backup_while_it_is_written_is_of_one_moment(folder: Path, tmp_path: Path) -> None:
    with opened(folder) as store:
        say(store, *["x" * 10_000] * 200)
        later: list[str] = []

        def tell(what: str, _done: int, _total: int) -> None:
            if what == "copying pages":
                later.append(f"later {len(later)}")
                say(store, later[-1])

        assert backup(folder, tmp_path / "copy", tell).messages == 202
        assert len(later) > 1
        events = store.read("lobby", 202, 10, 1 << 20).events
        assert [event.text for event in events if isinstance(event, Message)] == later
    assert check(folder, quiet).damage == 0


def logged(path: Path) -> tuple[int, int]:
    """How many turns are in the log of a database, and events in its rooms."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        (turns,), (events,) = (db.execute(f"SELECT count(*) FROM {table}").fetchone() for table in ("log", "events"))  # noqa: S608
        return turns, events


def test_a_backup_has_what_is_in_the_log_of_a_running_broker(folder: Path, tmp_path: Path) -> None:
    with opened(folder) as store:
        say(store, "three")
        say(store, "four", "five")
        assert backup(folder, tmp_path / "copy", quiet) == Examined(rooms=1, messages=5)
        assert logged(tmp_path / "copy") == (3, 2)  # a start is a turn too
        for said_then in (["one", "two", "three", "four", "five"], ["one", "two", "three", "four", "five", "six"]):
            restore(tmp_path / "copy", tmp_path / "other", quiet, NOW)
            assert logged(tmp_path / "other" / DATABASE)[1] < len(said_then)
            assert said(tmp_path / "other") == said_then
            assert logged(tmp_path / "other" / DATABASE) == (0, len(said_then))
            say(store, "six")
            backup(folder, tmp_path / "copy", quiet, force=True)


def test_a_backup_has_who_may_come_in(folder: Path, tmp_path: Path) -> None:
    with opened(folder) as store:
        store.commit(Work(records=[*RECORDS]))
        backup(folder, tmp_path / "copy", quiet)
        store.commit(Work(dropped=[*RECORDS]))
        assert store.records() == []
    restore(tmp_path / "copy", folder, quiet, NOW)
    with opened(folder) as store:
        assert records(store) == sorted(RECORDS, key=identity)


def test_a_backup_has_what_was_done_in_rooms(tmp_path: Path) -> None:
    folder = tmp_path / "done"
    with opened(folder) as store:
        before = [store.read(room.room, 0, 99, 1 << 20) for room in filled(store).rooms()]
        assert backup(folder, tmp_path / "copy", quiet) == Examined(rooms=5, messages=45, edits=1, deletions=1, deeds=3)
    restore(tmp_path / "copy", folder, quiet, NOW)
    with opened(folder) as store:
        assert [store.read(room.room, 0, 99, 1 << 20) for room in store.rooms()] == before


def test_a_copy_with_a_damaged_log_is_no_good_backup(folder: Path, tmp_path: Path) -> None:
    with opened(folder) as store:
        say(store, "three")
        backup(folder, tmp_path / "copy", quiet)
    content = (tmp_path / "copy").read_bytes()
    (tmp_path / "copy").write_bytes(content.replace(b"three", b"thrae"))
    with pytest.raises(StoreDamaged, match="a row of log does not match its checksum"):
        restore(tmp_path / "copy", folder, quiet, NOW)
    assert said(folder) == ["one", "two", "three"]


def test_a_backup_of_what_a_killed_broker_left_has_all_of_it(folder: Path, tmp_path: Path) -> None:
    assert killed(lambda: _say_and_die(folder), 10**6)
    backup(folder, tmp_path / "copy", quiet)
    restore(tmp_path / "copy", tmp_path / "other", quiet, NOW)
    assert said(tmp_path / "other") == ["one", "two", "three"]


def _say_and_die(folder: Path) -> None:
    say(open_store(folder), "three")
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_file_that_is_there_is_replaced_only_if_asked(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").write_text("mine")
    with pytest.raises(DataUnusable, match="--force"):
        backup(folder, tmp_path / "copy", quiet)
    assert (tmp_path / "copy").read_text() == "mine"
    backup(folder, tmp_path / "copy", quiet, force=True)
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600


def test_it_is_written_where_a_link_leads(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "copy")
    backup(folder, tmp_path / "link", quiet)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "elsewhere" / "copy").is_file()


def test_names_that_it_may_not_have(folder: Path, tmp_path: Path) -> None:
    before = (folder / DATABASE).read_bytes()
    for file in (folder / DATABASE, folder / f"{DATABASE}-wal", folder / "lock"):
        with pytest.raises(DataUnusable, match="that the broker uses"):
            backup(folder, file, quiet, force=True)
    for file, why in (
        (tmp_path, "no ordinary file"),
        (tmp_path / "no" / "where", "No such file"),
        (Path("/dev/null"), "no ord"),
    ):
        with pytest.raises(DataUnusable, match=why):
            backup(folder, file, quiet, force=True)
    with pytest.raises(DataUnusable, match="there is no database"):
        backup(tmp_path / "nowhere", tmp_path / "copy", quiet)
    assert (folder / DATABASE).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_nothing_is_made_of_what_is_damaged(folder: Path, tmp_path: Path) -> None:
    content = (folder / DATABASE).read_bytes()
    (folder / DATABASE).write_bytes(content.replace(b"two", b"twa"))
    with pytest.raises(StoreDamaged, match="lobby: 2 does not match its checksum"):
        backup(folder, tmp_path / "copy", quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_two_that_write_the_same_file_do_not_mix(folder: Path, tmp_path: Path) -> None:
    def second(what: str, _done: int, _total: int) -> None:
        if what == "copying pages":
            with pytest.raises(DataUnusable, match="another zchat is writing"):
                backup(folder, tmp_path / "copy", quiet, force=True)

    assert backup(folder, tmp_path / "copy", second).damage == 0


def test_a_file_that_was_taken_away_is_not_said_to_be_there(tmp_path: Path) -> None:
    def write() -> None:
        with target(tmp_path / "file") as made:
            made.unlink()
            made.write_text("somebody else's")

    with pytest.raises(DataUnusable, match="another zchat is writing"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_and_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    import resource

    with opened(folder) as store:
        say(store, *["x" * 10_000] * 50)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        with pytest.raises(DataUnusable, match=r"cannot write .*copy"):
            backup(folder, tmp_path / "copy", quiet)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_ctrl_c_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    for moment in ("copying pages", "checking the file"):

        def tell(what: str, _done: int, _total: int, moment: str = moment) -> None:
            if what == moment:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            backup(folder, tmp_path / "copy", tell)
        assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_killed_at_any_step_a_backup_leaves_the_old_file_or_the_new(folder: Path, copy: Path, tmp_path: Path) -> None:
    old = copy.read_bytes()
    with opened(folder) as store:
        say(store, "three")
    step = 1
    while killed(lambda: backup(folder, copy, quiet, force=True), step):
        step += 1
        if copy.read_bytes() != old:
            restore(copy, tmp_path / f"new{step}", quiet, NOW)
            assert said(tmp_path / f"new{step}") == ["one", "two", "three"]
            shutil.rmtree(tmp_path / f"new{step}")
    assert step > 8
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "data"]  # the next one cleans up


# Restore --------------------------------------------------------------------------------------------------------------


def test_what_was_there_is_kept_and_can_be_had_back(folder: Path, copy: Path) -> None:
    with opened(folder) as store:
        say(store, "three")
        stamp = store.stamp
    assert restore(copy, folder, quiet, NOW) == Restored(Examined(rooms=1, messages=2), folder / KEPT)
    assert sorted(path.name for path in folder.iterdir()) == ["lock", DATABASE, KEPT]
    assert (folder / DATABASE).stat().st_mode & 0o777 == 0o600
    with opened(folder) as store:
        for known in (stamp, Stamp(stamp.run, 1)):  # whoever saw more must notice
            assert not store.commit(Work(greetings=[Greeting(ANN, known)])).greeted[0].vouched  # type: ignore[union-attr]
    assert said(folder) == ["one", "two"]
    done = restore(folder / KEPT, folder, quiet, NOW)
    assert done.kept == folder / KEPT.replace("Z.old", "Z-2.old")
    assert said(folder) == ["one", "two", "three"]


def test_into_a_folder_that_is_not_there(copy: Path, tmp_path: Path) -> None:
    assert restore(copy, tmp_path / "new" / "data", quiet, NOW).kept is None
    assert said(tmp_path / "new" / "data") == ["one", "two"]
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in (tmp_path / "new" / "data").iterdir()) == ["lock", DATABASE]


def test_not_while_a_broker_runs(folder: Path, copy: Path) -> None:
    with opened(folder) as store:
        say(store, "three")
        with pytest.raises(DataUnusable, match=f"in use by process {os.getpid()}"):
            restore(copy, folder, quiet, NOW)
    assert said(folder) == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("content", "error", "why"),
    [
        (lambda content: content.replace(b"two", b"twa"), StoreDamaged, "lobby: 2 does not match its checksum"),
        (lambda content: content[: len(content) // 2], StoreDamaged, "damaged"),
        (lambda _: b"", DataUnusable, "no database"),
        (lambda _: b"hello" * 5000, DataUnusable, "no database"),
    ],
)
def test_what_is_no_good_backup_changes_nothing(
    folder: Path, copy: Path, content: Callable[[bytes], bytes], error: type[Exception], why: str
) -> None:
    copy.write_bytes(content(copy.read_bytes()))
    with pytest.raises(error, match=why):
        restore(copy, folder, quiet, NOW)
    assert said(folder) == ["one", "two"]
    assert sorted(path.name for path in folder.iterdir()) == ["lock", DATABASE]


def test_files_that_cannot_be_restored(folder: Path, tmp_path: Path) -> None:
    for file, why in (
        (folder / DATABASE, "the database itself"),
        (tmp_path / "no", "no backup"),
        (tmp_path, "no backup"),
    ):
        with pytest.raises(DataUnusable, match=why):
            restore(file, folder, quiet, NOW)
    assert said(folder) == ["one", "two"]


def test_a_newer_one_is_refused(folder: Path, copy: Path) -> None:
    with closing(sqlite3.connect(copy)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(DataUnusable, match="newer zchat"):
        restore(copy, folder, quiet, NOW)


def test_what_a_killed_broker_left_is_kept_with_its_last_writes(folder: Path, copy: Path) -> None:
    assert killed(lambda: _say_and_die(folder), 10**6)
    restore(copy, folder, quiet, NOW)
    assert sorted(path.name for path in folder.iterdir()) == ["lock", DATABASE, KEPT]
    restore(folder / KEPT, folder, quiet, NOW)
    assert said(folder) == ["one", "two", "three"]


def test_a_damaged_folder_is_kept_as_it_is_and_replaced(folder: Path, copy: Path) -> None:
    assert killed(lambda: _say_and_die(folder), 10**6)
    log = folder / f"{DATABASE}-wal"
    broken = bytearray(log.read_bytes())
    broken[100] ^= 1
    log.write_bytes(broken)
    before = (folder / DATABASE).read_bytes()
    restore(copy, folder, quiet, NOW)
    assert (folder / f"{KEPT}-wal").read_bytes() == broken
    assert (folder / KEPT).read_bytes() == before
    assert said(folder) == ["one", "two"]
    (folder / DATABASE).write_bytes(b"rubbish" * 1000)
    restore(copy, folder, quiet, NOW)
    assert said(folder) == ["one", "two"]
    (folder / DATABASE).unlink()
    (folder / f"{DATABASE}-wal").write_bytes(b"alone")
    kept = restore(copy, folder, quiet, NOW).kept
    assert kept is not None
    assert kept.with_name(f"{kept.name}-wal").read_bytes() == b"alone"
    assert said(folder) == ["one", "two"]


def test_not_while_somebody_reads_it(folder: Path, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zchat.store.sqlite.backup.PATIENCE", 0.01)
    with closing(sqlite3.connect(folder / DATABASE, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM events").fetchall()
        with pytest.raises(DataUnusable, match="is being read"):
            restore(copy, folder, quiet, NOW)
    assert said(folder) == ["one", "two"]


@pytest.mark.parametrize("unclean", [False, True])
def test_killed_at_any_step_a_restore_leaves_the_old_or_the_new(
    folder: Path, copy: Path, tmp_path: Path, unclean: bool
) -> None:
    if unclean:
        assert killed(lambda: _say_and_die(folder), 10**6)
    else:
        with opened(folder) as store:
            say(store, "three")
    old, new, seen = ["one", "two", "three"], ["one", "two"], []
    step, died = 0, True
    while died:
        step += 1
        work = tmp_path / "work"
        shutil.copytree(folder, work)
        died = killed(lambda work=work: restore(copy, work, quiet, NOW), step)  # type: ignore[misc]
        seen.append(said(work))
        restore(copy, work, quiet, NOW)
        assert not list(work.glob("*.new*"))
        assert said(work) == new
        shutil.rmtree(work)
    assert step > 15
    assert seen == [old] * seen.count(old) + [new] * seen.count(new)
    assert seen.count(old) > 10
