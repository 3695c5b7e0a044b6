"""Saying something: send numbers, texts, rooms and private rooms."""

from __future__ import annotations

import pytest
from dialogue import DAY, Dialogue, Peer, texts

from zchat import errors
from zchat.broker.inputs import Received
from zchat.messages import Ack, Bye, Join, Message, Nick, Private, Read, Refused, Reply, Rooms, Send
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
    for peer, other in ((ann_too, "bob"), (bob, "ann"), (bob_too, "ann")):
        (private,) = peer.heard
        assert isinstance(private, Private)
        assert (private.room, private.peer) == (ack.room, other)
        (message,) = private.events
        assert isinstance(message, Message)
        assert (message.seq, message.name, message.text) == (1, "ann", "psst")
    assert len(ann.heard) == 2  # its own copy, and the ack
    assert eve.heard == visitor.heard == []
    assert talk.effects.published == {}
    assert not any("psst" in text or ack.room in text for _, text in talk.logged)
    assert not any(effects.published for effects in talk.passes(5))  # nor is its head


def test_both_write_into_one_room_under_whichever_name(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    room = ann.says("one", "@bob").room
    assert (bob.says("two", "@ann").room, bob.says("three", room).room) == (room, room)
    bob.asks(Nick(1, "rob"))
    ack = ann.says("four", "@rob")
    assert (ack.room, ack.seq) == (room, 4)
    (private, _) = ann.heard
    assert isinstance(private, Private)
    assert private.peer == "rob"


def test_a_private_room_outlives_its_members_presence(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    room = ann.says("one", "@bob").room
    bob.asks(Bye(1))
    assert ann.says("two", room).seq == 2
    assert "peer='bob'" in str(ann.heard)
    ann.n += 1
    assert only_refused(ann.asks(Send(ann.n, "@bob", "three"))).code == "no-such-person"
    (kept,) = bob.returns().hello().private
    assert (kept.room, kept.peer, kept.head) == (room, "ann", 2)


def test_one_may_write_to_oneself(talk: Dialogue) -> None:
    ann = talk.person("ann")
    private, ack = ann.asks(Send(1, "@ann", "note"))
    assert isinstance(private, Private)
    assert isinstance(ack, Ack)
    assert private.peer == "ann"


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
    assert eve.refused(Join(3, room)) == eve.refused(Join(3, nowhere)) == "name-invalid"
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
    assert [send.text for send in work.sends if isinstance(send, Append)] == ["1", "2", "3"]
    assert {new.room for new in work.rooms} == {"den"}
    talk.hub.committed(talk.store.commit(work))
