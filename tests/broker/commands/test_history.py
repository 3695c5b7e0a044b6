"""Reading what was said."""

from __future__ import annotations

import pytest
from dialogue import Dialogue, texts

from zchat import codec
from zchat.broker.effects import Publication
from zchat.broker.inputs import Gone, Received
from zchat.messages import Failed, Page, Read, Reply, Send, Stamp
from zchat.store.memory import MemoryStore

BIGGEST = 2**63 - 1


def page(answers: list[Reply]) -> tuple[int, int, list[str]]:
    """First, head, texts."""
    (answer,) = answers
    assert isinstance(answer, Page), answer
    return answer.first, answer.head, texts(Publication(list(answer.events)))


def test_what_was_said_is_read_in_order(talk: Dialogue) -> None:
    ann = talk.person("ann")
    for text in "abc":
        ann.says(text)
    assert page(ann.asks(Read(1, "#Lobby", 0, 10))) == (1, 3, ["a", "b", "c"])
    assert page(ann.asks(Read(1, "lobby", 1, 1))) == (1, 3, ["b"])
    assert page(talk.visitor().asks(Read(1, "lobby", 3, 10))) == (1, 3, [])


@pytest.mark.parametrize("after", [0, 1, 2, 3, 4, 2**31, 2**32, 2**62, BIGGEST - 1, BIGGEST])
@pytest.mark.parametrize("limit", [0, 1, 2**32, BIGGEST])
def test_any_number_may_be_asked_for(talk: Dialogue, after: int, limit: int) -> None:
    ann = talk.person("ann")
    for text in "abc":
        ann.says(text)
    assert page(ann.asks(Read(BIGGEST, "lobby", after, limit))) == (1, 3, ["a", "b", "c"][after:][: max(limit, 1)])


def test_what_is_no_longer_kept_is_named() -> None:
    talk = Dialogue(MemoryStore(keep=2))
    ann = talk.person("ann")
    for text in "abcd":
        ann.says(text)
    assert page(ann.asks(Read(1, "lobby", 0, 10))) == (3, 4, ["c", "d"])
    assert page(ann.asks(Read(1, "lobby", 3, 10))) == (3, 4, ["d"])


def test_a_room_that_is_not_there(talk: Dialogue) -> None:
    ann = talk.person("ann")
    for room in ("nowhere", "@" + "0" * 24, "@ann"):
        assert ann.refused(Read(1, room, 0, 10)) == "no-such-room"
    assert ann.refused(Read(1, "two words", 0, 10)) == "name-invalid"


def test_a_private_room_is_read_by_its_two_persons_alone(talk: Dialogue) -> None:
    ann, bob, eve = (talk.person(name) for name in ("ann", "bob", "eve"))
    room = ann.says("psst", "@bob").room
    for member in (ann, bob, talk.person("bob", person=bob.person)):
        assert page(member.asks(Read(1, room, 0, 10))) == (1, 1, ["psst"])
    refused = eve.asks(Read(1, room, 0, 10))
    assert refused == eve.asks(Read(1, "@" + "1" * 24, 0, 10)) == talk.visitor().asks(Read(1, room, 0, 10))


def test_one_read_at_a_time(talk: Dialogue) -> None:
    ann = talk.person("ann")
    busy, answer = ann.asks(Read(1, "lobby", 0, 10), Read(2, "lobby", 0, 10))
    assert isinstance(busy, Failed)
    assert (busy.q, busy.code) == (2, "busy")
    assert isinstance(answer, Page)
    assert answer.q == 1
    assert page(ann.asks(Read(3, "lobby", 0, 10))) == (1, 0, [])


def test_the_reads_of_a_turn_have_a_budget() -> None:
    talk = Dialogue(page=10, work_budget=20)
    people = [talk.person(f"p{i}") for i in range(5)]
    talk.turn(*(Received(peer.id, [Read(1, "lobby", 0, 100)]) for peer in people))
    assert [len(peer.heard) for peer in people] == [1, 1, 0, 0, 0]
    assert talk.hub.wait() == 0.0
    talk.turn(Received(people[4].id, [Read(2, "lobby", 0, 1)]))
    assert [type(item) for peer in people for item in peer.heard] == [Page, Page, Failed]
    talk.turn()
    assert [len(peer.heard) for peer in people] == [0, 0, 0, 0, 1]
    assert talk.hub.wait() > 0.0


def test_a_read_of_one_who_is_gone_is_dropped_and_the_next_is_taken() -> None:
    talk = Dialogue(page=10, work_budget=10)
    ann, bob = talk.person("ann"), talk.person("bob")
    talk.turn(Received(ann.id, [Read(1, "lobby", 0, 10)]), Received(bob.id, [Read(1, "lobby", 0, 10)]))
    back = bob.returns()
    talk.turn(Gone(bob.id), Received(ann.id, [Read(2, "lobby", 0, 10)]), Received(back.id, [back.greeting()]))
    assert bob.heard == []
    assert page(back.asks(Read(1, "lobby", 0, 10))) == (1, 0, [])


def test_a_page_fits_a_frame(talk: Dialogue) -> None:
    ann = talk.person("𐌰" * 32)
    n = 0
    for text in ["x" * 16_384] * 4 + ["y"] * 600:
        n += 1
        ann.asks(Send(n, "lobby", text))
    after = 0
    while after < n:
        (answer,) = ann.asks(Read(1, "lobby", after, 500))
        assert isinstance(answer, Page)
        assert len(codec.encode_replies(Stamp(b"x" * 16, BIGGEST), [answer])[0]) <= codec.FRAME
        after = answer.events[-1].seq
    assert after == n
