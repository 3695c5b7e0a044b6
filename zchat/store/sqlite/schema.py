"""The tables of the database, and how a file is told to be one of ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from zchat.errors import DataUnusable
from zchat.store.sqlite.folder import replacing
from zchat.store.sqlite.rows import damaged, pack, seal
from zchat.store.words import VERSION as WORDS

APPLICATION = 0x7A636861  # "zcha"

TABLES = {
    # What there is one of. `tally` counts the rows of small tables: lost ones are noticed.
    "meta": "CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB, sum INTEGER) WITHOUT ROWID",
    "rooms": "CREATE TABLE rooms (id INTEGER PRIMARY KEY, name TEXT UNIQUE, members INTEGER, founder BLOB, "
    "sum INTEGER)",
    # What changes of a room with every message: apart, so that little is written.
    "heads": "CREATE TABLE heads (room INTEGER PRIMARY KEY, head INTEGER, first INTEGER, ms INTEGER, turn INTEGER, "
    "indexed INTEGER, rising INTEGER, bytes INTEGER, sum INTEGER)",
    "members": "CREATE TABLE members (room INTEGER, place INTEGER, person INTEGER, name TEXT, sum INTEGER, "
    "PRIMARY KEY (room, place)) WITHOUT ROWID",
    "persons": "CREATE TABLE persons (id INTEGER PRIMARY KEY, person BLOB UNIQUE, bytes INTEGER, sum INTEGER)",
    "events": "CREATE TABLE events (id INTEGER PRIMARY KEY, author INTEGER, link INTEGER, body BLOB, sum INTEGER)",
    "marks": "CREATE TABLE marks (person INTEGER, room INTEGER, seq INTEGER, sum INTEGER, "
    "PRIMARY KEY (person, room)) WITHOUT ROWID",
    "names": "CREATE TABLE names (id INTEGER PRIMARY KEY, key TEXT UNIQUE, name TEXT, person BLOB, until INTEGER, "
    "seen INTEGER, sum INTEGER)",
    "records": "CREATE TABLE records (kind TEXT, id BLOB, body BLOB, sum INTEGER, "
    "PRIMARY KEY (kind, id)) WITHOUT ROWID",
    "runs": "CREATE TABLE runs (begins INTEGER PRIMARY KEY, run BLOB, sum INTEGER)",
    # What was sent in each transaction; once there is much of it, it goes into the rooms' events, and how it ended into
    # the next.
    "log": "CREATE TABLE log (turn INTEGER PRIMARY KEY, sent BLOB, sum INTEGER)",
    # How the sends of transactions up to one ended; folded into the next two once there are many.
    "turns": "CREATE TABLE turns (turn INTEGER PRIMARY KEY, ends BLOB, sum INTEGER)",
    "clients": "CREATE TABLE clients (client BLOB PRIMARY KEY, last INTEGER, ms INTEGER, sum INTEGER) WITHOUT ROWID",
    "refused": "CREATE TABLE refused (client BLOB, n INTEGER, answer BLOB, sum INTEGER, "
    "PRIMARY KEY (client, n)) WITHOUT ROWID",
    "docs": "CREATE TABLE docs (doc INTEGER PRIMARY KEY, event INTEGER UNIQUE, sum INTEGER)",
}

# The store splits texts into words itself: what is left to this tokenizer are spaces.
INDEX = (
    "CREATE VIRTUAL TABLE words USING fts5 (room, author, text, content='', columnsize=0, tokenize='ascii')",
    # It merges when it is told to, a little at a time: by itself it may take seconds at once.
    "INSERT INTO words (words, rank) VALUES ('automerge', 0)",
    "INSERT INTO words (words, rank) VALUES ('crisismerge', 1999)",
)

COUNTED = ("rooms", "heads", "members", "persons", "marks", "names", "records", "runs", "clients", "refused")
"""Small tables, whose rows are counted and all verified at every start."""

Step = Callable[[sqlite3.Connection], None]
"""Takes the tables from one version to the next, within a transaction."""

STEPS: Sequence[Step] = ()
"""From version 1 on."""


def create(path: Path) -> None:
    """Makes an empty database: wholly or not at all."""
    with replacing(path) as made, closing(sqlite3.connect(made, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("BEGIN")
        for statement in (*TABLES.values(), *INDEX):
            db.execute(statement)
        first = {"clean": 1, "clock": 0, "erase": 0, "folded": 0, "words": WORDS, "tally": dict.fromkeys(COUNTED, 0)}
        db.executemany(
            "INSERT INTO meta VALUES (?, ?, ?)", [seal("meta", key, pack(value)) for key, value in first.items()]
        )
        db.execute(f"PRAGMA application_id = {APPLICATION}")
        db.execute(f"PRAGMA user_version = {1 + len(STEPS)}")
        db.execute("COMMIT")
        # Closing would do that as well, but say nothing if it cannot: what is renamed into place must be whole.
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def check(db: sqlite3.Connection, path: Path, steps: Sequence[Step] = STEPS) -> int:
    """The version of a database.

    Raises:
        errors.DataUnusable: it is none of ours, or newer than this.
    """
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION or version < 1:
        raise DataUnusable(f"{path} is no database of zchat: move it away, or use another folder")
    if version > 1 + len(steps):
        raise DataUnusable(f"{path} was made by a newer zchat (format {version}): use that one, or another folder")
    return int(version)


def migrate(db: sqlite3.Connection, path: Path, steps: Sequence[Step] = STEPS) -> Path | None:
    """Brings a database to the present version, if it is older, having copied it beside.

    Returns:
        The copy; None if none was needed.
    """
    version = check(db, path, steps)
    if version == 1 + len(steps):
        return None
    copy = path.with_name(f"{path.name}.v{version}.bak")
    with replacing(copy) as made, closing(sqlite3.connect(made)) as target:
        db.backup(target)
    db.execute("BEGIN IMMEDIATE")
    try:
        for step in steps[version - 1 :]:
            step(db)
        db.execute(f"PRAGMA user_version = {1 + len(steps)}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return copy


def verify_file(path: Path) -> None:
    """Checks what never changes in the first bytes of a database file.

    Raises:
        errors.DataUnusable: it is no database.
        errors.StoreDamaged: something is not as zchat made it.
    """
    with path.open("rb") as file:
        head = file.read(100)
    if not head.startswith(b"SQLite format 3\0") or len(head) < 100:
        raise DataUnusable(f"{path} is no database, or it is damaged: restore a backup, or use another folder")
    if head[68:72] != APPLICATION.to_bytes(4, "big"):
        raise DataUnusable(f"{path} is no database of zchat: move it away, or use another folder")
    # WAL, no reserved bytes, fixed fractions; no auto-vacuum, UTF-8, no incremental vacuum; reserved for expansion.
    if (
        head[18:24] != b"\2\2\0\x40\x20\x20"
        or head[52:60] != b"\0\0\0\0\0\0\0\1"
        or any(head[64:68])
        or any(head[72:92])
    ):
        raise damaged(f"the header of {path.name}")


def verify_tables(db: sqlite3.Connection) -> None:
    """Checks that the tables are those that were made.

    Raises:
        errors.StoreDamaged: they are not.
    """
    found = dict(db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table'").fetchall())
    for name, sql in TABLES.items():
        if found.get(name) != sql:
            raise damaged(f"the table {name} is not as it was made")
    if found.get("words") != INDEX[0]:
        raise damaged("the index is not as it was made")
    for name in (*COUNTED, "meta", "log", "turns"):
        (verdict,) = db.execute(f"PRAGMA integrity_check({name})").fetchone()
        if verdict != "ok":
            raise damaged(f"the table {name}: {' '.join(verdict.split())}")
