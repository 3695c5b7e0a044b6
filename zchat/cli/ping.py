"""`zchat ping`: round trips."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from zchat.cli.options import Identity, Json, Patience, Url, visitor


def command(
    count: Annotated[int, typer.Option("--count", min=1, metavar="N", help="How many.")] = 4,
    interval: Annotated[float, typer.Option("--interval", min=0.0, metavar="SECONDS", help="Between two.")] = 1.0,
    json: Json = False,
    url: Url = None,
    identity: Identity = None,
    connect_timeout: Patience = 5.0,
) -> None:
    """Round trip times to the broker."""
    from zchat.cli.output import json_line, out

    with visitor(url, connect_timeout, identity) as client:
        for number in range(1, count + 1):
            ms = client.ping() * 1000
            out(json_line("ping", n=number, ms=round(ms, 3)) if json else f"{client.address}: {number} {ms:.3f} ms")
            until = time.monotonic() + interval
            while number < count and (left := until - time.monotonic()) > 0:
                client.poll(left)
