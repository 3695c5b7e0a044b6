"""What a client says, and under which send numbers."""

from __future__ import annotations

from collections import deque
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from zchat.client.outbox import BACK, GIVE_UP, Outbox
from zchat.messages import Delete, Edit, Send

WINDOW = 3


def said(box: Outbox, text: str, room: str = "lobby") -> int:
    return box.add(Send(box.number, room, text))


def outbox(messages: int) -> Outbox:
    made = Outbox()
    for number in range(1, messages + 1):
        assert said(made, f"text {number}") == number
    return made


def taken(outbox: Outbox, now: float = 0.0, window: int = WINDOW) -> list[int]:
    return [send.n for send in outbox.take(window, now)]


def tickets(found: object) -> int | None:
    return getattr(found, "ticket", None)


# In order, once, within the window


def test_no_more_are_handed_over_than_the_window_holds() -> None:
    box = outbox(5)
    assert taken(box) == [1, 2, 3]
    assert taken(box) == []
    assert box.due() is None
    assert tickets(box.answered(1)) == 1
    assert taken(box) == [4]
    assert len(box) == 4


def test_a_number_is_answered_once() -> None:
    box = outbox(1)
    taken(box)
    assert tickets(box.answered(1)) == 1
    assert box.answered(1) is None
    assert box.answered(7) is None
    assert box.first == 2


def test_what_is_handed_over_says_what_was_said() -> None:
    box = Outbox()
    box.add(Send(1, "@bob", "waves", action=True))
    box.add(Edit(2, "den", 7, "what I meant"))
    box.add(Delete(3, "den", 0))
    assert box.take(WINDOW, 0.0) == [
        Send(1, "@bob", "waves", action=True),
        Edit(2, "den", 7, "what I meant"),
        Delete(3, "den", 0),
    ]


def test_a_run_of_numbers_is_answered_at_once() -> None:
    box = outbox(5)
    taken(box)
    assert tickets(box.answered(1)) == 1
    assert [pending.ticket for pending in box.acked(1, 3)] == [2, 3]
    assert box.first == 4
    assert taken(box) == [4, 5]
    assert [pending.request.n for pending in box.acked(4, 1 << 62)] == [4, 5]
    assert len(box) == 0
    assert box.first == 6
    assert box.expires() == inf


# Going back


def test_what_was_refused_for_now_is_sent_again_after_the_delay_from_there_on() -> None:
    box = outbox(3)
    taken(box)
    box.answered(1)
    box.go_back(2, 10.0, 2.5)
    assert box.due() == 12.5
    assert taken(box, 12.4) == []
    assert taken(box, 12.5) == [2, 3]
    assert box.due() is None


def test_a_storm_of_refusals_is_one_reason_to_go_back() -> None:
    box = outbox(3)
    taken(box)
    for n in (1, 2, 3, 1, 1):
        box.go_back(n, 10.0, 0.0)
        assert taken(box, 10.0) == []
    assert taken(box, 10.0 + BACK) == [1, 2, 3]
    assert taken(box, 10.0 + BACK) == []


def test_what_is_sent_again_counts_until_each_is_answered() -> None:
    box = outbox(3)
    taken(box)
    box.go_back(1, 0.0, 0.0)
    assert taken(box, BACK) == [1]  # the others are not refused yet
    box.go_back(1, BACK, 0.0)
    box.go_back(1, BACK, 0.0)
    assert taken(box, 2 * BACK) == [1, 2]


def test_what_is_refused_once_more_is_sent_once_more() -> None:
    box = outbox(2)
    now = 0.0
    for _ in range(5):
        assert taken(box, now) == [1, 2]
        box.go_back(1, now, 0.0)
        box.go_back(1, now, 0.0)
        now += BACK


def test_going_back_to_what_was_answered_does_nothing() -> None:
    box = outbox(2)
    taken(box)
    box.answered(1)
    box.go_back(1, 0.0, 5.0)
    assert box.due() is None


def test_what_was_answered_meanwhile_does_not_fall_due() -> None:
    box = outbox(1)
    taken(box)
    box.go_back(1, 0.0, 5.0)
    box.answered(1)
    assert box.due() is None


def test_a_new_connection_sends_all_again_at_once() -> None:
    box = outbox(3)
    taken(box)
    box.answered(1)
    box.go_back(2, 0.0, 60.0)
    box.again()
    assert taken(box, 0.0) == [2, 3]


# What the broker knows


def test_what_the_broker_knows_must_lie_within_what_was_said() -> None:
    box = outbox(5)
    taken(box)
    box.answered(1)
    assert [last for last in range(6) if box.agrees(last, vouched=True)] == [1, 2, 3]
    assert not any(box.agrees(last, vouched=False) for last in range(6))


def test_a_store_that_began_anew_is_no_matter_to_who_has_nothing_under_way() -> None:
    box = outbox(2)
    assert box.agrees(0, vouched=False)
    assert not box.agrees(1, vouched=True)


