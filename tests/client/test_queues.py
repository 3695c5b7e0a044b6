"""What a client has heard and its program has not taken yet."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from zchat.client import events as heard
from zchat.client.queues import Queues
from zchat.messages import Message


def said(room: str, *seqs: int) -> list[heard.Event]:
    return [heard.Said(room, Message(seq, 0, "ann", b"12345678", seq, ""), mine=False) for seq in seqs]


def numbers(found: list[heard.Event]) -> list[object]:
    return [heard.numbers(event) for event in found]


def test_all_is_taken_in_order_and_a_room_apart() -> None:
    queues = Queues()
    queues.put("den", said("den", 1, 2))
    queues.put("lobby", said("lobby", 1))
    queues.put("den", said("den", 3))
    assert [queues.take("lobby"), queues.take("lobby")] == [*said("lobby", 1), None]
    assert [queues.take(), queues.take("den"), queues.take()] == said("den", 1, 2, 3)
    assert queues.take() is None
    assert len(queues) == 0


def test_what_is_of_no_room_is_in_order_too() -> None:
    queues = Queues()
    queues.put("", [heard.Closing("1")])
    queues.put("den", said("den", 1))
    queues.put("", [heard.Closing("2")])
    assert queues.waiting() == [heard.Closing("1"), *said("den", 1), heard.Closing("2")]
    assert len(queues) == 3
    queues.clear()
    assert queues.waiting() == []
    assert (len(queues), queues.of("den"), queues.take()) == (0, 0, None)


def test_beyond_its_bound_a_room_loses_its_oldest_and_shows_a_gap() -> None:
    queues = Queues()
    queues.put("den", said("den", 1, 2, 3, 4, 5))
    queues.put("lobby", said("lobby", 1))
    queues.bound("den", 3)
    assert len(queues) == 4
    assert numbers(queues.waiting()) == [(1, 3), (4, 4), (5, 5), (1, 1)]
    queues.put("den", said("den", 6, 7, 8))
    queues.bound("den", 2)
    assert numbers(queues.waiting()) == [(1, 1), (1, 7), (8, 8)]


def test_a_gap_takes_the_place_of_what_has_no_number_and_keeps_that_its_end_is_unknown() -> None:
    queues = Queues()
    queues.put("den", [heard.Gap("den", 1, None), heard.UpToDate("den"), *said("den", 1)])
    queues.bound("den", 2)
    assert queues.waiting() == [heard.Gap("den", 1, None), *said("den", 1)]
    queues.bound("den", 1)
    assert queues.waiting() == [heard.Gap("den", 1, None)]
    queues.put("", [heard.Closing("1"), heard.Closing("2")])
    queues.bound("", 1)
    assert queues.waiting() == [heard.Gap("den", 1, None), heard.Closing("2")]


def test_who_listens_to_one_room_leaves_nothing_behind() -> None:
    queues = Queues()
    queues.put("den", said("den", 1))
    for seq in range(1000):
        queues.put("lobby", said("lobby", seq))
        queues.put("hall", said("hall", seq))
        assert queues.take("lobby")
        assert queues.take("hall")
    assert len(queues._runs) < 10
    assert queues.waiting() == said("den", 1)


ROOMS = ["", "den", "lobby"]


@given(st.lists(st.tuples(st.sampled_from(["put", "put", "take", "all"]), st.sampled_from(ROOMS), st.integers(1, 3))))
def test_it_is_a_list(steps: list[tuple[str, str, int]]) -> None:
    queues, model, seq = Queues(), deque[tuple[str, heard.Event]](), 0
    for what, room, count in steps:
        if what == "put":
            run = said(room, *range(seq, seq + count))
            seq += count
            queues.put(room, run)
            model += [(room, event) for event in run]
        else:
            wanted = None if what == "all" else room
            found = next((one for one in model if wanted in (None, one[0])), None)
            assert queues.take(wanted) == (None if found is None else found[1])
            if found is not None:
                model.remove(found)
        assert queues.waiting() == [event for _, event in model]
        assert len(queues) == len(model)
        assert all(queues.of(name) == sum(place == name for place, _ in model) for name in ROOMS)
