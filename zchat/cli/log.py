"""What was done in a room, out of its log: `zchat history` has only what was said."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from zchat.messages import Acted, Page, Read

if TYPE_CHECKING:
    from zchat.client.sync import Client


def acts(client: Client, room: str, after: int, until: int) -> list[Acted]:
    """What was done in a room between two numbers, oldest first.

    Args:
        after: only with higher numbers.
        until: and with no higher ones than this.
    """
    found: list[Acted] = []
    while after < until:
        page = client.ask(partial(Read, room=room, after=after, limit=until - after), Page)
        last = page.events[-1].seq if page.events else 0
        if last <= after:
            break
        after = last
        found += [event for event in page.events if isinstance(event, Acted) and event.seq <= until]
    return found
