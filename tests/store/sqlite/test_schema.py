"""Versions of the database: older ones are copied and migrated, all or nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from zchat.errors import DataUnusable
from zchat.store.sqlite import schema


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    path = tmp_path / "zchat.db"
    schema.create(path)
    return path


@pytest.fixture(name="db")
def _db(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        yield db


def toy(db: sqlite3.Connection) -> None:
    """A step to the next version."""
    db.execute("CREATE TABLE toy (x)")
    db.execute("INSERT INTO toy VALUES (1)")


def toyer(db: sqlite3.Connection) -> None:
    """A step to the one after that."""
    db.execute("UPDATE toy SET x = x + 1")


def fails(db: sqlite3.Connection) -> None:
    """A step that cannot be taken."""
    db.execute("DELETE FROM toy")
    raise ZeroDivisionError


def version(db: sqlite3.Connection) -> int:
    (found,) = db.execute("PRAGMA user_version").fetchone()
    return int(found)


def test_what_was_made_is_accepted(db: sqlite3.Connection, path: Path) -> None:
    schema.verify_file(path)
    schema.verify_tables(db)
    assert schema.check(db, path) == 1
    assert schema.migrate(db, path) is None
    assert not list(path.parent.glob("*.bak"))
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_older_one_is_copied_and_migrated(db: sqlite3.Connection, path: Path) -> None:
    db.execute("PRAGMA wal_autocheckpoint = 0")
    db.execute("REPLACE INTO meta VALUES ('only in the log', 1, 2)")
    copy = schema.migrate(db, path, [toy])
    assert copy == path.with_name("zchat.db.v1.bak")
    assert version(db) == 2
    with closing(sqlite3.connect(copy)) as before:
        assert version(before) == 1
        assert before.execute("SELECT 1 FROM meta WHERE key = 'only in the log'").fetchone()
        assert not before.execute("SELECT 1 FROM sqlite_schema WHERE name = 'toy'").fetchone()
    assert copy.stat().st_mode & 0o777 == 0o600
    assert schema.migrate(db, path, [toy]) is None
    assert schema.migrate(db, path, [toy, toyer, toyer]) == path.with_name("zchat.db.v2.bak")
    assert version(db) == 4
    assert db.execute("SELECT x FROM toy").fetchone() == (3,)


def test_a_migration_that_fails_changes_nothing(db: sqlite3.Connection, path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        schema.migrate(db, path, [toy, fails])
    assert version(db) == 1
    assert not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'toy'").fetchone()
    assert schema.migrate(db, path, [toy, toyer]) == path.with_name("zchat.db.v1.bak")
    assert version(db) == 3


def test_a_newer_one_is_refused(db: sqlite3.Connection, path: Path) -> None:
    schema.migrate(db, path, [toy, toyer])
    with pytest.raises(DataUnusable, match="newer zchat"):
        schema.migrate(db, path, [toy])
    with pytest.raises(DataUnusable, match="newer zchat"):
        schema.check(db, path)


@pytest.mark.parametrize("change", ["application_id = 7", "user_version = 0", "user_version = -1"])
def test_what_is_not_ours_is_refused(db: sqlite3.Connection, path: Path, change: str) -> None:
    db.execute(f"PRAGMA {change}")
    with pytest.raises(DataUnusable, match="no database of zchat"):
        schema.check(db, path)
