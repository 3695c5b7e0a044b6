"""`zchat top`: what goes on, room by room."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from zchat.cli.options import Identity, Json, Patience, Url, visitor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zchat.cli.terminal.signals import Handlers
    from zchat.client.sync import Client
    from zchat.messages import RoomInfo

HEADINGS = ("ROOM", "PEOPLE", "LAST", "PER S", "SPOKE")

_ENTER = "\x1b[?1049h\x1b[?25l"  # the other screen, without a cursor
_LEAVE = "\x1b[?25h\x1b[?1049l"


@dataclass(frozen=True, slots=True)
class Live:
    """A room in which somebody is, or something was said since the last look.

    Attributes:
        rate: messages a second since the last look; None at the first.
    """

    info: RoomInfo
    rate: float | None


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen at one time.

    Attributes:
        at: when, on a clock that only rises, in seconds.
        people: who are here.
        heads: of all public rooms.
        live: the busiest first.
        rate: messages a second in all rooms; None at the first look.
    """

    at: float
    people: int
    heads: dict[str, int]
    live: tuple[Live, ...]
    rate: float | None


def compared(rooms: Sequence[RoomInfo], people: int, at: float, before: Look | None) -> Look:
    """What is seen now, next to what was seen before."""
    heads = {info.room: info.head for info in rooms}
    span = None if before is None else max(at - before.at, 0.001)
    rates: dict[str, float | None] = dict.fromkeys(heads)
    if before is not None and span is not None:
        # A room that is new began at 0; one whose number fell began anew.
        rates = {room: max(head - before.heads.get(room, 0), 0) / span for room, head in heads.items()}
    found = [Live(info, rates[info.room]) for info in rooms if info.people or rates[info.room]]
    found.sort(key=lambda one: (-(one.rate or 0), -one.info.people, -one.info.ms, one.info.room))
    total = None if before is None else sum(rate or 0 for rate in rates.values())
    return Look(at, people, heads, tuple(found), total)


def command(
    interval: Annotated[
        float, typer.Option("--interval", min=0.1, max=86400.0, metavar="SECONDS", help="Between two looks.")
    ] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Look for one interval, print it, and end.")] = False,
    json: Json = False,
    url: Url = None,
    identity: Identity = None,
    connect_timeout: Patience = 5.0,
) -> None:
    """What goes on: rooms with people in them or just spoken in, the busiest first, with messages a second.

    On a terminal the table is kept up to date until Ctrl-C; in a pipe there is one an interval, or with --json a line.
    """
    with visitor(url, connect_timeout, identity) as client:
        if once or json or not sys.stdout.isatty():
            _print(client, interval, once=once, json=json)
        else:
            _Screen(client, interval).run()


def _look(client: Client, before: Look | None) -> Look:
    rooms = client.rooms()
    people = client.people()
    return compared(rooms, people, time.monotonic(), before)


def _print(client: Client, interval: float, *, once: bool, json: bool) -> None:
    from zchat.cli.output import out

    look = _look(client, None)
    while True:
        until = look.at + interval
        while (left := until - time.monotonic()) > 0:
            client.poll(left)
        look = _look(client, look)
        out(_line(look) if json else "\n".join(table(look)) + ("" if once else "\n"))
        if once:
            return


