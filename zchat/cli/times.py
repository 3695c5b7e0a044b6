"""Times as users give them. Pure, but for the zone of who asks."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import Annotated

import typer

Since = Annotated[
    str | None,
    typer.Option("--since", metavar="1h|TIME", help="Only from then on: 90s, 15m, 1h, 2d, 1w, 09:30 or ISO 8601."),
]

_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhdw])", re.ASCII)
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}

_LONGEST = 100 * 365 * 24 * 3600

_EARLIEST = datetime(1, 1, 2, tzinfo=UTC)  # has a time in every zone


def parse(text: str, now: datetime | None = None, *, option: str = "--since") -> datetime:
    """A moment.

    Args:
        text: a span that ends now, as `90s`, `15m`, `1h`, `2d` or `1w`; a time of today, as `09:30`; or a date or a
            date and time of ISO 8601, in the user's zone if it names none.
        now: by default that of the machine's clock.
        option: what it was given for.

    Raises:
        typer.BadParameter: it is none.
    """
    now = datetime.now(UTC) if now is None else now
    span = _SPAN.fullmatch(text)
    if span is not None:
        return _ago(now, float(span[1]) * _UNITS[span[2]])
    try:
        if ":" in text[:3]:
            return datetime.combine(now.astimezone().date(), time.fromisoformat(text)).astimezone()
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError):
        raise typer.BadParameter(
            f"{text!r} is no time: write 90s, 15m, 1h, 2d, 1w, 09:30, 2026-11-21 or 2026-11-21T09:30", param_hint=option
        ) from None


def seconds(text: str, *, option: str) -> int:
    """A span of time, as `90s`, `15m`, `1h`, `7d` or `1w`: of a second at least, and of a hundred years at most.

    Raises:
        typer.BadParameter: it is none.
    """
    span = _SPAN.fullmatch(text)
    found = float(span[1]) * _UNITS[span[2]] if span is not None else 0.0
    if not 1 <= found <= _LONGEST:
        raise typer.BadParameter(f"{text!r} is no span of time: write 90s, 15m, 1h, 7d or 1w", param_hint=option)
    return int(found)


def _ago(now: datetime, seconds: float) -> datetime:
    try:
        return max(now - timedelta(seconds=seconds), _EARLIEST)
    except OverflowError:
        return _EARLIEST
