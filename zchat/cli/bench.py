"""`zchat bench`: what a broker gets through, and how long it takes."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from zchat.cli.exits import FAILURE, OK
from zchat.cli.options import Identity, Patience, Url, visitor

if TYPE_CHECKING:
    from zchat.cli.bench_run import Figures

SMALLEST = 8
"""Bytes of a text at least: they tell it from the others."""

COLUMNS = (8, 8, 9, 9, 13, 9, 9, 9, 5)
"""Characters of each, the spaces before it among them."""

HEADS = ("", "clients", "msgs", "msgs/s", "deliveries/s", "p50 ms", "p99 ms", "p99.9 ms", "busy")


class Kind(StrEnum):
    """What is measured."""

    FANOUT = "fanout"
    ROOMS = "rooms"
    LATENCY = "latency"
    INGEST = "ingest"


def command(
    kind: Annotated[
        Kind | None,
        typer.Argument(metavar="[fanout|rooms|latency|ingest]", help="One of them only.", show_default=False),
    ] = None,
    clients: Annotated[
        int | None, typer.Option("--clients", min=1, max=500, metavar="N", help="Who follow. [default: 10; rooms: 20]")
    ] = None,
    msgs: Annotated[
        int | None,
        typer.Option(
            "--msgs", min=1, max=1_000_000, metavar="N", help="Messages of each. [default: 1000 to 5000, some seconds]"
        ),
    ] = None,
    size: Annotated[int, typer.Option("--size", min=SMALLEST, metavar="BYTES", help="Of each text.")] = 100,
    max_p99: Annotated[
        float | None, typer.Option("--max-p99", min=0.0, metavar="MS", help="Exit code 1 if any p99 is above it.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    url: Url = None,
    identity: Identity = None,
    connect_timeout: Patience = 5.0,
) -> int:
    """Measures a broker: what it gets through, and how long a message takes.

    fanout: one speaks as fast as the broker's credit allows, all others hear it; each arrival is timed. rooms: rooms of
    ten or fewer, in each of which the next one speaks once all have the last message; timed until the last has it.
    latency: the same in one room of all. ingest: one speaks as fast as acks come, nobody follows; the acks are timed.

    All clients live in one process, each with the whole client library, and take turns there: what they cost is part of
    every figure. `busy` is how much of a core they took; near 100 % they are the bottleneck, not the broker. Nobody is
    disturbed, but what is said stays in the broker's log, in rooms named bench-...: measure one that keeps nothing
    (zchat broker --memory) to leave none. Exit code 1 also if anything was lost or came twice.
    """
    from zchat.cli.bench_run import Run, measure
    from zchat.cli.output import json_line, out
    from zchat.cli.progress import Progress

    if kind is Kind.INGEST and clients is not None:
        raise typer.BadParameter("nobody follows in ingest: leave it out", param_hint="--clients")
    with visitor(url, connect_timeout, identity) as client:
        run = Run(str(client.address), connect_timeout, size, given=url, identity=identity)
        if size > (limit := client.session.text_limit):
            raise typer.BadParameter(f"the broker takes texts of {limit} bytes at most", param_hint="--size")
    found: dict[str, Figures] = {}
    for one in [kind] if kind else Kind:
        followers = None if one is Kind.INGEST else clients
        with Progress() as progress:
            found[one.value] = measure(run, one.value, followers, msgs, progress)
        if not json:
            if len(found) == 1:
                out(_row(HEADS))
            out(_line(one.value, found[one.value]))
    if json:
        out(json_line("bench", url=run.url, size=size, **{name: asdict(figures) for name, figures in found.items()}))
    return _judge(found, max_p99)


def _line(name: str, figures: Figures) -> str:
    """A workload's figures, for people."""
    rates = [figures.messages_per_second, figures.deliveries_per_second]
    times = [figures.p50_ms, figures.p99_ms, figures.p99_9_ms]
    return _row(
        [
            name,
            f"{figures.clients:,}",
            f"{figures.messages:,}",
            *("-" if not rate else f"{rate:,.0f}" for rate in rates),
            *("-" if ms is None else f"{ms:,.2f}" for ms in times),
            "-" if figures.client_busy is None else f"{figures.client_busy:.0%}",
        ]
    )


def _row(cells: tuple[str, ...] | list[str]) -> str:
    first, *others = (f"{cell:>{width}}" for cell, width in zip(cells, COLUMNS, strict=True))
    return f"{first.strip():<{COLUMNS[0]}}{''.join(others)}"


def _judge(found: dict[str, Figures], max_p99: float | None) -> int:
    """Says what is not as it should be; gives the exit code."""
    from zchat.cli.output import say

    faults = [
        f"{name}: {one.lost:,} lost, {one.duplicated:,} duplicated"
        for name, one in found.items()
        if one.lost or one.duplicated
    ]
    slow = [
        f"{name} has {one.p99_ms:g} ms, {one.p99_ms - max_p99:g} ms more"
        for name, one in found.items()
        if max_p99 is not None and one.p99_ms is not None and not one.p99_ms <= max_p99
    ]
    if faults:
        say("; ".join(faults))
    if slow:
        say(f"p99 above {max_p99:g} ms: {'; '.join(slow)}")
    return FAILURE if faults or slow else OK
