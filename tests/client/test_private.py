"""Private rooms with members: in and out of them, where one is in them, and what is never heard."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from client.playing import OTHER_RUN, RUN, Playing, said

from zchat import errors
from zchat.client import events as heard
from zchat.client.channel import OpenSub, Subscribe, Unsubscribe
from zchat.client.positions import Begin
from zchat.client.sayable import NAME_LIMIT
from zchat.codec import fence_topic, room_topic
from zchat.messages import (
    About,
    Ack,
    Act,
    Acted,
    Added,
    Admin,
    Beat,
    Bot,
    Done,
    Failed,
    History,
    Join,
    Joined,
    Leave,
    List,
    Listed,
    Moved,
    Named,
    Page,
    People,
    Presence,
    Private,
    PrivateRoom,
    Read,
    Refused,
    Removed,
    Reply,
    Request,
    RoomState,
    Send,
    Stamp,
    Who,
)

PLANS = PrivateRoom("@1d", "+plans", 4)

ENTERED = heard.Entered("+plans", ("ann",), 1)


def spoke(*seqs: int, room: str = "+plans") -> list[heard.Event]:
    return [heard.Said(room, said(seq), mine=False, private=True) for seq in seqs]


def page(asked: Read | History, *seqs: int, head: int) -> Page:
    return Page(asked.q, asked.room, 1, head, tuple(said(seq) for seq in seqs), False)


def enters(talk: Playing, head: int = 4, name: str = "+plans") -> None:
    """The broker answers the join."""
    join = talk.asks_one(Join)
    assert join.room in (name, "@1d")
    talk.reply(Joined(join.q, "@1d", head, 1, 1, ("ann",)))


@pytest.fixture(name="member")
def _member(talk: Playing) -> Playing:
    """Welcomed, and a member of +plans, whose head is 4."""
    talk.welcome(talk.connect(), private=(PLANS,))
    talk.skip()
    return talk


@pytest.fixture(name="plans")
def _plans(member: Playing) -> Playing:
    """In +plans."""
    member.session.join("+plans", quiet=False, now=member.now)
    enters(member)
    member.skip()
    return member


# In and out ----------------------------------------------------------------------------------------------------------


def test_who_belongs_to_it_hears_it_without_having_joined(member: Playing) -> None:
    member.reply(Private("@1d", "+plans", (said(5),)))
    member.hears(*spoke(5))
    assert member.session.positions() == {"@1d": ("+plans", 5)}


def test_it_is_joined_at_once_and_nothing_is_subscribed(member: Playing) -> None:
    member.session.join("+plans", quiet=True, now=member.now)
    join = member.asks_one(Join)
    assert (join.room, join.quiet) == ("@1d", True)
    member.wants()
    member.reply(Joined(join.q, "@1d", 4, 1, 1, ("ann",), None, "the trip", "bob", 7))
    member.hears(heard.Entered("+plans", ("ann",), 1, "the trip", "bob", 7))
    assert member.session.room_names == {"+plans": "+plans"}


def test_a_name_is_whatever_the_broker_takes_it_for(member: Playing) -> None:
    member.session.join("+Plans", quiet=False, now=member.now)
    enters(member, name="+Plans")
    member.hears(ENTERED)
    member.asks()
    assert member.session.room_names == {"+Plans": "+plans"}
    member.session.leave("+Plans")
    assert member.asks_one(Leave).room == "@1d"


def test_it_is_joined_again_over_every_connection(plans: Playing) -> None:
    plans.lose()
    plans.welcome(plans.connect(), private=(PLANS,))
    enters(plans)
    plans.hears(heard.Disconnected("pulled"), heard.Connected("ann", "hi", again=True))
    plans.wants()


def test_public_and_private_rooms_are_followed_together(talk: Playing) -> None:
    talk.session.join("lobby", quiet=False, now=talk.now)
    talk.session.join("+plans", quiet=False, now=talk.now)
    hello = talk.connect()
    talk.welcome(hello, private=(PLANS,))
    talk.wants(OpenSub(5556), Subscribe(room_topic("lobby")), Subscribe(fence_topic(hello.fence, 1)))
    enters(talk)
    talk.fence(1)
    talk.joined(talk.asks_one(Join))
    connected = heard.Connected("ann", "hi", again=False)
    talk.hears(connected, ENTERED, heard.Entered("lobby", ("ann",), 1))


def test_where_one_does_not_belong_one_is_not_entered(member: Playing) -> None:
    member.session.join("+secret", quiet=False, now=member.now)
    join = member.asks_one(Join)
    assert join.room == "+secret"
    member.reply(Failed(join.q, "no-such-room", ""))
    (event,) = member.session.events
    assert isinstance(event, heard.NotEntered)
    assert (event.room, type(event.error)) == ("+secret", errors.NoSuchRoom)
    assert member.session.room_names == {}
    member.lose()
    member.welcome(member.connect(), private=(PLANS,))
    member.asks()


def test_a_join_that_is_refused_leaves_the_room_heard(member: Playing) -> None:
    member.session.join("+plans", Begin(tail=2), quiet=False, now=member.now)
    member.reply(Private("@1d", "+plans", (said(5),)))
    member.hears()
    member.reply(Failed(member.asks_one(Join).q, "limit-reached", ""))
    *events, refused = member.session.events
    assert isinstance(refused, heard.NotEntered)
    assert events == spoke(5)
    member.skip()
    member.reply(Private("@1d", "+plans", (said(6),)))
    member.hears(*spoke(6))


def test_a_person_is_no_room(member: Playing) -> None:
    member.reply(Private("@2", "@bob", (said(1),)))
    member.skip()
    for name in ("@bob", "@2", "@eve"):
        member.session.join(name, quiet=False, now=member.now)
        (event,) = member.session.events
        assert isinstance(event, heard.NotEntered)
        member.skip_events()
        assert member.session.leave(name) is None
    member.asks()
    member.reply(Private("@2", "@bob", (said(2),)))
    member.hears(*spoke(2, room="@bob"))


def test_who_is_let_in_hears_what_comes_from_then_on(there: Playing) -> None:
    invited = Acted(10, 0, "bob", b"somebody", 3, "invite", "ann")
    there.reply(Added("@1d", "+plans", 9), Private("@1d", "+plans", (invited, said(11))))
    there.hears(heard.Added("+plans"), heard.Acted("+plans", invited, mine=False, private=True), *spoke(11))
    there.asks()
    there.session.join("+plans", quiet=False, now=there.now)
    enters(there, head=11)
    there.hears(ENTERED)


def test_who_was_let_in_while_away_hears_what_came_since(there: Playing) -> None:
    there.lose()
    there.welcome(there.connect(), private=(PrivateRoom("@1d", "+plans", 9, 7),))
    there.skip_events()
    there.wait(0.0)
    read = there.asks_one(Read)
    assert (read.room, read.after) == ("@1d", 7)


def test_of_being_let_in_while_away_one_is_told(there: Playing) -> None:
    there.lose()
    there.skip()
    there.welcome(there.connect(), private=(PrivateRoom("@1d", "+plans", 9, 7),))
    there.hears(heard.Connected("ann", "hi", again=True), heard.Added("+plans"), heard.Missed("+plans", 2))


@pytest.mark.parametrize("verb", ["kick", "ban"])
def test_who_was_sent_out_hears_nothing_any_more(plans: Playing, verb: str) -> None:
    plans.session.send("+plans", "hm", action=False, now=plans.now)
    plans.asks(Send(1, "+plans", "hm"))
    plans.reply(
        Private("@1d", "+plans", (said(5),)),
        Removed("@1d", verb, "bob", 60, "spam"),
        Private("@1d", "+plans", (said(6),)),
        Refused(1, "no-such-room", ""),
    )
    *events, refused = plans.session.events
    assert events == [*spoke(5), heard.Removed("+plans", verb, "bob", 60, "spam")]
    assert isinstance(refused, heard.NotSent)
    assert plans.session.positions() == {}
    assert plans.session.room_names == {}
    plans.skip()
    plans.lose()
    plans.welcome(plans.connect(), last=1)
    plans.asks()


def test_what_is_being_read_is_given_up_with_the_room(plans: Playing) -> None:
    plans.reply(Private("@1d", "+plans", (said(7),)))
    read = plans.asks_one(Read)
    plans.reply(Removed("@1d", "kick", "bob"), page(read, 5, 6, 7, head=7))
    plans.hears(heard.Removed("+plans", "kick", "bob"))
    plans.wait(10.0)
    assert plans.asks_all(Read) == []


def test_who_was_sent_out_while_away_is_told_when_it_is_back(plans: Playing) -> None:
    plans.lose()
    plans.skip()
    plans.welcome(plans.connect())
    plans.hears(heard.Connected("ann", "hi", again=True), heard.Removed("+plans", "kick", ""))
    assert plans.session.positions() == {}


def test_who_is_let_in_again_begins_anew(plans: Playing) -> None:
    plans.reply(Removed("@1d", "kick", "bob"), Added("@1d", "+plans", 9), Private("@1d", "+plans", (said(10),)))
    plans.hears(heard.Removed("+plans", "kick", "bob"), heard.Added("+plans"), *spoke(10))
    plans.asks()


def test_a_join_that_meets_a_removal_is_not_waited_for(member: Playing) -> None:
    member.session.join("+plans", quiet=False, now=member.now)
    join = member.asks_one(Join)
    member.reply(Removed("@1d", "kick", "bob"), Failed(join.q, "no-such-room", ""))
    removed, refused = member.session.events
    assert removed == heard.Removed("+plans", "kick", "bob")
    assert isinstance(refused, heard.NotEntered)


def test_who_leaves_gives_it_up_and_hears_it_until_then(plans: Playing) -> None:
    q = plans.session.leave("+plans")
    plans.asks(Leave(q or 0, "@1d"))
    plans.reply(Private("@1d", "+plans", (said(5),)))
    plans.hears(*spoke(5))
    plans.reply(Removed("@1d", "leave", "ann"), Done(q or 0))
    plans.hears(heard.Removed("+plans", "leave", "ann"))
    assert plans.session.answers == {q: Done(q or 0)}


def test_a_leave_that_was_not_answered_is_said_again_before_anything_else(plans: Playing) -> None:
    q = plans.session.leave("+plans")
    plans.lose()
    plans.skip()
    plans.welcome(plans.connect(), private=(PLANS,))
    plans.asks(Leave(q or 0, "@1d"))
    plans.reply(Done(q or 0))
    plans.hears(heard.Connected("ann", "hi", again=True), heard.Removed("+plans", "leave", ""))


def test_a_leave_that_is_refused_is_told_and_changes_nothing(plans: Playing) -> None:
    q = plans.session.leave("+plans")
    plans.reply(Failed(q or 0, "not-allowed", ""), Private("@1d", "+plans", (said(5),)))
    assert isinstance(plans.session.answers[q or 0], errors.NotAllowed)
    plans.hears(*spoke(5))


def test_who_joins_what_is_being_left_is_not_let_in(plans: Playing) -> None:
    q = plans.session.leave("+plans")
    plans.session.join("+plans", quiet=False, now=plans.now)
    join = plans.asks_one(Join)
    plans.reply(Removed("@1d", "leave", "ann"), Done(q or 0), Failed(join.q, "no-such-room", ""))
    assert [type(event) for event in plans.session.events] == [heard.Removed, heard.NotEntered]


def test_two_rooms_of_one_name_are_told_apart_by_their_labels(plans: Playing) -> None:
    plans.reply(Added("@2e", "+plans~3f2a", 0), Private("@2e", "+plans~3f2a", (said(1),)))
    plans.hears(heard.Added("+plans~3f2a"), *spoke(1, room="+plans~3f2a"))
    plans.session.join("+plans~3f2a", quiet=False, now=plans.now)
    assert plans.asks_one(Join).room == "@2e"


def test_labels_may_change(plans: Playing) -> None:
    plans.session.join("+Plans", quiet=False, now=plans.now)
    enters(plans, name="+Plans")
    plans.reply(Private("@1d", "+plans~1d", (said(5),)), Added("@2e", "+plans", 0))
    plans.hears(*spoke(5, room="+plans~1d"), heard.Added("+plans"))
    assert plans.session.room_names == {"+plans": "+plans~1d", "+Plans": "+plans~1d"}


def test_a_public_room_one_was_sent_out_of_is_not_followed_any_more(inside: Playing) -> None:
    inside.publish("lobby", said(6))
    inside.reply(Removed("lobby", "kick", "bob", 0, "spam"))
    inside.publish("lobby", said(7))
    inside.hears(heard.Said("lobby", said(6), mine=False), heard.Removed("lobby", "kick", "bob", 0, "spam"))
    assert inside.commands == [Unsubscribe(room_topic("lobby"))]
    inside.skip()
    inside.lose()
    inside.welcome(inside.connect())
    inside.wants()
    inside.asks()
    assert inside.session.positions() == {"lobby": ("lobby", 6)}


def test_a_join_that_crosses_a_kick_is_undone(there: Playing) -> None:
    there.session.join("lobby", quiet=False, now=there.now)
    there.fence(1)
    there.asks_one(Join)
    there.reply(Removed("lobby", "kick", "bob"))
    assert there.asks_one(Leave).room == "lobby"
    removed, refused = there.session.events
    assert isinstance(removed, heard.Removed)
    assert isinstance(refused, heard.NotEntered)


def test_of_what_one_is_not_in_nothing_is_told(there: Playing) -> None:
    there.reply(Removed("@1d", "kick", "bob"), Removed("lobby", "kick", "bob"))
    there.reply(Private("@1d", "+plans", (said(1),)))
    there.hears()
    assert there.session.positions() == {}


# Where one is --------------------------------------------------------------------------------------------------------


def test_what_was_missed_is_read(member: Playing) -> None:
    member.lose()
    member.skip()
    member.welcome(member.connect(), private=(PrivateRoom("@1d", "+plans", 6),))
    member.wait(0.0)
    read = member.asks_one(Read)
    assert (read.room, read.after) == ("@1d", 4)
    member.reply(page(read, 5, 6, head=6))
    connected = heard.Connected("ann", "hi", again=True)
    member.hears(connected, heard.Missed("+plans", 2), *spoke(5, 6), heard.UpToDate("+plans"))


def test_what_is_missing_is_read_and_what_cannot_be_had_is_a_gap(plans: Playing) -> None:
    plans.reply(Private("@1d", "+plans", (said(8),)))
    read = plans.asks_one(Read)
    plans.reply(Page(read.q, "@1d", 7, 8, (said(7), said(8)), False))
    plans.hears(heard.Gap("+plans", 5, 6), *spoke(7, 8))


def test_it_goes_on_where_an_earlier_life_was() -> None:
    talk = Playing(resumed=(Stamp(RUN, 3), {"@1d": 2, "@gone": 5}))
    talk.welcome(talk.connect(), private=(PLANS,))
    talk.hears(heard.Connected("ann", "hi", again=False), heard.Missed("+plans", 2))
    assert talk.session.positions() == {"@1d": ("+plans", 2)}


def test_where_the_store_does_not_vouch_for_it_there_is_a_gap(plans: Playing) -> None:
    plans.session.send("+plans", "next", action=False, now=plans.now)
    plans.lose()
    hello = plans.connect()
    plans.skip()
    plans.run = OTHER_RUN
    plans.welcome(hello, vouched=False, private=(PrivateRoom("@1d", "+plans", 2),))
    events = [event for event in plans.session.events if not isinstance(event, heard.NotSent)]
    assert events == [heard.Gap("+plans", 5, None), heard.Connected("ann", "hi", again=True)]
    plans.skip_events()
    enters(plans, head=2)
    plans.reply(Private("@1d", "+plans", (said(3),)))
    plans.hears(*spoke(3))


def test_a_room_that_the_store_knows_no_longer_is_gone(plans: Playing) -> None:
    plans.lose()
    hello = plans.connect()
    plans.skip()
    plans.run = OTHER_RUN
    plans.welcome(hello, vouched=False)
    connected = heard.Connected("ann", "hi", again=True)
    plans.hears(heard.Gap("+plans", 5, None), connected, heard.Removed("+plans", "kick", ""))
    assert plans.session.positions() == {}
    assert plans.asks_all(Join) == []


def test_what_the_person_has_not_read_is_heard_by_who_wants_it() -> None:
    talk = Playing(missed=True)
    talk.welcome(talk.connect(), private=(PrivateRoom("@1d", "+plans", 9, 7),))
    talk.hears(heard.Connected("ann", "hi", again=False), heard.Missed("+plans", 2))


@pytest.mark.parametrize("early", [True, False])
def test_it_may_begin_with_its_last_messages(talk: Playing, early: bool) -> None:
    if early:
        talk.session.join("+plans", Begin(tail=2), quiet=False, now=talk.now)
    talk.welcome(talk.connect(), private=(PLANS,))
    if not early:
        talk.session.join("+plans", Begin(tail=2), quiet=False, now=talk.now)
    talk.skip_events()
    talk.reply(Private("@1d", "+plans", (said(5),)))
    assert talk.session.positions() == {"@1d": ("+plans", 4)}
    enters(talk, head=5)
    asked = talk.asks_one(History)
    assert (asked.room, asked.limit, asked.before) == ("@1d", 2, 5)
    talk.reply(page(asked, 3, 4, head=5))
    talk.hears(ENTERED, *spoke(3, 4, 5))


def test_it_may_begin_after_a_number(member: Playing) -> None:
    member.session.join("+plans", Begin(after=2), quiet=False, now=member.now)
    enters(member)
    read = member.asks_one(Read)
    assert read.after == 2
    member.reply(page(read, 3, 4, head=4))
    member.hears(ENTERED, heard.Missed("+plans", 2), *spoke(3, 4), heard.UpToDate("+plans"))


def test_a_number_that_there_is_not_yet_is_a_gap(member: Playing) -> None:
    member.session.join("+plans", Begin(after=9), quiet=False, now=member.now)
    enters(member)
    member.reply(Private("@1d", "+plans", (said(5),)))
    member.hears(ENTERED, heard.Gap("+plans", 10, None), *spoke(5))


def test_where_something_was_heard_already_it_goes_on_from_there(member: Playing) -> None:
    member.reply(Private("@1d", "+plans", (said(5),)))
    member.session.join("+plans", Begin(after=0, tail=9), quiet=False, now=member.now)
    enters(member, head=5)
    member.hears(*spoke(5), ENTERED)
    member.asks()


def test_a_heartbeat_tells_of_what_was_said_and_who_is_there(plans: Playing) -> None:
    plans.reply(Beat(0, 10.0, (Moved("@1d", 6, 2),)))
    assert plans.asks_one(Who).room == "@1d"
    plans.wait(1.0)
    assert plans.asks_one(Read).after == 4


def test_who_comes_and_goes_is_told(plans: Playing) -> None:
    plans.reply(Private("@1d", "+plans", (), (Presence(2, 2, joined=("bob",)),)))
    plans.hears(heard.Presence("+plans", 2, ("bob",)))
    plans.reply(Private("@1d", "+plans", (), (Presence(4, 1, lost=("bob",)),)))
    who = plans.asks_one(Who)
    plans.reply(People(who.q, "@1d", 4, 1, ("ann",), False))
    plans.hears(heard.Presence("+plans", 1, left=("bob",)))


# Acts ----------------------------------------------------------------------------------------------------------------


def test_acts_and_messages_are_numbered_together(there: Playing) -> None:
    there.session.send("den", "so?", action=False, now=there.now, reply=7)
    ticket = there.session.act("kick", "den", name="bob", text="spam", now=there.now)
    there.session.act("slow", "den", seconds=30, now=there.now)
    there.session.act("readonly", "den", on=False, now=there.now)
    there.session.act("pin", "den", target=7, now=there.now)
    there.asks(
        Send(1, "den", "so?", reply=7),
        Act(2, "kick", "den", "bob", text="spam"),
        Act(3, "slow", "den", seconds=30),
        Act(4, "readonly", "den", on=False),
    )
    there.reply(Ack(1, "den", 8, 5))
    there.asks(Act(5, "pin", "den", target=7))
    there.skip_events()
    there.reply(Ack(2, "den", 9, 5), Refused(3, "not-allowed", "you may not"))
    sent, refused = there.session.events
    assert sent == heard.Sent(ticket, "den", 9, 5)
    assert isinstance(refused, heard.NotSent)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("banned", errors.Banned),
        ("muted", errors.Muted),
        ("read-only", errors.ReadOnly),
        ("slow-mode", errors.SlowMode),
        ("blocked", errors.Blocked),
    ],
)
def test_what_may_not_be_said_is_refused_for_good(there: Playing, code: str, kind: type[errors.Refusal]) -> None:
    ticket = there.session.send("den", "hm", action=False, now=there.now)
    there.asks(Send(1, "den", "hm"))
    there.reply(Refused(1, code, "so it is"))
    (event,) = there.session.events
    assert isinstance(event, heard.NotSent)
    assert (event.ticket, type(event.error)) == (ticket, kind)
    there.wait(100.0)
    assert there.asks_all(Send) == []


def test_what_the_broker_would_cut_us_for_is_not_done(there: Playing) -> None:
    act = partial(there.session.act, now=there.now)
    long = "x" * (NAME_LIMIT + 1)
    act("topic", "den", text="x" * 101)
    act("topic", "den", text="\ud800")
    act("kick", "den", name=long)
    act("kick", long, name="bob")
    act(long, "den")
    act("kick", "den", name="\ud800")
    kinds = [type(event.error) for event in there.session.events if isinstance(event, heard.NotSent)]
    assert kinds == [errors.TooLong, errors.BadRequest, *[errors.NameInvalid] * 4]
    there.asks()


def test_acts_are_heard_in_their_place(inside: Playing) -> None:
    topic = Acted(6, 0, "ann", b"annspipe", 3, "topic", text="weather")
    inside.publish("lobby", topic, said(7))
    inside.hears(heard.Acted("lobby", topic, mine=True), heard.Said("lobby", said(7), mine=False))
    assert heard.numbers(heard.Acted("lobby", topic, mine=True)) == (6, 6)
    assert inside.session.positions() == {"lobby": ("lobby", 7)}


def test_what_names_a_message_of_a_log_that_is_gone_is_not_sent(inside: Playing) -> None:
    inside.lose()
    reply = inside.session.send("lobby", "yes", action=False, now=inside.now, reply=3)
    pin = inside.session.act("pin", "lobby", target=3, now=inside.now)
    inside.session.act("topic", "lobby", text="weather", now=inside.now)
    hello = inside.connect()
    inside.skip_events()
    inside.run = OTHER_RUN
    inside.welcome(hello, vouched=False)
    unknown = [event.ticket for event in inside.session.events if isinstance(event, heard.NotSent)]
    assert unknown == [reply, pin]
    inside.fence(2)
    inside.joined(inside.asks_one(Join), head=3)
    inside.asks(Act(1, "topic", "lobby", text="weather"))


@pytest.mark.parametrize(
    ("make", "answer"),
    [
        (partial(Admin, verb="ban", name="bob", seconds=60), Done),
        (partial(About, room="den"), partial(RoomState, room="den", topic="weather")),
        (partial(List, what="bans", room="den"), partial(Listed, rows=(), more=False)),
        (partial(Bot, key=b"k" * 32, name="helper"), partial(Named, name="helper[bot]")),
        (
            partial(Read, room="@audit", after=0, limit=9),
            partial(Page, room="@audit", first=1, head=1, events=(Acted(1, 0, "ann", b"", 0, "ban"),), more=False),
        ),
    ],
)
def test_questions_about_rooms_are_answered(
    inside: Playing, make: Callable[[int], Request], answer: Callable[[int], Reply]
) -> None:
    q = inside.session.ask(make)
    inside.publish("lobby", said(9))  # has the room read meanwhile
    assert make(q) in inside.asked
    inside.reply(answer(q))
    assert inside.session.answers == {q: answer(q)}
    inside.hears()


def test_a_read_that_is_asked_for_holds_up_no_room(inside: Playing) -> None:
    q = inside.session.ask(partial(Read, room="@audit", after=0, limit=9))
    inside.publish("lobby", said(7))
    inside.asks_one(Read)
    inside.reply(Failed(q, "no-such-room", ""))
    assert isinstance(inside.session.answers[q], errors.NoSuchRoom)
    inside.reply(page(inside.asks_one(Read), 6, 7, head=7))
    assert [event.message.seq for event in inside.session.events if isinstance(event, heard.Said)] == [6, 7]


@pytest.mark.parametrize("field", ["verb", "name"])
def test_what_is_far_too_long_is_not_asked(there: Playing, field: str) -> None:
    long = "x" * (NAME_LIMIT + 1)
    q = there.session.ask(partial(Admin, verb=long) if field == "verb" else partial(Admin, verb="ban", name=long))
    assert isinstance(there.session.answers[q], errors.NameInvalid)
    q = there.session.ask(partial(Admin, verb="announce", text="x" * 101))
    assert isinstance(there.session.answers[q], errors.TooLong)
    there.asks()
