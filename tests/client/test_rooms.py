"""Where a reader begins in a room, what was missed, and what can no longer be had."""

from __future__ import annotations

import pytest
from client.playing import OTHER_RUN, RUN, Playing, said

from zchat.client import events as heard
from zchat.client.marks import PAUSE
from zchat.client.positions import Begin
from zchat.messages import (
    Ack,
    Bye,
    Deleted,
    Done,
    Edit,
    Edited,
    Failed,
    Found,
    Hello,
    History,
    Join,
    Mark,
    Message,
    Page,
    Private,
    PrivateRoom,
    Read,
    Search,
    Send,
    Stamp,
    Unfenced,
)

STAMP = Stamp(RUN, 3)

ENTERED = heard.Entered("lobby", ("ann",), 1)


def spoke(*seqs: int, room: str = "lobby") -> list[heard.Event]:
    """What is heard of messages of these numbers."""
    return [heard.Said(room, said(seq), mine=False, private=room.startswith("@")) for seq in seqs]


def page(asked: Read | History, *seqs: int, head: int, first: int = 1, more: bool = False, edge: int = 0) -> Page:
    return Page(asked.q, asked.room, first, head, tuple(said(seq) for seq in seqs), more, edge)


def resumed(vouched: bool = True, private: tuple[PrivateRoom, ...] = (), **positions: int) -> Playing:
    """A session that comes back to where an earlier one was, and is welcomed."""
    talk = Playing(resumed=(STAMP, {name.replace("_", "@"): seq for name, seq in positions.items()}))
    hello = talk.connect()
    assert hello.stamp == STAMP
    if not vouched:
        talk.run = OTHER_RUN
    talk.welcome(hello, vouched=vouched, private=private)
    return talk


# Where to begin ------------------------------------------------------------------------------------------------------


def test_where_nothing_is_said_one_begins_at_the_head(there: Playing) -> None:
    there.joins("lobby", head=9, mark=2)
    there.asks()
    there.hears(ENTERED)
    assert there.session.positions() == {"lobby": ("lobby", 9)}


def test_one_may_begin_after_a_number(there: Playing) -> None:
    there.joins("lobby", Begin(after=6), head=9)
    there.hears(ENTERED, heard.Missed("lobby", 3))
    read = there.asks_one(Read)
    assert read.after == 6
    there.reply(page(read, 7, 8, 9, head=9))
    there.hears(*spoke(7, 8, 9), heard.UpToDate("lobby"))


def test_one_may_begin_with_all_that_is_kept(there: Playing) -> None:
    there.joins("lobby", Begin(after=0), head=9)
    there.skip_events()
    there.reply(page(there.asks_one(Read), 8, 9, head=9, first=8))
    there.hears(heard.Gap("lobby", 1, 7), *spoke(8, 9), heard.UpToDate("lobby"))


def test_a_room_that_says_nothing_has_nothing_to_begin_with(there: Playing) -> None:
    there.joins("lobby", Begin(after=0, missed=True, tail=50), head=0)
    there.asks()
    there.hears(ENTERED)
    there.publish("lobby", said(1))
    there.hears(*spoke(1))


def test_a_number_that_there_is_not_yet_is_a_gap(there: Playing) -> None:
    there.joins("lobby", Begin(after=20), head=9)
    there.asks()
    there.hears(ENTERED, heard.Gap("lobby", 21, None))
    there.publish("lobby", said(10))
    there.hears(*spoke(10))


def test_what_the_person_has_not_read_is_heard(there: Playing) -> None:
    there.joins("lobby", Begin(missed=True, tail=2), head=9, mark=7)
    there.hears(ENTERED, heard.Missed("lobby", 2))
    there.reply(page(there.asks_one(Read), 8, 9, head=9))
    there.hears(*spoke(8, 9), heard.UpToDate("lobby"))


def test_who_has_read_all_has_missed_nothing(there: Playing) -> None:
    there.joins("lobby", Begin(missed=True, tail=2), head=9, mark=9)
    there.asks()
    there.hears(ENTERED)


def test_where_the_person_never_read_it_begins_with_the_last_messages(there: Playing) -> None:
    there.joins("lobby", Begin(missed=True, tail=2), head=9)
    assert there.asks_one(History).limit == 2


def test_where_to_begin_is_said_once(there: Playing) -> None:
    there.joins("lobby", Begin(after=9), head=9)
    there.publish("lobby", said(10), said(11))
    there.session.join("lobby", Begin(after=0), quiet=False, now=there.now)
    there.lose()
    there.welcome(there.connect())
    there.fence(2)
    there.joined(there.asks_one(Join), head=11)
    assert there.asks_all(Read) == []


