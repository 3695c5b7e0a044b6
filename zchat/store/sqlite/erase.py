"""What was deleted goes from the files: out of the log, the index, the pages that rows were moved from, and the WAL."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator

from zchat.store.sqlite import pages
from zchat.store.sqlite.database import Database
from zchat.store.sqlite.index import MERGED, Index
from zchat.store.sqlite.rows import damaged

ERASE_IDLE, ERASE_BUSY = 5.0, 60.0
"""Seconds after a deletion until its text begins to go: others may share the cost."""

AGAIN = 1.0
"""Seconds until the WAL is looked at again which somebody is reading."""

VIEWED = 1000
"""Pages that a step looks at."""

FILLED = 50
"""Pages that a step cleans."""

TEXTS = {"log": ("turn", "sent"), "events": ("id", "body"), "words_data": ("id", "block")}
"""Tables with texts, or words of them, and the columns with their key and what can be made longer."""


class Eraser:
    """Erases, step by step.

    Args:
        db: the database.
        index: that of its texts.
        settle: takes texts out of the log.
    """

    def __init__(self, db: Database, index: Index, settle: Callable[[], None]) -> None:
        self._db, self._index, self._settle = db, index, settle
        self._since: float | None = None
        self._again = 0.0
        self._job: Iterator[float] | None = None

    @property
    def busy(self) -> bool:
        """Whether it is amid its work."""
        return self._job is not None

    def step(self, now: float, *, idle: bool) -> float:
        """Does a little, if it is time. Returns seconds until there is more to do when idle."""
        if not self._db.meta["erase"]:
            self._since = None
            return float("inf")
        if self._since is None:
            self._since = now
        if now < self._again:
            return self._again - now
        if self._job is None:
            if now < self._since + (ERASE_IDLE if idle else ERASE_BUSY):
                return max(self._since + ERASE_IDLE - now, 0.0)
            self._job = self._erase()
        try:
            wait = next(self._job, None)
        except BaseException:
            self._job = None
            raise
        if wait is None:
            self._job = self._since = None
            return ERASE_IDLE if self._db.meta["erase"] else float("inf")
        self._again = now + wait
        return wait

    def _erase(self) -> Iterator[float]:
        """The steps; each tells how long to wait for the next."""
        db = self._db
        deletions = db.meta["erase"]
        self._settle()
        more, begun = True, False
        while more:
            with db.transaction():
                more = self._index.merge(everything=not begun)
            begun = True
            db.frames += 2 * MERGED
            yield 0.0
        yield from self._write_back()
        cleaned = 0
        for table in TEXTS:
            for cleaning in self._clean(table):
                cleaned += cleaning
                yield 0.0
        cleaned += self._clean_terms()
        if cleaned:
            yield from self._write_back()
        # This also leaves a WAL that is not empty: after a crash, an empty one would look like a lost one.
        with db.transaction():
            db.put("erase", 0 if db.meta["erase"] == deletions else db.meta["erase"])
        db.frames += 1

    def _write_back(self) -> Iterator[float]:
        while not self._db.checkpoint("TRUNCATE"):
            yield AGAIN

    # What was left behind -------------------------------------------------------------------------------------------

    def _clean(self, table: str) -> Iterator[int]:
        """Looks at all pages of a table. Tells at times how many were cleaned since.

        What others write meanwhile may move rows again; but what was deleted before is no longer among them.
        """
        dirty: list[pages.Row] = []
        for viewed, page in enumerate(self._pages(table), 1):
            try:
                row = pages.filling(page) if pages.stale(page) else None
            except (struct.error, IndexError):
                raise damaged(f"a page of {table}") from None
            if row is not None:
                dirty.append(row)
            if len(dirty) == FILLED or viewed % VIEWED == 0:
                self._fill(table, dirty)
                yield len(dirty)
                dirty.clear()
        self._fill(table, dirty)
        yield len(dirty)

    def _fill(self, table: str, rows: list[pages.Row]) -> None:
        key, column = TEXTS[table]
        if not rows:
            return
        with self._db.transaction():
            for row in rows:
                found = self._db.execute(f"SELECT {column} FROM {table} WHERE {key} = ?", (row.rowid,)).fetchone()  # noqa: S608
                if found is not None:
                    for content in (found[0] + bytes(row.more), found[0]):
                        self._db.execute(f"UPDATE {table} SET {column} = ? WHERE {key} = ?", (content, row.rowid))  # noqa: S608
        self._db.frames += 2 * len(rows) + 2

    def _clean_terms(self) -> int:
        """Has the table made anew in which the index keeps where its words begin; it is small."""
        if not any(pages.stale(page) for page in self._pages("words_idx")):
            return 0
        with self._db.transaction():
            rows = self._db.execute("SELECT segid, term, pgno FROM words_idx ORDER BY segid, term").fetchall()
            self._db.execute("DELETE FROM words_idx")
            self._db.executemany("INSERT INTO words_idx (segid, term, pgno) VALUES (?, ?, ?)", rows)
        self._db.frames += len(rows) // 50 + 2
        return 1

    def _pages(self, table: str) -> Iterator[bytes]:
        """The pages of a table as they were last written back."""
        (root,) = self._db.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
        ahead = [root]
        seen = 0
        (most,) = self._db.execute("PRAGMA page_count").fetchone()
        while ahead:
            page = os.pread(self._db.file, pages.SIZE, (ahead.pop() - 1) * pages.SIZE)
            seen += 1
            if len(page) < pages.SIZE or seen > most:
                raise damaged(f"the pages of {table}")
            ahead += pages.children(page)
            yield page
