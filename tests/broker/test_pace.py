"""What is said to a crowd is gathered while libzmq is busy with what was said before."""

from __future__ import annotations

import pytest

from zchat.broker.pace import LEAST, LONGEST, MOST, Pace


def test_what_is_said_now_and_then_is_waited_for_as_long_as_it_takes() -> None:
    pace = Pace()
    for now in (10.0, 11.0, 12.0):
        pace.told(1000, now)
        assert pace.until == pytest.approx(now + 1000 * LEAST)


def test_a_flood_is_waited_for_longer_each_time_within_bounds() -> None:
    pace = Pace()
    now, waits = 10.0, []
    for _ in range(20):
        pace.told(100, now)
        waits.append(pace.until - now)
        now = pace.until
    assert waits == sorted(waits)
    assert waits[0] == pytest.approx(100 * LEAST)
    assert waits[-1] == pytest.approx(100 * MOST)
    pace.told(1_000_000, now)
    assert pace.until == pytest.approx(now + LONGEST)


def test_a_pause_ends_the_flood() -> None:
    pace = Pace()
    pace.told(100, 10.0)
    pace.told(100, pace.until)
    pace.told(100, 11.0)
    assert pace.until == pytest.approx(11.0 + 100 * LEAST)
