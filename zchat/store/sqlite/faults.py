"""What an error of SQLite means for who asked: one table."""

from __future__ import annotations

import sqlite3

from zchat import errors

FAULTS = (sqlite3.Error, UnicodeDecodeError)
"""What sqlite3 raises: the second where the text of an error quotes what is no text any more."""

_DAMAGED = "the data is damaged ({0}): restore a backup; `zchat check` tells more"
_FAILED = "the disk failed ({0}), and what it holds cannot be told: see to the disk, then start the broker again"
_PASSES = "the database cannot be used now ({0}): it is tried again by itself"

_MEANS: dict[int, tuple[type[errors.ZchatError], str]] = {
    sqlite3.SQLITE_CORRUPT: (errors.StoreDamaged, _DAMAGED),
    sqlite3.SQLITE_NOTADB: (errors.StoreDamaged, _DAMAGED),
    # No statement of the store violates a constraint while the tables are what they were.
    sqlite3.SQLITE_CONSTRAINT: (errors.StoreDamaged, _DAMAGED),
    sqlite3.SQLITE_IOERR: (errors.StoreFailed, _FAILED),
    sqlite3.SQLITE_FULL: (
        errors.StoreUnavailable,
        "the disk is full: free some space, and storing goes on by itself",
    ),
    sqlite3.SQLITE_READONLY: (
        errors.StoreUnavailable,
        "the data folder cannot be written ({0}): once it can, storing goes on by itself",
    ),
    sqlite3.SQLITE_CANTOPEN: (errors.StoreUnavailable, _PASSES),
    sqlite3.SQLITE_PERM: (errors.StoreUnavailable, _PASSES),
    sqlite3.SQLITE_BUSY: (errors.StoreUnavailable, _PASSES),
    sqlite3.SQLITE_LOCKED: (errors.StoreUnavailable, _PASSES),
    sqlite3.SQLITE_PROTOCOL: (errors.StoreUnavailable, _PASSES),
    sqlite3.SQLITE_INTERRUPT: (errors.TooSlow, errors.TooSlow.says),
    # The index of the WAL in shared memory is made anew at every start: nothing is lost with it. A full disk shows
    # here as well.
    sqlite3.SQLITE_IOERR_SHMSIZE: (errors.StoreUnavailable, _PASSES),
    sqlite3.SQLITE_IOERR_SHMMAP: (errors.StoreUnavailable, _PASSES),
    sqlite3.SQLITE_IOERR_SHMOPEN: (errors.StoreUnavailable, _PASSES),
    sqlite3.SQLITE_IOERR_NOMEM: (errors.StoreUnavailable, _PASSES),
}


def meaning(error: sqlite3.Error | UnicodeDecodeError, otherwise: type[errors.ZchatError]) -> errors.ZchatError:
    """The error to raise for one of SQLite's.

    Args:
        error: as sqlite3 raised it.
        otherwise: what an error means that is none of the disk's or the data's.
    """
    if isinstance(error, UnicodeDecodeError):
        return errors.StoreDamaged(_DAMAGED.format("the schema"))
    code = getattr(error, "sqlite_errorcode", None) or 0
    kind, text = _MEANS.get(code) or _MEANS.get(code & 0xFF) or (otherwise, "the database refused: {0}")
    return kind(text.format(error))
