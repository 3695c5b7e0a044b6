"""The index for searching: FTS5, which keeps no text of its own, and a table that tells which message each entry is of.

Entries are numbered by the time at which their message was said, so that the newest are found first, and what was said
since a time is a range. Rooms and authors are words of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import closing
from hashlib import blake2s

from zchat import names
from zchat.errors import NameInvalid
from zchat.messages import Edited, Message
from zchat.store.base import Query, is_private
from zchat.store.sqlite.database import Database
from zchat.store.sqlite.events import Events, Room
from zchat.store.sqlite.rows import SEQ_BITS, SEQ_MASK, Row, seal, verify
from zchat.store.words import VERSION, holds, phrases, words

TIE_BITS = 20
TIE_MASK = (1 << TIE_BITS) - 1
LATEST = (1 << 62 - TIE_BITS) - 1

ROOMS_NAMED = 500
"""Rooms that are named to the index at most; more are sorted out of what it finds."""

MERGED = 64
"""Pages that one step of a merge writes at most, about."""

_INSERT = "INSERT INTO words (rowid, room, author, text) VALUES (?, ?, ?, ?)"
_DELETE = "INSERT INTO words (words, rowid, room, author, text) VALUES ('delete', ?, ?, ?, ?)"
_MATCH = (
    "SELECT docs.doc, docs.event, docs.sum FROM words CROSS JOIN docs ON docs.doc = words.rowid "
    "WHERE words MATCH ? AND words.rowid >= ? ORDER BY words.rowid DESC"
)


class Index:
    """Indexes what was said, and finds it.

    Args:
        db: whose transactions these are.
        events: of the rooms.
    """

    def __init__(self, db: Database, events: Events) -> None:
        self._db, self._events = db, events

    # Filling: within a transaction of the caller's ------------------------------------------------------------------

    def extend(self, room: Room, limit: int) -> int:
        """Indexes so many more of a room's events at most. Returns the number of the last that is indexed."""
        low = max(room.indexed + 1, room.first)
        high = min(room.head, low + limit - 1)
        for row in self._events.rows(room, low, high, limit):
            event = row[0]
            if isinstance(event, Message) and not event.deleted:
                self._insert(room, event, event.text)
            elif isinstance(event, Edited):
                self._edit(room, row, event)
        return max(high, low - 1)

    def remove(self, room: Room, row: Row) -> None:
        """Takes a message out that is indexed, if it is one and not deleted."""
        message = row[0]
        if not isinstance(message, Message) or message.deleted or message.seq > room.indexed:
            return
        text = message.text
        for edit, _, _ in self._events.edits(room, row):
            if edit.seq <= room.indexed and isinstance(edit, Edited):
                text = edit.text
                break
        self._remove(room, message, text)

    def merge(self, *, everything: bool = False) -> bool:
        """Merges a little. Returns whether there is more.

        Args:
            everything: from now on, all that there is now is merged into one: then nothing is left of what was taken
                out.
        """
        before = self._db.connection.total_changes
        self._db.execute("INSERT INTO words (words, rank) VALUES ('merge', ?)", (-MERGED if everything else MERGED,))
        return self._db.connection.total_changes - before >= 2

    def rebuild(self) -> None:
        """Empties the index; everything is to be indexed anew."""
        self._db.execute("INSERT INTO words (words) VALUES ('delete-all')")
        self._db.execute("DELETE FROM docs")
        self._db.put("words", VERSION)

    def _edit(self, room: Room, row: Row, edit: Edited) -> None:
        target = self._events.get(room, edit.target)
        if target is None or not isinstance(message := target[0], Message) or message.deleted:
            return
        before = self._events.get(room, row[2]) if row[2] else None
        old = before[0].text if before and isinstance(before[0], Edited) else message.text
        self._remove(room, message, old)
        self._insert(room, message, edit.text)

    def _insert(self, room: Room, message: Message, text: str) -> None:
        doc = self._number(min(message.ms, LATEST))
        self._db.execute("INSERT INTO docs VALUES (?, ?, ?)", seal("docs", doc, room.key(message.seq)))
        self._db.execute(_INSERT, (doc, *_entry(room, message, text)))

    def _number(self, slot: int) -> int:
        """A number for an entry of that time, or the next one that is not full."""
        while True:
            low = slot << TIE_BITS
            (last,) = self._db.execute(
                "SELECT max(doc) FROM docs WHERE doc BETWEEN ? AND ?", (low, low | TIE_MASK)
            ).fetchone()
            if last is None or last < low | TIE_MASK:
                return low if last is None else int(last) + 1
            slot += 1

    def _remove(self, room: Room, message: Message, text: str) -> None:
        raw = self._db.execute("SELECT doc, event, sum FROM docs WHERE event = ?", (room.key(message.seq),)).fetchone()
        if raw is not None:
            doc, _ = verify("docs", raw)
            self._db.execute("DELETE FROM docs WHERE doc = ?", (doc,))
            self._db.execute(_DELETE, (doc, *_entry(room, message, text)))

    # Finding --------------------------------------------------------------------------------------------------------

    def search(
        self, query: Query, rooms: dict[str, Room], by_id: Callable[[int], Room | None]
    ) -> list[tuple[str, Message]]:
        """See `Store.search`: as far as it is indexed.

        Args:
            query: what is searched for.
            rooms: every room by name.
            by_id: a room by its key.
        """
        wanted = phrases(query.words)
        if not wanted:
            return []
        named = query.private if query.rooms is None else query.rooms
        allowed = {rooms[name].id for name in named if name in rooms}
        public = query.rooms is None
        if not public and not allowed:
            return []
        author = _author(query.name) if query.name else ""
        match = _expression(wanted, sorted(allowed), author, public=public)
        since = max(min(query.since, LATEST), 0) << TIE_BITS
        found: list[tuple[str, Message]] = []
        with closing(self._db.execute(_MATCH, (match, since))) as rows:
            for raw in rows:
                if len(found) >= query.limit:
                    break
                _, event = verify("docs", raw)
                room = by_id(event >> SEQ_BITS)
                if room is None or not (room.id in allowed or (public and not is_private(room.name))):
                    continue
                message = self._events.message(room, event & SEQ_MASK)
                # What was edited or deleted since it was indexed says something else.
                if message is None or message.deleted or message.ms < query.since or not holds(message.text, wanted):
                    continue
                if not author or _author(message.name) == author:
                    found.append((room.name, message))
        return found


def _entry(room: Room, message: Message, text: str) -> tuple[str, str, str]:
    where = f"r{room.id}" if is_private(room.name) else f"r{room.id} public"
    return where, _author(message.name), " ".join(words(text))


def _author(name: str) -> str:
    try:
        key = names.same(name)
    except NameInvalid:  # none that a hub would let through
        key = name
    return "n" + blake2s(key.encode(), digest_size=8).hexdigest()


def _expression(wanted: Iterable[list[str]], rooms: list[int], author: str, *, public: bool) -> str:
    """What is looked for, as FTS5 has it. All of it is quoted: no input means anything but itself."""
    parts = [f'text : "{" ".join(phrase)}"' for phrase in wanted]
    if author:
        parts.append(f'author : "{author}"')
    if len(rooms) <= ROOMS_NAMED:
        tokens = [f'"r{room}"' for room in rooms] + ['"public"'] * public
        parts.append(f"room : ({' OR '.join(tokens)})")
    return " AND ".join(parts)
