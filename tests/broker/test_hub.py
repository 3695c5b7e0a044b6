"""Whole turns of the broker: sessions, credit, heads, failing stores, shutdown."""

from __future__ import annotations

import random
from typing import Any

import pytest
from dialogue import DAY, Dialogue, Peer, presences, texts

from zchat import errors
from zchat.broker.effects import Level
from zchat.broker.hub import Hub
from zchat.broker.inputs import Announce, FenceMoved, Gone, Input, Now, Received, Shutdown
from zchat.codec import Malformed
from zchat.messages import (
    Ack,
    Bye,
    Closing,
    Delete,
    Done,
    Edit,
    Failed,
    Fenced,
    Head,
    Heartbeat,
    Hello,
    History,
    Join,
    Joined,
    Leave,
    Mark,
    Message,
    Nick,
    Notice,
    People,
    Ping,
    Pong,
    Presence,
    Private,
    Read,
    Refused,
    Request,
    Rooms,
    Search,
    Send,
    Unfenced,
    Welcome,
    Who,
)
from zchat.store.base import Member, RoomRecord

# What is said, and in which order ------------------------------------------------------------------------------------


def test_what_is_said_is_acknowledged_and_published(talk: Dialogue) -> None:
    ann, bob = talk.person("ann", "lobby"), talk.person("bob", "lobby")
    assert ann.asks(Send(1, "#Lobby", "hi", action=True)) == [Ack(1, "lobby", 1, DAY)]
    (event,) = talk.published().events
    assert isinstance(event, Message)
    assert (event.seq, event.ms, event.name, event.n, event.text, event.action) == (1, DAY, "ann", 1, "hi", True)
    assert len(event.sender) == 8
    assert event.sender not in (ann.client, ann.person)
    assert bob.heard == []


def test_all_of_a_room_and_of_a_peer_in_a_turn_goes_together(talk: Dialogue) -> None:
    ann, bob = talk.person("ann", "lobby"), talk.person("bob", "lobby")
    talk.turn(
        Received(ann.id, [Send(1, "lobby", "one"), Send(2, "lobby", "two")]),
        Received(bob.id, [Send(1, "lobby", "three")]),
        Received(ann.id, [Ping(9)]),
    )
    assert texts(talk.published()) == ["one", "two", "three"]
    assert ann.heard == [Pong(9), Ack(1, "lobby", 1, DAY, count=2)]


def test_an_answer_that_names_a_head_knows_of_its_own_turn(talk: Dialogue) -> None:
    ann, bob = talk.person("ann", "lobby"), talk.person("bob")
    talk.turn(Received(bob.id, [Join(7, "lobby")]), Received(ann.id, [Send(1, "lobby", "one")]))
    assert bob.heard == [Joined(7, "lobby", 1, 2, 2, ("ann", "bob"))]


def test_nothing_is_done_for_who_has_not_said_hello(talk: Dialogue) -> None:
    stranger = talk.stranger()
    requests: list[Request] = [Join(1, "lobby"), Leave(2, "lobby"), Ping(3), Nick(4, "x"), Who(5), Read(6, "x", 0, 1)]
    assert stranger.asks(*requests) == [
        Failed(q, "unknown-session", errors.UnknownSession.says) for q in range(1, len(requests) + 1)
    ]
    (refused,) = stranger.asks(Send(1, "lobby", "hi"))
    assert isinstance(refused, Refused)
    assert (refused.n, refused.code, refused.retry_ms) == (1, "unknown-session", 1000)
    assert talk.effects.published == {}
    assert len(talk.hub.sessions) == 0


def test_what_cannot_be_read_is_refused_alone_and_logged_once(talk: Dialogue) -> None:
    ann = talk.person("ann")
    bad = Malformed(5, errors.BadRequest("join: nonsense"))
    unknown = Malformed(6, errors.UnknownRequest())
    assert ann.asks(bad, Ping(8), unknown) == [
        Failed(5, "bad-request", "join: nonsense"),
        Pong(8),
        Failed(6, "unknown-request", errors.UnknownRequest.says),
    ]
    warnings = [text for level, text in talk.logged if level == Level.WARNING]
    assert warnings == ["could not read 2 requests of ann: join: nonsense"]


# Coming and going ----------------------------------------------------------------------------------------------------