def _line(look: Look) -> str:
    from zchat.cli.output import json_line, stamp

    live = [
        {
            "room": one.info.room,
            "people": one.info.people,
            "seq": one.info.head,
            "rate": None if one.rate is None else round(one.rate, 3),
            "last": stamp(one.info.ms) if one.info.ms else None,
        }
        for one in look.live
    ]
    rate = None if look.rate is None else round(look.rate, 3)
    return json_line(
        "top", time=stamp(time.time_ns() // 1_000_000), people=look.people, rooms=len(look.heads), rate=rate, live=live
    )


def table(look: Look, columns: int | None = None, lines: int | None = None) -> list[str]:
    """A look, as people read it.

    Args:
        columns, lines: of the terminal; None for as many as it takes.
    """
    from zchat.cli.output import counted, moment
    from zchat.text import printable

    told = [counted(look.people, "person").replace("persons", "people"), counted(len(look.heads), "room")]
    told += [f"{len(look.live):,} live", f"{_rate(look.rate)} messages/s"]
    cells = [HEADINGS]
    for one in look.live:
        info = one.info
        spoke = moment(info.ms) if info.ms else "-"
        cells.append((printable(info.room), f"{info.people:,}", f"{info.head:,}", _rate(one.rate), spoke))
    left = None if lines is None else max(lines - 2, 1)
    if left is not None and len(cells) > left:
        cells = cells[:left]
    return [_cut(line, columns) for line in (", ".join(told), "", *_aligned(cells, columns))]


def _aligned(cells: Sequence[tuple[str, ...]], columns: int | None) -> list[str]:
    """Rows with their cells one below the other; where it is narrow, names are cut rather than numbers."""
    from zchat.text import width

    widths = [max(width(row[place]) for row in cells) for place in range(len(HEADINGS))]
    if columns is not None:
        others = sum(widths[1:]) + 2 * (len(widths) - 1)
        widths[0] = max(min(widths[0], columns - others), 8)
    rows = []
    for name, *rest in cells:
        name = _cut(name, widths[0])
        numbers = "".join(f"  {cell:>{size}}" for cell, size in zip(rest, widths[1:], strict=True))
        rows.append(f"{name}{' ' * (widths[0] - width(name))}{numbers}".rstrip())
    return rows


def _cut(text: str, columns: int | None) -> str:
    """As much of a text as fits."""
    from zchat.text import width

    if columns is None or width(text) <= columns:
        return text
    while text and width(text) > columns - 1:
        text = text[:-1]
    return f"{text}…"


def _rate(rate: float | None) -> str:
    if rate is None:
        return "-"
    return f"{rate:,.0f}" if rate >= 100 or not rate else f"{rate:.1f}"


class _Screen:
    """A table on a terminal that is kept up to date, and leaves it as it was."""

    def __init__(self, client: Client, interval: float) -> None:
        self._client, self._interval = client, interval
        self._stopped = False

    def run(self) -> None:
        """Shows it until it is interrupted."""
        from zchat.cli.terminal.signals import Handlers

        handlers = Handlers(
            {
                signal.SIGWINCH: lambda _: None,  # it wakes, that is enough
                signal.SIGTSTP: self._stop,
                signal.SIGTERM: _end,
                signal.SIGHUP: _end,
            }
        )
        handlers.install()
        try:
            _write(_ENTER)
            look = None
            while True:
                look = _look(self._client, look)
                self._show(look, handlers)
        finally:
            handlers.remove()
            _write(_LEAVE)

    def _show(self, look: Look, handlers: Handlers) -> None:
        """Shows a look until it is time for the next."""
        from zchat.cli.terminal.signals import stop_this_process

        _draw(look)
        until = look.at + self._interval
        while (left := until - time.monotonic()) > 0:
            if handlers.wake_fd in self._client.poll(left, handlers.wake_fd):
                handlers.woken()
                if self._stopped:
                    self._stopped = False
                    stop_this_process(lambda: _write(_LEAVE))
                    _write(_ENTER)
                _draw(look)

    def _stop(self, _: signal.Signals) -> None:
        self._stopped = True


def _draw(look: Look) -> None:
    try:
        columns, lines = os.get_terminal_size(sys.stdout.fileno())
    except OSError:
        columns, lines = 80, 24
    # Line by line over what is there, so that nothing flickers; the last column stays free, since it may wrap.
    rows = [f"{row}\x1b[K" for row in table(look, max(columns - 1, 20), max(lines, 4))]
    _write("\x1b[H" + "\r\n".join(rows) + "\x1b[J")


def _end(number: signal.Signals) -> None:
    raise SystemExit(128 + number)


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError:
        pass  # the terminal is gone
