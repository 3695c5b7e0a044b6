"""How many connections without a session there may be, and for how long."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from zchat.broker.strangers import Strangers


def last(count: int) -> int:
    """Always the same choice."""
    return count - 1


def test_who_says_no_hello_in_time_has_to_go() -> None:
    known: set[int] = set()
    strangers = Strangers(10, known.__contains__, last)
    strangers.came(1, 5.0)
    strangers.came(2, 5.0)
    strangers.came(3, 6.0)
    assert strangers.late(4.9) == []
    known.add(2)
    assert strangers.late(5.0) == [1]
    assert strangers.late(9.0) == [3]
    assert len(strangers) == 0


def test_what_ended_is_not_late_nor_what_took_its_place() -> None:
    strangers = Strangers(10, lambda fd: False, last)
    strangers.came(1, 5.0)
    strangers.ended(1)
    strangers.came(1, 7.0)  # another connection over the same descriptor
    assert strangers.late(5.0) == []
    assert strangers.late(7.0) == [1]


def test_who_loses_its_session_is_a_stranger_again() -> None:
    known = {1}
    strangers = Strangers(10, known.__contains__, last)
    strangers.came(1, 5.0)
    assert strangers.late(5.0) == []
    known.clear()
    strangers.came(1, 9.0)
    assert strangers.late(9.0) == [1]


def test_beyond_so_many_some_have_to_go_but_none_that_is_known() -> None:
    known = {1, 2}
    strangers = Strangers(2, known.__contains__, last)
    for fd in range(1, 7):
        strangers.came(fd, 5.0)
    assert sorted(strangers.crowded(100)) == [5, 6]
    assert strangers.crowded(100) == []
    assert strangers.crowded(-1) == [4]
    assert strangers.crowded(-5) == [3]  # there are no more
    assert len(strangers) == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["came", "ended", "late", "known"])), max_size=200))
def test_it_knows_no_more_than_there_are(steps: list[tuple[int, str]]) -> None:
    known: set[int] = set()
    there: set[int] = set()
    strangers = Strangers(5, known.__contains__, random.Random(1).randrange)
    for clock, (fd, what) in enumerate(steps):
        match what:
            case "came":
                there.add(fd)
                known.discard(fd)
                strangers.came(fd, clock + 3.0)
            case "ended":
                there.discard(fd)
                strangers.ended(fd)
            case "known":
                known.add(fd)
            case _:
                for gone in strangers.late(float(clock)):
                    assert gone in there - known
        for gone in strangers.crowded(100):
            assert gone in there - known
        assert len(strangers) <= 5 + len(known)
