"""Whether a database holds what was put there: all of it, where a start looks at what it needs. It only reads, also
while a broker writes.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zchat.codec import decode_event
from zchat.errors import DataUnusable, StoreDamaged, ZchatError
from zchat.messages import Acted, Deleted, Edited, Message
from zchat.store.sqlite import schema, wal
from zchat.store.sqlite.clients import End, is_refusal
from zchat.store.sqlite.faults import FAULTS
from zchat.store.sqlite.folder import DATABASE, LOCK
from zchat.store.sqlite.rows import SEQ_BITS, SEQ_MASK, Row, read_event, read_record, unpack, verify
from zchat.verbs import AUDIT

NAMED = 100
"""Findings that are told; more are counted."""

STEP = 1000
"""Rows between two tellings of how far it is."""

PATIENCE = 5.0
"""Seconds to wait for a lock on the database."""

TRIES = 10
"""Times that the write-ahead log is read, if it is begun anew meanwhile."""

Tell = Callable[[str, int, int], None]
"""Told what is being done, and how much of it: so much of so much; of 0 where that is not known."""


@dataclass
class Examined:
    """What was found.

    Attributes:
        found: what is damaged, a line each, at most `NAMED`.
        damage: how many findings there are.
    """

    rooms: int = 0
    messages: int = 0
    edits: int = 0
    deletions: int = 0
    deeds: int = 0
    found: list[str] = field(default_factory=list)
    damage: int = 0

    def note(self, what: str) -> None:
        """Something is damaged."""
        self.damage += 1
        if self.damage <= NAMED:
            self.found.append(what)


def check(folder: Path, tell: Tell) -> Examined:
    """Looks at everything in a data folder.

    Raises:
        errors.DataUnusable: there is no database in it, or it cannot be read.
    """
    path = database(folder)
    found = Examined()
    try:
        with explained(path):
            try:
                schema.verify_file(path)
            except StoreDamaged as error:
                found.note(_bare(error))
            with snapshot(path) as db:
                _examine_log(folder, db, found)
                examine(db, path, tell, found)
    except StoreDamaged as error:  # so much that nothing can be read of it
        found.note(_bare(error))
    return found


def database(folder: Path) -> Path:
    """The database of a data folder.

    Raises:
        errors.DataUnusable: it is not there.
    """
    path = folder / DATABASE
    if not path.is_file():
        raise DataUnusable(f"there is no database in {folder}: name the broker's folder with --data DIR")
    return path


@contextmanager
def snapshot(path: Path, *, apart: bool = False) -> Iterator[sqlite3.Connection]:
    """A database as it is at this moment, to be read only, in the steps that one likes.

    Args:
        path: of the database.
        apart: whether nothing else can be writing it: then nothing is made beside it.

    Raises:
        errors.DataUnusable: it is none of ours.
    """
    log, index = (path.with_name(path.name + end) for end in ("-wal", "-shm"))
    options = "immutable=1" if apart and not log.exists() else "mode=ro"
    leaves = apart and not index.exists()
    with ExitStack() as stack:
        if leaves:
            stack.callback(index.unlink, missing_ok=True)
        db = sqlite3.connect(f"{path.resolve().as_uri()}?{options}", uri=True, isolation_level=None)
        stack.callback(db.close)
        for pragma in ("query_only = ON", "trusted_schema = OFF", "cell_size_check = ON"):
            db.execute(f"PRAGMA {pragma}").fetchone()
        db.execute(f"PRAGMA busy_timeout = {int(PATIENCE * 1000)}").fetchone()
        # SQLite holds a long statement on to its end: this lets Ctrl-C in, and ends the statement with an error.
        db.set_progress_handler(lambda: 0, 100_000)
        db.execute("BEGIN")
        schema.check(db, path)
        yield db


@contextmanager
def explained(path: Path, doing: str = "read") -> Iterator[None]:
    """What SQLite and the system raise becomes what is told the user.

    Raises:
        errors.StoreDamaged: the database is damaged.
        errors.DataUnusable: it cannot be read, or whatever is to be done with it.
    """
    try:
        yield
    except FAULTS as error:
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if code == sqlite3.SQLITE_INTERRUPT:
            raise KeyboardInterrupt from None
        if code == sqlite3.SQLITE_NOTADB:
            raise DataUnusable(f"{path} is no database: name another") from None
        if code == sqlite3.SQLITE_CORRUPT or isinstance(error, UnicodeDecodeError):
            raise StoreDamaged(f"{path} is damaged ({error}): restore a backup") from None
        why = "the disk is full" if code == sqlite3.SQLITE_FULL else error
        raise DataUnusable(f"cannot {doing} {path} ({why}): see to its disk and rights, or name another") from None
    except OSError as error:
        why = error.strerror or str(error)
        raise DataUnusable(f"cannot {doing} {path} ({why}): see to its disk and rights, or name another") from None


def examine(db: sqlite3.Connection, path: Path, tell: Tell, found: Examined | None = None) -> Examined:
    """Looks at everything in a database.

    Args:
        db: a snapshot.
        path: where it is.
    """
    found = Examined() if found is None else found
    tell("checking the file", 0, 0)
    _examine_structure(db, found)
    if schema.check(db, path) == 1 + len(schema.STEPS):  # what an older one holds is looked at once it is migrated
        _Examiner(db, found, tell).run()
    return found


def _examine_structure(db: sqlite3.Connection, found: Examined) -> None:
    try:
        for (verdict,) in db.execute(f"PRAGMA integrity_check({NAMED})"):
            if verdict != "ok":
                found.note(" ".join(verdict.split()))
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        _note(found, "the file", error)


def _examine_log(folder: Path, db: sqlite3.Connection, found: Examined) -> None:
    """Looks at the write-ahead log: SQLite silently leaves out what does not match its checksums.

    Args:
        db: a snapshot: while it is held nothing that it shows is written over.
    """
    log = folder / f"{DATABASE}-wal"
    running, shown = _running(folder), 0
    for _ in range(TRIES):
        before = _index(folder)
        content = log.read_bytes() if log.exists() else b""
        if before is None or before[1:] == (_index(folder) or before)[1:]:
            shown = before[0] if before else 0
            break  # it was not begun anew meanwhile
    scanned = wal.scan(content)
    if running:  # frames are being written: what counts are those that SQLite shows
        if content and scanned.frames < shown:
            found.note(f"{log.name}: {shown - scanned.frames} of {shown} pages do not match their checksums")
    elif not scanned.readable:
        found.note(f"{log.name}: its header is damaged, and {scanned.unread} pages are lost with it")
    elif scanned.broken and scanned.unread_commits:
        turns = "turn" if scanned.unread_commits == 1 else "turns"
        found.note(f"{log.name}: {scanned.unread} pages of {scanned.unread_commits} {turns} after its damage are lost")
    elif not content:
        row = db.execute("SELECT value FROM meta WHERE key = 'clean'").fetchone()
        if row is not None and unpack(row[0]) != 1:
            found.note(f"{log.name}: the broker was not shut down, and the log of its last writes is missing")


def _running(folder: Path) -> bool:
    """Whether a program holds the data folder."""
    try:
        file = os.open(folder / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _index(folder: Path) -> tuple[int, int, int] | None:
    """How many frames of the write-ahead log SQLite reads, and the two salts that tell one life of it from another:
    mxFrame and aSalt of its index, as https://www.sqlite.org/walformat.html has it. None where there is none.
    """
    try:
        with (folder / f"{DATABASE}-shm").open("rb") as file:
            head = file.read(96)
    except FileNotFoundError:
        return None
    if len(head) < 96 or head[:48] != head[48:]:  # it is being written
        return 0, 0, 0
    frames, salt1, salt2 = struct.unpack_from("=I12xII", head, 16)
    return frames, salt1, salt2


def _note(found: Examined, where: str, error: Exception) -> None:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
        raise KeyboardInterrupt from None
    found.note(_bare(error) if isinstance(error, ZchatError) else f"{where}: {error}")


def _bare(error: ZchatError) -> str:
    """What a damaged row says of itself, without what to do."""
    return str(error).removeprefix("the data is damaged: ").partition(": restore")[0]


@dataclass
class _Room:
    """A room, as `heads` has it, and what was seen of its events."""

    name: str
    head: int
    first: int
    next: int = 0
    size: int = 0  # that it is said to have, less what was seen
    awaited: dict[int, tuple[type, int]] = field(default_factory=dict)  # what must be at a number, and its target


class _Examiner:
    """Looks at the tables, one after another."""

    def __init__(self, db: sqlite3.Connection, found: Examined, tell: Tell) -> None:
        self._db = db
        self._found = found
        self._tell = tell
        self._counts: dict[str, int] = {}
        self._rooms: dict[int, _Room] = {}
        self._persons: dict[int, int] = {}  # the bytes that each is said to have, less those that were seen
        self._logged: list[bytes] = []

    def run(self) -> None:
        self._tables()
        names: dict[int, tuple[str, int]] = {}
        heads: dict[int, tuple[Any, ...]] = {}
        members: dict[int, int] = {}
        tally: dict[str, int] = {}
        turns: list[tuple[int, int]] = []  # the first and the last of those that are kept together
        begun = 0  # the last turn that is told of elsewhere
        for table in schema.TABLES:
            if table == "events":
                continue
            for row in self._rows(table):
                match table:
                    case "meta" if row[0] == "tally":
                        tally = unpack(row[1])
                    case "meta" if row[0] == "folded":
                        turns.append((0, unpack(row[1])))
                    case "rooms":
                        names[row[0]] = (row[1], row[2])
                    case "records":
                        self._record(row)
                    case "heads":
                        heads[row[0]] = row
                        begun = max(begun, row[4])
                    case "members":
                        members[row[0]] = members.get(row[0], 0) + 1
                    case "persons":
                        self._persons[row[0]] = row[2]
                    case "runs":
                        begun = max(begun, row[0])
                    case "log":
                        turns.append((row[0], row[0]))
                        self._logged.append(row[1])
                    case "turns":
                        turns.append((unpack(row[1])[0], row[0]))
        for table in schema.COUNTED:
            if self._counts.get(table) != tally.get(table):
                self._found.note(f"{table} has {self._counts.get(table)} rows, not {tally.get(table)}")
        for key in sorted(names.keys() | heads.keys() | members.keys()):
            name, size = names.get(key, (f"room {key}", members.get(key, 0)))
            if key not in names or key not in heads:
                self._found.note(f"{name}: its row of {'rooms' if key not in names else 'heads'} is missing")
            elif members.get(key, 0) != size:
                self._found.note(f"{name} has {members.get(key, 0)} members, not {size}")
            if key in heads:
                self._rooms[key] = _Room(
                    name, head=heads[key][1], first=heads[key][2], next=heads[key][2], size=heads[key][7]
                )
        self._found.rooms = sum(
            name != AUDIT for name, _ in names.values()
        )  # the log of what was done is no room to people
        self._turns(sorted(turns, key=lambda span: span[1]), begun)
        self._events()

    def _record(self, row: tuple[Any, ...]) -> None:
        try:
            read_record(row)
        except StoreDamaged as error:
            _note(self._found, "records", error)

    def _turns(self, turns: list[tuple[int, int]], begun: int) -> None:
        last = 0
        for first, turn in turns:
            if first > last + 1:
                self._found.note(f"a turn is missing before turn {first}")
            last = turn
        if begun > last:
            self._found.note("the last turns are missing")

    def _tables(self) -> None:
        schemas = dict(self._db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table'"))
        for name, sql in {**schema.TABLES, "words": schema.INDEX[0]}.items():
            if schemas.get(name) != sql:
                self._found.note(f"the table {name} is not as it was made")

    def _rows(self, table: str) -> Iterator[tuple[Any, ...]]:
        """The rows of a table that are what was put there, without their checksums."""
        count = 0
        try:
            for row in self._db.execute(f"SELECT * FROM {table}"):  # noqa: S608
                count += 1
                if count % STEP == 0:
                    self._tell(f"checking {table}", 0, 0)
                try:
                    yield verify(table, row)
                except StoreDamaged as error:
                    _note(self._found, table, error)
        except FAULTS as error:
            _note(self._found, table, error)
        self._counts[table] = count

    def _events(self) -> None:
        total = sum(max(room.head - room.first + 1, 0) for room in self._rooms.values())
        count, unknown = 0, 0
        try:
            for row in self._db.execute("SELECT id, author, link, body, sum FROM events ORDER BY id"):
                count += 1
                if count % STEP == 0:
                    self._tell("checking messages", count, total)
                room = self._rooms.get(row[0] >> SEQ_BITS)
                if room is None:
                    unknown += 1
                else:
                    self._event(room, row)
        except FAULTS as error:
            _note(self._found, "events", error)
        if unknown:
            self._found.note(f"{unknown} events are of no room")
        for sent in self._logged:
            ends, runs, freed = unpack(sent)
            self._turn(ends, runs)
            for key, author, size in freed:
                self._take(self._rooms.get(key), author, size)
        for room in self._rooms.values():
            self._skip(room, room.head + 1)
            for seq, (kind, target) in room.awaited.items():
                self._found.note(f"{room.name}: {seq} is not what {_WORD[kind]} {target}")
        if not self._found.damage:  # else it may be what was found already
            self._sizes()

    def _sizes(self) -> None:
        for room in self._rooms.values():
            if room.size:
                self._found.note(f"{room.name}: {room.size:+,} bytes are counted that it does not have")
        wrong = sum(1 for size in self._persons.values() if size)
        if wrong:
            self._found.note(f"of {wrong} persons not as many bytes are kept as are counted")

    def _take(self, room: _Room | None, author: int, size: int) -> None:
        """So many of the bytes that are counted were seen."""
        if room is not None:
            room.size -= size
        if author in self._persons:
            self._persons[author] -= size

    def _event(self, room: _Room, row: tuple[int, int, int, bytes, int]) -> None:
        seq = row[0] & SEQ_MASK
        if seq < room.next or seq > room.head:
            self._found.note(f"{room.name}: {seq} is there, though it has {room.first} to {room.head}")
            return
        self._skip(room, seq)
        room.next = seq + 1
        try:
            event = read_event(row)
            self._take(room, row[1], len(row[3]))
        except StoreDamaged:
            self._found.note(f"{room.name}: {seq} does not match its checksum")
            room.awaited.pop(seq, None)
        else:
            self._seen(room, event)

    def _turn(self, ends: list[End], runs: list[tuple[int, int, list[bytes]]]) -> None:
        """A turn in the log: its events come after those of their rooms, where they are not among them already."""
        spoken = iter(runs)
        for end in ends:
            if is_refusal(end):
                continue
            room, first = self._rooms.get(end[2]), end[3]
            author, link, events = next(spoken)
            if room is None:
                self._found.note(f"a turn in the log is of room {end[2]}, which is missing")
                continue
            for seq, event in enumerate(events, first):
                if seq > room.head:
                    self._skip(room, seq)
                    room.head, room.next = seq, seq + 1
                    self._seen(room, (decode_event(event), author, link))

    def _seen(self, room: _Room, row: Row) -> None:
        event, author, link = row
        seq = event.seq
        if author not in self._persons:
            self._found.note(f"{room.name}: {seq} is of nobody")
        kind, target = room.awaited.pop(seq, (None, 0))
        if kind is not None and not (isinstance(event, kind) and getattr(event, "target", 0) == target):
            self._found.note(f"{room.name}: {seq} is not what {_WORD[kind]} {target}")
        match event:
            case Message():
                self._found.messages += 1
                if event.deleted:
                    room.awaited[event.deleted] = (Deleted, seq)
                elif link:
                    room.awaited[link] = (Edited, seq)
            case Edited():
                self._found.edits += 1
            case Deleted():
                self._found.deletions += 1
            case Acted():
                self._found.deeds += 1

    def _skip(self, room: _Room, seq: int) -> None:
        """The events from the next that is awaited to one before a number are missing."""
        if room.next < seq:
            span = f"{room.next} is" if room.next == seq - 1 else f"{room.next} to {seq - 1} are"
            self._found.note(f"{room.name}: {span} missing")


_WORD: dict[type, str] = {Edited: "edited", Deleted: "deleted"}