# The last messages ---------------------------------------------------------------------------------------------------


@pytest.fixture(name="tail")
def _tail(there: Playing) -> Playing:
    """In the lobby, whose last three messages up to 9 are asked for."""
    there.joins("lobby", Begin(tail=3), head=9)
    there.hears(ENTERED)
    return there


def test_a_room_begins_with_its_last_messages(tail: Playing) -> None:
    asked = tail.asks_one(History)
    assert (asked.room, asked.limit, asked.after, asked.before) == ("lobby", 3, None, 10)
    tail.reply(page(asked, 7, 8, 9, head=9, more=True, edge=7))
    tail.asks()
    tail.hears(*spoke(7, 8, 9))
    tail.publish("lobby", said(10))
    tail.hears(*spoke(10))


def test_what_is_said_meanwhile_is_heard_after_them(tail: Playing) -> None:
    tail.publish("lobby", said(10))
    tail.hears()
    tail.reply(page(tail.asks_one(History), 7, 8, 9, head=10))
    tail.hears(*spoke(7, 8, 9, 10))
    tail.asks()


def test_what_is_lost_meanwhile_is_read_after_them(tail: Playing) -> None:
    tail.publish("lobby", said(12))
    tail.reply(page(tail.asks_one(History), 7, 8, 9, head=12))
    read = tail.asks_one(Read)
    assert read.after == 9
    tail.reply(page(read, 10, 11, 12, head=12))
    tail.hears(*spoke(7, 8, 9, 10, 11, 12))


def test_of_changed_messages_the_newest_text_is_shown_and_deleted_ones_are_not(tail: Playing) -> None:
    asked = tail.asks_one(History)
    edited = Message(6, 0, "bob", b"somebody", 6, "as it is now", edited=8)
    deleted = Message(7, 0, "bob", b"somebody", 7, "", deleted=9)
    tail.reply(Page(asked.q, "lobby", 1, 9, (edited, deleted), True, 6))
    again = tail.asks_one(History)
    assert (again.limit, again.before) == (2, 6)
    tail.reply(page(again, 4, 5, head=9, more=True, edge=4))
    tail.hears(*spoke(4, 5), heard.Said("lobby", edited, mine=False))
    assert tail.session.positions() == {"lobby": ("lobby", 9)}


def test_where_there_are_fewer_it_begins_with_these(tail: Playing) -> None:
    tail.reply(page(tail.asks_one(History), 9, head=9, more=True, edge=5))
    tail.reply(page(tail.asks_one(History), head=9, more=False, edge=1))
    tail.asks()
    tail.hears(*spoke(9))


def test_what_was_changed_since_is_heard_as_that(tail: Playing) -> None:
    edit = Edited(10, 0, "bob", b"somebody", 10, 8, "better")
    deletion = Deleted(11, 0, "bob", b"annspipe", 11, 9)
    tail.publish("lobby", edit, deletion)
    tail.reply(page(tail.asks_one(History), 7, 8, head=11))
    tail.hears(*spoke(7, 8), heard.Edited("lobby", edit, mine=False), heard.Deleted("lobby", deletion, mine=True))


@pytest.mark.parametrize("code", ["store-unavailable", "no-such-room", "busy"])
def test_where_they_cannot_be_had_nothing_since_is_skipped(tail: Playing, code: str) -> None:
    tail.publish("lobby", said(10))
    tail.reply(Failed(tail.asks_one(History).q, code, ""))
    tail.hears(*spoke(10))
    tail.asks()
    tail.publish("lobby", said(11))
    tail.hears(*spoke(11))


def test_where_only_some_can_be_had_these_are_shown(tail: Playing) -> None:
    tail.reply(page(tail.asks_one(History), 9, head=9, more=True, edge=9))
    tail.reply(Failed(tail.asks_one(History).q, "store-unavailable", ""))
    tail.hears(*spoke(9))


def test_over_a_loss_of_the_connection_they_are_asked_for_again(tail: Playing) -> None:
    tail.reply(page(tail.asks_one(History), 9, head=9, more=True, edge=9))
    tail.asks_one(History)
    tail.lose()
    tail.welcome(tail.connect())
    tail.fence(2)
    tail.skip_events()
    tail.joined(tail.asks_one(Join), head=12)
    asked = tail.asks_one(History)
    assert (asked.limit, asked.before) == (3, 10)
    tail.reply(page(asked, 7, 8, 9, head=12))
    tail.hears(*spoke(7, 8, 9), heard.Missed("lobby", 3))
    read = tail.asks_one(Read)
    tail.reply(page(read, 10, 11, 12, head=12))
    tail.hears(*spoke(10, 11, 12), heard.UpToDate("lobby"))


