"""Times as users give them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import typer

from zchat.cli.times import parse, seconds

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(os.environ, "TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("0s", 0), ("15m", 900), ("1h", 3600), ("1.5h", 5400), ("2d", 172_800), ("1w", 604_800)],
)
def test_a_span_ends_now(text: str, seconds: int) -> None:
    assert parse(text, NOW) == NOW - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-20", datetime(2026, 11, 19, 23, tzinfo=UTC)),
        ("20261120", datetime(2026, 11, 19, 23, tzinfo=UTC)),
        ("2026-11-20 09:30", datetime(2026, 11, 20, 8, 30, tzinfo=UTC)),
        ("2026-07-20T09:30:15", datetime(2026, 7, 20, 7, 30, 15, tzinfo=UTC)),
        ("2026-11-20T09:30:15.123Z", datetime(2026, 11, 20, 9, 30, 15, 123_000, tzinfo=UTC)),
        ("2026-11-20T09:30+05:30", datetime(2026, 11, 20, 4, 0, tzinfo=UTC)),
        ("09:30", datetime(2026, 11, 21, 8, 30, tzinfo=UTC)),
        ("9999999999w", datetime(1, 1, 2, tzinfo=UTC)),
        ("99999w", datetime(110, 5, 17, 12, tzinfo=UTC)),
    ],
)
def test_a_time_is_in_the_users_zone_unless_it_names_one(text: str, moment: datetime) -> None:
    assert parse(text, NOW) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1",
        "h",
        "-1h",
        "1 h",
        "1y",
        "1h30m",
        "yesterday",
        "2026",
        "2026-13-01",
        "2026-11-31",
        "25:00",
        "١h",
        "\x1b[",
    ],
)
def test_anything_else_is_a_usage_error_that_says_what_to_write(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no time: write 90s, 15m"):
        parse(text, NOW)


def test_without_a_clock_given_it_is_the_machines() -> None:
    assert parse("1h") < datetime.now(UTC) < parse("0s") + timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "span"), [("1s", 1), ("90s", 90), ("1.5h", 5400), ("7d", 604_800), ("5200w", 3_144_960_000)]
)
def test_a_span_of_time(text: str, span: int) -> None:
    assert seconds(text, option="--expires") == span


@pytest.mark.parametrize("text", ["", "0s", "0.5s", "7", "d", "-1d", "09:30", "2026-11-21", "9999w", "1" * 400 + "d"])
def test_what_is_no_span_of_time_says_what_to_write(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="write 90s, 15m, 1h, 7d or 1w"):
        seconds(text, option="--expires")
