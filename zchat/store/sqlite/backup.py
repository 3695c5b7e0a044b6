"""Copies of a database: one file that holds everything, made while a broker writes; and back again."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from zchat.errors import DataUnusable, StoreDamaged
from zchat.store.sqlite import schema, wal
from zchat.store.sqlite.check import PATIENCE, Examined, Tell, database, examine, explained, snapshot
from zchat.store.sqlite.folder import DATABASE, LOCK, Lock, private, replacing
from zchat.store.sqlite.rows import pack, seal

PAGES = 256
"""Pages that are copied at a time."""


@contextmanager
def target(path: Path) -> Iterator[Path]:
    """A file to be filled, with rights 0600, that takes the place of what the user named when it is complete.

    Raises:
        errors.DataUnusable: that is no ordinary file, or another program is writing it.
    """
    resolved = path.resolve()
    if resolved.exists() and not resolved.is_file():
        raise DataUnusable(f"{path} is no ordinary file: name another")
    taken = DataUnusable(f"another zchat is writing {path}: wait for it, or name another file")
    with closing(_Claim()) as claim:
        if not claim.take(resolved.with_name(f"{resolved.name}.new")):
            raise taken
        with replacing(resolved) as made:
            if not claim.take(made):
                raise taken
            yield made
            if not claim.holds(made):
                raise taken


class _Claim:
    """Holds a file for as long as it is being written: another program would take it for a leftover."""

    def __init__(self) -> None:
        self._file = -1

    def take(self, path: Path) -> bool:
        """Says whether it could be had; one that is not there can."""
        self.close()
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return True
        except BlockingIOError:
            return False
        return True

    def holds(self, path: Path) -> bool:
        """Whether that is still the file."""
        return os.path.samestat(path.stat(), os.fstat(self._file))

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def backup(folder: Path, file: Path, tell: Tell, *, force: bool = False) -> Examined:
    """Copies the database of a data folder as it is at this moment, also while a broker writes it.

    Args:
        folder: only read.
        file: becomes a database of its own, whole and verified, or is left as it is.
        force: whether it may be replaced.

    Raises:
        errors.DataUnusable: there is nothing to be copied, or the file cannot be made.
        errors.StoreDamaged: the database is damaged.
    """
    path = database(folder)
    if file.exists() and not force:
        raise DataUnusable(f"{file} is there already: name another file, or replace it with --force")
    if file.resolve().parent == folder.resolve() and (file.name == LOCK or file.name.startswith(DATABASE)):
        raise DataUnusable(f"{file} is a name that the broker uses: name another file")
    with explained(path), snapshot(path) as source, explained(file, "write"), target(file) as made:
        _copy(source, made, tell)
        _settle(made, "DELETE")
        return _verified(made, path, tell)


@dataclass(slots=True, frozen=True)
class Restored:
    """What was done.

    Attributes:
        kept: where that is kept which was there before; None if nothing was.
    """

    examined: Examined
    kept: Path | None


def restore(file: Path, folder: Path, tell: Tell, now: datetime) -> Restored:
    """Puts a copy in the place of a folder's database. Killed at any moment, it leaves the one or the other.

    Args:
        file: only read.
        folder: made if it is not there.
        now: names what was there before.

    Raises:
        errors.DataUnusable: a broker runs on the folder, or one of the two cannot be used.
        errors.StoreDamaged: the copy is damaged; nothing was changed.
    """
    path = folder / DATABASE
    if not file.is_file():
        raise DataUnusable(f"there is no backup {file}: name another")
    if path.exists() and file.samefile(path):
        raise DataUnusable(f"{file} is the database itself: name a backup of it")
    with explained(file), snapshot(file, apart=True) as source, Lock(folder), explained(path, "write"):
        with replacing(path) as made:
            _copy(source, made, tell)
            _settle(made, "WAL")
            schema.verify_file(made)
            examined = _verified(made, file, tell)
            kept = _set_aside(path, now)
        return Restored(examined, kept)


def _copy(source: sqlite3.Connection, made: Path, tell: Tell) -> None:
    for end in ("-wal", "-shm", "-journal"):  # left by one that was killed: they would be taken for this one's
        made.with_name(made.name + end).unlink(missing_ok=True)
    with closing(sqlite3.connect(made, isolation_level=None)) as db:
        for pragma in ("journal_mode = OFF", "synchronous = OFF"):  # it is written to the disk as a whole later
            db.execute(f"PRAGMA {pragma}").fetchone()
        source.backup(db, pages=PAGES, progress=lambda _, left, total: tell("copying pages", total - left, total))


def _settle(made: Path, mode: str) -> None:
    """Brings a database into a journal mode, and notes that nothing is missing beside it."""
    with closing(sqlite3.connect(made, isolation_level=None)) as db:
        db.execute(f"PRAGMA journal_mode = {mode}").fetchone()
        db.execute("REPLACE INTO meta VALUES (?, ?, ?)", seal("meta", "clean", pack(1)))


def _verified(made: Path, source: Path, tell: Tell) -> Examined:
    """Looks at all of a copy.

    Raises:
        errors.StoreDamaged: what it was made from is damaged.
    """
    with snapshot(made, apart=True) as db:
        examined = examine(db, made, tell)
    if examined.damage:
        more = f", and {examined.damage - 1} more" if examined.damage > 1 else ""
        raise StoreDamaged(f"{source} is damaged, and nothing was written: {examined.found[0]}{more}")
    return examined


# What was there -------------------------------------------------------------------------------------------------------


def _set_aside(path: Path, now: datetime) -> Path | None:
    """Keeps what is there under a name with the time as well, so that one rename puts something else in its place.

    Returns:
        Where; None if nothing is there.
    """
    log, index = (path.with_name(path.name + end) for end in ("-wal", "-shm"))
    for leftover in path.parent.glob(f"{path.name}.*.old"):  # of one that was killed before that rename
        if path.exists() and leftover.samefile(path):
            leftover.unlink()
    if not path.exists() and not log.exists():
        return None
    kept = _free(path, now)
    whole = not log.exists() or _written_back(path, log)
    if path.exists():
        _keep(path, kept)
    if not whole:
        # A damaged log, or one without its database: killed between this and the rename, the folder has a database
        # without it, of which a start warns; both are kept.
        _keep(log, kept.with_name(f"{kept.name}-wal"))
        _sync(path.parent)
        log.unlink()
    index.unlink(missing_ok=True)
    _sync(path.parent)
    return kept


def _written_back(path: Path, log: Path) -> bool:
    """Brings what the write-ahead log holds into the database; says whether nothing was in it that cannot be.

    Raises:
        errors.DataUnusable: somebody reads it.
    """
    scanned = wal.scan(log.read_bytes())
    if not path.exists() or not scanned.readable or scanned.unread_commits:
        return False
    try:
        with closing(sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)) as db:
            schema.check(db, path)
            db.execute("PRAGMA synchronous = FULL").fetchone()
            db.execute("REPLACE INTO meta VALUES (?, ?, ?)", seal("meta", "clean", pack(1)))
            busy, _, _ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except (sqlite3.DatabaseError, UnicodeDecodeError, DataUnusable):
        return False
    if busy:
        raise DataUnusable(f"{path} is being read, by a backup or a check: try again when that is done")
    return not log.exists() or not log.stat().st_size


def _free(path: Path, now: datetime) -> Path:
    """A name with the time that nothing has yet."""
    number, kept = 1, path.with_name(f"{path.name}.{now:%Y%m%dT%H%M%SZ}.old")
    while kept.exists() or kept.with_name(f"{kept.name}-wal").exists():
        number += 1
        kept = path.with_name(f"{path.name}.{now:%Y%m%dT%H%M%SZ}-{number}.old")
    return kept


def _keep(path: Path, kept: Path) -> None:
    try:
        os.link(path, kept)
    except OSError:  # a file system without links
        private(kept)
        shutil.copyfile(path, kept)
        _sync(kept)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
