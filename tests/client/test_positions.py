"""Where a reader is in a room."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zchat.client import positions
from zchat.client.positions import Lost, Stream
from zchat.messages import Message, Page, Unreadable


def said(seq: int) -> Message:
    return Message(seq, 0, "ann", b"12345678", seq, f"text {seq}")


def says(*seqs: int) -> list[Message]:
    return [said(seq) for seq in seqs]


def page(*seqs: int, first: int = 1, head: int) -> Page:
    return Page(1, "lobby", first, head, tuple(says(*seqs)))


def at(position: int) -> Stream:
    stream = Stream()
    assert list(stream.begin(position)) == []
    return stream


def numbers(found: Iterable[object]) -> list[object]:
    return [one if isinstance(one, Lost) else getattr(one, "seq", None) for one in found]


# One event after the other


def test_what_comes_next_is_delivered() -> None:
    stream = at(3)
    assert numbers(stream.offer(says(4, 5))) == [4, 5]
    assert stream.position == 5
    assert not stream.behind


def test_what_was_seen_is_skipped() -> None:
    stream = at(3)
    assert numbers(stream.offer(says(2, 3, 4, 4, 3))) == [4]


def test_what_comes_too_early_is_held_until_what_is_missing_comes() -> None:
    stream = at(3)
    assert numbers(stream.offer(says(6, 5))) == []
    assert stream.torn
    assert stream.behind
    assert numbers(stream.offer(says(4))) == [4, 5, 6]
    assert not stream.torn
    assert not stream.behind


def test_events_that_come_before_it_is_known_where_to_begin_are_merged() -> None:
    stream = Stream()
    assert numbers(stream.offer(says(7, 8, 10))) == []
    assert not stream.behind
    assert not stream.torn
    assert numbers(stream.begin(7)) == [8]
    assert stream.torn
    assert stream.target == 10


def test_an_event_of_an_unknown_kind_moves_the_position() -> None:
    stream = at(0)
    assert list(stream.offer([said(1), Unreadable(2), said(3)])) == [said(1), Unreadable(2), said(3)]
    assert stream.position == 3


def test_what_overflows_is_known_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(positions, "HELD", 2)
    stream = at(0)
    assert numbers(stream.offer(says(3, 4, 5, 6))) == []
    assert numbers(stream.offer(says(1, 2))) == [1, 2, 3, 4]
    assert stream.behind
    assert stream.target == 6


# Pages


def test_a_page_fills_what_is_missing() -> None:
    stream = at(0)
    list(stream.offer(says(4)))
    assert numbers(stream.page(page(1, 2, 3, 4, head=4))) == [1, 2, 3, 4]
    assert not stream.behind


def test_a_page_that_ends_before_the_head_leaves_it_behind() -> None:
    stream = at(0)
    assert numbers(stream.page(page(1, 2, head=9))) == [1, 2]
    assert stream.behind
    assert stream.target == 9


def test_what_retention_dropped_is_lost() -> None:
    stream = at(2)
    assert numbers(stream.page(page(5, 6, first=5, head=6))) == [Lost(3, 4), 5, 6]


def test_what_is_held_is_not_lost_though_retention_dropped_it() -> None:
    stream = at(2)
    list(stream.offer(says(4)))
    assert numbers(stream.page(page(6, first=6, head=6))) == [Lost(3, 3), 4, Lost(5, 5), 6]


def test_all_is_lost_where_nothing_is_kept() -> None:
    stream = at(2)
    assert numbers(stream.page(page(first=8, head=7))) == [Lost(3, 7)]
    assert not stream.behind


def test_a_hole_in_what_is_kept_is_lost_and_not_read_in_circles() -> None:
    stream = at(0)
    assert numbers(stream.page(page(1, 4, head=4))) == [1, Lost(2, 3), 4]
    assert not stream.behind


def test_an_empty_page_of_a_room_that_has_more_is_a_hole() -> None:
    stream = at(3)
    assert numbers(stream.page(page(head=5))) == [Lost(4, 5)]


def test_a_page_that_was_overtaken_by_what_was_published_loses_nothing() -> None:
    stream = at(0)
    assert numbers(stream.offer(says(1, 2, 3, 4))) == [1, 2, 3, 4]
    assert numbers(stream.page(page(1, 2, head=9))) == []
    assert stream.position == 4
    assert stream.behind


def test_a_page_from_before_a_head_was_named_does_not_unsay_it() -> None:
    stream = at(0)
    stream.reach(3)
    assert numbers(stream.page(page(1, 2, head=2))) == [1, 2]
    assert stream.behind


def test_a_page_of_a_room_without_a_place_in_it_gives_nothing() -> None:
    assert list(Stream().page(page(1, 2, head=2))) == []


def test_a_head_that_was_passed_says_nothing() -> None:
    stream = at(5)
    stream.reach(4)
    assert not stream.behind


# In any order, with anything lost

LAST = 12


@given(
    begin=st.integers(0, LAST),
    before=st.lists(st.integers(1, LAST)),
    batches=st.lists(st.lists(st.integers(1, LAST), max_size=4)),
    held=st.integers(0, 5),
)
def test_each_comes_once_and_in_order(begin: int, before: list[int], batches: list[list[int]], held: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(positions, "HELD", held)
        stream = Stream()
        heard = numbers(stream.offer(says(*before)))
        heard += numbers(stream.begin(begin))
        for batch in batches:
            heard += numbers(stream.offer(says(*batch)))
        assert heard == list(range(begin + 1, begin + 1 + len(heard)))
        assert stream.position == begin + len(heard)
        while stream.behind:  # whatever was missed or overflowed is read
            after = stream.position or 0
            some = range(after + 1, min(after + 3, stream.target) + 1)
            heard += numbers(stream.page(page(*some, head=stream.target)))
        assert heard == list(range(begin + 1, max([begin, *before, *(seq for batch in batches for seq in batch)]) + 1))
        assert not stream.torn


@given(
    begin=st.integers(0, LAST),
    kept=st.sets(st.integers(1, LAST)),
    live=st.lists(st.integers(1, LAST)),
    asked=st.integers(0, LAST),
    limit=st.integers(1, LAST),
)
def test_a_page_of_any_age_delivers_or_declares_all_up_to_its_end(
    begin: int, kept: set[int], live: list[int], asked: int, limit: int
) -> None:
    stream = at(begin)
    heard = numbers(stream.offer(says(*live)))
    found = sorted(seq for seq in kept if seq > min(asked, begin))[:limit]
    heard += numbers(stream.page(page(*found, first=min(kept, default=LAST + 1), head=LAST)))
    reached = begin
    for one in heard:
        first, last = (one.first, one.last) if isinstance(one, Lost) else (one, one)
        assert first == reached + 1
        assert isinstance(last, int)
        assert not (isinstance(one, Lost) and kept & set(range(one.first, one.last + 1)))
        reached = last
    assert stream.position == reached >= (found[-1] if found else LAST)
