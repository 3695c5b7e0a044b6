"""What the tests of the stores share: how things are said to one, and asked of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from zchat.codec import decode_event
from zchat.messages import Ack, Acted, Event, Message, Refused, Send, Stamp
from zchat.store.base import (
    Account,
    Amend,
    Append,
    Block,
    ClientRecord,
    Deed,
    Device,
    Greeted,
    Greeting,
    Invite,
    KnownName,
    Member,
    Membership,
    NewRoom,
    Outcome,
    Query,
    Quotas,
    ReadMark,
    Record,
    Refusal,
    Sanction,
    Span,
    Store,
    Terms,
    Work,
    identity,
)
from zchat.store.sqlite import SqliteStore, open_store
from zchat.store.sqlite.retention import Retention

ANN, BOB, CAT = b"ann" * 5 + b"!", b"bob" * 5 + b"!", b"cat" * 5 + b"!"
PAIR = (Member(ANN, "ann"), Member(BOB, "bob"))
BIGGEST = 2**63 - 1
LOTS = 1 << 20
MS = 1_700_000_000_000
DAY = 24 * 3600 * 1000


@dataclass(slots=True)
class Watch:
    """A clock that a test sets."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def append(n: int, text: str = "hi", room: str = "lobby", client: bytes = ANN, ms: int | None = None) -> Append:
    """A message; the client is also its person, and the name is made of it."""
    return appends(n, text, room=room, client=client, ms=ms)


def appends(n: int, *texts: str, room: str = "lobby", client: bytes = ANN, ms: int | None = None) -> Append:
    """Messages from a send number on."""
    when = MS + n if ms is None else ms
    said = [Send(n, room, text) for n, text in enumerate(texts, n)]
    return Append(room, client, when, client[:3].decode(), b"12345678", client, said)


def amend(n: int, target: int, text: str | None, room: str = "lobby", client: bytes = ANN) -> Amend:
    """An edit, or without a text a deletion, by `append`'s person."""
    return Amend(room, client, MS + n, client[:3].decode(), b"12345678", client, n, target, text)


def deed(verb: str, n: int = 0, room: str = "lobby", client: bytes = b"", **more: Any) -> Deed:
    """Something done: by `append`'s person, or without a client by nobody who has send numbers."""
    person = client or CAT
    return Deed(room, client, person, Acted(0, MS + n, person[:3].decode(), b"12345678", n, verb, **more))


def say(store: Store, *texts: str, room: str = "lobby", client: bytes = ANN, n: int = 1) -> list[Event]:
    """Says these, each in a turn of its own, from send number n on."""
    return [do(store, append(n + i, text, room, client)) for i, text in enumerate(texts)]


def do(store: Store, send: Append | Amend | Deed) -> Event:
    """Does one send in a turn of its own, and has it kept."""
    (event,) = sent(store.commit(Work([NewRoom(send.room)], [send])))
    assert not isinstance(event, Refused), event
    return event


def sent(outcome: Outcome) -> list[Event | Refused]:
    """What became of each number that was sent, in order."""
    found: list[Event | Refused] = []
    for part in chain(*outcome.sends):
        if isinstance(part, Refused):
            found.append(part)
        else:
            events = [decode_event(encoded) for encoded in part.events]
            assert [event.seq for event in events] == list(range(part.seq, part.seq + len(events)))
            found += events
    return found


def outcomes(record: ClientRecord) -> dict[int, Ack | Refused]:
    """What a store remembers of a client's last sends, by number."""
    known = {n: record.outcome(n) for n in range(1, record.last + 2)}
    return {n: answer for n, answer in known.items() if answer is not None}


def greeted(store: Store, client: bytes = ANN, stamp: Stamp | None = None, person: bytes = b"") -> Greeted:
    """What a store knows of a client."""
    (found,) = store.commit(Work(greetings=[Greeting(client, stamp, person)])).greeted
    assert found is not None
    return found


def read(store: Store, room: str = "lobby", after: int = 0) -> tuple[Event, ...]:
    """All events of a room after a number, however many pages it takes."""
    events: list[Event] = []
    while found := store.read(room, after, 1000, LOTS).events:
        events += found
        after = found[-1].seq
    return tuple(events)


def history(store: Store, room: str = "lobby") -> list[Message]:
    """All messages of a room as they are now."""
    found: list[Message] = []
    after, more = 0, True
    while more:
        part = store.history(room, Span(1000, after=after))
        found += [event for event in part.events if isinstance(event, Message)]
        after, more = part.edge, part.more
    return found


def texts(events: Sequence[Event]) -> list[str]:
    """What messages say."""
    return [event.text for event in events if isinstance(event, Message)]


def search(store: Store, *words: str, **query: object) -> list[str]:
    """The texts that a search finds, newest first."""
    return [message.text for _, message in store.search(Query(words, **query))]  # type: ignore[arg-type]


def settle(store: Store, ms: int = MS, *, idle: bool = True, watch: Watch | None = None) -> None:
    """Has a store tidy up until there is nothing more to do at once, nor within a minute if there is a watch."""
    for _ in range(100_000):
        wait = store.tidy(ms, idle=idle)
        if wait > 0:
            if watch is None or wait > 60:
                return
            watch.now += wait
    raise AssertionError("never done")


def crash(store: SqliteStore, folder: Path) -> None:
    """Ends a store, and leaves its folder as it would be had it been killed instead."""
    kept = {path: path.read_bytes() for path in folder.iterdir() if path.suffix != ".db-shm"}
    store.close()
    for path, content in kept.items():
        path.write_bytes(content)


