"""Up to where each person has read each room."""

from __future__ import annotations

from dialogue import Dialogue, Peer

from zchat.broker.inputs import Received, Shutdown
from zchat.broker.marks import LAZY
from zchat.messages import Bye, Done, Mark, RoomList, Rooms, Send
from zchat.store.base import Greeting, ReadMark, Work


def kept(talk: Dialogue, person: bytes) -> dict[str, int]:
    """The marks that the store would tell after a restart."""
    (greeted,) = talk.store.commit(Work(greetings=[Greeting(b"c" * 16, None, person)])).greeted
    assert greeted is not None
    return greeted.marks


def unread(talk: Dialogue, person: bytes) -> dict[str, int | None]:
    looker = Peer(talk, None, person=person)
    looker.hello()
    (listed,) = looker.asks(Rooms(1))
    assert isinstance(listed, RoomList)
    return {info.room: info.unread for info in listed.rooms}


def test_a_mark_only_rises_and_never_above_the_head(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    for text in "abcd":
        bob.says(text)
    for seq, told in ((2, 2), (1, 2), (0, 2), (4, 4), (2**63 - 1, 4)):
        assert ann.asks(Mark(7, "#Lobby", seq)) == [Done(7)]
        assert ann.joins().mark == told
    assert bob.joins().mark is None


def test_a_mark_of_nothing_is_one(talk: Dialogue) -> None:
    ann = talk.person("ann")
    ann.asks(Mark(1, "lobby", 0))
    assert ann.joins().mark == 0
    assert talk.person("bob").says("x").seq == 1
    assert ann.joins().mark == 0


def test_all_sessions_of_a_person_share_them(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    bob.says("x")
    ann.asks(Mark(1, "lobby", 1))
    other = talk.person("ann", person=ann.person)
    assert other.joins().mark == 1
    ann.asks(Bye(2))
    bob.says("y")
    other.asks(Mark(1, "lobby", 2))
    assert ann.returns().hello() is not None
    assert other.joins().mark == 2


def test_a_mark_waits_for_other_work_but_not_for_long(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    bob.says("x")
    before = talk.store.stamp.turn
    ann.asks(Mark(1, "lobby", 1))
    talk.passes(LAZY - 1)
    assert talk.store.stamp.turn == before
    assert kept(talk, ann.person) == {}
    assert talk.hub.marks.due() - talk.hub.turn.clock <= 1.0
    talk.passes(1.5)
    assert kept(talk, ann.person) == {"lobby": 1}
    assert talk.hub.marks.due() == float("inf")
    ann.asks(Mark(1, "lobby", 0))
    talk.passes(2 * LAZY)
    assert talk.store.stamp.turn == before + 1


def test_a_mark_goes_with_the_next_message(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    bob.says("x")
    ann.asks(Mark(1, "lobby", 1))
    bob.says("y")
    assert kept(talk, ann.person) == {"lobby": 1}


def test_a_mark_that_could_not_be_kept_is_kept_later(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    bob.says("x")
    ann.asks(Mark(1, "lobby", 1))
    talk.broken = True
    talk.passes(LAZY + 1)
    assert talk.hub.marks.due() > talk.hub.turn.clock  # not tried over and over
    talk.broken = False
    talk.passes(LAZY + 1)
    assert kept(talk, ann.person) == {"lobby": 1}


def test_a_mark_that_rose_meanwhile_is_kept_again(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    bob.says("x")
    bob.says("y")
    ann.asks(Mark(1, "lobby", 1))
    bob.n += 1
    talk.turn(Received(bob.id, [Send(bob.n, "lobby", "z")]), Received(ann.id, [Mark(2, "lobby", 2)]))
    talk.passes(LAZY + 1)
    assert kept(talk, ann.person) == {"lobby": 2}


def test_nobody_goes_or_comes_without_their_marks(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    bob.says("x")
    ann.asks(Mark(1, "lobby", 1), Bye(2))
    back = ann.returns()
    back.hello()
    assert back.joins().mark == 1
    assert kept(talk, ann.person) == {"lobby": 1}


def test_a_broker_that_stops_keeps_them(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    bob.says("x")
    ann.asks(Mark(1, "lobby", 1))
    talk.turn(Shutdown("bye"))
    assert kept(talk, ann.person) == {"lobby": 1}


def test_they_are_there_after_a_restart(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    bob.says("x")
    bob.says("psst", "@ann")
    room = bob.says("psst", "@ann").room
    ann.asks(Mark(1, "lobby", 1), Mark(2, "@bob", 1))
    talk.passes(LAZY + 1)
    again = Dialogue(talk.store).person("ann", person=ann.person, client=ann.client)
    (private,) = again.hello().private
    assert (private.room, private.head, private.mark) == (room, 2, 1)
    assert again.joins().mark == 1


def test_who_had_read_everything_has_read_what_they_say_themselves(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    bob.says("1")
    ann.says("2")
    assert ann.joins().mark is None  # nothing was ever marked
    ann.asks(Mark(1, "lobby", 2))
    ann.says("3")
    assert ann.joins().mark == 3
    bob.says("4")
    ann.says("5")
    assert ann.joins().mark == 3  # the fourth is unread


def test_who_begins_a_private_room_has_read_it_and_the_other_has_not(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    ann.says("psst", "@bob")
    assert unread(talk, ann.person) == {"lobby": None, "@bob": 0}
    assert unread(talk, bob.person) == {"lobby": None, "@ann": 1}


def test_of_who_is_gone_nothing_is_remembered(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    ann.asks(Send(1, "@bob", "and gone"), Bye(2))
    assert ann.person not in talk.hub.marks._of
    bob.vanishes()
    talk.passes(20)
    assert not talk.hub.marks._of
    assert unread(talk, ann.person) == {"lobby": None, "@bob": 0}


def test_what_is_not_ones_own_room_cannot_be_marked(talk: Dialogue) -> None:
    ann, _, eve = (talk.person(name) for name in ("ann", "bob", "eve"))
    room = ann.says("psst", "@bob").room
    for wanted in (room, "@ann", "@bob", "nowhere", "@" + "0" * 24):
        assert eve.refused(Mark(1, wanted, 1)) == "no-such-room"
    assert eve.refused(Mark(1, "two words", 1)) == "name-invalid"
    assert talk.hub.marks.of(eve.person) == {}


def test_there_are_only_so_many_marks() -> None:
    talk = Dialogue(max_marks=2)
    ann = talk.person("ann", "one", "two", "three")
    ann.asks(Mark(1, "one", 0), Mark(1, "two", 0))
    assert ann.refused(Mark(1, "three", 0)) == "limit-reached"
    ann.says("x", "one")
    assert ann.asks(Mark(1, "one", 1)) == [Done(1)]


def test_what_is_told_to_the_store_is_told_once(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    bob.says("x")
    ann.asks(Mark(1, "lobby", 1))
    told: list[ReadMark] = []
    for _ in range(20):
        work = talk.hub.handle([], talk.hub.turn.now)
        told += work.marks
        talk.hub.committed(talk.store.commit(work))
        talk.passes(1.0)
    assert len(told) <= 1
