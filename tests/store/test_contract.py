"""What every store must do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as replaced

import pytest
from msgspec.structs import replace
from store.saying import (
    ANN,
    BIGGEST,
    BOB,
    CAT,
    DAY,
    LOTS,
    MS,
    RECORDS,
    amend,
    append,
    appends,
    deed,
    do,
    greeted,
    history,
    outcomes,
    read,
    records,
    say,
    search,
    sent,
    settle,
    sizes,
    texts,
)

from zchat.codec import encode_event
from zchat.errors import QuotaReached
from zchat.messages import LATEST_MS, Ack, Acted, Deleted, Edited, Event, Message, Refused, Send, Stamp
from zchat.store.base import (
    LOOKBACK,
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
    Kept,
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
    RoomRecord,
    Sanction,
    Slice,
    Span,
    Store,
    Terms,
    Work,
    identity,
    weight,
)
from zchat.store.sqlite.retention import Retention
from zchat.verbs import ACTS, AUDIT, LONGEST

PAIR = (Member(ANN, "ann"), Member(BOB, "bob"))


def test_an_empty_store(store: Store) -> None:
    assert store.rooms() == []
    assert store.names() == []
    assert store.records() == []
    assert store.commit(Work()) == Outcome([], [])
    assert store.read("lobby", 0, 10, LOTS) == Slice(1, 0, ())
    assert store.history("lobby", Span(10)) == Slice(1, 0, ())
    assert store.search(Query(("hi",))) == []
    assert greeted(store, person=ANN) == Greeted(ClientRecord(), vouched=True)
    assert store.tidy(MS, idle=True) > 0
    store.close()


# Sends ---------------------------------------------------------------------------------------------------------------


def test_events_are_numbered_densely_per_room(store: Store) -> None:
    work = Work(
        [NewRoom("lobby"), NewRoom("den")],
        [append(1), append(2, room="den"), append(3), append(1, client=BOB), append(4, room="den")],
    )
    found = sent(store.commit(work))
    assert [event.seq for event in found if isinstance(event, Message)] == [1, 1, 2, 3, 2]
    assert found[0] == Message(1, MS + 1, "ann", b"12345678", 1, "hi")
    assert say(store, "next", n=5)[0].seq == 4
    assert sorted(store.rooms(), key=lambda kept: kept.room) == [
        RoomRecord("den", 2, ms=MS + 4),
        RoomRecord("lobby", 4, ms=MS + 5),
    ]


def test_a_refusal_has_its_place_among_the_sends(store: Store) -> None:
    no = Refused(2, "too-long", "why", 7, 8)
    found = store.commit(Work([NewRoom("lobby")], [append(1), Refusal(ANN, no), append(3)]))
    assert sent(found) == [
        Message(1, MS + 1, "ann", b"12345678", 1, "hi"),
        no,
        Message(2, MS + 3, "ann", b"12345678", 3, "hi"),
    ]
    assert greeted(store).record == ClientRecord(3, [Ack(1, "lobby", 1, MS + 1), no, Ack(3, "lobby", 2, MS + 3)])


def test_greetings_know_of_the_work_of_their_turn(store: Store) -> None:
    work = Work(
        [NewRoom("lobby")],
        [append(1)],
        [Greeting(ANN, Stamp(store.stamp.run, store.stamp.turn + 1), BOB), Greeting(BOB, None, ANN)],
        [ReadMark(BOB, "lobby", 1)],
    )
    ann, bob = store.commit(work).greeted
    assert ann is not None
    assert bob is not None
    assert (ann.record.last, ann.marks, ann.vouched) == (1, {"lobby": 1}, True)
    assert (bob.record.last, bob.marks) == (0, {})


def test_what_is_told_of_a_client_is_a_copy(store: Store) -> None:
    say(store, "one")
    store.commit(Work(marks=[ReadMark(ANN, "lobby", 1)]))
    found = greeted(store, person=ANN)
    found.record.outcomes.clear()
    found.record.last = 9
    found.marks.clear()
    say(store, "two", n=2)
    found = greeted(store, person=ANN)
    assert found.record.last == 2
    assert list(outcomes(found.record)) == [1, 2]
    assert found.marks == {"lobby": 1}


def test_the_last_outcomes_of_a_client_are_remembered(store: Store) -> None:
    sends = [append(n) for n in range(1, 3000)]
    store.commit(Work([NewRoom("lobby")], list(sends)))
    record = greeted(store).record
    assert record.last == 2999
    assert outcomes(record) == {n: Ack(n, "lobby", n, MS + n) for n in range(2999 - 1023, 3000)}


def test_a_run_of_sends_is_kept_one_after_the_other(store: Store) -> None:
    work = Work(
        [NewRoom("lobby"), NewRoom("den")],
        [
            append(1, "a"),
            appends(1, "x", "y", client=BOB),
            appends(2, "b", "c", "d"),
            appends(5, "e", "f", room="den"),
            append(7, "g"),
        ],
    )

    def kept(seq: int, client: bytes, n: int, ms: int, said: str) -> Kept:
        of = (client[:3].decode(), b"12345678")
        return Kept(seq, [encode_event(Message(seq + i, MS + ms, *of, n + i, text)) for i, text in enumerate(said)])

    assert store.commit(work).sends == [
        [kept(1, ANN, 1, 1, "a")],
        [kept(2, BOB, 1, 1, "xy")],
        [kept(4, ANN, 2, 2, "bcd")],
        [kept(1, ANN, 5, 5, "ef")],
        [kept(7, ANN, 7, 7, "g")],
    ]
    assert texts(read(store)) == list("axybcdg")
    assert [(event.seq, event.n) for event in history(store)] == [
        (1, 1),
        (2, 1),
        (3, 2),
        (4, 2),
        (5, 3),
        (6, 4),
        (7, 7),
    ]
    assert texts(read(store, "den")) == ["e", "f"]
    assert set(store.rooms()) == {RoomRecord("lobby", 7, ms=MS + 7), RoomRecord("den", 2, ms=MS + 5)}
    assert say(store, "next", n=8)[0].seq == 8


def test_a_run_is_said_where_its_work_says_and_its_actions_stay_such(store: Store) -> None:
    said = [Send(1, "Lobby", "one"), Send(2, "@bob", "waves", action=True), Send(3, "", "three")]
    events = sent(store.commit(Work([NewRoom("lobby")], [replace(append(1), said=said)])))
    assert events == [
        Message(n, MS + 1, "ann", b"12345678", n, send.text, send.action) for n, send in enumerate(said, 1)
    ]
    assert list(read(store)) == events
    assert greeted(store).record.outcome(2) == Ack(2, "lobby", 2, MS + 1)


def test_each_number_of_a_run_is_remembered(store: Store) -> None:
    no = Refused(4, "too-long", "why", 7, 8)
    work = Work(
        [NewRoom("lobby"), NewRoom("den")],
        [appends(1, *"abc"), Refusal(ANN, no), append(1, client=BOB), appends(5, *"defg"), appends(9, "h", room="den")],
    )
    store.commit(work)
    wrong = sent(store.commit(Work(sends=[amend(10, 99, "no"), appends(11, "i", "j")])))[0]
    assert isinstance(wrong, Refused)
    acks = [Ack(n, "lobby", n, MS + 1) for n in (1, 2, 3)] + [Ack(n, "lobby", n, MS + 5) for n in (5, 6, 7, 8)]
    acks += [Ack(9, "den", 1, MS + 9), Ack(11, "lobby", 9, MS + 11), Ack(12, "lobby", 10, MS + 11)]
    for _ in range(2):
        record = greeted(store).record
        assert record.last == 12
        assert outcomes(record) == {ack.n: ack for ack in acks} | {4: no, 10: wrong}
        assert [record.outcome(n) for n in (0, 13, BIGGEST)] == [None] * 3
        assert outcomes(greeted(store, BOB).record) == {1: Ack(1, "lobby", 4, MS + 1)}
        settle(store)


@pytest.mark.parametrize("size", [1, 2, 300, 1023, 1024, 1025, 2500])
def test_so_many_of_the_last_numbers_are_remembered_however_they_came(store: Store, size: int) -> None:
    work, last = Work([NewRoom("lobby")]), 2600
    for n in range(1, last + 1, size):
        work.sends.append(appends(n, *["x"] * min(size, last - n + 1), ms=MS))
    store.commit(work)
    record = greeted(store).record
    assert record.last == last
    first = (last - 1024) // size * size + 1  # of the run that the oldest of them is in
    assert outcomes(record) == {n: Ack(n, "lobby", n, MS) for n in range(first, last + 1)}
    assert record.outcome(first - 1) is None
    assert len(record.outcomes) <= 1024


def test_a_room_made_twice_is_one_and_notes_how_its_members_are_called(store: Store) -> None:
    store.commit(Work([NewRoom("@x", PAIR), NewRoom("@x", PAIR), NewRoom("lobby")]))
    say(store, "one")
    assert store.commit(Work([NewRoom("lobby"), NewRoom("@x")])).sends == []
    expected = {RoomRecord("@x", 0, PAIR), RoomRecord("lobby", 1, ms=MS + 1)}
    assert set(store.rooms()) == expected
    renamed = (Member(ANN, "anne"), Member(BOB, "bob"))
    store.commit(Work([NewRoom("@x", renamed)]))
    assert set(store.rooms()) == {RoomRecord("@x", 0, renamed), RoomRecord("lobby", 1, ms=MS + 1)}


@pytest.mark.parametrize(
    ("after", "limit", "said"),
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
def test_reading(store: Store, after: int, limit: int, said: str) -> None:
    events = say(store, *"abcde")
    assert store.read("lobby", after, limit, LOTS) == Slice(1, 5, tuple(e for e in events if e.seq > after)[:limit])
    assert texts(store.read("lobby", after, limit, LOTS).events) == list(said)


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


ANY_TEXT = ["", "\n\t", "\0", "🎉" * 4096, "'; DROP TABLE rooms; --", "\u202e", "x" * 16_384]


FAR = 2**40 - 1


@pytest.mark.parametrize(
    "event",
    [
        Message(FAR, LATEST_MS, "n" * 40, b"sender01", BIGGEST, "t" * 65_535, True, FAR, 0, FAR),
        Message(FAR, LATEST_MS, "é" * 40, b"sender01", BIGGEST, "", True, 0, FAR, FAR),
        Edited(FAR, LATEST_MS, "n" * 40, b"sender01", BIGGEST, FAR, "t" * 65_535),
        Deleted(FAR, LATEST_MS, "n" * 40, b"sender01", BIGGEST, FAR),
        Acted(FAR, LATEST_MS, "é" * 40, b"sender01", BIGGEST, max(ACTS, key=len), "w" * 40, FAR, LONGEST, "é" * 500),
        Acted(FAR, LATEST_MS, "", b"sender01", BIGGEST, min(ACTS, key=len), "w" * 40, FAR, LONGEST, "é", room="r" * 99),
    ],
)  # fmt: skip
def test_nothing_takes_more_than_it_weighs_in_a_frame(event: Event) -> None:
    size = len(encode_event(event))
    assert size <= weight(event) <= size + 50


def test_any_text_comes_back(store: Store) -> None:
    say(store, *ANY_TEXT)
    assert texts(read(store)) == ANY_TEXT


# Edits and deletions -------------------------------------------------------------------------------------------------


def test_an_edit_is_an_event_and_history_shows_the_newest(store: Store) -> None:
    said = say(store, "one", "two")
    first = do(store, amend(3, 1, "uno"))
    assert first == Edited(3, MS + 3, "ann", b"12345678", 3, 1, "uno")
    second = do(store, amend(4, 1, "eins"))
    assert read(store) == (*said, first, second)
    assert history(store) == [
        Message(1, MS + 1, "ann", b"12345678", 1, "eins", edited=4),
        said[1],
    ]
    assert greeted(store).record.outcome(4) == Ack(4, "lobby", 4, MS + 4)


def test_a_deletion_leaves_a_number_and_no_text(store: Store) -> None:
    say(store, "one", "two")
    do(store, amend(3, 1, "uno"))
    do(store, amend(4, 1, "eins"))
    gone = do(store, amend(5, 1, None))
    assert gone == Deleted(5, MS + 5, "ann", b"12345678", 5, 1)
    tombstone = Message(1, MS + 1, "ann", b"12345678", 1, "", deleted=5)
    two = Message(2, MS + 2, "ann", b"12345678", 2, "two")
    edits = (Edited(3, MS + 3, "ann", b"12345678", 3, 1, ""), Edited(4, MS + 4, "ann", b"12345678", 4, 1, ""))
    assert read(store) == (tombstone, two, *edits, gone)
    assert history(store) == [tombstone, two]


@pytest.mark.parametrize(
    ("target", "client"),
    [
        (1, BOB),
        (1, CAT),
        (2, ANN),
        (3, ANN),
        (4, ANN),
        (5, ANN),
        (6, ANN),
        (99, ANN),
        (BIGGEST, ANN),
        (0, BOB),
        (0, CAT),
    ],
)
@pytest.mark.parametrize("text", ["new", None])
def test_only_messages_of_ones_own_that_are_not_deleted(
    store: Store, target: int, client: bytes, text: str | None
) -> None:
    say(store, "hers", "gone")
    do(store, amend(3, 2, None))
    do(store, amend(4, 1, "edited"))
    store.commit(Work([NewRoom("den")], [append(1, room="den", client=BOB)]))
    before = read(store)
    (answer,) = sent(store.commit(Work([], [amend(9, target, text, client=client)])))
    assert isinstance(answer, Refused)
    assert (answer.n, answer.code) == (9, "no-such-message")
    assert read(store) == before
    assert greeted(store, client).record.last == 9
    assert greeted(store, client).record.outcome(9) == answer


def test_ones_last_message(store: Store) -> None:
    say(store, "one", "two", "three")
    say(store, "his", client=BOB)
    assert do(store, amend(4, 0, "drei")) == Edited(5, MS + 4, "ann", b"12345678", 4, 3, "drei")
    assert do(store, amend(5, 0, None)) == Deleted(6, MS + 5, "ann", b"12345678", 5, 3)
    assert do(store, amend(6, 0, None)) == Deleted(7, MS + 6, "ann", b"12345678", 6, 2)
    assert texts(history(store)) == ["one", "", "", "his"]


def test_ones_last_message_is_not_looked_for_for_ever(store: Store) -> None:
    say(store, "hers")
    store.commit(Work([], [append(n, client=BOB) for n in range(1, LOOKBACK)]))
    assert do(store, amend(2, 0, "still found")).seq == LOOKBACK + 1
    (answer,) = sent(store.commit(Work([], [amend(3, 0, None)])))
    assert isinstance(answer, Refused)
    assert do(store, amend(4, 1, "by its number")).seq == LOOKBACK + 2


def test_messages_of_the_same_turn_can_be_edited_and_deleted(store: Store) -> None:
    work = Work(
        [NewRoom("lobby")],
        [append(1, "one"), amend(2, 0, "uno"), append(3, "two"), amend(4, 3, None), amend(5, 1, "1")],
    )
    found = sent(store.commit(work))
    assert [type(event) for event in found] == [Message, Edited, Message, Deleted, Edited]
    assert texts(history(store)) == ["1", ""]
    settle(store)
    assert search(store, "1") == ["1"]
    assert search(store, "one") == search(store, "two") == search(store, "uno") == []


def test_messages_of_a_run_can_be_edited_and_deleted_in_its_turn_and_later(store: Store) -> None:
    work = Work(
        [NewRoom("lobby"), NewRoom("den")],
        [
            appends(1, "one", "two", "three"),
            appends(1, "his", "own", client=BOB),
            amend(4, 2, "zwei"),
            appends(5, "x", "y", room="den"),
            amend(7, 0, None),
            appends(8, "four", "five"),
            amend(10, 0, "fünf"),
            amend(3, 4, None, client=BOB),
            amend(11, 2, "dos"),
            amend(12, 1, None, "den"),
            append(13, "end", "den"),
        ],
    )
    events = sent(store.commit(work))
    # 1 one, 2 dos, 3 -, 4 -, 5 own, (6 edit), (7 deletion), 8 four, 9 fünf, (10 edit), (11 deletion), (12 edit)
    numbers = [1, 2, 3, 4, 5, 6, 1, 2, 7, 8, 9, 10, 11, 12, 3, 4]
    assert [event.seq for event in events if not isinstance(event, Refused)] == numbers
    for _ in range(2):
        assert texts(history(store)) == ["one", "dos", "", "", "own", "four", "fünf"]
        assert texts(history(store, "den")) == ["", "y", "end"]
        assert texts(read(store)) == ["one", "two", "", "", "own", "four", "five"]
        assert search(store, "dos") == ["dos"]
        assert search(store, "two") == search(store, "three") == search(store, "his") == search(store, "x") == []
        assert outcomes(greeted(store).record)[11] == Ack(11, "lobby", 12, MS + 11)
        settle(store)
    do(store, amend(14, 2, None))
    do(store, amend(15, 0, "last"))
    assert texts(history(store)) == ["one", "", "", "", "own", "four", "last"]
    assert search(store, "dos") == search(store, "zwei") == search(store, "five") == []
    assert search(store, "last") == ["last"]


def test_an_action_stays_one(store: Store) -> None:
    event = do(store, replace(append(1), said=[Send(1, "lobby", "waves", action=True)]))
    assert isinstance(event, Message)
    assert event.action
    do(store, amend(2, 1, "nods"))
    assert history(store) == [replace(event, text="nods", edited=2)]


def test_an_answer_names_what_it_answers_whatever_becomes_of_it(store: Store) -> None:
    say(store, "one")
    said = [Send(2, "lobby", "mine", reply=1), Send(3, "lobby", "waves", action=True, reply=99), Send(4, "lobby", "no")]
    events = sent(store.commit(Work(sends=[replace(append(2), said=said)])))
    answers = [
        Message(2, MS + 2, "ann", b"12345678", 2, "mine", reply=1),
        Message(3, MS + 2, "ann", b"12345678", 3, "waves", action=True, reply=99),
        Message(4, MS + 2, "ann", b"12345678", 4, "no"),
    ]
    assert events == [*read(store, after=1)] == history(store)[1:] == answers
    assert store.search(Query(("mine",))) == [("lobby", answers[0])]
    do(store, amend(5, 2, "yours"))
    yours = replace(answers[0], text="yours", edited=5)
    assert history(store)[1] == yours
    settle(store)
    assert store.search(Query(("yours",))) == [("lobby", yours)]
    do(store, amend(6, 2, None))
    do(store, amend(7, 3, None))
    for _ in range(2):
        gone = [replace(answers[0], text="", deleted=6), replace(answers[1], text="", deleted=7)]
        assert history(store)[1:3] == [*read(store, after=1)][:2] == gone
        settle(store)


# Deeds ---------------------------------------------------------------------------------------------------------------


def test_a_deed_is_an_event_between_the_messages_and_uses_a_number_up(store: Store) -> None:
    work = Work(
        [NewRoom("lobby"), NewRoom("den")],
        [append(1), deed("pin", 2, client=ANN, target=1), append(3), deed("slow", 4, "den", ANN, seconds=30, on=False)],
    )
    pin = Acted(2, MS + 2, "ann", b"12345678", 2, "pin", target=1)
    slow = Acted(1, MS + 4, "ann", b"12345678", 4, "slow", seconds=30, on=False)
    kept = store.commit(work).sends
    assert [kept[1], kept[3]] == [[Kept(2, [encode_event(pin)])], [Kept(1, [encode_event(slow)])]]
    said = [Message(n, MS + n, "ann", b"12345678", n, "hi") for n in (1, 3)]
    for _ in range(2):
        assert read(store) == (said[0], pin, said[1])
        assert read(store, "den") == (slow,)
        assert history(store) == said
        assert store.history("den", Span(9)) == Slice(1, 1, (), edge=1)
        assert store.history("lobby", Span(1, before=3)).events == (said[0],)
        record = greeted(store).record
        assert record.last == 4
        assert [record.outcome(n) for n in (2, 4)] == [Ack(2, "lobby", 2, MS + 2), Ack(4, "den", 1, MS + 4)]
        assert set(store.rooms()) == {RoomRecord("lobby", 3, ms=MS + 3), RoomRecord("den", 1, ms=MS + 4)}
        settle(store)


def test_a_deed_of_nobody_is_kept_and_nobody_has_sent_it(store: Store) -> None:
    logged = deed("ban", room=AUDIT, whom="bob", target=7, seconds=60, text="why", on=False)
    logged = replace(logged, act=replace(logged.act, room="den"))
    store.commit(Work([NewRoom("lobby"), NewRoom(AUDIT)], [append(1), append(1, client=BOB)]))
    deeds = [logged, deed("topic", text="all"), deed("kick", room=AUDIT, whom="bob")]
    store.commit(Work(sends=[deeds[0], append(2), deeds[1], append(3), deeds[2], append(2, client=BOB)]))
    ban = Acted(1, MS, "cat", b"12345678", 0, "ban", "bob", 7, 60, "why", False, "den")
    for _ in range(2):
        assert read(store, AUDIT) == (ban, Acted(2, MS, "cat", b"12345678", 0, "kick", "bob"))
        assert read(store)[3] == Acted(4, MS, "cat", b"12345678", 0, "topic", text="all")
        assert texts(read(store)) == ["hi"] * 5
        assert greeted(store, b"").record == ClientRecord()
        acks = [Ack(1, "lobby", 1, MS + 1), Ack(2, "lobby", 3, MS + 2), Ack(3, "lobby", 5, MS + 3)]
        assert outcomes(greeted(store).record) == {ack.n: ack for ack in acks}
        his = [Ack(1, "lobby", 2, MS + 1), Ack(2, "lobby", 6, MS + 2)]
        assert outcomes(greeted(store, BOB).record) == {ack.n: ack for ack in his}
        settle(store)


def test_a_deed_alone_is_a_turn(store: Store) -> None:
    store.commit(Work([NewRoom("lobby")]))
    before = store.stamp
    store.commit(Work(sends=[deed("topic", text="all")]))
    assert store.stamp.turn == before.turn + 1


@pytest.mark.parametrize("client", [ANN, b""])
def test_a_deed_is_no_message(store: Store, client: bytes) -> None:
    say(store, "apple")
    done = Deed("lobby", client, ANN, Acted(0, MS, "ann", b"12345678", 2 if client else 0, "topic", text="apple"))
    store.commit(Work(sends=[done]))
    assert search(store, "apple") == ["apple"]
    settle(store)
    assert search(store, "apple") == ["apple"]
    n = greeted(store).record.last + 1
    for refused in sent(store.commit(Work(sends=[amend(n, 2, "pear"), amend(n + 1, 2, None)]))):
        assert isinstance(refused, Refused)
        assert refused.code == "no-such-message"
    assert do(store, amend(n + 2, 0, None)) == Deleted(3, MS + n + 2, "ann", b"12345678", n + 2, 1)
    assert [*read(store)][1] == replace(done.act, seq=2)


# History -------------------------------------------------------------------------------------------------------------


def test_history_in_pages(store: Store) -> None:
    say(store, *"abcde")
    do(store, amend(6, 2, "B"))
    do(store, amend(7, 4, None))
    say(store, *"fg", n=8)
    # 1 a, 2 B, 3 c, 4 -, 5 e, (6 edit), (7 deletion), 8 f, 9 g

    def page(**span: int) -> tuple[list[str], bool, int]:
        found = store.history("lobby", Span(**span))
        assert (found.first, found.head) == (1, 9)
        return texts(found.events), found.more, found.edge

    assert page(limit=3) == (["e", "f", "g"], True, 5)
    assert page(limit=3, before=5) == (["B", "c", ""], True, 2)
    assert page(limit=3, before=2) == (["a"], False, 1)
    assert page(limit=3, after=0) == (["a", "B", "c"], True, 3)
    assert page(limit=3, after=4) == (["e", "f", "g"], False, 9)
    assert page(limit=2, after=4) == (["e", "f"], True, 8)
    assert page(limit=9, after=1, before=4) == (["B", "c"], False, 3)
    assert page(limit=9, after=9) == ([], False, 9)
    assert page(limit=9, after=BIGGEST) == ([], False, BIGGEST)
    assert page(limit=9, before=1) == ([], False, 1)
    assert page(limit=9, before=BIGGEST) == (["a", "B", "c", "", "e", "f", "g"], False, 1)
    assert page(limit=9, since=MS + 5) == (["e", "f", "g"], False, 5)
    assert page(limit=9, since=MS + 6) == (["f", "g"], False, 6)
    assert page(limit=1, since=MS + 4, after=0) == ([""], True, 4)
    assert page(limit=9, since=MS + 100) == ([], False, 10)
    assert page(limit=9, since=1, after=7) == (["f", "g"], False, 9)
    assert page(limit=9, after=5, before=2) == ([], False, 5)
    assert page(limit=9, after=BIGGEST, before=1) == ([], False, BIGGEST)
    assert page(limit=9, before=2, since=MS + 5) == ([], False, 2)
    assert page(limit=9, before=2, since=MS + 5, after=3) == ([], False, 3)


def test_history_is_bounded_by_size_and_gives_at_least_one(store: Store) -> None:
    say(store, *["x" * 1000] * 4)
    size = weight(read(store)[0])
    for bound, many in ((0, 1), (size, 1), (2 * size - 1, 1), (2 * size, 2), (4 * size, 4)):
        assert len(store.history("lobby", Span(10, size=bound)).events) == many
        assert len(store.history("lobby", Span(10, after=0, size=bound)).events) == many


def test_history_looks_at_so_much_at_once_and_says_where_to_go_on(store: Store) -> None:
    say(store, "one")
    store.commit(Work([], [amend(n, 1, f"edit {n}") for n in range(2, 5002)]))
    say(store, "last", n=5002)
    calls, before, found = 0, 0, list[str]()
    more = True
    while more:
        part = store.history("lobby", Span(10, before=before))
        found += texts(part.events)
        before, more = part.edge, part.more
        calls += 1
    assert found == ["last", "edit 5001"]
    assert 1 < calls < 10
    assert texts(history(store)) == ["edit 5001", "last"]


# Marks and names -----------------------------------------------------------------------------------------------------


def test_read_marks_only_rise(store: Store) -> None:
    say(store, *"abc")
    say(store, "x", room="den", n=4)
    store.commit(Work(marks=[ReadMark(ANN, "lobby", 2), ReadMark(ANN, "den", 0), ReadMark(BOB, "lobby", 3)]))
    assert greeted(store, person=ANN).marks == {"lobby": 2, "den": 0}
    store.commit(Work(marks=[ReadMark(ANN, "lobby", 1)]))
    assert greeted(store, person=ANN).marks == {"lobby": 2, "den": 0}
    store.commit(Work(marks=[ReadMark(ANN, "lobby", 3), ReadMark(ANN, "lobby", 2), ReadMark(ANN, "den", 1)]))
    assert greeted(store, client=CAT, person=ANN).marks == {"lobby": 3, "den": 1}
    assert greeted(store, person=BOB).marks == {"lobby": 3}
    assert greeted(store, person=CAT).marks == {}


def test_names_are_kept_in_the_order_of_their_last_use(store: Store) -> None:
    ann, bob, cat = (KnownName(who, who.title(), who.encode()) for who in ("ann", "bob", "cat"))
    store.commit(Work(names=[ann, bob]))
    store.commit(Work(names=[cat]))
    assert store.names() == [ann, bob, cat]
    ann = KnownName("ann", "ANN", BOB)
    store.commit(Work(names=[ann]))
    assert store.names() == [bob, cat, ann]
    store.commit(Work(names=[cat, bob, cat]))
    assert store.names() == [ann, bob, cat]


# Search --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("quick",), ["The quick brown fox"]),
        (("QUICK", "fox"), ["The quick brown fox"]),
        (("fox", "quick"), ["The quick brown fox"]),
        (("quick-brown",), ["The quick brown fox"]),
        (("brown-quick",), []),
        (("quick.fox",), []),
        (("quic",), []),
        (("cafe",), ["CAFÉ, please", "a café"]),
        (("café",), ["CAFÉ, please", "a café"]),
        (("CAFE\u0301",), ["CAFÉ, please", "a café"]),
        (("strasse",), ["Straße 12"]),
        (("12",), ["Straße 12"]),
        (("don't",), ["don't"]),
        (("don",), ["don't"]),
        (("日本語",), ["日本語 です"]),
        (("🎉",), []),
        (("🎉", "party"), ["party 🎉"]),
        (("?!", '"'), []),
        (("",), []),
        ((), []),
    ],
)
def test_searching(store: Store, words: tuple[str, ...], found: list[str]) -> None:
    say(store, "The quick brown fox", "a café", "CAFÉ, please", "Straße 12", "don't", "日本語 です", "party 🎉")
    assert search(store, *words) == found
    settle(store)
    assert search(store, *words) == found


def test_a_search_is_narrowed_down(store: Store) -> None:
    store.commit(Work([NewRoom("lobby"), NewRoom("den"), NewRoom("@x", PAIR), NewRoom("@y", PAIR)]))
    work = Work(sends=[append(n, f"hello {room}", room) for n, room in enumerate(("lobby", "den", "@x", "@y"), 1)])
    store.commit(work)
    say(store, "hello from bob", client=BOB, n=9)
    assert search(store, "hello") == ["hello from bob", "hello den", "hello lobby"]
    assert search(store, "hello", private=("@x",)) == ["hello from bob", "hello @x", "hello den", "hello lobby"]
    assert search(store, "hello", rooms=("@y", "den", "nowhere")) == ["hello @y", "hello den"]
    assert search(store, "hello", rooms=()) == []
    assert search(store, "hello", rooms=("nowhere",)) == []
    assert search(store, "hello", private=("nowhere",), limit=1) == ["hello from bob"]
    assert search(store, "hello", name="BOB") == ["hello from bob"]
    assert search(store, "hello", name="cat") == []
    assert search(store, "hello", since=MS + 2) == ["hello from bob", "hello den"]
    assert search(store, "hello", since=BIGGEST) == []
    assert search(store, "hello", limit=2) == ["hello from bob", "hello den"]
    assert search(store, "hello", private=("@y", "@x"), limit=2) == ["hello from bob", "hello @y"]
    assert search(store, "r1") == search(store, "public") == search(store, "bob", name="ann") == []
    ((room, message),) = store.search(Query(("hello",), rooms=("den",)))
    assert (room, message) == ("den", read(store, "den")[0])


def test_a_room_is_private_by_its_name(store: Store) -> None:
    """Whoever belongs to it: of a room with a title that is not kept with it."""
    store.commit(Work([NewRoom("lobby"), NewRoom("@x", PAIR), NewRoom("@3f", founder=ANN), NewRoom("plan@", PAIR)]))
    store.commit(Work(sends=[append(n, room, room) for n, room in enumerate(("lobby", "@x", "@3f", "plan@"), 1)]))
    do(store, replace(append(5, "hello", "@3f"), said=[Send(5, "", "hello lobby x 3f plan")]))
    for _ in range(2):
        assert search(store, "3f") == search(store, "x") == []
        assert [search(store, word) for word in ("lobby", "plan")] == [["lobby"], ["plan@"]]
        assert search(store, "3f", private=("@3f",)) == ["hello lobby x 3f plan", "@3f"]
        assert search(store, "3f", private=("@x", "@3")) == []
        assert search(store, "x", private=("@x", "@3f")) == ["hello lobby x 3f plan", "@x"]
        assert search(store, "hello", rooms=("@3f",)) == ["hello lobby x 3f plan"]
        settle(store)


def test_a_search_knows_edits_and_deletions(store: Store) -> None:
    say(store, "apple", "banana", "cherry")
    settle(store)
    assert search(store, "banana") == ["banana"]
    do(store, amend(4, 2, "blueberry"))
    do(store, amend(5, 3, None))
    assert search(store, "banana") == search(store, "cherry") == []
    ((_, message),) = store.search(Query(("blueberry",)))
    assert (message.seq, message.edited) == (2, 4)
    settle(store)
    do(store, amend(6, 2, "banana"))
    do(store, amend(7, 2, "banana split"))
    settle(store)
    assert search(store, "blueberry") == []
    assert search(store, "banana") == ["banana split"]
    do(store, amend(8, 2, None))
    assert search(store, "banana") == search(store, "split") == []
    assert search(store, "apple") == ["apple"]


# Who may come in -----------------------------------------------------------------------------------------------------


def test_records_are_kept_with_all_that_is_in_them(store: Store) -> None:
    store.commit(Work(records=[*RECORDS]))
    assert records(store) == sorted(RECORDS, key=identity)


def test_a_record_replaces_the_one_of_its_kind_and_identity(store: Store) -> None:
    store.commit(Work(records=[*RECORDS]))
    newer: list[Record] = [
        Account(ANN, "member", MS, BOB),
        Device(b"k" * 32, BOB),
        Invite(b"i" * 16, "", "owner", 1, 0),
        Membership("@3f", BOB, "moderator", MS + 1),
        Sanction("lobby", BOB, "mute", "bobby", 7, "cat", MS + 1, "other"),
        Terms("lobby"),
        Terms("@3f", "+plan", pins=(1, 2)),
        Block(ANN, BOB),
    ]
    store.commit(Work(records=[Account(ANN, "moderator"), *newer]))
    replacing = {identity(record) for record in newer}
    others = [record for record in RECORDS if identity(record) not in replacing]
    assert len(others) == len(RECORDS) - len(newer)
    assert records(store) == sorted([*others, *newer], key=identity)
    store.commit(Work(records=[Device(ANN, BOB)]))  # of another kind
    assert newer[0] in store.records()


def test_what_is_another_does_not_replace(store: Store) -> None:
    apart: list[Record] = [
        Membership("@3", ANN, "member", MS),
        Membership("@3f", ANN, "member", MS),
        Terms("@3f"),
        Terms("@3"),
        *(Sanction(room, ANN, verb, "", 0, "", 0, "") for room in ("", "den") for verb in ("ban", "mute")),
        *(Block(*pair) for pair in ((ANN, BOB), (BOB, ANN), (ANN + b"\0", BOB), (ANN, b"\0" + BOB), (ANN + BOB, b""))),
    ]
    store.commit(Work(records=[*apart]))
    assert records(store) == sorted(apart, key=identity)
    while apart:
        store.commit(Work(dropped=[apart.pop()]))
        assert records(store) == sorted(apart, key=identity)


def test_what_is_dropped_is_no_more(store: Store) -> None:
    store.commit(Work(records=[*RECORDS]))
    store.commit(Work(dropped=[Account(ANN, "whatever", 7), Device(b"none" * 8, ANN), Invite(ANN, "", "", 1, 1)]))
    store.commit(Work(dropped=[Membership("den", ANN, "", 0), Terms("den"), Block(ANN, CAT), Block(CAT, ANN)]))
    store.commit(
        Work(dropped=[Sanction("", BOB, "mute", "", 0, "", 0, ""), Sanction("den", BOB, "ban", "", 0, "", 0, "")])
    )
    assert records(store) == sorted(RECORDS[1:], key=identity)
    store.commit(Work(records=[RECORDS[2], RECORDS[0]], dropped=[RECORDS[2], RECORDS[2]]))
    assert records(store) == sorted({*RECORDS} - {RECORDS[2]}, key=identity)
    store.commit(Work(dropped=[*RECORDS]))
    assert store.records() == []


def test_records_are_a_turn_of_their_own(store: Store) -> None:
    for work in (Work(records=[RECORDS[0]]), Work(dropped=[RECORDS[0]]), Work(freed=["ann"])):
        assert work.writes
        before = store.stamp
        store.commit(work)
        assert store.stamp.turn > before.turn


def test_a_name_is_kept_with_its_times_and_freed(store: Store) -> None:
    ann, bob = KnownName("ann", "Ann", ANN, MS, MS + 1), KnownName("bob", "Bob", BOB, seen=BIGGEST)
    store.commit(Work(names=[ann, bob]))
    assert store.names() == [ann, bob]
    store.commit(Work(freed=["ann", "nobody"]))
    assert store.names() == [bob]
    later = replaced(bob, until=7)
    store.commit(Work(names=[ann, later], freed=["bob"]))
    assert store.names() == [ann, later]


def test_who_made_a_room_is_kept(store: Store) -> None:
    store.commit(Work([NewRoom("lobby"), NewRoom("den", founder=ANN), NewRoom("@x", PAIR, BOB)]))
    store.commit(Work([NewRoom("lobby", founder=CAT), NewRoom("den", founder=CAT), NewRoom("@x", PAIR)]))
    assert {record.room: record.founder for record in store.rooms()} == {"lobby": b"", "den": ANN, "@x": BOB}


# Quotas --------------------------------------------------------------------------------------------------------------


def size(*events: Event | Refused) -> int:
    """How many bytes events take."""
    return sum(len(encode_event(event)) for event in events if not isinstance(event, Refused))


def over(store: Store, *sends: Append | Amend | Deed) -> list[bool]:
    """Does these in one turn. Says of each number whether it was refused by a quota."""
    told = sent(store.commit(Work(sends=[*sends])))
    assert all(each.code == QuotaReached.code for each in told if isinstance(each, Refused))
    return [isinstance(each, Refused) for each in told]


def test_what_is_kept_is_counted(store: Store) -> None:
    said = say(store, "one", "two" * 50)
    say(store, "x", room="den", n=3)
    assert sizes(store)["lobby"] == size(*said)
    store.commit(Work(sends=[amend(4, 1, "uno"), amend(5, 0, "three" * 50), appends(6, "a", "b"), amend(8, 2, None)]))
    assert sizes(store) == {"lobby": size(*read(store)), "den": size(*read(store, "den"))}


def test_a_person_is_kept_so_much_of_and_others_more(store: Store) -> None:
    said = say(store, "one", "two")
    say(store, "his", client=BOB)
    store.quotas = Quotas(person=size(*said) + 100)
    assert over(store, append(3, "x" * 100)) == [True]
    store.commit(Work([NewRoom("den")]))
    assert over(store, append(4, "x" * 100, "den")) == [True]
    assert over(store, amend(5, 1, "x" * 100)) == [True]
    assert over(store, append(2, "x" * 100, client=BOB)) == [False]
    assert over(store, append(6, "x"), append(7, "x" * 30), append(8, "x" * 30, "den")) == [False, True, True]
    assert texts(read(store)) == ["one", "two", "his", "x" * 100, "x"]
    assert [message.text for message in history(store)] == ["one", "two", "his", "x" * 100, "x"]


def test_a_room_is_kept_so_much_of_and_others_more(store: Store) -> None:
    said = say(store, "one", "two")
    store.quotas = Quotas(room=size(*said) + 100)
    assert over(store, append(3, "x" * 100), append(1, "x" * 100, client=BOB), amend(4, 1, "x" * 100)) == [True] * 3
    assert say(store, "x" * 50, room="den", n=5)
    assert texts(read(store)) == ["one", "two"]


def test_up_to_the_last_byte(store: Store) -> None:
    said = say(store, "one", "two")
    more = size(replace(said[0], seq=3, n=3))
    for quotas, refused in (
        (Quotas(person=size(*said) + more - 1), True),
        (Quotas(room=size(*said) + more - 1), True),
        (Quotas(size(*said) + more, size(*said) + more), False),
    ):
        store.quotas = quotas
        n = greeted(store).record.last + 1
        assert over(store, append(n, "one")) == [refused]


def test_of_a_run_is_kept_what_fits(store: Store) -> None:
    say(store, "one")
    store.quotas = Quotas(room=sizes(store)["lobby"] + 150)
    outcome = store.commit(Work(sends=[appends(2, "a", "x" * 200, "b", "c", "d", "e")]))
    assert [isinstance(each, Refused) for each in sent(outcome)] == [False, True, False, False, True, True]
    assert texts(read(store)) == ["one", "a", "b", "c"]
    record = greeted(store).record
    assert record.last == 7
    told = [record.outcome(n) for n in range(2, 8)]
    assert [each.seq if isinstance(each, Ack) else each for each in told] == [
        each if isinstance(each, Refused) else each.seq for each in sent(outcome)
    ]
    assert sizes(store)["lobby"] == size(*read(store))


def test_a_refusal_says_what_to_do_and_is_final(store: Store) -> None:
    say(store, "one")
    store.quotas = Quotas(person=10)
    (mine,) = sent(store.commit(Work(sends=[append(2)])))
    store.quotas = Quotas(room=10)
    (ours,) = sent(store.commit(Work(sends=[amend(3, 1, "uno")])))
    store.quotas = Quotas()
    for told, n in ((mine, 2), (ours, 3)):
        assert isinstance(told, Refused)
        assert (told.n, told.code) == (n, "quota-reached")
        assert "10 bytes" in told.detail
        assert "ask the operator" in told.detail
        assert "\n" not in told.detail
        assert greeted(store).record.outcome(n) == told
    assert texts(read(store)) == ["one"]


def test_what_is_deleted_may_be_said_anew(store: Store) -> None:
    say(store, "x" * 300, "y" * 300)
    do(store, amend(3, 1, "z" * 300))
    store.quotas = Quotas(person=sizes(store)["lobby"], room=sizes(store)["lobby"])
    assert over(store, append(4, "y" * 300)) == [True]
    assert over(store, amend(5, 1, None), append(6, "y" * 300)) == [False, False]
    assert over(store, append(7, "y" * 300)) == [True]
    assert over(store, amend(8, 5, None), append(9, "y" * 250)) == [False, False]
    assert sizes(store)["lobby"] == size(*read(store))


def test_a_deletion_is_always_kept(store: Store) -> None:
    say(store, "x", "y")
    store.quotas = Quotas(0, 0)
    assert over(store, amend(3, 1, None), amend(4, 0, None), append(5)) == [False, False, True]
    assert [message.deleted for message in history(store)] == [3, 4]


def test_a_deed_is_always_kept_and_counted(store: Store) -> None:
    """Also for the person: one's reactions fill one's quota, as what one says does."""
    say(store, "x")
    store.quotas = Quotas(0, 0)
    assert over(store, deed("pin", 2, client=ANN, target=1), deed("topic", text="t" * 500), append(3)) == [
        False,
        False,
        True,
    ]
    assert sizes(store)["lobby"] == size(*read(store))
    store.quotas = Quotas(person=size(*read(store)[:2]) + 100)
    assert over(store, append(4, "x" * 100), append(5, "x")) == [True, False]
    store.quotas = Quotas(person=size(read(store)[2]) + 100)
    assert over(store, append(1, "x" * 100, client=CAT), append(2, "x", client=CAT)) == [True, False]
    store.quotas = Quotas(room=sizes(store)["lobby"] + 100)
    assert over(store, append(6, "x" * 100), append(7, "x")) == [True, False]


@pytest.mark.parametrize("retention", [Retention(keep_messages=3), Retention(keep_days=7)])
def test_what_is_dropped_for_its_age_is_not_counted(
    keeping: Callable[[Retention], Store], retention: Retention
) -> None:
    store = keeping(retention)
    store.commit(Work([NewRoom("lobby")]))
    for n in range(1, 13):
        ann, bob = append(n, "x" * 150, ms=MS + n * DAY), append(n, "x" * 50, client=BOB, ms=MS + n * DAY)
        store.commit(Work(sends=[ann, bob]))
    do(store, amend(13, 23, None))
    settle(store, MS + 13 * DAY)
    left = read(store)
    assert 0 < len(left) < 20
    mine = [event for event in left if isinstance(event, Message | Deleted) and event.name == "ann"]
    assert sizes(store)["lobby"] == size(*left) > size(*mine)
    store.quotas = Quotas(person=size(*mine))
    assert over(store, append(14, "")) == [True]
    store.quotas = Quotas(person=size(*mine) + 60)
    assert over(store, append(15, "")) == [False]


# Retention -----------------------------------------------------------------------------------------------------------


def test_so_many_events_of_a_room_are_kept(keeping: Callable[[Retention], Store]) -> None:
    store = keeping(Retention(keep_messages=3))
    events = say(store, *"abcde")
    say(store, "x", room="den", n=6)
    settle(store)
    assert store.read("lobby", 0, 10, LOTS) == Slice(3, 5, tuple(events[2:]))
    assert store.read("lobby", 3, 10, LOTS) == Slice(3, 5, tuple(events[3:]))
    assert store.history("lobby", Span(10)) == Slice(3, 5, tuple(events[2:]), edge=3)
    assert store.read("den", 0, 10, LOTS).first == 1
    assert {record.room: record.first for record in store.rooms()} == {"lobby": 3, "den": 1}
    assert search(store, "a") == search(store, "b") == []
    assert search(store, "c") == ["c"]
    assert say(store, "f", n=9)[0].seq == 6


def test_what_is_too_old_is_dropped_and_numbers_go_on(keeping: Callable[[Retention], Store]) -> None:
    store = keeping(Retention(keep_days=7))
    for n in range(1, 11):
        do(store, append(n, str(n), ms=MS + n * DAY))
    settle(store, MS + 12 * DAY)
    assert store.read("lobby", 0, 99, LOTS).first == 5
    assert texts(read(store)) == [str(n) for n in range(5, 11)]


def test_a_room_may_lose_all_and_keeps_its_head(keeping: Callable[[Retention], Store]) -> None:
    store = keeping(Retention(keep_days=7))
    say(store, *"abc")
    settle(store, MS + 8 * DAY)
    assert store.read("lobby", 0, 99, LOTS) == Slice(4, 3, ())
    assert store.history("lobby", Span(9, after=0)).events == ()
    assert search(store, "a") == []
    assert say(store, "d", n=4)[0].seq == 4


def test_deeds_are_dropped_as_messages_are(keeping: Callable[[Retention], Store]) -> None:
    store = keeping(Retention(keep_messages=3))
    store.commit(
        Work([NewRoom("lobby")], [deed("topic", text="t" * 100), append(1), deed("pin", 2, client=ANN, target=2)])
    )
    say(store, "x", n=3)
    settle(store)
    assert [event.seq for event in read(store)] == [2, 3, 4]
    assert sizes(store)["lobby"] == size(*read(store))
    do(store, deed("unpin", 4, client=ANN, target=2))
    settle(store)
    assert [type(event) for event in read(store)] == [Acted, Message, Acted]
    store = keeping(Retention(keep_days=7))
    do(store, deed("topic", text="t" * 100))
    do(store, deed("pin", 1, client=ANN))
    settle(store, MS + 8 * DAY)
    assert store.read("lobby", 0, 99, LOTS) == Slice(3, 2, ())
    assert sizes(store)["lobby"] == 0
    assert do(store, deed("topic")) == Acted(3, MS, "cat", b"12345678", 0, "topic")


def test_what_is_kept_may_change_while_it_runs(keeping: Callable[[Retention], Store]) -> None:
    store = keeping(Retention())
    say(store, *"abcdef")
    settle(store, MS + 8 * DAY)
    assert texts(read(store)) == [*"abcdef"]
    store.retain(None, 4)
    settle(store, MS + 8 * DAY)
    assert store.read("lobby", 0, 99, LOTS).first == 3
    assert texts(read(store)) == [*"cdef"]
    store.retain(7, None)
    settle(store, MS + 8 * DAY)
    assert store.read("lobby", 0, 99, LOTS).first == 7


def test_an_edit_outlives_its_message(keeping: Callable[[Retention], Store]) -> None:
    store = keeping(Retention(keep_messages=3))
    say(store, "one", "two")
    do(store, amend(3, 1, "uno"))
    do(store, amend(4, 2, "dos"))
    do(store, amend(5, 2, "zwei"))
    settle(store)
    assert [event.seq for event in read(store)] == [3, 4, 5]
    assert history(store) == []
    assert search(store, "uno") == search(store, "zwei") == []
    (answer,) = sent(store.commit(Work([], [amend(6, 2, None)])))
    assert isinstance(answer, Refused)


def test_since_finds_all_also_where_times_do_not_rise(store: Store) -> None:
    times = (5000, 6000, 1000, 2000, 7000, 3000)  # an import, or a clock that was set back
    for n, ms in enumerate(times, 1):
        store.commit(Work([NewRoom("lobby")], [append(n, f"at {ms}", ms=ms)]))
    for since in (0, 1000, 2500, 5500, 7000, 7001):
        wanted = [seq for seq, ms in enumerate(times, 1) if ms >= since]
        assert [event.seq for event in store.history("lobby", Span(10, since=since)).events] == wanted
        assert [event.seq for event in store.history("lobby", Span(10, after=0, since=since)).events] == wanted
    assert [event.seq for event in store.history("lobby", Span(10, after=4, since=2500)).events] == [5, 6]
