"""Entering and leaving rooms, and which there are."""

from __future__ import annotations

import pytest
from dialogue import DAY, Dialogue, presences

from zchat.broker.inputs import Received
from zchat.messages import (
    Ack,
    Act,
    Bye,
    Done,
    Edit,
    Failed,
    Join,
    Joined,
    Leave,
    Mark,
    Nick,
    Ping,
    Pong,
    Presence,
    Refused,
    Reply,
    RoomInfo,
    RoomList,
    Rooms,
    Send,
    Who,
)


def test_joining_tells_the_head_and_who_is_there(talk: Dialogue) -> None:
    ann = talk.person("ann")
    assert ann.asks(Join(5, "#Lobby")) == [Joined(5, "lobby", 0, 1, 1, ("ann",))]
    assert presences(talk.published()) == [Presence(1, 1, joined=("ann",))]
    ann.says("one")
    assert talk.person("bob").joins() == Joined(2, "lobby", 1, 2, 2, ("ann", "bob"))


def test_joining_again_tells_the_head_anew_and_makes_no_noise(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    ann.says("one")
    assert ann.joins() == Joined(2, "lobby", 1, 1, 1, ("ann",))
    assert talk.effects.published == {}


def test_following_quietly(talk: Dialogue) -> None:
    ann = talk.person("ann")
    assert ann.joins(quiet=True).count == 0
    assert talk.effects.published == {}
    assert ann.joins().names == ("ann",)  # and then not quietly
    assert presences(talk.published()) == [Presence(1, 1, joined=("ann",))]
    assert ann.joins(quiet=True).names == ("ann",)  # once seen, it stays seen
    assert talk.effects.published == {}


def test_a_visitor_is_in_no_roster(talk: Dialogue) -> None:
    visitor = talk.visitor()
    assert visitor.joins().count == 0
    assert visitor.asks(Leave(3, "lobby")) == [Done(3)]
    assert talk.effects.published == {}


def test_leaving(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    assert ann.asks(Leave(3, "LOBBY")) == [Done(3)]
    assert presences(talk.published()) == [Presence(2, 0, left=("ann",))]
    for room in ("lobby", "never-there"):
        assert ann.asks(Leave(4, room)) == [Done(4)]
        assert talk.effects.published == {}
    assert "never-there" not in talk.hub.rooms.by_name


def test_two_sessions_of_a_person_are_there_once(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    other = talk.person("ann", "lobby", person=ann.person)
    assert talk.effects.published == {}
    ann.asks(Leave(3, "lobby"))
    assert talk.effects.published == {}
    other.vanishes()
    told = [presence for effects in talk.passes(10) for presence in presences(effects.published.get("lobby"))]
    assert told == [Presence(2, 0, lost=("ann",))]


@pytest.mark.parametrize("room", ["", "two words", "x" * 65, "../etc", "#+den"])
def test_what_is_no_room(talk: Dialogue, room: str) -> None:
    ann = talk.person("ann")
    assert ann.refused(Join(3, room)) == "name-invalid"
    assert ann.refused(Leave(3, room)) == "name-invalid"


@pytest.mark.parametrize("room", ["@ann", "@" + "0" * 24, "+den", "@:audit"])
def test_what_is_private_is_not_there_for_others(talk: Dialogue, room: str) -> None:
    ann = talk.person("ann")
    talk.person("bob").says("hello", "@ann")
    assert ann.refused(Join(3, room)) == "no-such-room"
    assert ann.asks(Leave(4, room)) == [Done(4)]


def test_who_is_sent_out_does_nothing_more_in_that_same_turn(talk: Dialogue) -> None:
    ann, bob, _carol = (talk.person(name) for name in ("ann", "bob", "carol"))
    for n, (verb, name) in enumerate([("create", ""), ("invite", "bob"), ("op", "bob")], 1):
        assert any(isinstance(item, Ack) for item in ann.asks(Act(n, verb, "+plans", name)))
    talk.turn(
        Received(ann.id, [Act(4, "kick", "+plans", "bob")]),
        Received(bob.id, [Send(1, "+plans", "still here"), Act(2, "invite", "+plans", "carol")]),
    )
    codes = [item.code for item in bob.heard if isinstance(item, Refused | Failed)]
    assert codes == ["no-such-room"] * 2
    assert any(isinstance(item, Ack) and item.n == 4 for item in ann.heard)


def test_there_are_only_so_many_rooms_for_a_session() -> None:
    talk = Dialogue(max_rooms_joined=2)
    ann = talk.person("ann", "one", "two")
    assert ann.refused(Join(3, "three")) == "limit-reached"
    assert "three" not in talk.hub.rooms.by_name
    assert ann.joins("two").names == ("ann",)
    ann.asks(Leave(4, "one"))
    assert ann.joins("three").names == ("ann",)


def test_rooms_are_listed_in_order_by_pages() -> None:
    talk = Dialogue(page=2)
    ann = talk.person("ann", "b", "d", "a")
    ann.says("x", "c")
    c = RoomInfo("c", 0, 1, DAY)
    assert ann.asks(Rooms(3)) == [RoomList(3, (RoomInfo("a", 1, 0), RoomInfo("b", 1, 0)), more=True)]
    assert ann.asks(Rooms(4, "b")) == [RoomList(4, (c, RoomInfo("d", 1, 0)), more=True)]
    assert ann.asks(Rooms(5, "d")) == [RoomList(5, (RoomInfo("lobby", 0, 0),), more=False)]
    assert ann.asks(Rooms(6, "~")) == [RoomList(6, (), more=False)]
    assert ann.asks(Rooms(7, "bb")) == [RoomList(7, (c, RoomInfo("d", 1, 0)), more=True)]


def test_a_visitor_may_look(talk: Dialogue) -> None:
    talk.person("ann", "lobby")
    visitor = talk.visitor()
    assert visitor.asks(Rooms(1)) == [RoomList(1, (RoomInfo("lobby", 1, 0),), more=False)]
    assert "ann" in str(visitor.asks(Who(2, "lobby")))


def test_lists_wait_their_turn() -> None:
    talk = Dialogue(page=10, work_budget=20, credit=100)
    ann, bob = talk.person("ann"), talk.person("bob")
    for number in range(10):
        ann.asks(Join(number, f"room{number}"))
    answered = [len(ann.asks(*(Rooms(number) for number in range(50))))]
    while talk.hub.wait() == 0.0:
        talk.turn(after=0.0)
        answered.append(len(talk.effects.replies.get(ann.id, ())))
    assert sum(answered) == 50
    assert max(answered) == 2
    assert bob.asks(Ping(1)) == [Pong(1)]


def infos(answers: list[Reply]) -> list[RoomInfo]:
    (answer,) = answers
    assert isinstance(answer, RoomList), answer
    return list(answer.rooms)


def test_rooms_tell_when_they_last_spoke_and_what_is_unread(talk: Dialogue) -> None:
    ann, bob = talk.person("ann", "lobby"), talk.person("bob")
    for text in "abc":
        bob.says(text)
    bob.asks(Edit(4, "lobby", 1, "A"))
    assert infos(ann.asks(Rooms(1))) == [RoomInfo("lobby", 1, 4, DAY)]
    ann.asks(Mark(1, "lobby", 1))
    assert infos(ann.asks(Rooms(1))) == [RoomInfo("lobby", 1, 4, DAY, 3)]
    ann.asks(Mark(1, "lobby", 4))
    assert infos(ann.asks(Rooms(1))) == [RoomInfo("lobby", 1, 4, DAY, 0)]
    assert infos(bob.asks(Rooms(1))) == [RoomInfo("lobby", 1, 4, DAY)]
    talk.passes(6)
    again = Dialogue(talk.store).person("ann", person=ann.person)
    assert infos(again.asks(Rooms(1))) == [RoomInfo("lobby", 0, 4, DAY, 0)]


def test_ones_own_private_rooms_are_listed_behind_the_public_ones(talk: Dialogue) -> None:
    ann, bob, eve = talk.person("ann"), talk.person("bob"), talk.person("eve")
    bob.says("psst", "@ann")
    ann.says("note", "@ann")
    lobby = RoomInfo("lobby", 0, 0)
    assert infos(ann.asks(Rooms(1))) == [lobby, RoomInfo("@bob", 2, 1, DAY, 1), RoomInfo("@ann", 1, 1, DAY, 0)]
    assert infos(bob.asks(Rooms(1))) == [lobby, RoomInfo("@ann", 2, 1, DAY, 0)]
    assert infos(eve.asks(Rooms(1))) == infos(talk.visitor().asks(Rooms(1))) == [lobby]
    ann.asks(Mark(1, "@bob", 1))
    bob.asks(Nick(1, "rob"), Bye(2))
    assert infos(ann.asks(Rooms(1)))[1] == RoomInfo("@bob", 1, 1, DAY, 0)


def test_private_rooms_come_with_the_last_page() -> None:
    talk = Dialogue(page=2)
    ann = talk.person("ann", "a", "b")
    ann.says("note", "@ann")
    assert [info.room for info in infos(ann.asks(Rooms(1)))] == ["a", "b"]
    assert [info.room for info in infos(ann.asks(Rooms(1, "b")))] == ["lobby", "@ann"]


def test_joining_tells_up_to_where_one_has_read(talk: Dialogue) -> None:
    ann, bob = talk.person("ann", "lobby"), talk.person("bob")
    assert ann.joins().mark is None
    bob.says("x")
    ann.asks(Mark(1, "lobby", 1))
    assert ann.joins().mark == 1
    assert talk.person("ann", person=ann.person).joins(quiet=True).mark == 1
    assert bob.joins().mark is None


def test_who_follows_is_counted_once_whatever_it_asks(talk: Dialogue) -> None:
    ann, bob = talk.person("ann", "lobby"), talk.visitor()
    ann.joins()
    bob.joins(quiet=True)
    ann.says("hi")
    assert talk.effects.published["lobby"].followers == 2
    bob.asks(Leave(9, "lobby"), Leave(10, "lobby"))
    ann.vanishes()
    talk.passes(11)
    assert talk.hub.rooms.by_name["lobby"].followers == 0
