"""What every store must do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from zchat.messages import Ack, Event, Message, Refused, Stamp
from zchat.store.base import (
    Append,
    ClientRecord,
    Greeted,
    Greeting,
    NewRoom,
    Outcome,
    Refusal,
    RoomRecord,
    Slice,
    Store,
    Work,
    weight,
)
from zchat.store.memory import MemoryStore

ANN, BOB = b"ann" * 5 + b"!", b"bob" * 5 + b"!"
BIGGEST = 2**63 - 1
LOTS = 1 << 20


def append(n: int, text: str = "hi", room: str = "lobby", client: bytes = ANN) -> Append:
    return Append(room, client, n, 1_700_000_000_000 + n, "ann", b"12345678", text, action=False)


def say(store: Store, *texts: str, room: str = "lobby", client: bytes = ANN, n: int = 1) -> list[Event]:
    """Says these, each in a turn of its own, from send number n on."""
    events = []
    for i, text in enumerate(texts):
        (event,) = store.commit(Work([NewRoom(room)], [append(n + i, text, room, client)])).sends
        assert event is not None
        events.append(event)
    return events


def greeted(store: Store, client: bytes = ANN, stamp: Stamp | None = None) -> Greeted:
    (found,) = store.commit(Work(greetings=[Greeting(client, stamp)])).greeted
    return found


def test_an_empty_store(store: Store) -> None:
    assert store.rooms() == []
    assert store.commit(Work()) == Outcome([], [])
    assert store.read("lobby", 0, 10, LOTS) == Slice(1, 0, ())
    assert greeted(store) == Greeted(ClientRecord(), vouched=True)
    store.close()


def test_events_are_numbered_densely_per_room(store: Store) -> None:
    work = Work(
        [NewRoom("lobby"), NewRoom("den")],
        [append(1), append(2, room="den"), append(3), append(1, client=BOB), append(4, room="den")],
    )
    found = store.commit(work).sends
    assert [event.seq for event in found if event is not None] == [1, 1, 2, 3, 2]
    assert found[0] == Message(1, 1_700_000_000_001, "ann", b"12345678", 1, "hi")
    assert say(store, "next", n=5)[0].seq == 4
    assert sorted(store.rooms(), key=lambda kept: kept.room) == [RoomRecord("den", 2), RoomRecord("lobby", 4)]


def test_a_refusal_has_its_place_among_the_sends(store: Store) -> None:
    no = Refused(2, "too-long", "why")
    found = store.commit(Work([NewRoom("lobby")], [append(1), Refusal(ANN, no), append(3)]))
    assert [event and event.seq for event in found.sends] == [1, None, 2]
    assert greeted(store).record == ClientRecord(
        3, {1: Ack(1, "lobby", 1, 1_700_000_000_001), 2: no, 3: Ack(3, "lobby", 2, 1_700_000_000_003)}
    )


def test_greetings_know_of_the_sends_of_their_turn(store: Store) -> None:
    work = Work([NewRoom("lobby")], [append(1)], [Greeting(ANN, None), Greeting(BOB, None)])
    ann, bob = store.commit(work).greeted
    assert (ann.record.last, bob.record.last) == (1, 0)


def test_what_is_told_of_a_client_is_a_copy(store: Store) -> None:
    say(store, "one")
    record = greeted(store).record
    record.outcomes.clear()
    record.last = 9
    say(store, "two", n=2)
    assert greeted(store).record.last == 2
    assert list(greeted(store).record.outcomes) == [1, 2]


def test_a_room_made_twice_is_one_and_keeps_its_members(store: Store) -> None:
    store.commit(Work([NewRoom("@x", (ANN, BOB)), NewRoom("@x", (ANN, BOB)), NewRoom("lobby")]))
    say(store, "one")
    store.commit(Work([NewRoom("lobby"), NewRoom("@x", (ANN, BOB))]))
    assert sorted(store.rooms(), key=lambda kept: kept.room) == [
        RoomRecord("@x", 0, (ANN, BOB)),
        RoomRecord("lobby", 1),
    ]


@pytest.mark.parametrize(
    ("after", "limit", "texts"),
    [
        (0, 10, "abcde"),
        (0, 2, "ab"),
        (2, 2, "cd"),
        (4, 10, "e"),
        (5, 10, ""),
        (6, 10, ""),
        (2**31, 10, ""),
        (BIGGEST, BIGGEST, ""),
        (0, BIGGEST, "abcde"),
    ],
)
def test_reading(store: Store, after: int, limit: int, texts: str) -> None:
    events = say(store, *"abcde")
    assert store.read("lobby", after, limit, LOTS) == Slice(1, 5, tuple(e for e in events if e.seq > after)[:limit])
    assert [e.text for e in store.read("lobby", after, limit, LOTS).events if isinstance(e, Message)] == list(texts)


def test_a_read_is_bounded_by_size_and_gives_at_least_one(store: Store) -> None:
    events = say(store, "x" * 1000, "x" * 1000, "é" * 500, "x")
    size = weight(events[0])
    for bound, many in ((0, 1), (size, 1), (2 * size - 1, 1), (2 * size, 2), (3 * size, 3), (4 * size, 4)):
        assert len(store.read("lobby", 0, 10, bound).events) == many


def test_a_stamp_rises_with_what_is_kept_and_is_vouched_for(store: Store) -> None:
    before = store.stamp
    say(store, "one", "two")
    after = store.stamp
    assert after.run == before.run
    assert after.turn > before.turn
    assert len(after.run) >= 8
    for vouched, stamp in (
        (True, None),
        (True, before),
        (True, after),
        (False, Stamp(after.run, after.turn + 1)),
        (False, Stamp(after.run, BIGGEST)),
        (False, Stamp(b"another!", 0)),
    ):
        assert greeted(store, stamp=stamp).vouched is vouched


def test_every_start_is_another_run(make: Callable[[], Store]) -> None:
    assert make().stamp.run != make().stamp.run


def test_any_text_comes_back(store: Store) -> None:
    texts = ["", "\n\t", "\0", "🎉" * 4096, "'; DROP TABLE rooms; --", "\u202e", "x" * 16_384]
    say(store, *texts)
    assert [e.text for e in store.read("lobby", 0, 100, LOTS).events if isinstance(e, Message)] == texts


# The one that forgets ------------------------------------------------------------------------------------------------


def test_memory_keeps_so_many_events_of_a_room() -> None:
    store = MemoryStore(keep=3)
    events = say(store, *"abcde")
    say(store, "x", room="den", n=6)
    assert store.read("lobby", 0, 10, LOTS) == Slice(3, 5, tuple(events[2:]))
    assert store.read("lobby", 3, 10, LOTS) == Slice(3, 5, tuple(events[3:]))
    assert store.read("den", 0, 10, LOTS).first == 1


def test_memory_is_bounded_altogether_and_the_quietest_rooms_pay() -> None:
    store = MemoryStore(keep_bytes=10 * weight(Message(1, 0, "ann", b"", 1, "x" * 100)))
    say(store, *["x" * 100] * 4, room="quiet")
    say(store, *["x" * 100] * 4, room="loud", n=5)
    say(store, *["x" * 100] * 4, room="loud", n=9)
    assert store.read("quiet", 0, 99, LOTS).first == 3
    assert store.read("loud", 0, 99, LOTS).first == 1
    say(store, *["x" * 100] * 9, room="loud", n=13)
    assert store.read("quiet", 0, 99, LOTS) == Slice(5, 4, ())
    assert store.read("loud", 0, 99, LOTS).first == 8
    assert say(store, "x" * 100, room="quiet", n=99)[0].seq == 5
    say(store, "x" * 5000, room="quiet", n=100)
    assert store.read("loud", 0, 99, LOTS) == Slice(18, 17, ())


def test_memory_remembers_so_many_clients_and_outcomes() -> None:
    store = MemoryStore(keep_clients=2, window=2)
    for n, client in enumerate((ANN, BOB, b"cat", BOB), 1):
        say(store, "x", client=client, n=n)
    assert greeted(store, ANN).record == ClientRecord()
    assert greeted(store, BOB).record.last == 4
    say(store, "x", "y", client=b"cat", n=4)
    assert list(greeted(store, b"cat").record.outcomes) == [4, 5]


def test_outcomes_of_all_clients_together_are_bounded_and_forgotten_by_client() -> None:
    store = MemoryStore(keep_outcomes=5)
    say(store, "a", "b", "c", client=ANN)
    say(store, "d", "e", client=BOB)
    assert greeted(store, ANN).record.last == 3
    say(store, "f", client=BOB, n=3)
    assert greeted(store, ANN) == Greeted(ClientRecord(), vouched=True)
    assert sorted(greeted(store, BOB).record.outcomes) == [1, 2, 3]
    say(store, *"ghi", client=ANN)  # with bob's three that is one too many
    assert greeted(store, BOB).record.last == 0
    assert sorted(greeted(store, ANN).record.outcomes) == [1, 2, 3]