def test_a_sub_that_is_cut_meanwhile_does_not_ask_for_them_twice(tail: Playing) -> None:
    asked = tail.asks_one(History)
    tail.reply(Unfenced())
    tail.fence(2)
    tail.joined(tail.asks_one(Join), head=11)
    assert tail.asks_all(History) == []
    tail.reply(page(asked, 7, 8, 9, head=9))
    tail.hears(*spoke(7, 8, 9), heard.Missed("lobby", 2))
    assert tail.asks_one(Read).after == 9


def test_a_room_that_is_left_meanwhile_is_not_heard(tail: Playing) -> None:
    asked = tail.asks_one(History)
    tail.session.leave("lobby")
    tail.reply(page(asked, 7, 8, 9, head=9))
    tail.hears()
    assert tail.session.positions() == {}


def test_where_all_begins_anew_meanwhile_that_is_said(tail: Playing) -> None:
    tail.publish("lobby", said(10))
    tail.lose()
    hello = tail.connect()
    tail.skip()
    tail.run = OTHER_RUN
    tail.welcome(hello, vouched=False)
    tail.hears(heard.Gap("lobby", 10, None), heard.Connected("ann", "hi", again=True))
    tail.fence(2)
    tail.joined(tail.asks_one(Join), head=4)
    tail.asks()
    tail.publish("lobby", said(5))
    tail.hears(*spoke(5))


# What was missed -----------------------------------------------------------------------------------------------------


def test_what_was_missed_is_told_and_then_that_it_is_all(inside: Playing) -> None:
    inside.lose()
    inside.welcome(inside.connect())
    inside.fence(2)
    inside.skip_events()
    inside.joined(inside.asks_one(Join), head=9)
    inside.hears(heard.Missed("lobby", 4))
    inside.publish("lobby", said(10))
    inside.reply(page(inside.asks_one(Read), 6, 7, head=10))
    inside.reply(page(inside.asks_one(Read), 8, 9, 10, head=10))
    inside.hears(*spoke(6, 7, 8, 9, 10), heard.UpToDate("lobby"))
    inside.publish("lobby", said(11))
    inside.hears(*spoke(11))


def test_who_missed_nothing_is_told_nothing(inside: Playing) -> None:
    inside.lose()
    inside.welcome(inside.connect())
    inside.fence(2)
    inside.skip_events()
    inside.joined(inside.asks_one(Join), head=5)
    inside.hears()


def test_what_is_said_while_one_catches_up_is_not_missed_again(inside: Playing) -> None:
    inside.lose()
    inside.welcome(inside.connect())
    inside.fence(2)
    inside.skip_events()
    inside.joined(inside.asks_one(Join), head=7)
    inside.reply(Unfenced())
    inside.fence(3)
    inside.joined(inside.asks_one(Join), head=9)
    inside.reply(page(inside.asks_one(Read), 6, 7, 8, 9, head=9))
    assert [type(event) for event in inside.session.events].count(heard.Missed) == 1
    assert [type(event) for event in inside.session.events].count(heard.UpToDate) == 1


def test_what_was_missed_and_can_no_longer_be_had_is_a_gap(inside: Playing) -> None:
    inside.lose()
    inside.welcome(inside.connect())
    inside.fence(2)
    inside.skip_events()
    inside.joined(inside.asks_one(Join), head=9)
    inside.reply(page(inside.asks_one(Read), head=9, first=10))
    inside.hears(heard.Missed("lobby", 4), heard.Gap("lobby", 6, 9), heard.UpToDate("lobby"))


def test_edits_and_deletions_are_heard_in_their_place(inside: Playing) -> None:
    edit = Edited(6, 0, "bob", b"somebody", 1, 3, "better")
    deletion = Deleted(8, 0, "ann", b"annspipe", 2, 4)
    inside.publish("lobby", edit, said(7), deletion)
    inside.hears(heard.Edited("lobby", edit, mine=False), *spoke(7), heard.Deleted("lobby", deletion, mine=True))
    assert inside.session.positions() == {"lobby": ("lobby", 8)}


# An earlier life -----------------------------------------------------------------------------------------------------


