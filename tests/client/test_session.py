"""Dialogues with the broker, without sockets."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from client.playing import CREDIT, OTHER_RUN, RUN, Playing, said

from zchat import errors
from zchat.client import events as heard
from zchat.client import session as module
from zchat.client.channel import OpenSub, Reopen, Subscribe, Transmit, Unsubscribe
from zchat.client.fences import FENCE_PATIENCE
from zchat.client.outbox import GIVE_UP
from zchat.client.rooms import TARGET_PATIENCE
from zchat.client.session import AGAIN, BATCH, BEAT_PATIENCE, PATIENCE, RETRY
from zchat.codec import fence_topic, room_topic
from zchat.messages import (
    Ack,
    Ask,
    Beat,
    Bye,
    Closing,
    Device,
    Done,
    Failed,
    Head,
    Heartbeat,
    Hello,
    Join,
    Joined,
    Leave,
    Link,
    Linked,
    LinkList,
    Links,
    Moved,
    Named,
    Nick,
    Notice,
    Page,
    People,
    Ping,
    Pong,
    Presence,
    Private,
    PrivateRoom,
    Published,
    Read,
    Refused,
    Request,
    Revoke,
    Send,
    Stamp,
    Told,
    Unfenced,
    Unreadable,
    Welcome,
    Who,
)

# Hello --------------------------------------------------------------------------------------------------------------


def test_hello_comes_first(talk: Playing) -> None:
    talk.session.join("lobby", quiet=False, now=talk.now)
    talk.session.send("lobby", "hi", action=False, now=talk.now)
    talk.session.ask(Ping)
    talk.asks()
    hello = talk.connect()
    talk.asks()
    talk.wants()
    assert (hello.name, hello.resume, hello.stamp) == ("ann", None, None)
    talk.welcome(hello)
    talk.hears(heard.Connected("ann", "hi", again=False))
    assert [type(request) for request in talk.asked] == [Ping, Send]
    talk.wants(OpenSub(5556), Subscribe(room_topic("lobby")), Subscribe(fence_topic(hello.fence, 1)))


def test_hello_resumes_the_session_with_the_newest_stamp(inside: Playing) -> None:
    inside.publish("lobby", said(6))
    inside.lose()
    hello = inside.connect()
    assert (hello.resume, hello.stamp) == (b"S" * 16, Stamp(RUN, inside.turn))
    inside.hears(heard.Said("lobby", said(6), mine=False), heard.Disconnected("pulled"))
    inside.welcome(hello)
    inside.hears(heard.Connected("ann", "hi", again=True))


def test_hello_unanswered_opens_both_sockets_anew(talk: Playing) -> None:
    talk.connect()
    talk.wait(PATIENCE - 0.1)
    talk.wants()
    assert talk.session.due() == pytest.approx(talk.now + 0.1)
    talk.wait(0.1)
    talk.wants(Reopen())


def test_a_name_that_is_taken_ends_it(talk: Playing) -> None:
    talk.reply(Failed(talk.connect().q, "name-taken", "choose another"))
    assert isinstance(talk.session.ended, errors.NameTaken)
    (event,) = talk.session.events
    assert isinstance(event, heard.Ended)
    talk.lose()
    talk.session.connected(talk.now)
    talk.asks()
    assert talk.session.due() == float("inf")


def test_a_hello_refused_for_now_is_said_again(talk: Playing) -> None:
    talk.reply(Failed(talk.connect().q, "draining", ""))
    talk.asks()
    talk.wait(0.9)
    talk.asks()
    talk.wait(0.1)
    again = talk.asks_one(Hello)
    talk.welcome(again)
    assert talk.session.open


def test_a_welcome_to_an_earlier_hello_is_none(talk: Playing) -> None:
    first = talk.connect()
    talk.lose()
    talk.connect()
    talk.welcome(first)
    assert not talk.session.open


def test_what_is_said_before_the_welcome_is_not_for_this_session(talk: Playing) -> None:
    hello = talk.connect()
    talk.reply(Private("@room", "@bob", (said(7),)))
    talk.welcome(hello, private=(PrivateRoom("@room", "@bob", 7),))
    talk.hears(heard.Connected("ann", "hi", again=False))
    talk.reply(Private("@room", "@bob", (said(8),)))
    talk.hears(heard.Said("@bob", said(8), mine=False, private=True))


def test_an_unknown_session_says_hello_once_and_asks_again(there: Playing) -> None:
    q = there.session.ask(Ping)
    there.session.send("lobby", "hi", action=False, now=there.now)
    there.skip()
    there.reply(Failed(q, "unknown-session", ""), Refused(1, "unknown-session", ""))
    there.welcome(there.asks_one(Hello))
    there.asks(Ping(q), Send(1, "lobby", "hi"))


def test_sub_is_opened_anew_with_every_hello(inside: Playing) -> None:
    q = inside.session.ask(Ping)
    inside.skip()
    inside.reply(Failed(q, "unknown-session", ""))
    hello = inside.asks_one(Hello)
    inside.wants()
    inside.welcome(hello)
    inside.wants(
        OpenSub(5556),
        Subscribe(room_topic("lobby")),
        Subscribe(fence_topic(hello.fence, inside.session._rooms.fences._last)),
    )


def test_superseded_ends_it(inside: Playing) -> None:
    inside.reply(Failed(0, "superseded", ""))
    assert isinstance(inside.session.ended, errors.Superseded)
    inside.wait(1000.0)
    inside.asks()
    inside.wants()


# Fence --------------------------------------------------------------------------------------------------------------


def test_rooms_are_joined_once_the_fence_is_answered(talk: Playing) -> None:
    hello = talk.open()
    talk.session.join("lobby", quiet=True, now=talk.now)
    talk.wants(OpenSub(5556), Subscribe(room_topic("lobby")), Subscribe(fence_topic(hello.fence, 1)))
    talk.asks()
    talk.fence(1)
    join = talk.asks_one(Join)
    assert (join.room, join.quiet) == ("lobby", True)
    talk.joined(join, head=3)
    talk.hears(heard.Entered("lobby", ("ann",), 1))


def test_a_second_room_has_a_fence_of_its_own_and_none_is_kept(talk: Playing) -> None:
    hello = talk.open()
    talk.enter()
    talk.session.join("den", quiet=False, now=talk.now)
    talk.wants(Subscribe(room_topic("den")), Subscribe(fence_topic(hello.fence, 2)))
    talk.fence(2)
    talk.wants(Unsubscribe(fence_topic(hello.fence, 2)))
    assert talk.asks_one(Join).room == "den"


def test_a_fence_unanswered_is_tried_once_more_and_then_all_is_opened_anew(talk: Playing) -> None:
    hello = talk.open()
    talk.session.join("lobby", quiet=False, now=talk.now)
    talk.skip()
    talk.wait(FENCE_PATIENCE)
    talk.wants(Subscribe(fence_topic(hello.fence, 2)))
    talk.wait(FENCE_PATIENCE)
    talk.wants(Reopen())


def test_a_fence_answered_late_is_good_too(talk: Playing) -> None:
    hello = talk.open()
    talk.session.join("lobby", quiet=False, now=talk.now)
    talk.wait(FENCE_PATIENCE)
    talk.skip()
    talk.fence(1)
    join = talk.asks_one(Join)
    talk.wants(Unsubscribe(fence_topic(hello.fence, 1)))
    talk.wait(FENCE_PATIENCE)
    talk.wants()
    talk.fence(2)
    talk.asks()
    talk.wants(Unsubscribe(fence_topic(hello.fence, 2)))
    talk.joined(join)
    talk.hears(heard.Entered("lobby", ("ann",), 1))


def test_a_sub_that_was_cut_is_fenced_anew_and_what_was_missed_is_read(inside: Playing) -> None:
    inside.skip()
    inside.reply(Unfenced())
    inside.asks()
    inside.fence(2)
    inside.joined(inside.asks_one(Join), head=7)
    read = inside.asks_one(Read)
    assert (read.room, read.after) == ("lobby", 5)
    inside.reply(Page(read.q, "lobby", 1, 7, (said(6), said(7))))
    inside.hears(
        heard.Missed("lobby", 2),
        *(heard.Said("lobby", said(seq), mine=False) for seq in (6, 7)),
        heard.UpToDate("lobby"),
    )


def test_a_sub_that_was_cut_while_a_fence_is_under_way_needs_the_next(inside: Playing) -> None:
    inside.session.join("den", quiet=False, now=inside.now)
    inside.reply(Unfenced())
    inside.fence(2)
    inside.asks()
    inside.fence(3)
    assert {join.room for join in inside.asks_all(Join)} == {"lobby", "den"}


def test_a_fence_of_another_connection_says_nothing(inside: Playing) -> None:
    inside.lose()
    inside.welcome(inside.connect())
    inside.fence(1)
    inside.asks()
    inside.fence(2)
    assert inside.asks_one(Join).room == "lobby"


# Rooms --------------------------------------------------------------------------------------------------------------


def test_live_events_that_come_before_the_answer_are_merged(talk: Playing) -> None:
    talk.open()
    talk.session.join("lobby", quiet=False, now=talk.now)
    talk.publish("lobby", said(5), said(6))
    talk.publish("lobby", said(7))
    talk.fence(1)
    talk.hears()
    talk.joined(talk.asks_one(Join), head=5)
    talk.hears(
        heard.Entered("lobby", ("ann",), 1),
        heard.Said("lobby", said(6), mine=False),
        heard.Said("lobby", said(7), mine=False),
    )


def test_the_broker_may_call_a_room_otherwise(talk: Playing) -> None:
    hello = talk.open()
    talk.session.join("#Lobby", quiet=False, now=talk.now)
    talk.fence(1)
    join = talk.asks_one(Join)
    talk.skip()
    talk.reply(Joined(join.q, "lobby", 5, 1, 1, ("ann",)))
    talk.wants(Unsubscribe(room_topic("Lobby")), Subscribe(room_topic("lobby")), Subscribe(fence_topic(hello.fence, 2)))
    talk.publish("lobby", said(6))
    talk.fence(2)
    talk.joined(talk.asks_one(Join), head=5)
    talk.hears(heard.Entered("lobby", ("ann",), 1), heard.Said("lobby", said(6), mine=False))
    talk.session.join("Lobby", quiet=False, now=talk.now)
    talk.asks()
    assert talk.session.room_names == {"Lobby": "lobby", "lobby": "lobby"}
    talk.session.leave("Lobby")
    assert talk.asks_one(Leave).room == "lobby"


def test_a_room_joined_under_two_names_is_one(inside: Playing) -> None:
    inside.session.join("LOBBY", quiet=False, now=inside.now)
    inside.fence(2)
    join = inside.asks_one(Join)
    inside.reply(Joined(join.q, "lobby", 5, 1, 1, ("ann",)))
    inside.asks()
    inside.hears()
    inside.publish("lobby", said(6))
    inside.hears(heard.Said("lobby", said(6), mine=False))


def test_a_name_left_before_it_was_known_to_be_anothers_takes_nothing_with_it(inside: Playing) -> None:
    inside.session.join("LOBBY", quiet=False, now=inside.now)
    inside.session.leave("LOBBY")
    leave = inside.asks_one(Leave)
    inside.reply(Done(leave.q))  # and with it we left the lobby
    assert inside.asks_one(Join).room == "lobby"


@pytest.mark.parametrize("lost", [False, True])
def test_a_room_that_a_broker_refuses_as_it_ends_is_entered_later(there: Playing, lost: bool) -> None:
    there.session.join("den", quiet=False, now=there.now)
    there.fence(1)
    join = there.asks_one(Join)
    there.skip()
    there.reply(Failed(join.q, "draining", "", 1000))
    there.hears()
    if lost:
        there.lose()
        there.skip_events()
        there.welcome(there.connect())
        there.fence(2)
    else:
        there.wait(1.0)
    assert "den" in [again.room for again in there.asks_all(Join)]


def test_a_room_that_is_refused_is_not_followed(there: Playing) -> None:
    there.session.join("a b", quiet=False, now=there.now)
    there.fence(1)
    join = there.asks_one(Join)
    there.skip()
    there.reply(Failed(join.q, "name-invalid", "no"))
    (event,) = there.session.events
    assert isinstance(event, heard.NotEntered)
    assert isinstance(event.error, errors.NameInvalid)
    there.wants(Unsubscribe(room_topic("a b")))
    there.asks()
    there.lose()
    there.welcome(there.connect())
    there.wants()


def test_who_follows_quietly_may_come_in_later(there: Playing) -> None:
    there.session.join("lobby", quiet=True, now=there.now)
    there.fence(1)
    first = there.asks_one(Join)
    there.session.join("lobby", quiet=False, now=there.now)
    there.asks()
    there.joined(first, names=())
    assert not there.asks_one(Join).quiet


def test_what_comes_for_a_room_that_was_left_is_not_heard(inside: Playing) -> None:
    inside.publish("lobby", said(8))
    read = inside.asks_one(Read)
    inside.publish("lobby", states=(Presence(5, 3, ("bob",)),))
    who = inside.asks_one(Who)
    inside.session.leave("lobby")
    inside.wants(Unsubscribe(room_topic("lobby")))
    inside.publish("lobby", said(9))
    inside.reply(Page(read.q, "lobby", 1, 8, (said(6), said(7), said(8))))
    inside.reply(People(who.q, "lobby", 5, 2, ("ann", "bob"), more=False))
    inside.hears()


def test_a_leave_that_was_not_answered_is_said_again(inside: Playing) -> None:
    q = inside.session.leave("lobby")
    assert q is not None
    inside.session.forget(q)
    inside.skip()
    inside.lose()
    inside.welcome(inside.connect())
    inside.asks(Leave(q, "lobby"))
    inside.reply(Done(q))
    inside.lose()
    inside.welcome(inside.connect())
    inside.asks()


def test_leaving_what_is_not_followed_asks_nothing(there: Playing) -> None:
    assert there.session.leave("lobby") is None
    there.asks()


def test_no_more_is_asked_at_once_than_there_is_credit_for(there: Playing) -> None:
    for number in range(100):
        there.session.join(f"room {number}", quiet=False, now=there.now)
        there.session.send("lobby", "hi", action=False, now=there.now)
    there.fence(100)
    there.wait(30.0)
    there.obey()
    assert len(there.asked) == CREDIT
    joined = 0
    while joins := [request for request in there.asked if isinstance(request, Join)]:
        there.asked = []
        for join in joins:
            there.joined(join)
        joined += len(joins)
    assert joined == 100


# Gaps ---------------------------------------------------------------------------------------------------------------


def test_what_is_missing_is_read_at_once(inside: Playing) -> None:
    inside.publish("lobby", said(8))
    read = inside.asks_one(Read)
    assert (read.room, read.after) == ("lobby", 5)
    inside.publish("lobby", said(9))
    inside.asks()
    inside.hears()
    inside.reply(Page(read.q, "lobby", 1, 8, (said(6), said(7), said(8))))
    inside.hears(*(heard.Said("lobby", said(seq), mine=False) for seq in (6, 7, 8, 9)))
    inside.wait(10.0)
    inside.asks()


def test_what_is_no_longer_kept_is_a_gap(inside: Playing) -> None:
    inside.publish("lobby", said(9))
    inside.reply(Page(inside.asks_one(Read).q, "lobby", 8, 9, (said(8), said(9))))
    inside.hears(
        heard.Gap("lobby", 6, 7), heard.Said("lobby", said(8), mine=False), heard.Said("lobby", said(9), mine=False)
    )


def test_page_after_page_is_read(inside: Playing) -> None:
    inside.publish("lobby", said(9))
    inside.reply(Page(inside.asks_one(Read).q, "lobby", 1, 9, (said(6),)))
    read = inside.asks_one(Read)
    assert read.after == 6
    inside.reply(Page(read.q, "lobby", 1, 9, (said(7), said(8))))
    inside.asks()
    assert len(inside.session.events) == 4


def test_one_room_is_read_at_a_time(inside: Playing) -> None:
    inside.enter("den", head=3, k=2)
    inside.publish("lobby", said(7))
    inside.publish("den", said(5))
    read = inside.asks_one(Read)
    assert read.room == "lobby"
    inside.reply(Page(read.q, "lobby", 1, 7, (said(6), said(7))))
    assert inside.asks_one(Read).room == "den"


def test_a_read_refused_for_now_is_asked_again(inside: Playing) -> None:
    inside.publish("lobby", said(7))
    inside.reply(Failed(inside.asks_one(Read).q, "store-unavailable", ""))
    inside.asks()
    inside.wait(1.0)
    assert inside.asks_one(Read).after == 5


def test_a_page_that_leads_nowhere_is_not_asked_for_again_at_once(inside: Playing) -> None:
    inside.publish("lobby", states=(Head(7),))
    inside.wait(TARGET_PATIENCE)
    inside.reply(Page(inside.asks_one(Read).q, "lobby", 1, 5, ()))
    inside.asks()
    inside.wait(TARGET_PATIENCE)
    inside.asks_one(Read)


def head(dialogue: Playing) -> None:
    dialogue.publish("lobby", states=(Head(6),))


def beat(dialogue: Playing) -> None:
    dialogue.wait(30.0)
    dialogue.reply(Beat(dialogue.asks_one(Heartbeat).q, 30.0, (Moved("lobby", 6, 1),)))


@pytest.mark.parametrize("name_head", [head, beat])
def test_a_head_that_was_only_named_is_read_up_to_after_a_second(
    inside: Playing, name_head: Callable[[Playing], None]
) -> None:
    name_head(inside)
    inside.asks()
    inside.wait(TARGET_PATIENCE - 0.1)
    inside.asks()
    inside.wait(0.1)
    assert inside.asks_one(Read).after == 5


@pytest.mark.parametrize("name_head", [head, beat])
def test_a_head_that_is_reached_meanwhile_is_not_read_up_to(
    inside: Playing, name_head: Callable[[Playing], None]
) -> None:
    name_head(inside)
    inside.publish("lobby", said(6))
    inside.wait(TARGET_PATIENCE)
    inside.asks()


def test_an_event_that_cannot_be_read_is_skipped_and_the_position_advanced(inside: Playing) -> None:
    inside.publish("lobby", Unreadable(6), said(7))
    inside.hears(heard.Said("lobby", said(7), mine=False))
    inside.asks()


def test_ones_own_messages_are_told_from_others(inside: Playing) -> None:
    inside.publish("lobby", said(6, sender=b"annspipe"))
    inside.hears(heard.Said("lobby", said(6, sender=b"annspipe"), mine=True))


# Heartbeats ---------------------------------------------------------------------------------------------------------


def test_a_heartbeat_unanswered_opens_both_sockets_anew(inside: Playing) -> None:
    assert inside.session.due() == inside.now + 30.0
    inside.wait(30.0)
    inside.asks_one(Heartbeat)
    inside.wait(BEAT_PATIENCE - 0.1)
    inside.wants()
    inside.wait(0.1)
    inside.wants(Reopen())


def test_the_broker_says_when_the_next_heartbeat_is(inside: Playing) -> None:
    inside.wait(30.0)
    inside.reply(Beat(inside.asks_one(Heartbeat).q, 77.0, (Moved("elsewhere", 3, 3),)))
    inside.wait(76.0)
    inside.asks()
    inside.wait(1.0)
    inside.asks_one(Heartbeat)


# Sends --------------------------------------------------------------------------------------------------------------


def say(dialogue: Playing, *texts: str) -> list[int]:
    return [dialogue.session.send("lobby", text, action=False, now=dialogue.now) for text in texts]


def test_an_ack_says_where_the_message_is(there: Playing) -> None:
    (ticket,) = say(there, "hi")
    there.asks(Send(1, "lobby", "hi"))
    there.reply(Ack(1, "lobby", 9, 1234))
    there.hears(heard.Sent(ticket, "lobby", 9, 1234))
    there.reply(Ack(1, "lobby", 9, 1234))
    there.hears()


def test_an_ack_stands_for_a_run_of_messages(there: Playing) -> None:
    tickets = say(there, "a", "b", "c")
    there.obey()
    there.reply(Ack(1, "lobby", 9, 1234))
    there.skip()
    there.reply(Ack(1, "lobby", 9, 1234, 3))  # the first was answered: the others have their numbers nonetheless
    there.hears(heard.Sent(tickets[1], "lobby", 10, 1234), heard.Sent(tickets[2], "lobby", 11, 1234))
    say(there, "d", "e")
    there.reply(Ack(4, "lobby", 0, 1234, 2))
    assert [event.seq for event in there.session.events if isinstance(event, heard.Sent)] == [0, 0]


def test_what_is_said_goes_as_one_and_before_what_is_asked_for_behind_it(there: Playing) -> None:
    say(there, "a", "b")
    q = there.session.ask(lambda q: Who(q, "lobby"))
    say(there, "c")
    (command,) = there.session.commands()
    assert command == Transmit([Send(1, "lobby", "a"), Send(2, "lobby", "b"), Who(q, "lobby"), Send(3, "lobby", "c")])
    say(there, "d")
    bye = there.session.bye()
    (command,) = there.session.commands()
    assert command == Transmit([Send(4, "lobby", "d"), Bye(bye)])


def test_it_presses_once_nothing_is_under_way_or_there_is_enough_for_a_frame(talk: Playing) -> None:
    talk.welcome(talk.connect())
    pressing = []
    for number in range(2 * BATCH):
        say(talk, str(number))
        pressing.append(talk.session.pressing)
        if pressing[-1]:
            talk.obey()
    assert [number for number, pressed in enumerate(pressing) if pressed][:2] == [0, BATCH]


def test_an_ack_does_not_move_the_position(inside: Playing) -> None:
    say(inside, "hi")
    inside.reply(Ack(1, "lobby", 6, 0))
    inside.skip()
    inside.publish("lobby", said(6))
    inside.hears(heard.Said("lobby", said(6), mine=False))


def test_a_message_refused_for_good_uses_its_number_up(there: Playing) -> None:
    first, second = say(there, "a", "b")
    there.reply(Refused(1, "too-long", ""), Ack(2, "lobby", 1, 0))
    not_sent, sent = there.session.events
    assert isinstance(not_sent, heard.NotSent)
    assert isinstance(not_sent.error, errors.TooLong)
    assert (not_sent.ticket, sent) == (first, heard.Sent(second, "lobby", 1, 0))
    there.skip()
    say(there, "c")
    assert there.asks_one(Send).n == 3


def test_a_message_refused_for_now_is_sent_again_with_all_behind_it(there: Playing) -> None:
    say(there, "a", "b")
    there.skip()
    there.reply(Refused(1, "store-unavailable", "", retry_ms=2000))
    there.reply(Refused(2, "out-of-order", "", expected=1, retry_ms=1000))
    there.hears()
    there.wait(1.9)
    there.asks()
    there.wait(0.1)
    there.asks(Send(1, "lobby", "a"), Send(2, "lobby", "b"))


def test_a_storm_of_refusals_does_not_multiply(there: Playing) -> None:
    say(there, "a", "b", "c", "d")
    there.skip()
    sent = 0
    for _ in range(5):
        there.reply(Refused(1, "store-unavailable", "", retry_ms=1000))
        for n in (2, 3, 4):
            there.reply(Refused(n, "out-of-order", "", expected=1, retry_ms=1000))
        there.asks()
        there.wait(1.0)
        sent += len(there.asked)
        there.asked = []
    assert sent == 5 * 4


def test_what_is_not_answered_is_sent_again_over_a_new_connection_in_order(there: Playing) -> None:
    say(there, "a", "b")
    there.skip()
    there.lose()
    say(there, "c")
    hello = there.connect()
    there.welcome(hello, last=1)
    there.asks(Send(1, "lobby", "a"), Send(2, "lobby", "b"), Send(3, "lobby", "c"))


def test_giving_up_after_an_hour_is_unknown_not_failed(there: Playing) -> None:
    (ticket,) = say(there, "hi")
    there.skip()
    for _ in range(int(GIVE_UP) - 1):
        there.wait(1.0)
        there.reply(Refused(1, "store-unavailable", "", retry_ms=1000), Beat(0, 30.0, ()))
    there.hears()
    there.skip()
    there.wait(1.0)
    (event,) = there.session.events
    assert isinstance(event, heard.NotSent)
    assert (event.ticket, type(event.error)) == (ticket, errors.Unknown)
    there.wants(Reopen())
    there.lose()
    assert (there.connect().resume, there.session.waiting) == (None, 0)


def test_what_was_never_sent_is_not_given_up(talk: Playing) -> None:
    say(talk, "hi")
    first = talk.connect()
    talk.wait(0.0)
    talk.lose()
    talk.wait(2 * GIVE_UP)
    talk.hears()
    hello = talk.connect()
    assert hello.client == first.client
    talk.wait(0.0)
    talk.asks()
    talk.welcome(hello)
    talk.asks(Send(1, "lobby", "hi"))


# Stores that forgot -------------------------------------------------------------------------------------------------


def test_where_the_store_does_not_vouch_all_begins_anew(inside: Playing) -> None:
    inside.enter("den", head=2, k=2)
    inside.reply(Private("@room", "@bob", (said(1),)))
    first, second = say(inside, "a", "b")
    inside.reply(Ack(1, "lobby", 6, 0))
    inside.lose()
    (third,) = say(inside, "c")
    hello = inside.connect()
    inside.skip()
    inside.run, inside.turn = OTHER_RUN, 0
    inside.welcome(hello, vouched=False, private=(PrivateRoom("@room", "@bob", 9),))
    *gaps, unknown = inside.session.events
    assert gaps == [heard.Gap("lobby", 6, None), heard.Gap("den", 3, None), heard.Gap("@bob", 2, None)]
    assert isinstance(unknown, heard.NotSent)
    assert (unknown.ticket, type(unknown.error)) == (second, errors.Unknown)
    inside.session.events.clear()

    anew = inside.asks_one(Hello)
    assert anew.client != hello.client
    assert anew.fence != hello.fence
    assert (anew.resume, anew.stamp) == (None, Stamp(OTHER_RUN, 1))
    inside.welcome(anew, private=(PrivateRoom("@room", "@bob", 9),))
    inside.reply(Private("@room", "@bob", (said(10),)))
    inside.fence(3)
    lobby, den = (request for request in inside.asked if isinstance(request, Join))
    inside.asks(lobby, den)
    inside.joined(lobby, head=1)
    inside.asks()
    inside.joined(den, head=0)
    inside.asks(Send(1, "lobby", "c"))  # held until then: else it would not be heard
    inside.reply(Ack(1, "lobby", 2, 0))
    inside.publish("lobby", said(2))
    inside.hears(
        heard.Connected("ann", "hi", again=True),
        heard.Said("@bob", said(10), mine=False, private=True),
        heard.Sent(third, "lobby", 2, 0),
        heard.Said("lobby", said(2), mine=False),
    )
    assert first != third


def test_send_numbers_that_cannot_be_are_given_up(there: Playing) -> None:
    say(there, "a")
    there.obey()
    there.lose()
    there.skip()
    hello = there.connect()
    there.welcome(hello, last=5)
    (event,) = there.session.events
    assert isinstance(event, heard.NotSent)
    assert there.asks_one(Hello).client != hello.client


def test_frames_of_another_run_wait_for_hello(inside: Playing) -> None:
    inside.run = OTHER_RUN
    inside.publish("lobby", said(6))
    inside.hears()
    inside.lose()
    inside.skip()
    inside.welcome(inside.connect())
    inside.hears(heard.Connected("ann", "hi", again=True), heard.Said("lobby", said(6), mine=False))


def test_frames_of_a_run_that_is_over_are_dropped(inside: Playing) -> None:
    stray = Published(Stamp(b"over long ago", 1), (said(6),), ())
    inside.session.published("lobby", stray, inside.now)
    inside.lose()
    inside.skip()
    inside.welcome(inside.connect())
    inside.hears(heard.Connected("ann", "hi", again=True))


# Private rooms ------------------------------------------------------------------------------------------------------


def test_private_rooms_are_followed_from_the_first_hello_on(talk: Playing) -> None:
    talk.welcome(talk.connect(), private=(PrivateRoom("@old", "@bob", 3),))
    talk.skip()
    talk.reply(Private("@old", "@bob", (said(4),)))
    talk.reply(Private("@new", "@eve", (said(1),)))
    talk.hears(
        heard.Said("@bob", said(4), mine=False, private=True), heard.Said("@eve", said(1), mine=False, private=True)
    )


def test_a_private_room_made_while_away_is_read_from_its_start(there: Playing) -> None:
    there.lose()
    there.skip()
    there.welcome(there.connect(), private=(PrivateRoom("@new", "@eve", 2),))
    there.asks()
    there.wait(TARGET_PATIENCE)
    read = there.asks_one(Read)
    assert (read.room, read.after) == ("@new", 0)


def test_a_private_room_that_a_heartbeat_names_is_read(there: Playing) -> None:
    there.wait(30.0)
    there.reply(Beat(there.asks_one(Heartbeat).q, 30.0, (Moved("@new", 1, 0),)))
    there.wait(TARGET_PATIENCE)
    read = there.asks_one(Read)
    there.reply(Private("@new", "@eve", ()))
    there.reply(Page(read.q, "@new", 1, 1, (said(1),)))
    there.hears(heard.Said("@eve", said(1), mine=False, private=True))


def test_a_private_message_that_is_missing_is_read(there: Playing) -> None:
    there.reply(Private("@new", "@eve", (said(2),)))
    assert there.asks_one(Read).after == 0


# Rosters ------------------------------------------------------------------------------------------------------------


def test_who_comes_and_goes_is_told(inside: Playing) -> None:
    inside.publish("lobby", states=(Presence(2, 2, joined=("bob",)),))
    inside.publish("lobby", states=(Presence(2, 2, joined=("bob",)), Presence(3, 2, renamed=(("bob", "rob"),))))
    inside.publish("lobby", states=(Presence(4, 1, lost=("rob",)),))
    inside.hears(
        heard.Presence("lobby", 2, joined=("bob",)),
        heard.Presence("lobby", 2, renamed=(("bob", "rob"),)),
        heard.Presence("lobby", 1, lost=("rob",)),
    )


def test_a_presence_that_was_missed_asks_who_is_there(inside: Playing) -> None:
    inside.publish("lobby", states=(Presence(4, 3, joined=("eve",)),))
    who = inside.asks_one(Who)
    inside.publish("lobby", states=(Presence(5, 2, left=("bob",)),))
    inside.asks()
    inside.reply(People(who.q, "lobby", 4, 3, ("ann", "bob", "eve"), more=False))  # overtaken
    who = inside.asks_one(Who)
    inside.hears()
    inside.reply(People(who.q, "lobby", 5, 2, ("ann", "eve"), more=False))
    inside.hears(heard.Presence("lobby", 2, joined=("eve",)))


def test_a_heartbeat_tells_of_a_presence_that_was_missed(inside: Playing) -> None:
    inside.wait(30.0)
    inside.reply(Beat(inside.asks_one(Heartbeat).q, 30.0, (Moved("lobby", 5, 2),)))
    assert inside.asks_one(Who).room == "lobby"


def test_who_came_and_went_while_away_is_told(inside: Playing) -> None:
    inside.publish("lobby", states=(Presence(2, 2, joined=("bob",)),))
    inside.lose()
    inside.welcome(inside.connect())
    inside.fence(2)
    join = inside.asks_one(Join)
    inside.skip()
    inside.joined(join, head=5, version=9, names=("ann", "eve"))
    inside.hears(heard.Presence("lobby", 2, joined=("eve",), left=("bob",)))


def test_of_a_crowd_the_count_is_told(there: Playing) -> None:
    there.session.join("lobby", quiet=False, now=there.now)
    there.fence(1)
    join = there.asks_one(Join)
    there.reply(Joined(join.q, "lobby", 0, 7, 500, ()))
    there.publish("lobby", states=(Presence(9, 502),))
    there.asks()
    there.hears(heard.Entered("lobby", (), 500), heard.Presence("lobby", 502))


# Questions ----------------------------------------------------------------------------------------------------------


def test_an_answer_is_kept_until_it_is_forgotten(there: Playing) -> None:
    q = there.session.ask(lambda q: Ask(q, "day"))
    there.reply(Told(q, "Monday"), Told(q + 1, "nobody asked"))
    assert there.session.answers == {q: Told(q, "Monday")}
    there.session.forget(q)
    assert there.session.answers == {}


def test_a_question_that_is_refused_is_answered_with_why(there: Playing) -> None:
    q = there.session.ask(lambda q: Ask(q, "year"))
    there.reply(Failed(q, "unknown-word", ""))
    assert isinstance(there.session.answers[q], errors.UnknownWord)


def test_a_question_that_was_not_answered_is_asked_again(there: Playing) -> None:
    q = there.session.ask(Ping)
    there.skip()
    there.lose()
    there.welcome(there.connect())
    there.asks(Ping(q))
    there.reply(Pong(q))
    assert there.session.answers == {q: Pong(q)}


def test_a_new_name_is_kept_over_a_new_connection(there: Playing) -> None:
    q = there.session.ask(lambda q: Nick(q, "Anna"))
    there.reply(Named(q, "Anna"))
    assert there.session.name == "Anna"
    there.lose()
    assert there.connect().name == "Anna"


def test_bye_is_answered(there: Playing) -> None:
    q = there.session.bye()
    there.asks(Bye(q))
    there.reply(Done(q))
    assert there.session.answers == {q: Done(q)}


def test_the_operator_is_heard(there: Playing) -> None:
    there.reply(Notice(5, "operator", "all well"), Closing("good night"))
    there.hears(heard.Notice(5, "operator", "all well"), heard.Closing("good night"))


# Bounds -------------------------------------------------------------------------------------------------------------


def test_no_more_messages_are_queued_than_there_is_credit_for(there: Playing) -> None:
    say(there, *["hi"] * (CREDIT - 1))
    assert there.session.sendable
    say(there, "hi")
    assert not there.session.sendable
    assert there.session.waiting == CREDIT
    assert there.session.due() > there.now


def test_of_frames_of_another_run_only_so_many_are_held(inside: Playing) -> None:
    inside.run = OTHER_RUN
    for seq in range(6, 6 + module.FOREIGN + 1):
        inside.publish("lobby", said(seq))
    inside.lose()
    inside.skip()
    inside.welcome(inside.connect())
    inside.hears(heard.Connected("ann", "hi", again=True))  # the first is gone: all behind it wait for a read
    assert inside.asks_one(Read).after == 5


# A broker that cannot be believed -----------------------------------------------------------------------------------


def test_what_the_broker_would_cut_us_for_is_not_sent(there: Playing) -> None:
    ticket = there.session.send("lobby", "x" * 101, action=False, now=there.now)
    named = there.session.send("x" * 2000, "hi", action=False, now=there.now)
    there.session.join("x" * 2000, quiet=False, now=there.now)
    q = there.session.ask(lambda q: Who(q, "x" * 2000))
    there.asks()
    assert isinstance(there.session.answers[q], errors.NameInvalid)
    long, name, room = there.session.events
    assert isinstance(long, heard.NotSent)
    assert isinstance(name, heard.NotSent)
    assert isinstance(room, heard.NotEntered)
    assert (long.ticket, str(long.error)) == (ticket, "the text has 101 bytes and 100 are allowed: say it in parts")
    assert (name.ticket, type(name.error)) == (named, errors.NameInvalid)
    say(there, "fits")
    assert there.asks_one(Send).n == 1


def test_what_utf_8_cannot_hold_harms_nothing_else(there: Playing) -> None:
    half = "\ud83d"
    text = there.session.send("lobby", half, action=False, now=there.now)
    room = there.session.edit(half, "hi", seq=1, now=there.now)
    there.session.join(half, quiet=False, now=there.now)
    q = there.session.ask(lambda q: Who(q, half))
    say(there, "fits")
    there.asks(Send(1, "lobby", "fits"))
    assert isinstance(there.session.answers[q], errors.NameInvalid)
    no_text, no_room, not_entered = there.session.events
    assert isinstance(no_text, heard.NotSent)
    assert isinstance(no_room, heard.NotSent)
    assert isinstance(not_entered, heard.NotEntered)
    assert (no_text.ticket, type(no_text.error)) == (text, errors.BadRequest)
    assert (no_room.ticket, type(no_room.error)) == (room, errors.NameInvalid)


@pytest.mark.parametrize("interval", [float("nan"), float("inf"), 1e300, 0.0, -5.0])
def test_heartbeats_keep_within_reason(there: Playing, interval: float) -> None:
    there.wait(30.0)
    there.reply(Beat(there.asks_one(Heartbeat).q, interval, ()))
    there.wait(0.5)
    there.asks()
    assert 0.5 <= there.session.due() - there.now <= 3600


def test_an_answer_of_another_kind_is_an_error(there: Playing) -> None:
    q = there.session.ask(lambda q: Who(q, "lobby"))
    there.obey()
    there.reply(Done(q))
    assert isinstance(there.session.answers[q], errors.Refusal)


def test_a_room_is_renamed_once(talk: Playing) -> None:
    talk.open()
    talk.session.join("a", quiet=False, now=talk.now)
    talk.fence(1)
    talk.reply(Joined(talk.asks_one(Join).q, "b", 0, 1, 1, ("ann",)))
    talk.fence(2)
    talk.reply(Joined(talk.asks_one(Join).q, "c", 0, 1, 1, ("ann",)))
    (event,) = talk.session.events
    assert isinstance(event, heard.NotEntered)


def test_hello_is_not_said_over_and_over(there: Playing) -> None:
    there.reply(Failed(7, "unknown-session", ""))
    there.welcome(there.asks_one(Hello))  # once is usual
    for _ in range(3):
        there.reply(Failed(7, "unknown-session", ""))
        there.asks()
        there.wait(AGAIN)
        there.welcome(there.asks_one(Hello))


def test_a_sub_that_is_cut_over_and_over_is_not_fenced_over_and_over(inside: Playing) -> None:
    inside.skip()
    inside.reply(Unfenced())
    inside.fence(2)
    inside.joined(inside.asks_one(Join))
    inside.skip()
    inside.reply(Unfenced())
    inside.wants()
    inside.wait(FENCE_PATIENCE)
    inside.fence(3)
    assert inside.asks_one(Join).room == "lobby"


def test_a_broker_that_cannot_be_worked_with_ends_it(talk: Playing) -> None:
    hello = talk.connect()
    talk.reply(Welcome(hello.q, b"S" * 16, b"annspipe", "ann", 99999, 10, 100, 30.0, 0, vouched=True, resumed=False))
    (event,) = talk.session.events
    assert isinstance(event, heard.Ended)


def test_a_crowd_that_shrinks_has_names_again(inside: Playing) -> None:
    inside.publish("lobby", states=(Presence(2, 105),))
    inside.skip()
    inside.publish("lobby", states=(Presence(3, 46, left=("zoe",)),))
    who = inside.asks_one(Who)
    inside.hears(heard.Presence("lobby", 46, left=("zoe",)))
    inside.reply(People(who.q, "lobby", 3, 46, tuple(str(number) for number in range(46)), more=False))
    inside.publish("lobby", states=(Presence(4, 45, left=("0",)),))
    inside.asks()
    inside.hears(heard.Presence("lobby", 45, left=("0",)))


# Who may come in ----------------------------------------------------------------------------------------------------


def test_an_invitation_is_said_with_every_hello() -> None:
    talk = Playing(invite=b"I" * 16)
    hello = talk.open()
    talk.lose()
    again = talk.connect()
    assert (hello.invite, again.invite, again.resume) == (b"I" * 16, b"I" * 16, b"S" * 16)


def test_the_role_is_what_the_last_welcome_said(talk: Playing) -> None:
    assert talk.session.role == ""
    talk.welcome(talk.connect(), role="owner")
    assert talk.session.role == "owner"
    talk.lose()
    talk.welcome(talk.connect(), role="member")
    assert talk.session.role == "member"


def test_who_is_not_let_in_is_told_so_by_hello(talk: Playing) -> None:
    hello = talk.connect()
    talk.reply(Failed(hello.q, "not-admitted", ""))
    assert isinstance(talk.session.ended, errors.NotAdmitted)
    talk.hears(heard.Ended(talk.session.ended))


def test_who_is_let_in_no_more_is_told_so_unasked(inside: Playing) -> None:
    inside.reply(Failed(0, "not-admitted", "no more"))
    assert isinstance(inside.session.ended, errors.NotAdmitted)
    inside.hears(heard.Ended(inside.session.ended))


@pytest.mark.parametrize(
    ("make", "answer"),
    [
        (Link, lambda q: Linked(q, "zchat://h/lobby")),
        (Device, lambda q: Linked(q, "zchat://h/lobby")),
        (Links, lambda q: LinkList(q, (), False)),
        (Revoke, Done),
    ],
)
def test_what_is_asked_about_links_is_answered_with_what_belongs_to_it(
    there: Playing, make: Callable[[int], Request], answer: Callable[[int], Linked | LinkList | Done]
) -> None:
    q, other = there.session.ask(make), there.session.ask(make)
    there.reply(answer(q), Pong(other))
    assert there.session.answers[q] == answer(q)
    assert isinstance(there.session.answers[other], errors.Refusal)


def test_a_role_or_an_id_that_is_far_too_long_is_not_asked_about(there: Playing) -> None:
    for make in (lambda q: Link(q, role="x" * 2000), lambda q: Revoke(q, link="x" * 2000)):
        assert isinstance(there.session.answers[there.session.ask(make)], errors.NameInvalid)
    there.asks()


# What is too much in too short a time --------------------------------------------------------------------------------


def too_much(q: int, retry_ms: int) -> Failed:
    return Failed(q, "rate-limited", "", retry_ms)


def test_hello_is_said_again_when_the_broker_says_within_reason(talk: Playing) -> None:
    hello = talk.connect()
    for retry_ms, wait in ((5000, 5.0), (0, AGAIN), (10**15, RETRY[1])):
        talk.reply(too_much(hello.q, retry_ms))
        assert talk.session.due() == talk.now + wait
        talk.wait(wait)
        hello = talk.asks_one(Hello)
    talk.welcome(hello)
    assert talk.session.open


def test_a_question_that_was_too_much_is_asked_again_in_silence(
    there: Playing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY", (0.1, 5.0))
    q = there.session.ask(Ping)
    for retry_ms, wait in ((1500, 1.5), (0, 0.1), (10**15, 5.0)):
        assert there.asks_all(Ping) == [Ping(q)]
        there.reply(too_much(q, retry_ms))
        assert there.session.due() < there.now + wait + 0.02
        there.wait(wait / 2)
        assert there.asks_all(Ping) == []
        there.wait(wait / 2 + 0.02)
    assert there.asks_all(Ping) == [Ping(q)]
    there.reply(Pong(q))
    assert there.session.answers == {q: Pong(q)}
    there.hears()


def test_a_question_that_nobody_waits_for_is_not_asked_again(there: Playing) -> None:
    q = there.session.ask(Ping)
    there.asks(Ping(q))
    there.reply(too_much(q, 1000))
    there.session.forget(q)
    there.wait(1.0)
    there.asks()


def test_questions_come_one_after_the_other_once_it_was_too_much(there: Playing) -> None:
    asked = [there.session.ask(Ping) for _ in range(5)]
    there.skip()
    there.reply(*(too_much(q, 1000) for q in asked))
    assert there.session.due() == there.now + 1.0
    there.wait(1.0)
    there.asks(Ping(asked[0]))
    there.reply(Pong(asked[0]))
    there.wait(there.session.due() - there.now)
    there.asks(Ping(asked[1]))
    last = there.session.ask(Ping)
    there.wait(1.0)
    there.asks(*(Ping(q) for q in (*asked[2:], last)))


def test_a_join_and_a_read_that_were_too_much_are_asked_again(there: Playing) -> None:
    there.session.join("lobby", quiet=False, now=there.now)
    there.fence(1)
    join = there.asks_one(Join)
    there.reply(too_much(join.q, 2000))
    there.hears()
    there.wait(2.0)
    there.asks(join)
    there.joined(join, 5)
    there.publish("lobby", said(8))
    there.wait(0.1)
    read = there.asks_one(Read)
    there.reply(too_much(read.q, 2000))
    there.wait(2.0)
    there.asks(read)


def test_a_heartbeat_that_was_too_much_is_no_silence(there: Playing) -> None:
    there.wait(30.0)
    beat = there.asks_one(Heartbeat)
    there.reply(too_much(beat.q, 3000))
    there.wait(3.0)
    there.asks(Heartbeat(beat.q + 1))
    there.reply(Beat(beat.q + 1, 30.0, ()))
    there.wait(BEAT_PATIENCE)
    there.wants()


def test_messages_that_were_too_much_are_said_again_after_exactly_as_long(there: Playing) -> None:
    for text in ("one", "two"):
        there.session.send("lobby", text, action=False, now=there.now)
    there.skip()
    for n in (1, 2):
        there.reply(Refused(n, "rate-limited", "", retry_ms=250))
    assert there.session.due() == there.now + 0.25
    there.wait(0.25)
    there.asks(Send(1, "lobby", "one"))
    there.reply(Ack(1, "lobby", 1, 0))
    there.wait(1.0)
    there.asks(Send(2, "lobby", "two"))
    there.reply(Refused(2, "rate-limited", "", retry_ms=10**15))
    there.wait(RETRY[1])
    there.asks_one(Send)


def test_why_a_connection_is_about_to_end_is_no_answer(inside: Playing) -> None:
    inside.reply(too_much(0, 10_000))
    inside.hears()
    assert inside.session.ended is None


def test_what_may_be_asked_seldom_does_not_hold_up_the_rest(there: Playing) -> None:
    asked = [there.session.ask(Ping) for _ in range(3)]
    there.skip()
    there.reply(*(too_much(q, 5000) for q in asked))
    other = there.session.ask(Ping)
    there.asks(Ping(other))
    there.reply(Pong(other))
    for q in asked:  # not all at once, of which but one would be taken
        there.wait(4.9)
        there.asks()
        there.wait(0.1)
        there.asks(Ping(q))
        there.reply(Pong(q))
    assert len(there.session.answers) == 4
