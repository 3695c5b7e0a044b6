"""The roster, and what a room's presence tells of it."""

from __future__ import annotations

from dialogue import Dialogue, presences

from zchat.broker.inputs import Received
from zchat.broker.roster import Roster
from zchat.messages import Join, Leave, Nick, People, Presence, Who


def roster(*names: str) -> Roster:
    made = Roster()
    for name in names:
        made.add(name)
    made.presence(100)
    return made


def test_nothing_changed_tells_nothing() -> None:
    room = roster("ann")
    assert room.presence(100) is None
    room.add("bob")
    room.remove("bob")
    assert room.presence(100) is None
    assert room.version == 1


def test_whoever_came_left_and_was_lost_is_told_in_order() -> None:
    room = roster("ann", "bob", "cat")
    room.remove("bob")
    room.remove("ann", lost=True)
    room.add("eve")
    room.add("dan")
    assert room.presence(100) == Presence(2, 3, ("dan", "eve"), ("bob",), ("ann",))


def test_a_name_is_in_as_long_as_one_of_its_sessions_is() -> None:
    room = roster("ann", "ann")
    room.remove("ann", lost=True)
    assert room.presence(100) is None
    assert room.names() == ["ann"]
    room.remove("ann")
    assert room.presence(100) == Presence(2, 0, left=("ann",))


def test_whoever_was_lost_and_came_back_within_a_turn_was_not_lost() -> None:
    room = roster("ann")
    room.remove("ann", lost=True)
    room.add("ann")
    assert room.presence(100) is None
    room.remove("ann")
    assert room.presence(100) == Presence(2, 0, left=("ann",))


def test_a_chain_of_names_is_one_change() -> None:
    room = roster("ann")
    room.rename("ann", "bob")
    room.rename("bob", "cat")
    assert room.presence(100) == Presence(2, 1, renamed=(("ann", "cat"),))


def test_a_chain_that_ends_where_it_began_is_none() -> None:
    room = roster("ann")
    room.rename("ann", "bob")
    room.rename("bob", "ann")
    assert room.presence(100) is None


def test_whoever_came_and_took_another_name_just_came() -> None:
    room = roster()
    room.add("ann")
    room.rename("ann", "bob")
    assert room.presence(100) == Presence(1, 1, joined=("bob",))


def test_whoever_took_another_name_and_left_just_left() -> None:
    room = roster("ann")
    room.rename("ann", "bob")
    room.remove("bob")
    assert room.presence(100) == Presence(2, 0, left=("ann",))


def test_one_session_of_two_that_takes_another_name_joins() -> None:
    room = roster("ann", "ann")
    room.rename("ann", "bob")
    assert room.presence(100) == Presence(2, 2, joined=("bob",))


def test_a_name_given_up_and_taken_by_another_is_no_renaming() -> None:
    room = roster("ann")
    room.rename("ann", "bob")
    room.add("ann")
    assert room.presence(100) == Presence(2, 2, joined=("bob",))


def test_a_crowd_is_counted_and_not_named() -> None:
    room = roster("a", "b", "c")
    room.add("d")
    assert room.presence(3) == Presence(2, 4)
    room.remove("a")
    assert room.presence(3) == Presence(3, 3, left=("a",))


def test_too_many_changes_are_counted_and_a_version_is_skipped() -> None:
    room = roster(*(f"p{i}" for i in range(200)))
    for i in range(150):
        room.remove(f"p{i}", lost=True)
    assert room.presence(100) == Presence(3, 50)
    room.add("ann")
    assert room.presence(100) == Presence(4, 51, ("ann",))


def test_names_are_in_order_however_they_came() -> None:
    room = roster("b", "c", "a")
    assert room.names() == ["a", "b", "c"]
    room.remove("b")
    room.add("aa")
    assert room.names() == ["a", "aa", "c"]
    assert "aa" in room
    assert len(room) == 3


# Presence as the room publishes it -----------------------------------------------------------------------------------


def test_all_that_changes_in_a_turn_is_one_presence(talk: Dialogue) -> None:
    ann, bob, cat = (talk.person(name) for name in ("ann", "bob", "cat"))
    ann.joins()
    talk.turn(
        Received(ann.id, [Nick(3, "Anna")]),
        Received(bob.id, [Join(3, "lobby")]),
        Received(cat.id, [Join(3, "lobby"), Leave(4, "lobby")]),
    )
    assert presences(talk.published()) == [Presence(2, 2, ("bob",), renamed=(("ann", "Anna"),))]


def test_coming_back_within_a_turn_is_not_told(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    ann.asks(Leave(3, "lobby"), Join(4, "lobby"))
    assert "lobby" not in talk.effects.published


def test_a_crowd_is_told_its_size_at_most_every_half_second() -> None:
    talk = Dialogue(named_members=3)
    people = [talk.person(f"p{i}") for i in range(6)]
    for peer in people[:3]:
        peer.joins()
        assert presences(talk.published())[0].joined == (peer.name,)
    talk.turn(after=0.5)
    people[3].joins()
    assert presences(talk.published()) == [Presence(4, 4)]
    joined = people[4].joins()  # not told yet, and the answer has the count of now
    assert presences(talk.published()) == []
    assert (joined.count, joined.names, joined.version) == (5, (), 4)
    assert 0 < talk.hub.wait() <= 0.5
    people[5].joins()
    assert presences(talk.published()) == []
    talk.turn(after=0.25)
    assert presences(talk.published()) == []
    talk.turn(after=0.25)
    assert presences(talk.published()) == [Presence(5, 6)]
    talk.turn(after=0.5)
    assert presences(talk.published()) == []
    assert talk.hub.wait() == 1.0


def test_a_crowd_that_shrinks_is_named_again() -> None:
    talk = Dialogue(named_members=2)
    people = [talk.person(f"p{i}", "lobby") for i in range(3)]
    talk.turn(after=1.0)
    people[0].asks(Leave(3, "lobby"))
    assert presences(talk.published()) == [Presence(4, 2, left=("p0",))]
    assert people[1].joins().names == ("p1", "p2")


def test_a_crowd_is_read_by_pages() -> None:
    talk = Dialogue(named_members=2, page=2)
    people = [talk.person(f"p{i}", "lobby") for i in range(5)]
    found: list[str] = []
    more = True
    while more:
        (page,) = people[0].asks(Who(3, "lobby", found[-1] if found else ""))
        assert isinstance(page, People)
        assert (page.count, page.room) == (5, "lobby")
        assert len(page.names) <= 2
        found += page.names
        more = page.more
    assert found == [f"p{i}" for i in range(5)]


def test_the_largest_crowd_leaving_at_once_is_a_small_frame() -> None:
    talk = Dialogue()
    people = [talk.person("𐌰" * 28 + f"{i:04}", "lobby") for i in range(300)]
    talk.passes(1.0)
    talk.turn(*(peer.unfenced() for peer in people[:250]))
    told = [presence for effects in talk.passes(11.0) for presence in presences(effects.published.get("lobby"))]
    assert told == [Presence(103, 50)]  # a version is left out: who had names asks
    assert len(talk.person("bob").joins().names) == 51
