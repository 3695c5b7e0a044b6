"""Reading what was said, finding it, and saying up to where one has read."""

from __future__ import annotations

import pytest
from dialogue import DAY, Dialogue, Peer, texts

from zchat import codec
from zchat.broker.inputs import Gone, Received
from zchat.messages import (
    Bye,
    Delete,
    Done,
    Edit,
    Failed,
    Found,
    History,
    Mark,
    Message,
    Nick,
    Page,
    Ping,
    Pong,
    Published,
    Read,
    Reply,
    Request,
    Search,
    Send,
    Stamp,
)
from zchat.store.memory import MemoryStore

BIGGEST = 2**63 - 1


def page(answers: list[Reply]) -> tuple[int, int, list[str]]:
    """First, head, texts."""
    (answer,) = answers
    assert isinstance(answer, Page), answer
    return answer.first, answer.head, texts(Published(Stamp(bytes(8), 0), answer.events, ()))


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


# Messages as they are now --------------------------------------------------------------------------------------------


def history(peer: Peer, room: str = "lobby", **asked: int) -> Page:
    (answer,) = peer.asks(History(7, room, **asked))
    assert isinstance(answer, Page), answer
    assert answer.q == 7
    return answer


def told(answer: Page) -> list[str]:
    return texts(Published(Stamp(bytes(8), 0), answer.events, ()))


def test_history_gives_the_newest_oldest_first(talk: Dialogue) -> None:
    ann = talk.person("ann")
    for text in "abcde":
        ann.says(text)
    last = history(ann, "#Lobby", limit=2)
    assert (told(last), last.room, last.first, last.head, last.more, last.edge) == (["d", "e"], "lobby", 1, 5, True, 4)
    before = history(ann, limit=2, before=last.edge)
    assert (told(before), before.more, before.edge) == (["b", "c"], True, 2)
    rest = history(ann, limit=2, before=before.edge)
    assert (told(rest), rest.more) == (["a"], False)
    assert told(history(talk.visitor())) == list("abcde")


def test_history_after_a_number_gives_the_oldest_first(talk: Dialogue) -> None:
    ann = talk.person("ann")
    for text in "abcde":
        ann.says(text)
    first = history(ann, limit=2, after=1)
    assert (told(first), first.more, first.edge) == (["b", "c"], True, 3)
    rest = history(ann, limit=5, after=first.edge)
    assert (told(rest), rest.more, rest.edge) == (["d", "e"], False, 5)
    assert told(history(ann, after=0, before=3)) == ["a", "b"]
    assert told(history(ann, after=5)) == told(history(ann, after=BIGGEST)) == []


@pytest.mark.parametrize("after", [None, 0, 2, 3, BIGGEST])
@pytest.mark.parametrize("before", [0, 1, 2, 4, BIGGEST])
@pytest.mark.parametrize("limit", [0, 1, 2, BIGGEST])
def test_any_history_may_be_asked_for(talk: Dialogue, after: int | None, before: int, limit: int) -> None:
    ann = talk.person("ann")
    for text in "abc":
        ann.says(text)
    (found,) = ann.asks(History(1, "lobby", limit, after, before))
    assert isinstance(found, Page)
    wanted = [text for seq, text in enumerate("abc", 1) if (after or 0) < seq < (before or 9)]
    size = max(limit, 1)
    assert told(found) == (wanted[-size:] if after is None else wanted[:size])


