"""Pages that SQLite wrote: what it left behind in them is seen, and can be overwritten."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from zchat.store.sqlite.pages import LEAST, LOCAL, SIZE, children, filling, stale


def pages(path: Path, db: sqlite3.Connection, table: str = "t") -> list[bytes]:
    """The pages of a table."""
    (root,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
    ahead, found = [root], []
    whole = path.read_bytes()
    while ahead:
        number = ahead.pop()
        page = whole[(number - 1) * SIZE : number * SIZE]
        found.append(page)
        ahead += children(page)
    return found


def test_the_bounds_of_the_format() -> None:
    assert (LOCAL, LEAST) == (4061, 489)


@pytest.mark.parametrize("sizes", [[10, 100], [500, 1500], [3000, 9000], [10, 4000, 20_000], [4040, 4050, 4060, 4580]])
def test_what_was_left_behind_is_overwritten_and_rows_are_as_they_were(tmp_path: Path, sizes: list[int]) -> None:
    random, path = Random(sum(sizes)), tmp_path / "a.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA secure_delete = ON").fetchone()
        db.execute("PRAGMA synchronous = OFF")
        db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)")
        keys = random.sample(range(-1000, 1 << 45), 600)
        for key in keys:
            db.execute("INSERT INTO t VALUES (?, ?)", (key, random.randbytes(random.choice(sizes))))
        for key in random.sample(keys, 300):
            db.execute("DELETE FROM t WHERE id = ?", (key,))
        rows = db.execute("SELECT * FROM t").fetchall()
        found = pages(path, db)
        count = sum(len(page) for page in found)
        dirty = [page for page in found if page[0] == 13 and stale(page)]
        assert dirty
        for page in dirty:
            row = filling(page)
            if row is not None:
                (body,) = db.execute("SELECT body FROM t WHERE id = ?", (row.rowid,)).fetchone()
                with db:
                    db.execute("BEGIN")
                    db.execute("UPDATE t SET body = ? WHERE id = ?", (body + bytes(row.more), row.rowid))
                    db.execute("UPDATE t SET body = ? WHERE id = ?", (body, row.rowid))
        found = pages(path, db)
        assert sum(len(page) for page in found) == count  # no row went to another page
        assert [page for page in found if page[0] == 13 and stale(page)] == []
        assert db.execute("SELECT * FROM t").fetchall() == rows
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_clean_page(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("CREATE TABLE t (x)")
        assert [(stale(page), filling(page), children(page)) for page in pages(path, db)] == [(False, None, [])]
        db.execute("INSERT INTO t VALUES ('one')")
        (page,) = pages(path, db)
        assert not stale(page)
        assert filling(page) is not None
        start = SIZE - 100
        assert stale(page[:start] + os.urandom(50).replace(b"\0", b"x") + page[start + 50 :]) is True
        assert not stale(page[:12] + b"x" + page[13:])


def test_free_blocks_that_go_in_a_circle() -> None:
    page = bytearray(SIZE)
    page[:8] = bytes([13, 1, 0, 0, 1, 15, 0, 0])
    page[8:10] = (0xFF0).to_bytes(2, "big")
    page[256:260] = bytes([1, 0, 0, 8])
    with pytest.raises(IndexError):
        filling(bytes(page))
