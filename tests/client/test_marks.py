"""Up to where the person has read each room, told to the broker now and then."""

from __future__ import annotations

from zchat.client.channel import Channel, Transmit
from zchat.client.marks import PAUSE, Marks
from zchat.messages import Mark


class Telling:
    """Marks, and what they have the broker told."""

    def __init__(self) -> None:
        self.channel = Channel()
        self.marks = Marks(self.channel)
        self.asked: list[Mark] = []

    def tell(self, now: float, *, at_once: bool = False) -> list[tuple[str, int]]:
        self.marks.tell(now, at_once=at_once)
        self.asked = [
            request
            for command in self.channel.take()
            if isinstance(command, Transmit)
            for request in command.requests
            if isinstance(request, Mark)
        ]
        return [(mark.room, mark.seq) for mark in self.asked]

    def answer(self) -> None:
        for mark in self.asked:
            self.channel.answered(mark.q)
            self.marks.answered(mark.q)


def test_the_newest_of_each_room_is_told_and_then_there_is_a_pause() -> None:
    told = Telling()
    assert told.marks.due() == float("inf")
    for seq in (1, 2, 3):
        told.marks.rise("lobby", seq)
    told.marks.rise("@room", 7)
    assert told.marks.due() <= 10.0
    assert told.tell(10.0) == [("lobby", 3), ("@room", 7)]
    assert told.marks.due() == float("inf")
    told.marks.rise("lobby", 4)
    assert told.marks.due() == 10.0 + PAUSE
    assert told.tell(10.0 + PAUSE / 2) == []
    assert told.tell(10.0 + PAUSE) == [("lobby", 4)]


def test_a_mark_only_rises() -> None:
    told = Telling()
    told.marks.rise("lobby", 0)
    told.marks.rise("lobby", 3)
    told.marks.rise("lobby", 2)
    assert told.tell(0.0) == [("lobby", 3)]
    told.marks.rise("lobby", 3)
    assert told.marks.due() == float("inf")
    assert told.tell(100.0) == []


def test_at_the_end_it_is_told_at_once() -> None:
    told = Telling()
    told.marks.rise("lobby", 1)
    told.tell(10.0)
    told.marks.rise("lobby", 2)
    assert told.tell(0.0, at_once=True) == [("lobby", 2)]


def test_what_was_not_answered_is_told_again_over_a_new_connection() -> None:
    told = Telling()
    told.marks.rise("lobby", 1)
    told.marks.rise("den", 1)
    told.tell(10.0)
    told.answer()
    told.marks.rise("lobby", 2)
    told.tell(20.0)
    told.channel.reset()
    told.marks.rise("den", 2)
    told.marks.again()
    assert sorted(told.tell(30.0)) == [("den", 2), ("lobby", 2)]
    told.answer()
    told.marks.again()
    assert told.tell(40.0) == []


def test_what_rose_since_it_was_told_is_told_as_it_is_now() -> None:
    told = Telling()
    told.marks.rise("lobby", 1)
    told.tell(10.0)
    told.marks.rise("lobby", 5)
    told.channel.reset()
    told.marks.again()
    assert told.tell(20.0) == [("lobby", 5)]


def test_where_numbers_may_have_been_used_again_all_begins_anew() -> None:
    told = Telling()
    told.marks.rise("lobby", 500)
    told.tell(10.0)
    told.marks.rise("den", 500)
    told.marks.forget()
    told.marks.again()
    assert told.tell(20.0) == []
    told.marks.rise("lobby", 5)
    assert told.tell(20.0) == [("lobby", 5)]