def test_who_comes_back_hears_what_was_missed() -> None:
    talk = resumed(lobby=5, den=2)
    assert talk.session.positions() == {"lobby": ("lobby", 5), "den": ("den", 2)}
    talk.skip_events()
    talk.joins("lobby", Begin(after=0, missed=True, tail=50), head=7, mark=6)
    talk.hears(ENTERED, heard.Missed("lobby", 2))
    read = talk.asks_one(Read)
    assert read.after == 5
    talk.reply(page(read, 6, 7, head=7))
    talk.hears(*spoke(6, 7), heard.UpToDate("lobby"))
    assert talk.session.positions() == {"lobby": ("lobby", 7), "den": ("den", 2)}


def test_a_room_that_was_not_in_it_begins_as_the_user_says() -> None:
    talk = resumed(lobby=5)
    talk.joins("den", head=7)
    talk.asks()
    talk.hears(heard.Connected("ann", "hi", again=False), heard.Entered("den", ("ann",), 1))


@pytest.mark.parametrize("before", [True, False])
def test_where_the_store_does_not_vouch_for_it_there_is_a_gap(before: bool) -> None:
    talk = Playing(resumed=(STAMP, {"lobby": 5, "den": 2, "@room": 8, "@gone": 1}))
    if before:
        talk.session.join("lobby", quiet=False, now=talk.now)
    talk.run = OTHER_RUN
    talk.welcome(
        talk.connect(), vouched=False, private=(PrivateRoom("@room", "@bob", 3), PrivateRoom("@new", "@eve", 1))
    )
    talk.hears(
        heard.Gap("lobby", 6, None),
        heard.Gap("den", 3, None),
        heard.Gap("@bob", 9, None),
        heard.Gap("@?", 2, None),
        heard.Connected("ann", "hi", again=False),
    )
    if not before:
        talk.session.join("lobby", quiet=False, now=talk.now)
    talk.fence(1)
    talk.joined(talk.asks_one(Join), head=9)
    talk.asks()
    talk.hears(ENTERED)
    assert talk.session.positions() == {"lobby": ("lobby", 9), "@room": ("@bob", 3), "@new": ("@eve", 1)}


def test_a_position_that_cannot_be_is_a_gap() -> None:
    talk = resumed(lobby=5, _room=7, private=(PrivateRoom("@room", "@bob", 3),))
    talk.joins("lobby", head=4)
    talk.asks()
    connected = heard.Connected("ann", "hi", again=False)
    talk.hears(connected, heard.Gap("@bob", 8, None), ENTERED, heard.Gap("lobby", 6, None))
    talk.publish("lobby", said(5))
    talk.reply(Private("@room", "@bob", (said(4),)))
    talk.hears(*spoke(5), *spoke(4, room="@bob"))


def test_private_messages_that_were_missed_are_heard() -> None:
    talk = resumed(_old=5, private=(PrivateRoom("@old", "@bob", 6), PrivateRoom("@new", "@eve", 1)))
    talk.hears(heard.Connected("ann", "hi", again=False), heard.Missed("@bob", 1), heard.Missed("@eve", 1))
    talk.wait(0.0)
    for room, peer, seq in (("@old", "@bob", 6), ("@new", "@eve", 1)):
        read = talk.asks_one(Read)
        assert (read.room, read.after) == (room, seq - 1)
        talk.reply(page(read, seq, head=seq))
        talk.hears(*spoke(seq, room=peer), heard.UpToDate(peer))


def test_a_room_that_was_left_keeps_its_place_for_the_next_life(inside: Playing) -> None:
    inside.publish("lobby", said(6))
    inside.session.leave("lobby")
    assert inside.session.positions() == {"lobby": ("lobby", 6)}
    inside.skip()
    inside.joins("lobby", head=9, k=2)
    inside.hears(ENTERED)
    assert inside.session.positions() == {"lobby": ("lobby", 9)}


def test_private_messages_that_were_not_read_are_heard_by_who_wants_them() -> None:
    talk = Playing(missed=True)
    talk.welcome(talk.connect(), private=(PrivateRoom("@old", "@bob", 6, 4), PrivateRoom("@read", "@eve", 9, 9)))
    talk.hears(heard.Connected("ann", "hi", again=False), heard.Missed("@bob", 2))
    talk.wait(0.0)
    read = talk.asks_one(Read)
    assert (read.room, read.after) == ("@old", 4)


