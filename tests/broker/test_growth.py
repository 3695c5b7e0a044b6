"""What can grow has a bound, and who reaches it is told so."""

from __future__ import annotations

from dialogue import Dialogue, Peer

from zchat.messages import Bye, Join, Leave, Refused, Send
from zchat.store.base import Quotas
from zchat.store.memory import MemoryStore


def send(peer: Peer, text: str, room: str) -> str:
    """Says what is refused for good; gives the code."""
    peer.n += 1
    (refused,) = (item for item in peer.asks(Send(peer.n, room, text)) if isinstance(item, Refused))
    return refused.code


def test_a_person_makes_so_many_rooms_and_no_more() -> None:
    store = MemoryStore()
    talk = Dialogue(store, max_rooms_person=2)
    ann = talk.person("ann", "one")
    ann.says("hello", "one")
    ann.says("hello", "two")
    assert ann.refused(Join(1, "three")) == "limit-reached"
    assert send(ann, "hello", "three") == "limit-reached"
    ann.joins("two")
    talk.person("bob", "three")
    ann.joins("three")  # which is there now
    again = Dialogue(store, max_rooms_person=2)
    back = again.person("ann", person=ann.person)
    assert back.refused(Join(1, "four")) == "limit-reached"


def test_so_many_follow_a_room_and_no_more() -> None:
    talk = Dialogue(max_members=2)
    ann, bob, cat = talk.person("ann", "lobby"), talk.person("bob", "lobby"), talk.person("cat")
    assert cat.refused(Join(1, "lobby")) == "limit-reached"
    bob.joins("lobby")  # who is in it may ask again
    ann.asks(Bye(1))
    cat.joins("lobby")


def test_so_much_waits_for_who_is_away_and_no_more() -> None:
    talk = Dialogue(max_waiting=3)
    ann, cat, bob = talk.person("ann"), talk.person("cat"), talk.person("bob")
    bob.asks(Bye(1))
    room = ann.says("one", "@bob").room
    ann.says("two", room)
    ann.says("three", "@bob")
    assert send(ann, "four", room) == "limit-reached"
    assert send(ann, "four", "@bob") == "limit-reached"
    cat.says("from somebody else", "@bob")
    ann.says("to who is here", "@cat")
    back = bob.returns()
    back.hello()
    ann.says("four", room)
    back.asks(Bye(1))
    for _ in range(3):
        ann.says("more", "@bob")
    assert send(ann, "too much", "@bob") == "limit-reached"


def test_so_much_is_kept_of_a_person() -> None:
    talk = Dialogue(MemoryStore(quotas=Quotas(person=400)))
    ann, bob = talk.person("ann"), talk.person("bob")
    ann.says("x" * 300)
    assert send(ann, "x" * 300, "den") == "quota-reached"
    bob.says("x" * 300)


def test_a_room_in_which_nothing_was_said_is_gone_with_the_last_who_leaves() -> None:
    talk = Dialogue(max_rooms_person=1)
    ann, bob = talk.person("ann", "den"), talk.person("bob", "den")
    ann.asks(Leave(1, "den"))
    assert "den" in talk.hub.rooms.by_name
    bob.asks(Bye(1))
    assert "den" not in talk.hub.rooms.by_name
    assert talk.hub.rooms.public == ["lobby"]
    ann.joins("other")  # and it does not count any more
    ann.asks(Send(1, "other", "hi"), Leave(2, "other"))
    assert talk.hub.rooms.by_name["other"].head == 1
    ann.asks(Leave(3, "lobby"))
    assert "lobby" in talk.hub.rooms.by_name


def test_a_room_that_is_left_and_spoken_in_at_once_stays() -> None:
    talk = Dialogue()
    ann = talk.person("ann", "den")
    ann.asks(Leave(1, "den"), Send(1, "den", "by the way"))
    assert talk.hub.rooms.by_name["den"].head == 1
    ann.joins("den")
    talk.broken = True
    ann.asks(Send(2, "new", "lost"), Join(2, "new"), Leave(3, "new"))
    talk.broken = False
    ann.asks(Send(2, "new", "kept"))
    assert talk.hub.rooms.by_name["new"].head == 1