def test_history_tells_what_is_said_now(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    ann.says("frist")
    bob.says("secret")
    ann.asks(Edit(2, "lobby", 1, "furst"), Edit(3, "lobby", 1, "first"))
    bob.asks(Delete(2, "lobby", 2))
    first, second = history(ann).events
    assert isinstance(first, Message)
    assert isinstance(second, Message)
    assert (first.seq, first.text, first.edited, first.deleted) == (1, "first", 4, 0)
    assert (second.seq, second.text, second.edited, second.deleted) == (2, "", 0, 5)
    (read,) = ann.asks(Read(1, "lobby", 0, 10))
    assert isinstance(read, Page)
    assert [event.seq for event in read.events] == [1, 2, 3, 4, 5]
    assert "frist" in str(read)
    assert "secret" not in str(read)


def test_history_since_a_time(talk: Dialogue) -> None:
    ann = talk.person("ann")
    ann.says("a")
    assert told(history(ann, since=DAY)) == ["a"]
    assert told(history(ann, since=DAY + 1)) == []
    assert told(history(ann, since=DAY + 1, after=0)) == []
    assert told(history(ann, since=BIGGEST)) == []


def test_history_of_a_private_room_is_its_two_persons_alone(talk: Dialogue) -> None:
    ann, bob, eve = (talk.person(name) for name in ("ann", "bob", "eve"))
    room = ann.says("psst", "@bob").room
    assert told(history(ann, "@bob")) == told(history(bob, "@ANN")) == told(history(bob, room)) == ["psst"]
    for wanted in (room, "@ann", "@bob", "@" + "0" * 24, "@", "@two words"):
        assert eve.refused(History(1, wanted)) == "no-such-room"
    assert eve.refused(History(1, "nowhere")) == "no-such-room"
    assert eve.refused(History(1, "two words")) == "name-invalid"


def test_a_private_room_is_found_under_the_name_the_other_has_now(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    ann.says("psst", "@bob")
    bob.asks(Nick(1, "rob"))
    assert told(history(ann, "@rob")) == told(history(ann, "@bob")) == ["psst"]
    talk.month_passes()
    other = talk.person("bob")  # somebody else
    assert told(history(ann, "@bob")) == ["psst"]
    ann.says("who is that?", "@bob")
    assert told(history(ann, "@bob")) == told(history(other, "@ann")) == ["who is that?"]
    assert told(history(ann, "@rob")) == ["psst"]
    bob.asks(Bye(1))
    assert told(history(ann, "@rob")) == ["psst"]


# Searching -----------------------------------------------------------------------------------------------------------


def finds(peer: Peer, words: str, **asked: str | int) -> list[tuple[str, str, str]]:
    (answer,) = peer.asks(Search(9, words, **asked))  # type: ignore[arg-type]
    assert isinstance(answer, Found), answer
    assert answer.q == 9
    return [(hit.room, hit.label, hit.message.text) for hit in answer.hits]


def test_messages_are_found_by_all_their_words(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    ann.says("the quick brown fox")
    bob.says("a quick question", "den")
    assert sorted(finds(ann, "QUICK")) == [("den", "", "a quick question"), ("lobby", "", "the quick brown fox")]
    assert finds(ann, "fox quick") == [("lobby", "", "the quick brown fox")]
    assert finds(ann, "quick", room="#Den") == [("den", "", "a quick question")]
    assert finds(ann, "quick", name="BOB") == [("den", "", "a quick question")]
    assert finds(ann, "quick", since=DAY + 1) == []
    assert finds(ann, "slow") == finds(ann, "quick", name="eve") == []


@pytest.mark.parametrize("words", ["", " ", "\t\n", '"', "*", "AND", 'fox" OR "dog', "a:b", "NEAR(a b)", "\x00"])
def test_no_word_means_anything_but_itself(talk: Dialogue, words: str) -> None:
    ann = talk.person("ann")
    ann.says("the quick brown fox")
    assert finds(ann, words) == []
    assert finds(ann, f"{words} fox") == (
        [] if any(map(str.isalnum, words)) else [("lobby", "", "the quick brown fox")]
    )


def test_private_messages_are_found_by_their_two_persons_alone(talk: Dialogue) -> None:
    ann, bob, eve = (talk.person(name) for name in ("ann", "bob", "eve"))
    room = ann.says("the treasure", "@bob").room
    assert finds(ann, "treasure") == [(room, "@bob", "the treasure")]
    assert finds(bob, "treasure") == finds(bob, "treasure", room="@ann") == [(room, "@ann", "the treasure")]
    assert finds(eve, "treasure") == finds(talk.visitor(), "treasure") == []
    for wanted in (room, "@ann", "@bob"):
        assert eve.refused(Search(1, "treasure", wanted)) == "no-such-room"
    bob.asks(Nick(1, "rob"))
    assert finds(ann, "treasure", room="@rob") == [(room, "@rob", "the treasure")]


def test_what_was_edited_away_or_deleted_is_not_found(talk: Dialogue) -> None:
    ann = talk.person("ann")
    ann.says("tpyo")
    ann.says("regret")
    ann.asks(Edit(3, "lobby", 1, "typo"), Delete(4, "lobby", 2))
    assert finds(ann, "tpyo") == finds(ann, "regret") == []
    assert finds(ann, "typo") == [("lobby", "", "typo")]


def test_no_more_are_told_than_were_asked_for_and_than_fit() -> None:
    talk = Dialogue(hits=3, page_size=1000)
    ann = talk.person("ann")
    for number in range(5):
        ann.says(f"word {number}")
    assert len(finds(ann, "word", limit=BIGGEST)) == 3
    assert len(finds(ann, "word", limit=0)) == 1
    for number in range(3):
        ann.says(f"big {number} " + "x" * 600)
    assert len(finds(ann, "big")) == 1


def test_what_cannot_be_searched_for(talk: Dialogue) -> None:
    ann = talk.person("ann")
    assert finds(ann, "x" * 256) == []
    assert ann.refused(Search(1, "x" * 257)) == "too-long"
    assert ann.refused(Search(1, "x", "nowhere")) == "no-such-room"
    assert ann.refused(Search(1, "x", "two words")) == "name-invalid"
    assert ann.refused(Search(1, "x", name="\x1b[2J")) == "name-invalid"


# One at a time -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [Read(1, "lobby", 0, 9), History(1, "lobby"), Search(1, "x")])
@pytest.mark.parametrize("second", [Read(2, "lobby", 0, 9), History(2, "lobby"), Search(2, "x")])
def test_one_thing_is_looked_up_at_a_time(talk: Dialogue, first: Request, second: Request) -> None:
    ann = talk.person("ann")
    busy, _, answer = ann.asks(first, second, Ping(3))
    assert isinstance(busy, Failed)
    assert (busy.q, busy.code) == (2, "busy")
    assert isinstance(answer, Page | Found)
    assert answer.q == 1


def test_searches_wait_their_turn() -> None:
    talk = Dialogue(search_cost=10, work_budget=20)
    people = [talk.person(f"p{i}") for i in range(5)]
    talk.turn(*(Received(peer.id, [Search(1, "x"), Ping(2)]) for peer in people))
    assert [len(peer.heard) for peer in people] == [2, 2, 1, 1, 1]
    assert people[4].heard == [Pong(2)]
    assert talk.hub.wait() == 0.0
    talk.turn()
    assert [len(peer.heard) for peer in people] == [0, 0, 1, 1, 0]


def test_what_a_mark_is_answered_with(talk: Dialogue) -> None:
    ann = talk.person("ann")
    ann.says("x")
    assert ann.asks(Mark(5, "lobby", 1), Mark(6, "lobby", 0)) == [Done(5), Done(6)]
    assert talk.visitor().asks(Mark(1, "lobby", 1)) == [Done(1)]
