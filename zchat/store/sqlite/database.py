"""The connection: transactions, the few values that there is one of, and the counts of rows."""

from __future__ import annotations

import ctypes
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zchat.errors import StoreUnavailable
from zchat.store.sqlite.rows import damaged, pack, seal, unpack, verify
from zchat.store.sqlite.schema import COUNTED

CACHE_KIB = 16 * 1024
LOG_KEPT = 16 * 1024 * 1024
"""Bytes of the WAL's file that are kept for the next turns, however long it grew."""

FRAME = 4096 + 24
BUSY_MS = 250


class Database:
    """One connection, on which everything is written.

    Args:
        path: of a database that is there.

    Attributes:
        file: the database's own, to be read only: as it was last written back.
        meta: the values that there is one of, by key.
        frames: about how many pages were written to the WAL since it was last written back.
    """

    def __init__(self, path: Path) -> None:
        # Opened first and closed last: closing it would end the locks that SQLite holds on the same file.
        self.file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=BUSY_MS / 1000
        )
        self.execute = self.connection.execute
        self.executemany = self.connection.executemany
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "wal_autocheckpoint = 0",
            "secure_delete = ON",
            "temp_store = MEMORY",
            "cell_size_check = ON",
            "trusted_schema = OFF",
            f"cache_size = -{CACHE_KIB}",
            f"journal_size_limit = {LOG_KEPT}",
        ):
            self.execute(f"PRAGMA {pragma}").fetchone()
        self.meta: dict[str, Any] = {}
        self.frames = 0
        self._log, self._size = f"{path}-wal", 0
        self._tally: dict[str, int] = {}
        self._whole = False

    def load(self) -> None:
        """Reads the values and counts.

        Raises:
            errors.StoreDamaged: they are not those that were put there.
        """
        self.meta = {key: unpack(value) for key, value in self.rows("meta", "SELECT * FROM meta")}
        if not self.meta.keys() >= {"clean", "clock", "erase", "folded", "words", "tally"}:
            raise damaged("rows of meta are missing")
        self._tally = self.meta["tally"]
        for table in COUNTED:
            (count,) = self.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
            if count != self._tally.get(table):
                raise damaged(f"{table} has {count} rows, not {self._tally.get(table)}")
            for row in self.execute(f"SELECT * FROM {table}"):  # noqa: S608
                verify(table, row)

    def rows(self, table: str, sql: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows of a table as they were sealed, verified."""
        for row in self.execute(sql, values).fetchall():
            yield verify(table, row)

    def put(self, key: str, value: Any) -> None:
        """Changes a value, within a transaction."""
        self.meta[key] = value
        self.execute("REPLACE INTO meta VALUES (?, ?, ?)", seal("meta", key, pack(value)))

    def count(self, table: str, change: int) -> None:
        """Notes that a small table has so many rows more, within a transaction."""
        self._tally[table] += change

    def counted(self, table: str) -> int:
        """How many rows a small table has."""
        return self._tally[table]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written within it, or nothing."""
        meta, tally = self.meta.copy(), self._tally.copy()
        begin, commit, rollback = (
            ("SAVEPOINT turn", "RELEASE turn", "ROLLBACK TO turn") if self._whole else ("BEGIN", "COMMIT", "ROLLBACK")
        )
        if self._whole and not self.connection.in_transaction:
            raise StoreUnavailable("what was to be kept as a whole was undone: begin it again")
        self.execute(begin)
        try:
            yield
            if self._tally != tally:
                self.put("tally", self._tally)
            self.execute(commit)
        except BaseException:
            self.meta, self._tally = meta, tally
            if self.connection.in_transaction:  # a full disk ends it by itself
                self.execute(rollback)
            raise

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Makes all transactions within it one."""
        with self.transaction():
            self._whole = True
            try:
                yield
            finally:
                self._whole = False

    @property
    def in_whole(self) -> bool:
        """Whether transactions are being made one."""
        return self._whole

    def checkpoint(self, mode: str = "PASSIVE") -> bool:
        """Writes the WAL back. Returns whether all of it was."""
        self.execute("PRAGMA busy_timeout = 0")  # whoever reads is not waited for
        try:
            busy, frames, done = self.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        finally:
            self.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        self.frames = max(frames - done, 0)
        return not busy and frames == done

    def look(self) -> None:
        """Corrects what is guessed of the WAL: where its file has grown, all of it was written since."""
        try:
            size = os.stat(self._log).st_size  # noqa: PTH116 - at every turn
        except OSError:
            return
        if size > self._size:
            self.frames = max(self.frames, size // FRAME)
        self._size = size

    def close(self) -> None:
        """Lets go of the file, having written the WAL back. Doing so twice is harmless."""
        self.connection.close()
        if self.file >= 0:
            os.close(self.file)
            self.file = -1

    def abandon(self) -> None:
        """Leaves the files as they are, for good.

        Closing would write the WAL back and remove it. After a failed fsync that is what must not happen: the system
        may say that a second one succeeded though the pages never reached the disk.
        """
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self.connection))