def test_saying_goodbye_is_leaving(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    talk.person("bob", "lobby")
    assert ann.asks(Bye(9)) == [Done(9)]
    assert presences(talk.published()) == [Presence(3, 1, left=("ann",))]
    assert ann.refused(Ping(1)) == "unknown-session"
    assert talk.logged[-1] == (Level.INFO, "ann left")


def test_whoever_vanishes_is_lost_after_the_grace(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    ann.vanishes()
    assert not any(effects.published for effects in talk.passes(9.5))
    talk.turn(after=0.5)
    assert presences(talk.published()) == [Presence(2, 0, lost=("ann",))]
    assert len(talk.hub.sessions) == 0
    assert talk.logged[-1] == (Level.INFO, "ann was lost")


def test_coming_back_within_the_grace_makes_no_noise(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    ann.vanishes()
    assert not any(effects.published for effects in talk.passes(9.5))
    back = ann.returns()
    welcome = back.hello()
    assert (welcome.resumed, welcome.session, welcome.name) == (True, ann.token, "ann")
    back.fences()
    assert back.joins().names == ("ann",)
    assert not any(effects.published for effects in talk.passes(30))
    assert len(talk.hub.sessions) == 1
    assert back.says("still here").seq == 1


def test_a_fence_that_comes_back_ends_the_grace_as_well(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    talk.turn(ann.unfenced())
    talk.passes(9.5)
    talk.turn(FenceMoved(ann.fence, ann.k, up=True))
    assert ann.heard == [Fenced(1)]
    talk.passes(30)
    assert ann.asks(Ping(1)) == [Pong(1)]


def test_either_connection_alone_does_not_keep_a_session(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    talk.turn(ann.unfenced(), Gone(bob.id))
    assert ann.heard == [Unfenced()]
    talk.passes(9.5)
    assert len(talk.hub.sessions) == 2
    talk.passes(1.5)
    assert len(talk.hub.sessions) == 0


def test_graces_end_in_the_order_in_which_they_began(talk: Dialogue) -> None:
    ann, bob = talk.person("ann", "lobby"), talk.person("bob", "lobby")
    talk.turn(ann.unfenced())
    bob.vanishes(after=2.0)
    talk.turn(FenceMoved(ann.fence, 2, up=True), after=0.0)
    talk.turn(ann.unfenced(), after=1.0)
    ends = [(round(talk.clock, 1), presences(e.published.get("lobby"))) for e in talk.passes(14)]
    lost = {told.lost[0]: at for at, found in ends for told in found}
    assert list(lost) == ["bob", "ann"]


def test_a_silent_visitor_is_over_after_a_minute(talk: Dialogue) -> None:
    visitor = talk.visitor()
    talk.passes(59.5)
    assert visitor.asks(Ping(1)) == [Pong(1)]
    talk.passes(59.5)
    assert len(talk.hub.sessions) == 1
    talk.turn(after=0.5)
    assert len(talk.hub.sessions) == 0
    assert visitor.refused(Ping(1)) == "unknown-session"


def test_a_silent_session_with_a_fence_stays(talk: Dialogue) -> None:
    talk.person("ann", "lobby")
    talk.passes(600, step=1.0)
    assert len(talk.hub.sessions) == 1


def test_a_visitor_whose_connection_ends_has_the_grace(talk: Dialogue) -> None:
    visitor = talk.visitor()
    talk.turn(Gone(visitor.id))
    talk.passes(9.5)
    assert len(talk.hub.sessions) == 1
    talk.turn(after=0.5)
    assert len(talk.hub.sessions) == 0


def test_a_loop_that_stalled_expires_nobody(talk: Dialogue) -> None:
    talk.visitor()
    ann = talk.person("ann", "lobby")
    ann.vanishes()
    talk.turn(after=86_400.0)
    talk.turn(after=0.1)
    assert len(talk.hub.sessions) == 2
    talk.turn(after=3600.0)
    back = ann.returns()
    assert back.hello().resumed
    assert back.joins().names == ("ann",)


def test_a_clock_that_goes_back_expires_nobody_and_does_not_freeze(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    ann.vanishes()
    talk.turn(after=-500.0)
    assert len(talk.hub.sessions) == 1
    talk.passes(10)
    assert len(talk.hub.sessions) == 0


def test_the_wall_clock_is_only_shown(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    for ms in (DAY + 10**12, 0, DAY - 10**9):
        work = talk.hub.handle([Received(ann.id, [Send(ann.n + 1, "lobby", "x")])], Now(talk.clock, ms))
        effects = talk.hub.committed(talk.store.commit(work))
        ann.n += 1
        assert effects.replies[ann.id] == [Ack(ann.n, "lobby", ann.n, ms)]
    assert len(talk.hub.sessions) == 1


def test_the_wait_is_never_long_and_ends_with_what_falls_due(talk: Dialogue) -> None:
    assert talk.hub.wait() == 1.0
    ann = talk.person("ann", "lobby")
    ann.vanishes()
    assert talk.hub.wait() == 1.0
    talk.passes(9.5)
    assert talk.hub.wait() == pytest.approx(0.5)


# One session, several connections ------------------------------------------------------------------------------------


def test_a_newer_hello_supersedes_the_older_connection(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    back = ann.returns()
    assert back.hello().resumed
    assert ann.heard == [Failed(0, "superseded", errors.Superseded.says)]
    assert talk.effects.published == {}
    assert ann.refused(Ping(1)) == "unknown-session"
    talk.turn(Gone(ann.id))
    assert back.asks(Ping(2)) == [Pong(2)]


def test_a_client_that_lost_its_token_takes_over_as_well(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    ann.says("one")
    back = ann.returns()
    back.token = None
    welcome = back.hello()
    assert (welcome.resumed, welcome.last, welcome.name) == (False, 1, "ann")
    assert ann.heard == [Failed(0, "superseded", errors.Superseded.says)]
    assert len(talk.hub.sessions) == 1
    assert back.says("two").n == 2


def test_a_client_is_one_persons(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    thief = talk.stranger()
    assert thief.hello_fails(person=talk.secret(), client=ann.client, resume=ann.token) == "bad-request"
    assert ann.asks(Ping(1)) == [Pong(1)]


@pytest.mark.parametrize("secret", ["client", "resume"])
def test_a_token_resumes_only_with_its_other_secrets(talk: Dialogue, secret: str) -> None:
    ann = talk.person("ann", "lobby")
    thief = talk.stranger()
    fields: dict[str, Any] = {"person": ann.person, "client": ann.client, "resume": ann.token}
    fields[secret] = talk.secret()
    welcome = thief.hello(**fields)
    assert not welcome.resumed
    assert welcome.session != ann.token


def test_hello_again_on_the_same_connection_opens_anew(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    welcome = ann.hello(client=talk.secret(), resume=None)  # the fence is its own still
    assert (welcome.resumed, welcome.name, welcome.last) == (False, "ann", 0)
    assert presences(talk.published()) == [Presence(2, 0, left=("ann",))]
    assert len(talk.hub.sessions) == 1
    ann.fences()
    assert ann.heard == [Fenced(2)]
    assert ann.joins().names == ("ann",)


def test_the_same_hello_twice_does_not_supersede_itself(talk: Dialogue) -> None:
    ann = talk.stranger()
    ann.name = "ann"
    (welcome,) = ann.asks(ann.greeting(q=1), ann.greeting(q=2))
    assert isinstance(welcome, Welcome)
    assert welcome.q == 2
    assert len(talk.hub.sessions) == 1
    assert ann.asks(Ping(3)) == [Pong(3)]
    ann.asks(Bye(4))
    assert len(talk.hub.sessions) == 0
    talk.month_passes()
    talk.person("ann")  # another person: the name is free


def test_a_fence_belongs_to_one_session(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    assert Peer(talk, "bob", fence=ann.fence).hello_fails() == "bad-request"
    talk.person("bob")  # nobody has the name after that
    assert ann.asks(Ping(1)) == [Pong(1)]


def test_a_new_fence_makes_the_old_one_nobodys(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    back = ann.returns()
    back.fence = talk.secret()
    back.hello()
    talk.turn(ann.unfenced())
    talk.passes(20)
    assert len(talk.hub.sessions) == 1  # nothing fenced yet: it is known by its requests
    back.k = 0
    assert back.fences() == [Fenced(1)]
    talk.turn(FenceMoved(ann.fence, 5, up=True))
    assert talk.effects.replies == {}


def test_a_fence_of_nobody_is_nothing(talk: Dialogue) -> None:
    talk.turn(FenceMoved(b"x" * 16, 1, up=True), FenceMoved(b"x" * 16, 1, up=False), Gone(b"nobody"))
    assert talk.effects.replies == {}


def test_goodbye_right_after_hello(talk: Dialogue) -> None:
    ann = talk.stranger()
    assert ann.asks(ann.greeting(name="ann"), Bye(2)) == [Done(2)]
    assert len(talk.hub.sessions) == 0
    talk.month_passes()
    talk.person("ann")


# Credit --------------------------------------------------------------------------------------------------------------


def test_more_requests_than_the_credit_cut_that_peer_alone() -> None:
    talk = Dialogue(credit=10)
    ann, bob = talk.person("ann", "lobby"), talk.person("bob", "lobby")
    assert ann.asks(*[Ping(q) for q in range(10)]) == [Pong(q) for q in range(10)]
    talk.turn(
        Received(ann.id, [Ping(q) for q in range(6)]),
        Received(bob.id, [Ping(1)]),
        Received(ann.id, [Ping(q) for q in range(5)]),
        Received(ann.id, [Bye(1)]),
    )
    assert ann.heard == [*(Pong(q) for q in range(6)), Failed(0, "over-credit", errors.OverCredit.says)]
    assert talk.effects.cuts == [ann.id]
    assert bob.heard == [Pong(1)]
    assert talk.logged[-1] == (Level.WARNING, "cut ann: 11 requests at once")
    # What it had under way is not heard, and its session is kept.
    assert ann.asks(Ping(1)) == []
    ann.vanishes()
    back = ann.returns()
    assert back.hello().resumed
    assert back.asks(Ping(1)) == [Pong(1)]


def test_requests_that_cannot_be_read_cost_credit_too() -> None:
    talk = Dialogue(credit=10)
    stranger = talk.stranger()
    stranger.asks(*[Malformed(0, errors.BadRequest())] * 11)
    assert talk.effects.cuts == [stranger.id]


def test_an_unanswered_read_costs_credit() -> None:
    talk = Dialogue(credit=3, work_budget=1, page=500)
    ann, bob, cat = (talk.person(name, "lobby") for name in ("ann", "bob", "cat"))
    talk.turn(Received(ann.id, [Read(1, "lobby", 0, 500)]), Received(bob.id, [Read(1, "lobby", 0, 500)]))
    assert len(ann.heard) == 1
    assert bob.heard == []
    talk.turn(
        Received(cat.id, [Read(1, "lobby", 0, 500)]),
        Received(bob.id, [Ping(1), Ping(2), Ping(3)]),
    )
    assert talk.effects.cuts == [bob.id]


# Heads ---------------------------------------------------------------------------------------------------------------


def test_a_room_that_went_quiet_says_its_head_once_more(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    ann.says("one")
    assert talk.published().states == ()
    talk.turn(after=0.5)
    ann.says("two")
    assert talk.hub.wait() == pytest.approx(0.5)
    talk.turn(after=0.5)
    assert talk.effects.published == {}  # it spoke half a second ago
    talk.turn(after=0.5)
    assert talk.published().states == (Head(2),)
    assert not any(effects.published for effects in talk.passes(10))
    ann.says("three")
    talk.turn(after=1.0)
    assert talk.published().states == (Head(3),)


def test_each_room_goes_quiet_by_itself(talk: Dialogue) -> None:
    ann = talk.person("ann", "one", "two")
    ann.says("x", "one")
    talk.turn(after=0.5)
    ann.says("y", "two")
    talk.turn(after=0.5)
    assert list(talk.effects.published) == ["one"]
    talk.turn(after=0.5)
    assert list(talk.effects.published) == ["two"]


# A store that cannot commit ------------------------------------------------------------------------------------------


def test_a_failed_commit_refuses_every_send_of_the_turn_and_the_next_turn_works(talk: Dialogue) -> None:
    ann, bob = talk.person("ann", "lobby"), talk.person("bob", "lobby")
    ann.says("one")
    talk.broken = True
    talk.turn(
        Received(ann.id, [Send(2, "lobby", "two"), Send(3, "a room", "bad name"), Send(4, "lobby", "four")]),
        Received(bob.id, [Send(1, "lobby", "x"), Ping(7)]),
        Received(ann.id, [Send(2, "lobby", "again")]),
    )
    unavailable = [Refused(n, "store-unavailable", errors.Unavailable.says, retry_ms=1000) for n in (2, 3, 4, 2)]
    assert ann.heard == unavailable
    assert bob.heard == [Pong(7), Refused(1, "store-unavailable", errors.Unavailable.says, retry_ms=1000)]
    assert talk.effects.published == {}
    assert talk.logged[-1] == (Level.WARNING, "the store could not commit: the disk is full")
    talk.broken = False
    assert ann.asks(Send(2, "lobby", "two")) == [Ack(2, "lobby", 2, DAY)]
    assert bob.asks(Send(1, "lobby", "x")) == [Ack(1, "lobby", 3, DAY)]


def test_what_needs_no_store_goes_on_without_it(talk: Dialogue) -> None:
    ann, bob = talk.person("ann", "lobby"), talk.person("bob")
    talk.broken = True
    talk.turn(Received(bob.id, [Join(2, "lobby"), Nick(3, "rob"), Who(4, "lobby")]), Received(ann.id, [Ping(1)]))
    assert [type(item).__name__ for item in bob.heard] == ["Named", "Joined", "People"]
    assert presences(talk.published()) == [Presence(2, 2, joined=("rob",))]
    assert ann.heard == [Pong(1)]


def test_a_hello_in_a_turn_that_failed_comes_again(talk: Dialogue) -> None:
    talk.broken = True
    ann = Peer(talk, "ann")
    assert ann.hello_fails(q=7) == "store-unavailable"
    assert errors.BY_CODE["store-unavailable"].retryable
    assert len(talk.hub.sessions) == 0
    talk.broken = False
    assert talk.stranger().hello_fails(name="ann") == "name-taken"  # she asked first
    assert ann.hello().name == "ann"


def test_a_session_survives_a_resumption_that_failed(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    ann.vanishes()
    talk.broken = True
    back = ann.returns()
    assert back.hello_fails() == "store-unavailable"
    talk.broken = False
    assert back.hello().resumed
    assert back.joins().names == ("ann",)


def test_a_room_made_in_a_turn_that_failed_is_made_later(talk: Dialogue) -> None:
    ann = talk.person("ann")
    talk.broken = True
    (joined,) = ann.asks(Join(2, "den"))
    assert isinstance(joined, Joined)
    (refused,) = ann.asks(Send(1, "den", "x"))
    assert isinstance(refused, Refused)
    talk.broken = False
    assert "den" not in [kept.room for kept in talk.store.rooms()]
    assert ann.asks(Send(1, "den", "x")) == [Ack(1, "den", 1, DAY)]
    assert RoomRecord("den", 1, ms=DAY, founder=ann.person) in talk.store.rooms()


def test_a_private_room_made_in_a_turn_that_failed_is_private_later(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    talk.broken = True
    (refused,) = ann.asks(Send(1, "@bob", "x"))
    assert isinstance(refused, Refused)
    talk.broken = False
    name = ann.says("x", "@bob").room
    assert [kept.members for kept in talk.store.rooms() if kept.room == name] == [
        (Member(ann.person, "ann"), Member(bob.person, "bob"))
    ]


def test_the_first_commit_may_fail(talk: Dialogue) -> None:
    talk.broken = True
    talk.turn()
    talk.broken = False
    talk.person("ann", "lobby").says("x")
    assert talk.store.rooms() == [RoomRecord("lobby", 1, ms=DAY)]


# The operator --------------------------------------------------------------------------------------------------------


def test_the_operator_is_heard_by_everybody_who_said_hello(talk: Dialogue) -> None:
    ann, visitor, stranger = talk.person("ann"), talk.visitor(), talk.stranger()
    talk.turn(Announce("tea is ready"))
    assert ann.heard == visitor.heard == [Notice(DAY, "operator", "tea is ready")]
    assert stranger.heard == []


def test_shutting_down_drains(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    talk.turn(Received(ann.id, [Send(1, "lobby", "last")]), Shutdown("bye all"))
    assert ann.heard == [Closing("bye all"), Ack(1, "lobby", 1, DAY)]
    assert texts(talk.published()) == ["last"]
    (refused,) = ann.asks(Send(2, "lobby", "too late"))
    assert isinstance(refused, Refused)
    assert (refused.code, refused.retry_ms) == ("draining", 1000)
    assert ann.asks(Send(1, "lobby", "again")) == [Ack(1, "lobby", 1, DAY)]
    assert Peer(talk, "bob").hello_fails() == "draining"
    assert ann.asks(Join(2, "den")) == [Failed(2, "draining", "the broker is shutting down", 1000)]
    assert ann.asks(Ping(1)) == [Pong(1)]


# Beginning with what is kept -----------------------------------------------------------------------------------------


def test_a_broker_begins_with_the_rooms_that_are_kept() -> None:
    before = Dialogue()
    ann, bob = before.person("ann", "den"), before.person("bob")
    ann.says("public", "den")
    private = ann.says("private", "@bob").room
    after = Dialogue(before.store)
    again = Peer(after, "bob", person=bob.person, client=bob.client)
    welcome = again.hello()
    assert [(kept.room, kept.head) for kept in welcome.private] == [(private, 1)]
    assert after.person("eve").joins("den").head == 1
    assert after.person("kim").refused(Read(1, private, 0, 10)) == "no-such-room"
    (page,) = again.asks(Read(1, private, 0, 10))
    assert "private" in str(page)


def test_rooms_are_kept_once_something_is_said_in_them(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby", "den")
    assert talk.store.rooms() == []
    assert ann.joins("lobby").head == 0
    ann.says("hi", "den")
    assert [kept.room for kept in talk.store.rooms()] == ["den"]


def test_so_many_edits_are_looked_for_in_a_turn(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby")
    ann.says("hi")
    most = talk.settings.amends
    answers = ann.asks(*(Edit(n, "lobby", 0, "ho") for n in range(2, most + 4)))
    assert [item.n for item in answers if isinstance(item, Ack)] == list(range(2, most + 2))
    assert [item.code for item in answers if isinstance(item, Refused)] == ["busy", "out-of-order"]
    (again,) = ann.asks(Edit(most + 2, "lobby", 0, "ho"))
    assert isinstance(again, Ack)


def test_nothing_is_kept_of_sessions_that_are_over(talk: Dialogue) -> None:
    people = [talk.person(f"p{i}", "lobby", "den") for i in range(20)]
    for peer in people[:10]:
        peer.asks(Bye(1))
    for peer in people[10:]:
        peer.vanishes()
    talk.passes(15)
    hub = talk.hub
    assert leftovers(hub) == {}
    assert (len(hub.sessions._persons), len(hub.rooms.everybody)) == (0, 0)


def test_a_private_message_to_one_who_is_just_coming_follows_the_welcome(talk: Dialogue) -> None:
    ann, bob = talk.person("ann"), talk.person("bob")
    other = Peer(talk, "bob", person=bob.person)
    talk.turn(Received(other.id, [other.greeting()]), Received(ann.id, [Send(1, "@bob", "hi")]))
    assert [type(item) for item in other.heard] == [Welcome, Private]
    assert [type(item) for item in bob.heard] == [Private]


def test_hello_is_understood_only_whole(talk: Dialogue) -> None:
    stranger = talk.stranger()
    assert isinstance(stranger.greeting(), Hello)
    assert stranger.hello_fails(version=2) == "wrong-version"
    assert stranger.hello_fails(version=2**63 - 1) == "wrong-version"
    assert len(talk.hub.sessions) == 0


def test_people_who_are_here_at_all(talk: Dialogue) -> None:
    ann = talk.person("ann", "lobby", "den")
    talk.person("bob", "den")
    talk.person("cat")
    assert ann.asks(Who(1)) == [People(1, "", talk.hub.rooms.everybody.version, 2, ("ann", "bob"), more=False)]


NAMES = ["ann", "Ann", "bob", "b0b", None, "admin", ""]
ROOMS = ["lobby", "#Lobby", "den", "", "a b", "@ann", "@bob", "@nobody", "@" + "0" * 24]
NUMBERS = [0, 1, 2, 3, 2**31, 2**63 - 1]


def anything(peer: Peer, chance: random.Random) -> Request:
    """A request that may make sense or not."""
    number, room = chance.choice(NUMBERS), chance.choice([*ROOMS, *peer.dialogue.hub.rooms.by_name])
    peer.n += 1
    requests: list[Request] = [
        peer.greeting(name=chance.choice(NAMES)),
        peer.greeting(name=chance.choice(NAMES), fence=chance.choice(peer.secrets), client=chance.choice(peer.secrets)),
        Join(number, room, chance.random() < 0.2),
        Join(number, room),
        Leave(number, room),
        Send(peer.n, room, "x"),
        Send(number, room, "x"),
        Edit(peer.n, room, chance.choice(NUMBERS), "y"),
        Delete(peer.n, room, chance.choice(NUMBERS)),
        Read(number, room, chance.choice(NUMBERS), chance.choice(NUMBERS)),
        History(number, room, chance.choice(NUMBERS), chance.choice([None, *NUMBERS]), chance.choice(NUMBERS)),
        Search(number, chance.choice(["x", "y x", "", '"*']), chance.choice(["", room]), chance.choice(NAMES) or ""),
        Mark(number, room, chance.choice(NUMBERS)),
        Who(number, room, "b"),
        Rooms(number, "b"),
        Nick(number, chance.choice(NAMES) or "cat"),
        Heartbeat(number),
        Bye(number),
    ]
    return chance.choice(requests)


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_said_in_whichever_order_nothing_breaks_and_nothing_stays(seed: int) -> None:
    chance = random.Random(seed)
    talk = Dialogue(
        named_members=2, max_rooms_joined=3, max_private_rooms=2, max_rooms=8, max_sessions=6, work_budget=2
    )
    shared = [talk.secret() for _ in range(3)]
    peers = [Peer(talk, None, person=chance.choice(shared)) for _ in range(6)]
    for peer in peers:
        peer.secrets = [peer.client, *shared]
    for _ in range(150):
        inputs: list[Input] = []
        for _ in range(chance.randrange(4)):
            peer = chance.choice(peers)
            fence = FenceMoved(chance.choice([peer.fence, *shared]), chance.randrange(3), up=chance.random() < 0.5)
            requests = [anything(peer, chance) for _ in range(chance.randrange(4))]
            likely: list[Input] = [Received(peer.id, requests), Received(peer.id, requests), fence, Gone(peer.id)]
            inputs.append(chance.choice(likely))
        talk.broken = chance.random() < 0.1
        talk.turn(*inputs, after=chance.choice([0.0, 0.0, 0.3, 5.0]))
        for peer in peers:
            for item in peer.heard:
                if isinstance(item, Welcome):
                    peer.token, peer.n = item.session, item.last
        assert 0.0 <= talk.hub.wait() <= 1.0
        assert sum(len(room.roster) for room in talk.hub.rooms.by_name.values()) >= len(talk.hub.rooms.everybody)
    talk.broken = False
    talk.turn(*(Gone(peer.id) for peer in peers))
    talk.turn(*(FenceMoved(fence, k, up=False) for peer in peers for fence in (peer.fence, *shared) for k in range(3)))
    talk.passes(70, step=1.0)
    assert leftovers(talk.hub) == {}
    assert (len(talk.hub.sessions), len(talk.hub.sessions._persons), len(talk.hub.rooms.everybody)) == (0, 0, 0)
    assert all(len(room.roster) == 0 for room in talk.hub.rooms.by_name.values())


def leftovers(hub: Hub) -> dict[str, int]:
    """What the hub still holds of sessions and turns."""
    held = {name: value for name, value in vars(hub).items() if name.startswith("_") and hasattr(value, "__len__")}
    held |= {"names": hub.names._here, "marks": hub.marks._of}
    return {name: len(value) for name, value in held.items() if value}


def test_a_clock_that_jumps_changes_nothing_but_what_is_shown() -> None:
    talk = Dialogue()
    ann, bob = talk.person("ann", "lobby"), talk.person("bob", "lobby")
    hour = 3600 * 1000
    seqs = []
    for jump in (0, hour, -hour, -24 * hour, 10 * 365 * 24 * hour, 0):
        talk.ms = DAY + jump
        ack = ann.says("hi")
        seqs.append(ack.seq)
        assert ack.ms == talk.ms
        talk.passes(3.0)
        assert not [text for _, text in talk.logged if "lost" in text]
    assert seqs == [1, 2, 3, 4, 5, 6]
    assert [event.seq for event in talk.store.read("lobby", 0, 10, 1 << 20).events] == seqs
    assert bob.says("still here").seq == 7
