"""Saying something: send numbers, texts, rooms and private rooms."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from dialogue import DAY, Dialogue, Peer, texts

from zchat import errors
from zchat.broker.inputs import Received
from zchat.messages import (
    Ack,
    Act,
    Bye,
    Delete,
    Deleted,
    Edit,
    Edited,
    Event,
    Join,
    Message,
    Nick,
    Private,
    Read,
    Refused,
    Reply,
    Request,
    Rooms,
    Send,
)
from zchat.store.base import Append
from zchat.store.memory import MemoryStore

BIGGEST = 2**63 - 1


def only_refused(answers: list[Reply]) -> Refused:
    (answer,) = answers
    assert isinstance(answer, Refused), answer
    return answer


# Send numbers --------------------------------------------------------------------------------------------------------


def test_a_repeat_gets_its_outcome_again_and_is_stored_once(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    first = ann.asks(Send(1, "lobby", "one"))
    assert ann.asks(Send(1, "lobby", "one")) == first == [Ack(1, "lobby", 1, DAY)]
    assert talk.effects.published == {}
    refused = ann.asks(Send(2, "no room", "x"))
    assert ann.asks(Send(2, "lobby", "another text")) == refused
    assert only_refused(refused).code == "name-invalid"
    assert talk.store.rooms()[0].head == 1


def test_a_repeat_within_its_turn_gets_its_outcome_too(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    ack = Ack(1, "lobby", 1, DAY)
    assert ann.asks(Send(1, "lobby", "x"), Send(1, "lobby", "x"), Send(1, "lobby", "x")) == [ack, ack, ack]
    assert texts(talk.published()) == ["x"]


@pytest.mark.parametrize("n", [0, 3, 4, 1000, BIGGEST])
def test_any_number_but_the_next_is_out_of_order_and_uses_nothing_up(talk: Dialogue, n: int) -> None:
    ann = talk.person("ann", "lobby")
    ann.says("one")
    refused = only_refused(ann.asks(Send(n, "lobby", "x")))
    assert (refused.n, refused.code, refused.expected, refused.retry_ms) == (n, "out-of-order", 2, 1000)
    assert talk.effects.published == {}
    assert ann.says("two").seq == 2


def test_zero_is_no_repeat_of_nothing(talk: Dialogue) -> None:
    refused = only_refused(talk.person("ann").asks(Send(0, "lobby", "x")))
    assert (refused.code, refused.expected) == ("out-of-order", 1)


def test_a_final_refusal_uses_its_number_up(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    first, second = ann.asks(Send(1, "lobby", "x" * 20_000), Send(2, "lobby", "short"))
    assert isinstance(first, Refused)
    assert first.code == "too-long"
    assert second == Ack(2, "lobby", 1, DAY)


def test_a_retryable_refusal_uses_nothing_up(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    talk.broken = True
    assert only_refused(ann.asks(Send(1, "lobby", "x"))).code == "store-unavailable"
    talk.broken = False
    assert ann.asks(Send(1, "lobby", "x")) == [Ack(1, "lobby", 1, DAY)]


def test_numbers_outlive_the_session(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    ann.says("one")
    ann.asks(Send(2, "no room", "two"))
    ann.asks(Bye(1))
    back = ann.returns()
    assert back.hello().last == 2
    assert back.asks(Send(1, "lobby", "one")) == [Ack(1, "lobby", 1, DAY)]
    assert only_refused(back.asks(Send(2, "no room", "two"))).code == "name-invalid"
    assert back.asks(Send(3, "lobby", "three")) == [Ack(3, "lobby", 2, DAY)]


def test_numbers_belong_to_clients_not_to_persons(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    ann.says("one")
    other = talk.person("ann", person=ann.person)
    assert other.says("two").n == 1
    assert ann.says("three").n == 2


def test_an_outcome_too_old_to_be_at_hand_is_an_ack_without_a_number() -> None:
    talk = Dialogue(MemoryStore(window=2), credit=2)
    ann = talk.person("ann", "lobby")
    for text in "abcd":
        ann.says(text)
    assert ann.asks(Send(2, "lobby", "b")) == [Ack(2, "", 0, 0)]
    assert ann.asks(Send(3, "lobby", "c")) == [Ack(3, "lobby", 3, DAY)]


def test_a_send_in_the_frame_of_hello_waits(talk: Dialogue) -> None:
    ann = Peer(talk, "ann")
    refused, welcome = ann.asks(ann.greeting(), Send(1, "lobby", "x"))
    assert isinstance(refused, Refused)
    assert refused.code == "unknown-session"
    assert errors.UnknownSession.retryable
    assert "Welcome" in str(welcome)


def test_what_an_older_connection_sent_last_is_answered_to_the_newer(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    back = ann.returns()
    talk.turn(Received(ann.id, [Send(1, "lobby", "x")]), Received(back.id, [back.greeting()]))
    welcome, ack = back.heard
    assert "last=1" in str(welcome)
    assert ack == Ack(1, "lobby", 1, DAY)
    assert back.asks(Send(2, "lobby", "y")) == [Ack(2, "lobby", 2, DAY)]


# Texts ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "two\nlines\tand a tab", "Zoë 日本 🎉", "x" * 16_384, "é" * 8192, "\u202e\u200b"])
def test_what_a_message_may_hold(talk: Dialogue, text: str) -> None:
    ann = talk.person("ann")
    ann.says(text)
    assert texts(talk.published()) == [text]


@pytest.mark.parametrize("text", ["x" * 16_385, "é" * 8193, "\U0001f389" * 4097])
def test_a_text_is_measured_in_bytes(talk: Dialogue, text: str) -> None:
    refused = only_refused(talk.person("ann").asks(Send(1, "lobby", text)))
    assert (refused.code, "16384 are allowed" in refused.detail) == ("too-long", True)


@pytest.mark.parametrize("c", ["\0", "\x07", "\b", "\v", "\f", "\r", "\x1b", "\x7f", "\x80", "\x85", "\x9b", "\x9f"])
def test_newline_and_tab_are_the_only_controls(talk: Dialogue, c: str) -> None:
    ann = talk.person("ann")
    for n, text in enumerate((c, f"é{c}", f"a{c}b\n"), 1):
        assert only_refused(ann.asks(Send(n, "lobby", text))).code == "bad-request"


def test_a_visitor_cannot_speak(talk: Dialogue) -> None:
    visitor = talk.visitor()
    assert only_refused(visitor.asks(Send(1, "lobby", "x"))).code == "name-needed"


# Rooms ---------------------------------------------------------------------------------------------------------------


def test_one_may_speak_in_a_room_without_being_there(talk: Dialogue) -> None:
    ann = talk.person("ann")
    assert ann.says("x", "#Den").room == "den"
    assert len(talk.hub.rooms.by_name["den"].roster) == 0


@pytest.mark.parametrize("room", ["", "#", "two words", "a/b", "x" * 65, "x" * 60_000, "a\0b", "a\x1b", "*"])
def test_what_is_no_room_is_refused(talk: Dialogue, room: str) -> None:
    refused = only_refused(talk.person("ann").asks(Send(1, room, "x")))
    assert refused.code == "name-invalid"
    assert len(refused.detail) < 200
    assert list(talk.hub.rooms.by_name) == ["lobby"]


def test_there_are_only_so_many_rooms() -> None:
    talk = Dialogue(max_rooms=2)
    ann, bob = talk.person("ann"), talk.person("bob")
    ann.says("x", "den")
    assert only_refused(ann.asks(Send(2, "another", "x"))).code == "limit-reached"
    assert ann.refused(Join(9, "another")) == "limit-reached"
    assert only_refused(bob.asks(Send(1, "@ann", "x"))).code == "limit-reached"
    assert ann.asks(Send(3, "den", "y")) == [Ack(3, "den", 2, DAY)]


# Private rooms -------------------------------------------------------------------------------------------------------


def test_a_private_message_reaches_all_sessions_of_both_and_nobody_else(talk: Dialogue) -> None:
    ann, bob, eve = talk.person("ann", "lobby"), talk.person("bob", "lobby"), talk.person("eve", "lobby")
    ann_too, bob_too = talk.person("ann", person=ann.person), talk.person("BOB", person=bob.person)
    visitor = talk.visitor()
    ack = ann.says("psst", "@Bob")
    assert ack.room.startswith("@")
    assert ack.seq == 1
    for peer, other in ((ann_too, "@bob"), (bob, "@ann"), (bob_too, "@ann")):
        (private,) = peer.heard
        assert isinstance(private, Private)
        assert (private.room, private.label) == (ack.room, other)
        (message,) = private.events
        assert isinstance(message, Message)
        assert (message.seq, message.name, message.text) == (1, "ann", "psst")
    assert len(ann.heard) == 2  # its own copy, and the ack
    assert eve.heard == visitor.heard == []
    assert talk.effects.published == {}
    assert not any("psst" in text or ack.room in text for _, text in talk.logged)
    assert not any(effects.published for effects in talk.passes(5))  # nor is its head


def test_what_is_said_in_a_row_is_one_run_unless_each_has_to_be_looked_at(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    ann.asks(Act(1, "create", "+plans"))
    ann.asks(Act(2, "topic", "+plans", text="what next"))

    def acks(first: int) -> list[tuple[int, int]]:
        sends = [Send(n, "+plans", "x") for n in range(first, first + 3)]
        return [(one.n, one.count) for one in ann.asks(*sends) if isinstance(one, Ack)]

    assert acks(3) == [(3, 3)]
    ann.asks(Act(6, "readonly", "+plans"))
    assert acks(7) == [(7, 3)]
    ann.asks(Act(10, "readonly", "+plans", on=False))
    assert acks(11) == [(11, 3)]
    ann.asks(Act(14, "slow", "+plans", seconds=5))
    assert acks(15) == [(15, 1), (16, 1), (17, 1)]


def test_both_write_into_one_room_under_whichever_name(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    room = ann.says("one", "@bob").room
    assert (bob.says("two", "@ann").room, bob.says("three", room).room) == (room, room)
    bob.asks(Nick(1, "rob"))
    ack = ann.says("four", "@rob")
    assert (ack.room, ack.seq) == (room, 4)
    (private, _) = ann.heard
    assert isinstance(private, Private)
    assert private.label == "@rob"


def test_a_private_room_outlives_its_members_presence(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    room = ann.says("one", "@bob").room
    bob.asks(Bye(1))
    assert ann.says("two", room).seq == 2
    assert "label='@bob'" in str(ann.heard)
    (kept,) = bob.returns().hello().private
    assert (kept.room, kept.label, kept.head) == (room, "@ann", 2)


def test_a_private_message_waits_for_who_is_away(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    bob.asks(Bye(1))
    ack = ann.says("are you there?", "@Bob")
    talk.month_passes()
    talk.person("bob")  # the name is free by now, and another has it
    ann.says("who is that?", "@bob")
    welcome = bob.returns().hello(name=None)
    assert [(kept.room, kept.label, kept.head) for kept in welcome.private] == [(ack.room, "@ann", 1)]


def test_one_may_write_to_oneself(talk: Dialogue) -> None:
    ann = talk.person("ann")
    private, ack = ann.asks(Send(1, "@ann", "note"))
    assert isinstance(private, Private)
    assert isinstance(ack, Ack)
    assert private.label == "@ann"


def test_who_is_not_a_member_cannot_tell_a_private_room_from_none(talk: Dialogue) -> None:
    ann, eve = talk.person("ann"), talk.person("eve")
    talk.person("bob")
    room = ann.says("psst", "@bob").room
    nowhere = "@" + "0" * 24
    real, none = only_refused(eve.asks(Send(1, room, "x"))), only_refused(eve.asks(Send(2, nowhere, "x")))
    assert (real.code, real.detail) == (none.code, none.detail.replace(nowhere[1:], room[1:]))
    assert [str(item).replace("q=1", "") for item in eve.asks(Read(1, room, 0, 9))] == [
        str(item).replace("q=2", "") for item in eve.asks(Read(2, nowhere, 0, 9))
    ]
    assert eve.refused(Join(3, room)) == eve.refused(Join(3, nowhere)) == "no-such-room"
    assert room not in str(eve.asks(Rooms(4)))


@pytest.mark.parametrize("name", ["nobody", "", "two words", "x" * 60_000])
def test_nobody_of_that_name(talk: Dialogue, name: str) -> None:
    refused = only_refused(talk.person("ann").asks(Send(1, f"@{name}", "x")))
    assert refused.code == "no-such-person"
    assert len(refused.detail) < 100  # it is kept


def test_there_are_only_so_many_private_rooms() -> None:
    talk = Dialogue(max_private_rooms=2)
    ann, *others = (talk.person(name) for name in ("ann", "bob", "cat", "dan"))
    ann.says("x", "@bob")
    ann.says("x", "@cat")
    assert only_refused(ann.asks(Send(3, "@dan", "x"))).code == "limit-reached"
    assert only_refused(others[2].asks(Send(1, "@ann", "x"))).code == "limit-reached"
    ann.n = 3
    assert ann.says("y", "@bob").seq == 2
    assert others[2].asks(Send(2, "@bob", "x"))[-1] == Ack(2, next(reversed(talk.hub.rooms.by_name)), 1, DAY)


def test_the_work_of_a_turn_is_in_order(talk: Dialogue) -> None:
    ann = talk.person("ann")
    work = talk.hub.handle([Received(ann.id, [Send(n, "den", str(n)) for n in (1, 2, 3)])], talk.hub.turn.now)
    (append,) = work.sends
    assert isinstance(append, Append)
    assert [said.text for said in append.said] == ["1", "2", "3"]
    assert {new.room for new in work.rooms} == {"den"}
    talk.hub.committed(talk.store.commit(work))


# Edits and deletions -------------------------------------------------------------------------------------------------


def event(talk: Dialogue) -> Event:
    """What the last turn published."""
    (published,) = talk.published().events
    return published


def test_an_edit_is_an_event_of_its_own(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    ann.says("frist")
    assert ann.asks(Edit(2, "#Lobby", 1, "first")) == [Ack(2, "lobby", 2, DAY)]
    edited = event(talk)
    assert isinstance(edited, Edited)
    assert (edited.seq, edited.ms, edited.name, edited.n) == (2, DAY, "ann", 2)
    assert (edited.target, edited.text) == (1, "first")
    assert ann.asks(Send(3, "lobby", "next")) == [Ack(3, "lobby", 3, DAY)]


def test_a_deletion_is_an_event_of_its_own_and_leaves_no_text(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    ann.says("secret one")
    ann.asks(Edit(2, "lobby", 1, "secret two"))
    assert ann.asks(Delete(3, "lobby", 1)) == [Ack(3, "lobby", 3, DAY)]
    deleted = event(talk)
    assert isinstance(deleted, Deleted)
    assert (deleted.seq, deleted.ms, deleted.name, deleted.n, deleted.target) == (3, DAY, "ann", 3, 1)
    assert "secret" not in str(ann.asks(Read(1, "lobby", 0, 9)))


def test_by_default_it_is_the_last_of_the_person_in_that_room(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    other = talk.person("ann", person=ann.person)
    ann.says("1")
    other.says("2")
    ann.says("elsewhere", "den")
    bob.says("3")
    ann.asks(Edit(3, "lobby", 0, "two"))
    edited = event(talk)
    assert isinstance(edited, Edited)
    assert (edited.target, edited.text) == (2, "two")
    targets = []
    for n in (4, 5):
        ann.asks(Delete(n, "lobby", 0))
        deleted = event(talk)
        assert isinstance(deleted, Deleted)
        targets.append(deleted.target)
    assert targets == [2, 1]
    assert only_refused(ann.asks(Delete(6, "lobby", 0))).code == "no-such-message"


def test_what_is_written_is_the_persons_whichever_client_and_name_it_was(talk: Dialogue) -> None:
    ann = talk.person("ann")
    ann.says("from here")
    ann.asks(Bye(1))
    talk.month_passes()
    eve = talk.person("ann")  # the name is another's now
    assert only_refused(eve.asks(Edit(1, "lobby", 1, "forged"))).code == "no-such-message"
    assert only_refused(eve.asks(Delete(2, "lobby", 0))).code == "no-such-message"
    back = talk.person("anna", person=ann.person)
    assert back.asks(Edit(1, "lobby", 1, "from there")) == [Ack(1, "lobby", 2, talk.ms)]
    assert "name='anna'" in str(event(talk))


@pytest.mark.parametrize("make", [lambda n, seq: Edit(n, "lobby", seq, "x"), lambda n, seq: Delete(n, "lobby", seq)])
def test_no_other_message_can_be_changed(talk: Dialogue, make: Callable[[int, int], Request]) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    ann.says("1")
    bob.says("2")
    bob.says("3")
    bob.asks(Edit(3, "lobby", 3, "three"), Delete(4, "lobby", 2))
    details = set()
    for n, seq in enumerate((1, 2, 4, 5, 6, 2**31, BIGGEST), 5):  # another's, deleted, an edit, a deletion, not there
        refused = only_refused(bob.asks(make(n, seq)))
        assert refused.code == "no-such-message"
        details.add(refused.detail)
        assert talk.effects.published == {}
    assert len(details) == 1
    assert talk.store.rooms()[0].head == 5


def test_what_is_no_longer_kept_cannot_be_changed() -> None:
    talk = Dialogue(MemoryStore(keep=2))
    ann = talk.person("ann")
    for text in "abc":
        ann.says(text)
    assert only_refused(ann.asks(Edit(4, "lobby", 1, "x"))).code == "no-such-message"
    assert ann.asks(Edit(5, "lobby", 2, "B")) == [Ack(5, "lobby", 4, DAY)]


def test_a_refused_change_uses_its_number_up_and_a_repeat_gets_its_outcome_again(talk: Dialogue) -> None:
    ann = talk.person("ann")
    ann.says("1")
    refused = ann.asks(Delete(2, "lobby", 7))
    edited = ann.asks(Edit(3, "lobby", 1, "one"))
    deleted = ann.asks(Delete(4, "lobby", 0))
    for answers, repeat in (
        (refused, Delete(2, "lobby", 1)),
        (edited, Edit(3, "lobby", 1, "!")),
        (deleted, Send(4, "lobby", "!")),
    ):
        assert ann.asks(repeat) == answers
        assert talk.effects.published == {}
    assert ann.returns().hello().last == 4
    assert only_refused(ann.asks(Edit(9, "lobby", 1, "x"))).code in ("out-of-order", "unknown-session")


def test_what_is_refused_at_once_uses_its_number_up_too(talk: Dialogue) -> None:
    ann = talk.person("ann")
    ann.says("1")
    for request, code in (
        (Edit(2, "nowhere", 1, "x"), "no-such-room"),
        (Delete(3, "two words", 1), "name-invalid"),
        (Edit(4, "lobby", 1, "x" * 16_385), "too-long"),
        (Edit(5, "lobby", 1, "\x1b[2J"), "bad-request"),
    ):
        assert ann.refused(request) == code
    assert ann.asks(Edit(6, "lobby", 1, "one")) == [Ack(6, "lobby", 2, DAY)]
    assert "nowhere" not in talk.hub.rooms.by_name


def test_a_visitor_has_nothing_to_change(talk: Dialogue) -> None:
    visitor = talk.visitor()
    assert visitor.refused(Edit(1, "lobby", 0, "x")) == visitor.refused(Delete(1, "lobby", 0)) == "name-needed"


def test_a_change_that_could_not_be_stored_may_be_tried_again(talk: Dialogue) -> None:
    ann = talk.person("ann")
    ann.says("1")
    talk.broken = True
    for request in (Edit(2, "lobby", 1, "one"), Delete(2, "lobby", 1)):
        assert only_refused(ann.asks(request)).code == "store-unavailable"
    talk.broken = False
    assert ann.asks(Edit(2, "lobby", 1, "one")) == [Ack(2, "lobby", 2, DAY)]


def test_a_change_in_a_room_that_the_store_does_not_have_yet(talk: Dialogue) -> None:
    talk.broken = True
    talk.turn()
    talk.broken = False
    ann = talk.person("ann")
    assert only_refused(ann.asks(Edit(1, "lobby", 1, "x"))).code == "no-such-message"
    talk = Dialogue()
    talk.broken = True
    talk.turn()
    talk.broken = False
    assert only_refused(talk.person("ann").asks(Delete(1, "lobby", 0))).code == "no-such-message"


def test_what_is_said_and_changed_in_one_turn(talk: Dialogue) -> None:
    ann = talk.person("ann")
    acks = ann.asks(Send(1, "lobby", "1"), Edit(2, "lobby", 0, "one"), Delete(3, "lobby", 0), Delete(4, "lobby", 0))
    assert acks[:3] == [Ack(n, "lobby", n, DAY) for n in (1, 2, 3)]
    assert isinstance(acks[3], Refused)
    assert [type(event) for event in talk.published().events] == [Message, Edited, Deleted]
    assert "one" not in str(ann.asks(Read(1, "lobby", 0, 9)))


def test_in_a_private_room_both_hear_it_and_nobody_else(talk: Dialogue) -> None:
    ann, bob, eve = (talk.person(name, "lobby") for name in ("ann", "bob", "eve"))
    room = ann.says("frist", "@bob").room
    ann.asks(Edit(2, "@bob", 0, "first"))
    for peer, other in ((ann, "@bob"), (bob, "@ann")):
        private = peer.heard[0]
        assert isinstance(private, Private)
        (edited,) = private.events
        assert isinstance(edited, Edited)
        assert (private.room, private.label, edited.seq, edited.target, edited.text) == (room, other, 2, 1, "first")
    assert eve.heard == []
    assert talk.effects.published == {}
    ann.asks(Delete(3, room, 1))
    assert "Deleted" in str(bob.heard)
    assert eve.heard == []


def test_in_anothers_private_room_there_is_nothing_to_change(talk: Dialogue) -> None:
    ann, eve = talk.person("ann"), talk.person("eve")
    talk.person("bob")
    room = ann.says("psst", "@bob").room
    nowhere = "@" + "0" * 24
    answers = [
        only_refused(eve.asks(request))
        for request in (Edit(1, room, 1, "x"), Edit(2, nowhere, 1, "x"), Delete(3, room, 1), Delete(4, "@bob", 0))
    ]
    assert {(answer.code, answer.detail) for answer in answers} == {("no-such-room", errors.NoSuchRoom.says)}


def test_by_a_name_that_is_anothers_now_the_last_said_to_that_one_is_meant(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    ann.says("to the first", "@bob")
    bob.asks(Bye(1))
    talk.month_passes()
    other = talk.person("bob")
    room = ann.says("to the second", "@bob").room
    assert ann.asks(Delete(3, "@bob", 0))[-1] == Ack(3, room, 2, talk.ms)
    assert "Deleted" in str(other.heard)
