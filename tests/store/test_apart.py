"""What a store cannot keep harms only who asked for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from dialogue import DAY, Dialogue
from store.saying import sent

from zchat import errors
from zchat.broker.inputs import Received
from zchat.messages import Ack, Acted, Failed, Join, Joined, Mark, Message, Read, Refused, Send, Unreadable, Welcome
from zchat.store import apart
from zchat.store.base import (
    Account,
    Append,
    Deed,
    Greeting,
    Invite,
    Kept,
    KnownName,
    NewRoom,
    Outcome,
    ReadMark,
    Refusal,
    Sending,
    Work,
)
from zchat.store.memory import MemoryStore

POISON = "poison"


@dataclass
class Picky(MemoryStore):
    """It rejects whatever holds poison.

    Attributes:
        patience: so many commits that are done, before all fail; None for no end.
    """

    patience: int | None = None

    def commit(self, work: Work) -> Outcome:
        if self.patience is not None:
            if not self.patience:
                raise errors.StoreUnavailable("the disk is full")
            self.patience -= 1
        if POISON in str(work):
            raise errors.StoreRejected("it is poisoned")
        missing = {send.room for send in work.sends if isinstance(send, Append)} - {new.room for new in work.rooms}
        if missing - {record.room for record in self.rooms()}:
            raise errors.StoreRejected("there is no such room")
        return super().commit(work)


def append(client: bytes, n: int, *texts: str, room: str = "lobby") -> Append:
    return Append(
        room, client, DAY, "ann", b"sender01", b"person", [Send(n, room, text) for n, text in enumerate(texts, n)]
    )


def kept(store: MemoryStore, room: str = "lobby") -> list[str]:
    return [event.text for event in store.read(room, 0, 99, 1 << 20).events if isinstance(event, Message)]


ANN, BOB = b"a" * 16, b"b" * 16

LOBBY = [NewRoom("lobby")]


def test_what_can_be_kept_is_one_commit() -> None:
    store = Picky()
    outcome = apart.commit(store, Work(LOBBY, [append(ANN, 1, "x"), append(BOB, 1, "y")], [Greeting(ANN, None)]))
    assert store.stamp.turn == 1
    assert [getattr(event, "seq", None) for event in sent(outcome)] == [1, 2]
    (greeted,) = outcome.greeted
    assert greeted is not None
    assert greeted.record.last == 1


def test_only_what_is_rejected_is_refused_and_its_number_is_used_up() -> None:
    store = Picky()
    sends = [append(ANN, 1, "a"), append(BOB, 1, "x"), append(ANN, 2, POISON), append(BOB, 2, "y"), append(ANN, 3, "b")]
    outcome = apart.commit(store, Work(LOBBY, [*sends], [Greeting(ANN, None)]))
    assert kept(store) == ["a", "x", "y", "b"]  # in the order in which it was said
    assert [len(parts) for parts in outcome.sends] == [1] * 5
    texts = [event.text if isinstance(event, Message) else None for event in sent(outcome)]
    assert texts == ["a", "x", None, "y", "b"]
    (refused,) = outcome.sends[2]
    assert isinstance(refused, Refused)
    assert (refused.n, refused.code) == (2, "bad-request")
    (greeted,) = outcome.greeted
    assert greeted is not None
    assert greeted.record.last == 3
    assert greeted.record.outcome(2) == refused


def test_of_a_run_only_what_is_rejected_is_refused() -> None:
    store = Picky()
    sends = [append(ANN, 1, "a", POISON, "b", "c"), append(BOB, 1, "x", "y"), append(ANN, 5, POISON, POISON, "d")]
    outcome = apart.commit(store, Work(LOBBY, [*sends], [Greeting(ANN, None)]))
    assert kept(store) == ["a", "b", "c", "x", "y", "d"]
    found = [[event.seq if isinstance(event, Kept) else event.n for event in parts] for parts in outcome.sends]
    assert found == [[1, 2, 2, 3], [4, 5], [5, 6, 6]]  # numbers of what was refused are those of the sends
    assert [len(event.events) for parts in outcome.sends for event in parts if isinstance(event, Kept)] == [1] * 6
    codes = [event.code for event in sent(outcome) if isinstance(event, Refused)]
    assert codes == ["bad-request"] * 3
    (greeted,) = outcome.greeted
    assert greeted is not None
    record = greeted.record
    assert record.last == 7
    assert [record.outcome(n) for n in (2, 5, 6)] == [outcome.sends[0][1], *outcome.sends[2][:2]]
    assert [record.outcome(n) for n in (1, 3, 4, 7)] == [
        Ack(n, "lobby", seq, DAY) for n, seq in ((1, 1), (3, 2), (4, 3), (7, 6))
    ]


def test_a_deed_of_nobody_that_is_rejected_uses_no_number_up() -> None:
    store = Picky()

    def act(client: bytes, n: int, text: str) -> Deed:
        return Deed("lobby", client, b"person", Acted(0, DAY, "ann", b"sender01", n, "topic", text=text))

    sends: list[Sending] = [
        act(b"", 0, POISON),
        append(ANN, 1, "a"),
        act(ANN, 2, POISON),
        act(ANN, 3, "b"),
        act(b"", 0, "c"),
    ]
    outcome = apart.commit(store, Work(LOBBY, sends, [Greeting(ANN, None), Greeting(b"", None)]))
    told = sent(outcome)
    assert [(type(each), each.n) for each in told if not isinstance(each, Unreadable)] == [
        (Refused, 0),
        (Message, 1),
        (Refused, 2),
        (Acted, 3),
        (Acted, 0),
    ]
    assert [len(part) for part in outcome.sends] == [1] * 5
    assert [each.record.last for each in outcome.greeted if each is not None] == [3, 0]


def test_who_may_come_in_is_kept_as_one() -> None:
    store = Picky()
    store.commit(Work(records=[Invite(b"i", "den", "member", 1, DAY)], names=[KnownName("ann", "Ann", b"ann")]))
    work = Work(LOBBY, [append(ANN, 1, POISON)], freed=["ann"])
    work.records.append(Account(b"ann", "member"))
    work.dropped.append(Invite(b"i", "", "", 1, 1))
    apart.commit(store, work)
    assert store.records() == [Account(b"ann", "member")]
    assert store.names() == []
    work.records.append(Account(b"bob", POISON))
    with pytest.raises(errors.StoreFailed, match="cannot keep who may come in"):
        apart.commit(store, work)
    assert store.records() == [Account(b"ann", "member")]


def test_rooms_marks_and_names_are_kept_each_for_itself() -> None:
    store = Picky()
    work = Work(
        [NewRoom(POISON), *LOBBY],
        [append(ANN, 1, "x"), append(BOB, 1, "nowhere to go", room=POISON)],
        [Greeting(ANN, None, b"person")],
        [ReadMark(b"person", POISON, 1), ReadMark(b"person", "lobby", 1)],
        [KnownName(POISON, "?", BOB), KnownName("ann", "Ann", ANN)],
    )
    outcome = apart.commit(store, work)
    assert [record.room for record in store.rooms()] == ["lobby"]
    assert store.names() == [KnownName("ann", "Ann", ANN)]
    assert [type(event) for event in sent(outcome)] == [Message, Refused]
    (greeted,) = outcome.greeted
    assert greeted is not None
    assert greeted.marks == {"lobby": 1}


def test_a_greeting_that_is_rejected_harms_no_other() -> None:
    outcome = apart.commit(Picky(), Work(greetings=[Greeting(POISON.encode(), None), Greeting(BOB, None)]))
    assert [greeted is None for greeted in outcome.greeted] == [True, False]


def test_a_refusal_that_is_rejected_uses_nothing_up_nor_does_what_follows() -> None:
    store = Picky()
    poisoned = Refusal(ANN, Refused(1, "too-long", POISON))
    outcome = apart.commit(store, Work(LOBBY, [poisoned, append(ANN, 2, "a"), append(BOB, 1, "x")]))
    assert outcome.sends[:2] == [[], []]
    assert [type(event) for event in sent(outcome)] == [Message]
    assert kept(store) == ["x"]


@pytest.mark.parametrize("done", range(2, 14))
def test_unavailable_amid_the_parts(done: int) -> None:
    store = Picky(patience=done)
    sends = [
        append(ANN, 1, "a"),
        append(BOB, 1, "x"),
        append(ANN, 2, POISON, "b", "c"),
        append(BOB, 2, "y"),
        append(ANN, 5, "d"),
    ]
    outcome = apart.commit(store, Work(LOBBY, [*sends], [Greeting(ANN, None)]))
    done_by: dict[bytes, list[int]] = {ANN: [], BOB: []}
    for parts, send in zip(outcome.sends, sends, strict=True):
        events = sent(Outcome([parts], []))
        assert [event.text for event in events if isinstance(event, Message)] == [
            said.text for said in send.said if said.text in kept(store)
        ]
        done_by[send.client] += [event.n for event in events if isinstance(event, Message | Refused)]
    for client, numbers in done_by.items():  # a beginning of each client's sends, and nothing behind it
        assert numbers == list(range(1, len(numbers) + 1))
        told = Work(greetings=[Greeting(client, None)])
        store.patience = None
        (greeted,) = store.commit(told).greeted
        assert greeted is not None
        assert greeted.record.last == len(numbers)


@pytest.mark.parametrize("done", [0, 1, 2, 3])
def test_unavailable_before_anything_sent_was_kept(done: int) -> None:
    store = Picky(patience=done)
    work = Work(LOBBY, [append(ANN, 1, POISON)], [], [ReadMark(ANN, "lobby", 1)], [KnownName("ann", "Ann", ANN)])
    with pytest.raises(errors.StoreUnavailable):
        apart.commit(store, work)
    assert kept(store) == []


def test_a_store_that_failed_is_not_asked_again() -> None:
    class Failing(Picky):
        asked = 0

        def commit(self, work: Work) -> Outcome:
            self.asked += 1
            if self.asked == 3:
                raise errors.StoreFailed("the disk is gone")
            return super().commit(work)

    store = Failing()
    with pytest.raises(errors.StoreFailed):
        apart.commit(store, Work(LOBBY, [append(ANN, 1, POISON), append(BOB, 1, "x")]))
    assert store.asked == 3


# What the people in the rooms notice of it ---------------------------------------------------------------------------


def picky(**patience: Any) -> tuple[Dialogue, Picky]:
    store = Picky(**patience)
    return Dialogue(store), store


def test_its_sender_is_refused_and_the_others_are_heard() -> None:
    talk, _ = picky()
    ann, bob = talk.person("ann", "lobby"), talk.person("bob", "lobby")
    new = talk.stranger()
    sends = [Send(n, "lobby", text) for n, text in enumerate(("a", POISON, "b"), 1)]
    talk.turn(
        Received(ann.id, sends),
        Received(bob.id, [Send(1, "den", "x"), Join(3, "den"), Mark(4, "lobby", 0), Read(5, "lobby", 0, 9)]),
        Received(new.id, [new.greeting()]),
    )
    assert [type(item) for item in ann.heard] == [Ack, Refused, Ack]
    assert [type(item) for item in bob.heard if not isinstance(item, Refused)].count(Ack) == 1
    assert any(isinstance(item, Joined) for item in bob.heard)
    assert isinstance(new.heard[0], Welcome)
    assert [event.seq for event in talk.published().events] == [1, 2]
    assert ann.asks(Send(2, "lobby", "again"))[0] == ann.asks(Send(2, "lobby", "again"))[0]
    assert ann.asks(Send(4, "lobby", "c")) == [Ack(4, "lobby", 3, DAY)]


def test_what_could_not_be_tried_may_be_sent_again() -> None:
    talk, store = picky()
    ann, bob = talk.person("ann", "lobby"), talk.person("bob", "lobby")
    new = talk.stranger()
    store.patience = 4  # all at once, the room, the first of ann, and the second as what is refused
    talk.turn(
        Received(ann.id, [Send(1, "lobby", "a"), Send(2, "lobby", "b" + POISON), Send(3, "lobby", "c")]),
        Received(bob.id, [Send(1, "lobby", "x")]),
        Received(new.id, [new.greeting()]),
    )
    codes = [getattr(item, "code", "ack") for item in ann.heard]
    assert codes[0] == "ack"
    assert "store-unavailable" in codes[1:]
    assert [getattr(item, "code", "ack") for item in bob.heard] == ["store-unavailable"]
    assert [(type(item), getattr(item, "code", "")) for item in new.heard] == [(Failed, "store-unavailable")]
    store.patience = None
    assert ann.asks(Send(2, "lobby", "b"), Send(3, "lobby", "c")) == [Ack(2, "lobby", 2, DAY, 2)]
    assert bob.asks(Send(1, "lobby", "x")) == [Ack(1, "lobby", 4, DAY)]
    assert new.hello().last == 0


def test_a_room_that_could_not_be_made_amid_the_parts_is_made_later() -> None:
    talk, store = picky()
    ann, bob = talk.person("ann", "lobby"), talk.person("bob")
    store.patience = 1
    talk.turn(Received(ann.id, [Send(1, "lobby", POISON)]), Received(bob.id, [Send(1, "den", "x")]))
    store.patience = None
    assert bob.asks(Send(1, "den", "x")) == [Ack(1, "den", 1, DAY)]
    assert "den" in [record.room for record in store.rooms()]


def test_what_is_heard_is_in_order_and_the_head_is_the_last() -> None:
    talk, _ = picky()
    ann, bob = talk.person("ann", "lobby"), talk.person("bob", "lobby")
    talk.turn(
        Received(ann.id, [Send(1, "lobby", "1")]),
        Received(bob.id, [Send(1, "lobby", "2")]),
        Received(ann.id, [Send(2, "lobby", POISON), Send(3, "lobby", "3")]),
        Received(bob.id, [Send(2, "lobby", "4")]),
        Received(ann.id, [Send(4, "lobby", "5")]),
        Received(bob.id, [Send(3, "lobby", POISON)]),
    )
    assert [(event.seq, getattr(event, "text", "")) for event in talk.published().events] == [
        (seq, str(seq)) for seq in range(1, 6)
    ]
    assert ann.joins().head == 5