def test_a_private_room_first_told_in_the_second_of_two_hellos_is_read_from_its_start(there: Playing) -> None:
    there.session.send("lobby", "under way", action=False, now=there.now)
    there.obey()
    there.lose()
    hello = there.connect()
    there.skip()
    there.run = OTHER_RUN
    there.welcome(hello, vouched=False)
    again = there.asks_one(Hello)
    there.welcome(again, private=(PrivateRoom("@new", "@eve", 2),))
    there.wait(0.0)
    read = there.asks_one(Read)
    assert (read.room, read.after) == ("@new", 0)


# What is looked up ---------------------------------------------------------------------------------------------------


def test_one_thing_is_looked_up_at_a_time(inside: Playing) -> None:
    history = inside.session.ask(lambda q: History(q, "lobby"))
    search = inside.session.ask(lambda q: Search(q, "word"))
    inside.publish("lobby", said(7))
    inside.asks(History(history, "lobby"))
    inside.reply(Page(history, "lobby", 1, 7, ()))
    inside.asks(Search(search, "word"))
    inside.reply(Failed(search, "too-slow", ""))
    read = inside.asks_one(Read)
    inside.reply(page(read, 6, 7, head=7))
    inside.hears(*spoke(6, 7))
    assert sorted(inside.session.answers) == [history, search]


def test_who_stopped_waiting_does_not_hold_the_next_up(there: Playing) -> None:
    first = there.session.ask(lambda q: Search(q, "word"))
    there.session.forget(first)
    second = there.session.ask(lambda q: Search(q, "other"))
    there.asks(Search(first, "word"))
    there.reply(Found(first, ()))
    there.asks(Search(second, "other"))
    assert there.session.answers == {}
    there.reply(Found(second, ()))
    assert there.session.answers == {second: Found(second, ())}


def test_after_a_loss_what_was_looked_up_is_asked_for_again(there: Playing) -> None:
    first = there.session.ask(lambda q: Search(q, "word"))
    second = there.session.ask(lambda q: History(q, "lobby"))
    there.skip()
    there.lose()
    there.welcome(there.connect())
    there.asks(Search(first, "word"))
    there.reply(Found(first, ()))
    there.asks(History(second, "lobby"))


# Marks and changes ---------------------------------------------------------------------------------------------------


def test_what_was_read_is_told_now_and_then(inside: Playing) -> None:
    inside.session.mark("lobby", 5)
    inside.session.mark("lobby", 6)
    assert inside.session.due() <= inside.now
    inside.wait(0.0)
    mark = inside.asks_one(Mark)
    assert (mark.room, mark.seq) == ("lobby", 6)
    inside.session.mark("lobby", 7)
    inside.wait(PAUSE / 2)
    inside.asks()
    inside.lose()
    inside.welcome(inside.connect())
    inside.wait(PAUSE)
    again = inside.asks_one(Mark)
    assert again.seq == 7
    inside.reply(Done(again.q))
    inside.session.mark("lobby", 8)
    q = inside.session.bye()
    inside.obey()
    assert [type(request) for request in inside.asked if isinstance(request, Mark | Bye)] == [Mark, Bye]
    inside.reply(Done(q))


def test_what_was_read_of_a_log_that_is_gone_is_not_told(inside: Playing) -> None:
    inside.session.mark("lobby", 500)
    inside.lose()
    hello = inside.connect()
    inside.run = OTHER_RUN
    inside.welcome(hello, vouched=False)
    inside.wait(PAUSE)
    assert inside.asks_all(Mark) == []


def test_an_edit_is_sent_and_answered_like_a_message(there: Playing) -> None:
    ticket = there.session.edit("lobby", "better", seq=3, now=there.now)
    other = there.session.delete("lobby", seq=0, now=there.now)
    there.session.send("lobby", "next", action=False, now=there.now)
    there.asks_one(Edit)
    there.reply(Ack(1, "lobby", 9, 5), Ack(2, "lobby", 10, 5))
    there.hears(heard.Sent(ticket, "lobby", 9, 5), heard.Sent(other, "lobby", 10, 5))
    assert there.asks_one(Send).n == 3


def test_a_change_of_what_was_said_in_a_log_that_is_gone_is_not_sent(inside: Playing) -> None:
    inside.lose()
    edit = inside.session.edit("lobby", "better", seq=3, now=inside.now)
    inside.session.send("lobby", "next", action=False, now=inside.now)
    hello = inside.connect()
    inside.skip_events()
    inside.run = OTHER_RUN
    inside.welcome(hello, vouched=False)
    (unknown,) = [event for event in inside.session.events if isinstance(event, heard.NotSent)]
    assert unknown.ticket == edit
    inside.fence(2)
    inside.joined(inside.asks_one(Join), head=3)
    inside.asks(Send(1, "lobby", "next"))
