"""scripts/checker.py: what is well passes, and whatever is not is found out, by the rule that it breaks."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "checker.py"


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("checker", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


checker = _load()
Event, Gap, Log, Send, Stream, History = (
    getattr(checker, name) for name in ("Event", "Gap", "Log", "Send", "Stream", "History")
)
OK, FAILED, UNKNOWN = checker.Outcome.OK, checker.Outcome.FAILED, checker.Outcome.UNKNOWN
ROOM = "lobby"


def acked(text: str, seq: int, *, at: int, client: str = "alice", room: str = ROOM, deletes: int = 0) -> Any:
    return Send(client, room, text, at, OK, seq, at + 5, deletes)


def clean() -> Any:
    """Alice and bob talk in the lobby: three acknowledged, one that nobody knows of and that is there, one refused.

    The lobby begins at 3: two were dropped. Bob hears all, carol comes in late and eve is not there at all.
    """
    events = [Event(3, "a1", "one"), Event(4, "b1", "two"), Event(5, "a2", "lost ack"), Event(6, "b2", "three")]
    sends = [
        acked("one", 3, at=10),
        acked("two", 4, at=20, client="bob"),
        Send("alice", ROOM, "lost ack", 30),
        acked("three", 6, at=40, client="bob"),
        Send("bob", ROOM, "refused", 50, FAILED),
        Send("alice", ROOM, "lost on the way", 60),
    ]
    streams = [
        Stream("alice#1", "alice", ROOM, None, events[:2]),
        Stream("bob#1", "bob", ROOM, 0, [Gap(1, 2), *events], complete=True),
        Stream("carol#1", "carol", ROOM, 4, events[2:], complete=True),
    ]
    return History(sends, streams, {ROOM: Log(3, 6, list(events))}, {ROOM: {"alice", "bob", "carol"}})


def rules(history: Any) -> set[int]:
    found: set[int] = checker.check(history).rules
    return found


def test_a_clean_history() -> None:
    verdict = checker.check(clean())
    assert verdict.violations == []
    counts = verdict.counts
    assert (counts.sends, counts.acked, counts.failed, counts.unknown, counts.unknown_kept) == (6, 3, 1, 2, 1)
    assert (counts.kept, counts.deliveries) == (4, 8)
    assert (counts.gaps, counts.missed, counts.needless, counts.anew) == (1, 2, 0, 0)


def test_nothing_at_all() -> None:
    assert checker.check(History([], [], {}, {})).violations == []


def test_a_violation_names_its_rule_its_room_and_what_is_wrong() -> None:
    history = clean()
    del history.logs[ROOM].events[0]
    history.logs[ROOM].first = 4
    history.sends[1].seq = 5
    (violation,) = [one for one in checker.check(history).violations if one.rule == 3]
    assert str(violation) == "rule 3: lobby: 'two' was acknowledged as 5, and a2 'lost ack' is there"


def test_deeds_have_their_numbers_and_nobody_need_have_sent_them() -> None:
    history = clean()
    deeds = [Event(7, "deed lobby 7", "topic one", deed=True), Event(8, "b3", "one", 3, deed=True)]
    _log(history).extend(deeds)
    history.logs[ROOM].head = 8
    for stream in history.streams[1:]:
        stream.heard += deeds
    assert rules(history) == set()
    del history.streams[1].heard[-2]
    assert rules(history) == {5}
    history.streams[1].heard.insert(-1, replace(deeds[0], text="topic two"))
    assert rules(history) == {1}
    del _log(history)[-2]
    assert rules(history) >= {4}


# Rule by rule ---------------------------------------------------------------------------------------------------------

Change = Callable[[Any], object]


def _log(history: Any) -> list[Any]:
    events: list[Any] = history.logs[ROOM].events
    return events


def _reused_number(history: Any) -> None:
    history.streams[0].heard[1] = Event(4, "a9", "two")


def _another_text_under_the_same_identity(history: Any) -> None:
    history.streams[0].heard[1] = Event(4, "b1", "refused")


def _doubled(history: Any) -> None:
    _log(history).append(replace(_log(history)[0], seq=7))
    history.logs[ROOM].head = 7
    history.streams[1].complete = history.streams[2].complete = False


def _doubled_under_a_new_identity(history: Any) -> None:
    _doubled(history)
    _log(history)[-1] = Event(7, "a7", "one")


def _lost_at_the_end(history: Any) -> None:
    history.logs[ROOM].events = _log(history)[:3]
    history.logs[ROOM].head = 5
    for stream in history.streams:
        stream.heard, stream.complete = stream.heard[:2], False


def _lost_and_its_place_taken(history: Any) -> None:
    _log(history)[1] = Event(4, "a3", "lost on the way")
    for stream in history.streams:
        stream.heard = []
        stream.complete = False


def _room_gone(history: Any) -> None:
    del history.logs[ROOM]


def _acked_without_a_number_and_lost(history: Any) -> None:
    history.sends[5].outcome = OK
    history.sends[5].acked_at = 70


def _swapped(history: Any) -> None:
    for events in (_log(history), *(stream.heard for stream in history.streams)):
        for at, event in enumerate(events):
            if isinstance(event, Event) and event.seq in (3, 4):
                other = _ALICE_AND_BOB[7 - event.seq]
                events[at] = replace(other, seq=event.seq)


_ALICE_AND_BOB = {3: Event(3, "a1", "one"), 4: Event(4, "b1", "two")}


def _hole(history: Any) -> None:
    del _log(history)[2]


def _log_out_of_order(history: Any) -> None:
    _log(history)[:2] = reversed(_log(history)[:2])


def _log_twice(history: Any) -> None:
    _log(history).insert(1, _log(history)[0])


def _heard_twice(history: Any) -> None:
    history.streams[0].heard.append(history.streams[0].heard[-1])


def _heard_backwards(history: Any) -> None:
    history.streams[0].heard.reverse()


def _heard_with_a_hole(history: Any) -> None:
    del history.streams[1].heard[2]


def _begins_too_late(history: Any) -> None:
    del history.streams[2].heard[0]


def _gap_elsewhere(history: Any) -> None:
    history.streams[2].heard[:1] = [Gap(6, 6)]
    history.streams[2].heard[1:] = []


def _gap_that_ends_early(history: Any) -> None:
    history.streams[1].heard[0] = Gap(1, 1)


def _deaf_at_the_end(history: Any) -> None:
    history.streams[1].heard.pop()


def _deaf_from_the_start(history: Any) -> None:
    history.streams[2].heard.clear()


def _numbers_against_time(history: Any) -> None:
    history.sends[1].at, history.sends[1].acked_at = 1, 2


def _unknown_against_time(history: Any) -> None:
    history.sends[2].at = 46


def _refused_and_there(history: Any) -> None:
    history.sends[2].outcome = FAILED


def _refused_and_heard(history: Any) -> None:
    history.streams[0].heard.append(Event(5, "b3", "refused"))
    _log(history)[2] = Event(5, "b3", "refused")
    history.streams[1].heard[3] = history.streams[2].heard[0] = Event(5, "b3", "refused")


def _unknown_twice(history: Any) -> None:
    _log(history).append(Event(7, "a8", "lost ack"))
    history.logs[ROOM].head = 7
    history.streams[1].complete = history.streams[2].complete = False


def _never_sent(history: Any) -> None:
    del history.sends[2]


def _in_another_room(history: Any) -> None:
    history.sends[2].room = "office"


def _emptied(history: Any) -> None:
    _log(history)[2] = Event(5, "a2", "")


def _foreign_reader(history: Any) -> None:
    history.streams.append(Stream("eve#1", "eve", ROOM, None, _log(history)[:1]))


def _told_a_stranger_of_a_gap(history: Any) -> None:
    history.streams.append(Stream("eve#1", "eve", ROOM, None, [Gap(1, 2)]))


DEN = "+den"


def guarded() -> Any:
    """Alice makes a den, lets bob in and carol, sends bob out and lets him in again. Eve was never there."""
    done = [
        ("alice", "create", "alice"),  # 1
        ("alice", "invite", "bob"),
        ("bob", "", "hello"),
        ("alice", "invite", "carol"),
        ("alice", "kick", "bob"),  # 5
        ("carol", "", "he is gone"),
        ("alice", "invite", "bob"),
        ("bob", "", "back"),
        ("alice", "kick", "carol"),
        ("alice", "", "so is she"),  # 10
    ]
    history = clean()
    events = []
    for seq, (who, verb, what) in enumerate(done, 1):
        text = f"{verb} {what} {seq}" if verb else what
        history.sends.append(acked(text, seq, at=100 * seq, client=who, room=DEN))
        deed = {"deed": True, "verb": verb, "whom": what} if verb else {}
        events.append(Event(seq, f"{who} {seq}", text, **deed))
    history.logs[DEN] = Log(1, 10, list(events))
    history.guarded = {DEN}

    def heard(first: int, last: int, *, late: int = 5) -> list[Any]:
        return [replace(event, at=100 * event.seq + late) for event in events[first - 1 : last]]

    history.streams += [
        Stream("alice#d", "alice", DEN, 0, heard(1, 10), complete=True),
        Stream("bob#d", "bob", DEN, 1, heard(2, 4)),
        Stream("bob#d again", "bob", DEN, 4, heard(5, 10, late=400), complete=True),  # now he may read all of it
        Stream("carol#d", "carol", DEN, None, heard(4, 8)),
    ]
    return history


def _den(history: Any, who: str) -> Any:
    return next(one for one in history.streams if one.who == f"{who}#d")


def _told_who_was_never_there(history: Any) -> None:
    event = replace(history.logs[DEN].events[2], at=310)
    history.streams.append(Stream("eve#1", "eve", DEN, None, [event]))


def _told_who_was_never_there_of_a_gap(history: Any) -> None:
    history.streams.append(Stream("eve#1", "eve", DEN, None, [Gap(1, 2)]))


def _told_of_being_sent_out(history: Any) -> None:
    _den(history, "carol").heard.append(replace(history.logs[DEN].events[8], at=905))


def _told_after_being_sent_out(history: Any) -> None:
    _den(history, "carol").heard += [replace(event, at=1200) for event in history.logs[DEN].events[8:]]


def _told_between_being_sent_out_and_let_in(history: Any) -> None:
    _den(history, "bob").heard += [replace(event, at=610) for event in history.logs[DEN].events[4:6]]


def _told_before_anybody_let_it_in(history: Any) -> None:
    first = _den(history, "carol").heard
    first[0] = replace(first[0], at=350)


def _told_over_the_socket_alone(history: Any) -> None:
    history.overheard = [Stream("carol's socket", "carol", DEN, None, [Event(10, "an event", "", at=1005)])]


def _told_of_a_room_that_nobody_knows(history: Any) -> None:
    history.overheard = [Stream("carol's socket", "carol", "@1d", None, [Event(1, "an event", "", at=1005)])]


def _said_by_who_was_sent_out(history: Any) -> None:
    send = next(one for one in history.sends if one.text == "he is gone")
    send.client = "bob"


def _sent_out_by_who_was_sent_out(history: Any) -> None:
    send = next(one for one in history.sends if one.seq == 9 and one.room == DEN)
    send.client = "eve"


def _let_in_by_nobody(history: Any) -> None:
    history.sends = [one for one in history.sends if one.text != "invite bob 7"]


BROKEN_DEN: list[tuple[int, Change]] = [
    (8, _told_who_was_never_there),
    (8, _told_who_was_never_there_of_a_gap),
    (8, _told_of_being_sent_out),
    (8, _told_after_being_sent_out),
    (8, _told_between_being_sent_out_and_let_in),
    (8, _told_before_anybody_let_it_in),
    (8, _told_over_the_socket_alone),
    (8, _told_of_a_room_that_nobody_knows),
    (8, _said_by_who_was_sent_out),
    (8, _sent_out_by_who_was_sent_out),
    (7, _let_in_by_nobody),
]


def test_members_may_come_and_go() -> None:
    verdict = checker.check(guarded())
    assert verdict.violations == []
    assert (verdict.counts.let_in, verdict.counts.sent_out, verdict.counts.private) == (3, 2, 24)


@pytest.mark.parametrize(("rule", "change"), BROKEN_DEN, ids=[change.__name__.strip("_") for _, change in BROKEN_DEN])
def test_a_den_that_lets_strangers_hear_or_speak_is_found_out(rule: int, change: Change) -> None:
    history = guarded()
    change(history)
    assert rules(history) == {rule}


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(["alice", "bob", "carol", "eve"]), st.integers(1, 10), st.integers(1, 2000))
def test_whatever_a_stranger_hears_of_a_den_is_found_out(who: str, seq: int, at: int) -> None:
    """Said anew, without stays: who could have been told a number at a time."""
    may = {
        "alice": at >= 100,
        "bob": (seq < 5 and at >= 200) or at >= 700,
        "carol": seq < 9 and at >= 400,
        "eve": False,
    }[who]
    history = guarded()
    event = replace(history.logs[DEN].events[seq - 1], at=at)
    history.streams.append(Stream("more", who, DEN, None, [event]))
    assert rules(history) == (set() if may else {8})


BROKEN: list[tuple[int, Change]] = [
    (1, _reused_number),
    (1, _another_text_under_the_same_identity),
    (2, _doubled),
    (2, _doubled_under_a_new_identity),
    (3, _lost_at_the_end),
    (3, _lost_and_its_place_taken),
    (3, _room_gone),
    (3, _acked_without_a_number_and_lost),
    (3, _swapped),
    (4, _hole),
    (4, _log_out_of_order),
    (4, _log_twice),
    (5, _heard_twice),
    (5, _heard_backwards),
    (5, _heard_with_a_hole),
    (5, _begins_too_late),
    (5, _gap_elsewhere),
    (5, _gap_that_ends_early),
    (5, _deaf_at_the_end),
    (5, _deaf_from_the_start),
    (6, _numbers_against_time),
    (6, _unknown_against_time),
    (7, _refused_and_there),
    (7, _refused_and_heard),
    (7, _unknown_twice),
    (7, _never_sent),
    (7, _in_another_room),
    (7, _emptied),
    (8, _foreign_reader),
    (8, _told_a_stranger_of_a_gap),
]

ALSO: dict[Change, set[int]] = {
    _another_text_under_the_same_identity: {6, 7},
    _lost_and_its_place_taken: {6},
    _refused_and_heard: {6},
    _swapped: {6},
}
"""What else is broken by a change that cannot be made otherwise."""


@pytest.mark.parametrize(("rule", "change"), BROKEN, ids=[change.__name__.strip("_") for _, change in BROKEN])
def test_a_broken_history_breaks_its_own_rule_and_no_other(rule: int, change: Change) -> None:
    history = clean()
    change(history)
    found = rules(history)
    assert rule in found
    assert found <= {rule} | ALSO.get(change, set())


def test_every_rule_is_broken_by_some_test() -> None:
    assert {rule for rule, _ in BROKEN} == set(checker.RULES)


# What is allowed ------------------------------------------------------------------------------------------------------


def test_after_an_announced_gap_it_goes_on() -> None:
    history = clean()
    history.streams[1].heard[2:4] = [Gap(4, 5)]
    verdict = checker.check(history)
    assert verdict.violations == []
    assert (verdict.counts.gaps, verdict.counts.missed, verdict.counts.needless) == (2, 4, 2)


def test_what_is_dropped_is_not_missed() -> None:
    history = clean()
    history.logs[ROOM] = Log(5, 6, _log(history)[2:])
    history.sends[0].seq = 3
    assert rules(history) == set()


def test_what_was_heard_before_the_log_began_anew_is_not_vouched_for() -> None:
    history = clean()
    history.streams[0].heard = [Event(3, "x1", "of another run"), Gap(4, None), *_log(history)]
    assert rules(history) == set()
    assert checker.check(history).counts.anew == 1


def test_an_ack_without_a_number_is_kept_if_the_text_is_there() -> None:
    history = clean()
    history.sends[0].seq = 0
    assert rules(history) == set()


def test_one_who_left_early_need_not_hear_the_end() -> None:
    history = clean()
    history.streams[1].heard.pop()
    history.streams[1].complete = False
    assert rules(history) == set()


def edited() -> Any:
    """Alice edits her first message, and deletes it: what it said is gone, and what it was made to say."""
    history = clean()
    history.sends += [
        acked("one, better", 7, at=70),
        acked("delete 3", 8, at=80, deletes=3),
    ]
    edit, deletion = Event(7, "a4", "one, better", 3), Event(8, "a5", "delete 3", 3)
    history.streams[1].heard += [edit, deletion]
    history.streams[2].complete = False
    events = _log(history)
    events[0] = replace(events[0], text="")
    history.logs[ROOM] = Log(3, 8, [*events, replace(edit, text=""), deletion])
    return history


def test_what_is_taken_back_is_empty_and_keeps_its_number() -> None:
    assert rules(edited()) == set()


def test_only_what_is_taken_back_may_be_empty() -> None:
    history = edited()
    history.sends[-1].deletes = 0
    assert rules(history) == {3, 7}


def test_a_deletion_leaves_the_identities() -> None:
    history = edited()
    _log(history)[0] = Event(3, "a8", "")
    assert rules(history) == {1}


# Any history ----------------------------------------------------------------------------------------------------------

ROOMS = ("one", "two")
PEOPLE = ("alice", "bob", "carol")


@st.composite
def histories(draw: st.DrawFn) -> Any:
    """A run in which all is well, as random as that allows: at least one message is acknowledged and heard."""
    random = Random(draw(st.integers(0, 2**32)))
    first = {room: random.choice([1, 1, 4]) for room in ROOMS}
    logs = {room: Log(first[room], first[room] - 1, []) for room in ROOMS}
    sends = []
    for number in range(draw(st.integers(4, 25))):
        client, room, outcome = random.choice(PEOPLE), random.choice(ROOMS), random.choice([OK, OK, FAILED, UNKNOWN])
        if number < 4:
            room, outcome = ROOMS[0], OK
        send = Send(client, room, f"text {number}", 10 * number, outcome)
        if outcome is OK or (outcome is UNKNOWN and random.random() < 0.5):
            log = logs[room]
            log.head += 1
            log.events.append(Event(log.head, f"{client} {number}", send.text))
        if outcome is OK:
            send.seq, send.acked_at = logs[room].head, send.at + random.randint(1, 30)
        sends.append(send)
    streams = []
    for number in range(draw(st.integers(1, 5))):
        room = random.choice(ROOMS) if number else ROOMS[0]
        log = logs[room]
        after = random.randint(log.first - 1, log.head - 2) if number and log.head - log.first > 3 else log.first - 1
        heard: list[Any] = [event for event in log.events if event.seq > after]
        if len(heard) > 4 and random.random() < 0.3:
            heard[1:3] = [Gap(heard[1].seq, heard[2].seq)]
        complete = number == 0 or random.random() < 0.5
        if not complete:
            heard = heard[: random.randint(0, len(heard))]
        given = after if number == 0 or random.random() < 0.8 else None
        client = random.choice(PEOPLE)
        streams.append(Stream(f"{client}#{number}", client, room, given, heard, complete))
    return History(sends, streams, logs, {room: set(PEOPLE) for room in ROOMS})


Mutation = Callable[[Any, Random], int]
"""Breaks a history somewhere, and gives the rule that this breaks at least."""


def _some_ack(history: Any, random: Random) -> Any:
    return random.choice([send for send in history.sends if send.outcome is OK])


def lose(history: Any, random: Random) -> int:
    send = _some_ack(history, random)
    log = history.logs[send.room]
    log.events = [event for event in log.events if event.seq != send.seq]
    return 3


def lose_and_close_the_ranks(history: Any, random: Random) -> int:
    send = _some_ack(history, random)
    log = history.logs[send.room]
    kept = [event for event in log.events if event.seq != send.seq]
    log.events = [replace(event, seq=seq) for seq, event in enumerate(kept, log.first)]
    log.head -= 1
    return 3


def double(history: Any, random: Random) -> int:
    log = history.logs[ROOMS[0]]
    log.head += 1
    log.events.append(replace(random.choice(log.events), seq=log.head))
    return 2


def swap(history: Any, random: Random) -> int:
    events = history.logs[ROOMS[0]].events
    here, there = random.sample(range(len(events)), 2)
    one, other = events[here], events[there]
    events[here], events[there] = replace(other, seq=one.seq), replace(one, seq=other.seq)
    return 3 if {one.text, other.text} & {send.text for send in history.sends if send.outcome is OK} else 2


def reuse(history: Any, random: Random) -> int:
    heard = history.streams[0].heard
    at = random.choice([at for at, item in enumerate(heard) if isinstance(item, Event)])
    heard[at] = replace(heard[at], id="somebody 1")
    return 1


def make_a_hole(history: Any, random: Random) -> int:
    events = history.logs[ROOMS[0]].events
    del events[random.randrange(len(events) - 1)]
    return 4


def skip(history: Any, random: Random) -> int:
    heard = history.streams[0].heard
    del heard[random.randrange(len(heard))]
    return 5


def repeat(history: Any, random: Random) -> int:
    heard = history.streams[0].heard
    at = random.randrange(len(heard))
    heard.insert(at, heard[at])
    return 5


def disorder(history: Any, random: Random) -> int:
    heard = history.streams[0].heard
    at = random.randrange(len(heard) - 1)
    heard[at], heard[at + 1] = heard[at + 1], heard[at]
    return 5


def send_later(history: Any, random: Random) -> int:
    ordered = sorted((send for send in history.sends if send.room == ROOMS[0] and send.seq), key=lambda one: one.seq)
    at = random.randrange(len(ordered) - 1)
    ordered[at].at = max(send.acked_at for send in ordered) + 1
    ordered[at].acked_at = ordered[at].at + 1
    return 6


def refuse(history: Any, random: Random) -> int:
    _some_ack(history, random).outcome = FAILED
    return 7


def store_the_unknown_twice(history: Any, random: Random) -> int:
    send = _some_ack(history, random)
    send.outcome, send.seq = UNKNOWN, 0
    log = history.logs[send.room]
    log.head += 1
    log.events.append(Event(log.head, "retried 1", send.text))
    return 7


def forge(history: Any, random: Random) -> int:
    history.sends.remove(_some_ack(history, random))
    return 7


def leak(history: Any, random: Random) -> int:
    history.members[ROOMS[0]].discard(history.streams[0].client)
    return 8


MUTATIONS: list[Mutation] = [
    lose,
    lose_and_close_the_ranks,
    double,
    swap,
    reuse,
    make_a_hole,
    skip,
    repeat,
    disorder,
    send_later,
    refuse,
    store_the_unknown_twice,
    forge,
    leak,
]


@settings(max_examples=100, deadline=None)
@given(histories())
def test_whatever_is_well_passes(history: Any) -> None:
    assert checker.check(history).violations == []


@pytest.mark.parametrize("mutate", MUTATIONS, ids=[one.__name__ for one in MUTATIONS])
@settings(max_examples=50, deadline=None)
@given(histories(), st.integers(0, 2**32))
def test_whatever_is_broken_somewhere_is_found_out(mutate: Mutation, history: Any, seed: int) -> None:
    broken = deepcopy(history)
    rule = mutate(broken, Random(seed))
    assert rule in rules(broken)