def unsettled(store: SqliteStore) -> int:
    """How many events are in the log, and not in their rooms yet."""
    return sum(len(room.tail) for room in store._cache.rooms.values())


def rows(store: SqliteStore, table: str) -> int:
    """How many rows a table has."""
    (count,) = store._db.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
    return int(count)


def in_memory(store: SqliteStore) -> list[Any]:
    """What a store holds in memory of its database, but for what it may forget."""
    cache, log = store._cache, store._cache.log
    rooms = [
        (
            room.name,
            room.members,
            room.head,
            room.first,
            room.ms,
            room.turn,
            room.indexed,
            room.rising,
            room.size,
            [*room.tail],
        )
        for room in cache.rooms.values()
    ]
    persons = {person.person: person.size for person in log.persons}
    logged = (
        log.settled,
        [room.name for room in log.rooms],
        [*log.ends],
        log.size,
        log.events,
    )
    others = ([*cache.ids], cache.turn, dict(cache.runs), cache.recent.count, {**store._db.meta, "tally": None})
    return [rooms, persons, logged, others, dict(store._db._tally), [room.name for room in cache.behind]]


def opened(
    folder: Path, retention: Retention | None = None, watch: Watch | None = None, quotas: Quotas | None = None
) -> SqliteStore:
    """Opens a store whose clock stands still."""
    return open_store(folder, retention or Retention(), quotas or Quotas(), clock=watch or Watch())


RECORDS: tuple[Record, ...] = (
    Account(ANN, "owner"),
    Account(BOB, "member", MS),
    Device(b"k" * 32, ANN),
    Invite(b"i" * 16, "den", "member", 3, MS + DAY, ANN, BOB),
    Account(b"bot" * 5 + b"!", "member", answers=ANN),
    Membership("@3f", ANN, "moderator", MS),
    Membership("@3f", BOB, "member", MS),
    Sanction("lobby", BOB, "ban", "bob", MS + DAY, "ann", MS, "why"),
    Sanction("lobby", BOB, "mute", "bob", 0, "ann", MS, ""),
    Sanction("", BOB, "ban", "bob", 0, "ann", MS, "\u202e"),
    Terms("lobby", "", "a topic", "ann", MS, readonly=True, slow=30, pins=(3, 1)),
    Terms("@3f", "+plan"),
    Block(ANN, BOB),
    Block(BOB, ANN),
)
"""Some of each kind."""


def records(store: Store) -> list[Record]:
    """Who may come in, in an order of their identities."""
    return sorted(store.records(), key=identity)


def sizes(store: Store) -> dict[str, int]:
    """How many bytes are counted of each room."""
    return {record.room: record.size for record in store.rooms()}


def everything(store: SqliteStore) -> list[Any]:
    """All that can be asked of a store, but stamps."""
    answers: list[Any] = [store.rooms(), store.names(), store.counts(), store.records(), sizes(store)]
    for record in store.rooms():
        answers += [read(store, record.room), history(store, record.room)]
    for who in (ANN, BOB, CAT):
        found = greeted(store, who, person=who)
        answers.append((found.record, found.marks))
    return answers


def filled(store: SqliteStore) -> SqliteStore:
    """Puts something of everything into a store."""
    store.commit(
        Work(
            [NewRoom("lobby"), NewRoom("den"), NewRoom("@x", PAIR), NewRoom("@3f", founder=ANN), NewRoom("@audit")],
            [append(1, "one"), append(2, "two"), append(1, "three", "den", BOB), append(3, "four", "@x")],
            marks=[ReadMark(ANN, "lobby", 2), ReadMark(BOB, "@x", 1)],
            names=[KnownName("ann", "Ann", ANN, seen=MS), KnownName("bob", "Bob", BOB, until=MS)],
            records=[*RECORDS],
        )
    )
    do(store, amend(4, 1, "uno"))
    do(store, amend(5, 2, None))
    store.commit(Work(sends=[Refusal(ANN, Refused(6, "too-long", "why"))]))
    store.commit(Work(sends=[deed("topic", room="@audit", text="of all")]))
    say(store, *(f"and {n}" for n in range(7, 47)), n=7)
    answer = appends(2, "an answer", room="@3f", client=BOB)
    answer = replace(answer, said=[replace(answer.said[0], reply=1)])
    store.commit(Work(sends=[deed("topic", room="@3f", text="a topic"), answer, deed("pin", 3, "@3f", BOB, target=2)]))
    return store


def limit(store: SqliteStore, pages: int | None) -> None:
    """Makes the disk full as of now, or makes space."""
    (now,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {now + pages if pages is not None else 1 << 30}").fetchone()


@dataclass
class Failing:
    """What a database executes fails, where it begins with something."""

    execute: Callable[..., Any]
    error: Exception
    on: str

    def __call__(self, sql: str, *values: Any) -> Any:
        if sql.startswith(self.on):
            raise self.error
        return self.execute(sql, *values)


@contextmanager
def failing(store: SqliteStore, error: Exception, on: str) -> Iterator[None]:
    """Has a store's database fail for a while."""
    db = store._db
    db.execute, db.executemany = Failing(db.execute, error, on), Failing(db.executemany, error, on)
    try:
        yield
    finally:
        db.execute, db.executemany = db.connection.execute, db.connection.executemany


def sqlite_error(code: int) -> sqlite3.Error:
    """An error as sqlite3 raises it."""
    error = sqlite3.OperationalError("as if")
    error.sqlite_errorcode = code
    return error