def test_under_a_new_id_numbers_begin_anew_and_what_was_under_way_is_unknown() -> None:
    box = outbox(5)
    taken(box)
    box.answered(1)
    assert [tickets(pending) for pending in box.restart()] == [2, 3]
    assert box.agrees(0, vouched=True)
    assert box.take(WINDOW, 0.0) == [Send(1, "lobby", "text 4"), Send(2, "lobby", "text 5")]
    assert said(box, "text 6") == 6
    assert taken(box) == [3]


def test_where_numbers_may_have_been_used_again_no_message_is_changed() -> None:
    box = outbox(1)
    taken(box)
    edit = box.add(Edit(2, "den", 7, "x"))
    said(box, "next")
    delete = box.add(Delete(4, "den", 0))
    assert [tickets(pending) for pending in box.void()] == [edit, delete]
    assert box.take(WINDOW, 0.0) == [Send(2, "lobby", "next")]
    assert box.void() == []
    said(box, "last")
    assert taken(box) == [3]


def test_under_a_new_id_changes_are_kept_as_they_are() -> None:
    box = outbox(1)
    taken(box)
    box.add(Send(2, "den", "waves", action=True))
    box.add(Edit(3, "den", 7, "x"))
    box.add(Delete(4, "den", 0))
    assert [pending.ticket for pending in box.restart()] == [1]
    assert box.take(WINDOW, 0.0) == [Send(1, "den", "waves", action=True), Edit(2, "den", 7, "x"), Delete(3, "den", 0)]


# Giving up


def test_the_time_to_give_up_runs_from_when_it_was_first_handed_over() -> None:
    box = outbox(4)
    assert box.expires() == inf
    taken(box, 10.0)
    box.again()
    taken(box, 20.0)
    assert box.expires() == 10.0 + GIVE_UP
    for n in (1, 2, 3):
        box.answered(n)
    assert box.expires() == inf
    taken(box, 30.0)
    assert box.expires() == 30.0 + GIVE_UP


# Against a broker that takes each number once and in order, and fails now and then


@given(st.lists(st.sampled_from(["add", "take", "serve", "fail", "refuse", "lose"]), max_size=60), st.integers(1, 4))
def test_all_is_stored_once_and_in_order(steps: list[str], window: int) -> None:
    box, now, expected = Outbox(), 0.0, 1
    wire: deque[tuple[int, str]] = deque()
    stored: list[str] = []
    outcomes: list[int] = []
    texts = 0

    def serve(how: str) -> None:
        nonlocal expected
        if not wire:
            return
        n, text = wire.popleft()
        if n > expected:
            box.go_back(expected, now, 0.0)
        elif n == expected and how == "fail":
            box.go_back(n, now, 0.5)
        else:
            if n == expected:
                expected += 1
                if how == "serve":
                    stored.append(text)
            pending = box.answered(n)
            if pending is not None:
                outcomes.append(pending.ticket)

    for step in [*steps, *["take", "serve"] * 400]:
        if step == "add":
            texts += 1
            said(box, f"text {texts}")
        elif step == "take":
            now += 0.25
            sends = box.take(window, now)
            assert len(sends) <= window
            wire.extend((send.n, send.text) for send in sends if isinstance(send, Send))
        elif step == "lose":
            wire.clear()
            assert box.agrees(expected - 1, vouched=True)
            box.again()
        else:
            serve(step)
    assert len(box) == 0
    assert outcomes == list(range(1, texts + 1))
    assert stored == sorted(stored, key=lambda text: int(text.split()[1]))
    assert len(stored) == len(set(stored))


# The pace


def test_what_was_too_much_is_sent_again_after_exactly_the_delay_once_all_is_answered() -> None:
    box = outbox(3)
    taken(box)
    box.slow_down(1, 10.0, 0.25)
    box.slow_down(2, 10.0, 0.25)
    assert (taken(box, 10.25), box.due()) == ([], None)  # the third is under way still
    box.slow_down(3, 10.1, 0.1)
    assert box.due() == 10.25
    assert (taken(box, 10.2), taken(box, 10.25)) == ([], [1])
    assert taken(box, box.due() or 0.0) == [2]


def test_a_slow_pace_is_kept_over_connections_and_a_full_window_waits_for_answers() -> None:
    box = outbox(9)
    taken(box)
    box.slow_down(1, 10.0, 1.0)
    box.again()
    assert (taken(box, 10.0), taken(box, 11.0)) == ([], [1])
    assert taken(box, 12.0) == [2, 3]
    assert box.due() is None
    box.answered(1)
    assert taken(box, box.due() or 0.0) == [4]


def test_what_was_answered_already_slows_nothing_down() -> None:
    box = outbox(5)
    taken(box)
    box.answered(1)
    box.slow_down(1, 10.0, 60.0)
    assert taken(box, 10.0) == [4, 5]
