"""How many bytes of each person and room are kept is counted right, whatever was settled, dropped, undone or killed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from store.saying import (
    ANN,
    BOB,
    CAT,
    MS,
    RECORDS,
    Watch,
    amend,
    append,
    appends,
    crash,
    do,
    failing,
    greeted,
    in_memory,
    opened,
    records,
    rows,
    say,
    sent,
    settle,
    sqlite_error,
    unsettled,
)

from zchat import errors
from zchat.messages import Ack, Refused
from zchat.store.base import Account, Device, KnownName, NewRoom, Quotas, Sending, Work
from zchat.store.sqlite import SqliteStore, cache
from zchat.store.sqlite.check import check
from zchat.store.sqlite.folder import DATABASE
from zchat.store.sqlite.retention import Retention

TURNS: list[list[Sending]] = [
    [appends(1, "one", "two" * 40, "three"), appends(1, "his", "hers" * 30, client=BOB)],
    [amend(4, 2, "zwei" * 50), append(5, "den", "den"), append(3, "x" * 90, "den", BOB)],
    [amend(6, 2, None), append(7, "y" * 70, "den")],  # of what is settled amid the turn
    [amend(8, 1, None)],  # of what is settled already
    [append(9, "z" * 80), amend(10, 3, "drei" * 20, "lobby"), amend(11, 0, None), append(4, "his", client=BOB)],
    [amend(12, 1, None, "den"), amend(13, 3, None), append(14, "end"), amend(5, 2, None, "den", BOB)],
]
"""What is said, edited and deleted by two in two rooms."""


def right(store: SqliteStore, folder: Path) -> None:
    """What is counted in memory is what is there, and a check of the files finds the same."""
    found: dict[int, int] = {}
    for room in store._cache.rooms.values():
        sizes = store._events.sizes(room.key(0), room.key(room.settled))
        for author, _, body in room.tail:
            sizes[author] = sizes.get(author, 0) + len(body)
        assert room.size == sum(sizes.values())
        for author, size in sizes.items():
            found[author] = found.get(author, 0) + size
    known = {person.id: person.size for person in store._cache.persons.values()}
    assert {author: size for author, size in known.items() if size} == found
    assert check(folder, lambda *_: None).found == []


def begun(folder: Path) -> SqliteStore:
    """A store with two rooms."""
    store = opened(folder)
    store.commit(Work([NewRoom("lobby"), NewRoom("den")]))
    return store


@pytest.mark.parametrize("settled", [set[int](), {0}, {2}, {1, 3}, {0, 1, 2, 3, 4, 5}], ids=str)
def test_whatever_is_settled_the_same_is_counted(folder: Path, settled: set[int]) -> None:
    store = begun(folder)
    for number, sends in enumerate(TURNS):
        assert not any(isinstance(each, Refused) for each in sent(store.commit(Work(sends=sends))))
        right(store, folder)
        if number in settled:
            store._upkeep.settle()
            right(store, folder)
    store.close()


@pytest.mark.parametrize("last", range(len(TURNS)))
@pytest.mark.parametrize("settled", [-1, 0, 2, 3])
def test_what_is_counted_outlives_a_crash(folder: Path, last: int, settled: int) -> None:
    store = begun(folder)
    for number, sends in enumerate(TURNS[: last + 1]):
        store.commit(Work(sends=sends))
        if number == settled:
            store._upkeep.settle()
    assert unsettled(store) or last == settled
    room = {each.room: each.size for each in store.rooms()}
    crash(store, folder)
    store = opened(folder)
    assert {each.room: each.size for each in store.rooms()} == room
    for who in (ANN, BOB):
        store._cache.person(store._db, who)
    right(store, folder)
    store.close()


@pytest.mark.parametrize("on", ["UPDATE persons", "UPDATE heads", "UPDATE events", "INSERT INTO log", "COMMIT"])
def test_a_turn_that_fails_counts_nothing(folder: Path, on: str) -> None:
    store = begun(folder)
    store.commit(Work(sends=TURNS[0]))
    kept = in_memory(store)
    with failing(store, sqlite_error(sqlite3.SQLITE_FULL), on), pytest.raises(errors.StoreUnavailable):
        store.commit(Work([NewRoom("new")], [*TURNS[1], append(1, "x", "new", CAT), *TURNS[2]]))
    assert in_memory(store) == kept
    right(store, folder)
    for sends in TURNS[1:]:
        store.commit(Work(sends=sends))
    right(store, folder)
    store.close()


@pytest.mark.parametrize("on", ["UPDATE persons", "UPDATE heads", "DELETE FROM events", "COMMIT"])
def test_dropping_that_fails_counts_nothing(folder: Path, on: str) -> None:
    watch = Watch()
    store = opened(folder, Retention(keep_messages=3), watch)
    store.commit(Work([NewRoom("lobby"), NewRoom("den")]))
    for sends in TURNS:
        store.commit(Work(sends=sends))
    store._upkeep.settle()
    kept = in_memory(store)
    with failing(store, sqlite_error(sqlite3.SQLITE_FULL), on), pytest.raises(errors.StoreUnavailable):
        store.tidy(MS, idle=True)
    assert in_memory(store) == kept
    settle(store, watch=watch)
    assert all(room.head - room.first == 2 for room in store.rooms())
    right(store, folder)
    store.close()


def test_of_a_whole_that_fails_nothing_is_counted(folder: Path) -> None:
    store = begun(folder)
    store.commit(Work(sends=TURNS[0]))
    kept = {room.room: room.size for room in store.rooms()}

    def fails() -> None:
        with store.whole():
            for sends in TURNS[1:]:
                store.commit(Work(sends=sends))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert {room.room: room.size for room in store.rooms()} == kept
    right(store, folder)
    store.close()


def test_persons_that_are_not_at_hand_are_counted_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "PERSONS", 3)
    store = begun(folder)
    everybody = [bytes([n]) * 16 for n in range(65, 85)]
    for n in range(1, 4):
        for who in everybody:
            store.commit(Work(sends=[append(n, "x" * 20, client=who)]))
        assert len(store._cache.persons) >= len(everybody)  # they are in the log
        store._upkeep.settle()
        store.commit(Work(sends=[append(n, client=ANN)]))
        assert len(store._cache.persons) == 1
    size = store._cache.author(store._db, 1).size
    store.quotas = Quotas(person=size)
    assert all(isinstance(each, Refused) for each in sent(store.commit(Work(sends=[append(4, client=everybody[0])]))))
    assert check(folder, lambda *_: None).found == []
    store.close()


def test_a_refusal_and_the_quota_outlive_a_crash_and_a_restart(folder: Path) -> None:
    store = begun(folder)
    say(store, "one")
    store.quotas = Quotas(room=50)
    (refused,) = sent(store.commit(Work(sends=[append(2)])))
    assert isinstance(refused, Refused)
    crash(store, folder)
    for n in (3, 4):
        store = opened(folder, quotas=Quotas(room=50))
        assert [greeted(store).record.outcome(n) for n in (1, 2)] == [Ack(1, "lobby", 1, MS + 1), refused]
        (again,) = sent(store.commit(Work(sends=[append(n)])))
        assert isinstance(again, Refused)
        store.close()
    store = opened(folder)
    do(store, append(5))
    store.close()


# Who may come in ------------------------------------------------------------------------------------------------------


def fill(store: SqliteStore) -> None:
    """Keeps all kinds of records, and names."""
    store.commit(Work([NewRoom("lobby", founder=ANN)], names=[KnownName("ann", "Ann", ANN, MS, MS + 1)]))
    store.commit(Work(sends=[append(1)], records=[*RECORDS]))
    store.commit(Work(dropped=[RECORDS[1]], records=[Account(ANN, "member")]))


@pytest.mark.parametrize("end", [lambda store, _: store.close(), crash])
def test_who_may_come_in_outlives_the_broker(folder: Path, end: Callable[[SqliteStore, Path], None]) -> None:
    store = opened(folder)
    fill(store)
    before = (records(store), store.names(), [room.founder for room in store.rooms()])
    assert Account(ANN, "member") in before[0]
    assert len(before[0]) == len(RECORDS) - 1
    end(store, folder)
    assert check(folder, lambda *_: None).found == []
    store = opened(folder)
    assert (records(store), store.names(), [room.founder for room in store.rooms()]) == before
    store.close()


@pytest.mark.parametrize("on", ["INSERT INTO records", "DELETE FROM records", "INSERT INTO log", "COMMIT"])
def test_records_are_kept_with_all_of_their_turn_or_not_at_all(folder: Path, on: str) -> None:
    store = opened(folder)
    fill(store)
    before, kept = (store.records(), store.names(), rows(store, "records")), in_memory(store)
    work = Work(
        [NewRoom("new")],
        [append(2, room="new")],
        names=[KnownName("bob", "Bob", BOB)],
        freed=["ann"],
        records=[Device(b"n" * 32, BOB)],
        dropped=[RECORDS[3]],
    )
    with failing(store, sqlite_error(sqlite3.SQLITE_FULL), on), pytest.raises(errors.StoreUnavailable):
        store.commit(work)
    assert (store.records(), store.names(), rows(store, "records")) == before
    assert in_memory(store) == kept
    store.commit(work)
    assert Device(b"n" * 32, BOB) in store.records()
    assert RECORDS[3] not in store.records()
    store.close()
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        assert db.execute("SELECT count(*) FROM records").fetchone() == (len(RECORDS) - 1,)
