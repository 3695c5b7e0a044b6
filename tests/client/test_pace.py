"""How fast to ask, once that was too much."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zchat.broker.rates import MESSAGES, Limits, Rate, Rates
from zchat.client.pace import FASTEST, FIRST, SPARE, Pace


def test_there_is_none_until_something_was_refused() -> None:
    pace = Pace()
    pace.sent(1000, 0.0)
    pace.taken(1000)
    assert not pace.limited
    assert (pace.allows(0.0, 5), pace.due(5)) == (None, None)


def test_after_a_refusal_nothing_is_sent_until_the_time_is_up_and_all_is_answered() -> None:
    pace = Pace()
    pace.refused(10.0, 2.0)
    assert (pace.allows(11.9, 0), pace.due(0)) == (0, 12.0)
    assert (pace.allows(12.0, 3), pace.due(3)) == (0, None)
    assert pace.allows(13.0, 0) == 1
    pace.sent(1, 13.0)
    assert (pace.allows(13.0, 1), pace.due(1)) == (0, 13.0 + 1 / FIRST)
    assert pace.allows(13.0 + 1 / FIRST, 1) == 1


def test_what_was_not_sent_may_be_in_part_later() -> None:
    pace = Pace()
    pace.refused(0.0, 0.0)
    assert pace.allows(0.0, 0) == 1
    assert pace.allows(1000.0, 0) == FIRST / 2 + 1
    for _ in range(3):
        pace.refused(1000.0, 0.0)
        assert pace.allows(1000.0, 0) == 1
    assert pace.allows(2000.0, 0) == SPARE + 1
    pace.sent(9, 2000.0)
    assert pace.allows(2000.0, 9) == 0


def test_many_refusals_of_what_was_under_way_are_one_and_a_new_connection_has_nothing_under_way() -> None:
    pace = Pace()
    for _ in range(100):
        pace.refused(0.0, 1.0)
    pace.anew()
    assert pace.allows(1.0, 50) == 1
    pace.sent(1, 1.0)
    assert pace.due(1) == 1.0 + 1 / FIRST


def test_a_pace_that_is_fast_enough_is_none() -> None:
    pace = Pace()
    pace.refused(0.0, 0.0)
    pace.taken(int(FASTEST))
    assert not pace.limited


@given(st.floats(0.5, 200), st.floats(2, 10))
def test_any_pace_is_found_and_few_are_refused(per_second: float, seconds: float) -> None:
    burst = max(per_second * seconds, 1)
    buckets, pace, now = Rates(Limits(messages=Rate(burst, per_second))), Pace(), 0.0
    sent = refused = 0
    for _ in range(3000):
        allowed = pace.allows(now, 0)
        for _ in range(min(10 if allowed is None else allowed, 10)):
            pace.sent(1, now)
            wait = buckets.take(b"ann", MESSAGES, now)
            if wait:
                refused += 1
                pace.refused(now, max(wait, 0.02))
                break
            sent += 1
            pace.taken(1)
        now += 0.02
    most = burst + per_second * now
    assert sent >= min(0.8 * most, 3000) - 10
    assert refused <= 15 + 0.1 * sent
