"""`zchat history`: what was said in a room, as it is now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from zchat.cli.options import Identity, Json, Name, Patience, Url, known_person, visitor
from zchat.cli.times import Since

if TYPE_CHECKING:
    from datetime import datetime

    from zchat.client.sync import Client
    from zchat.messages import Message

LIMIT = 50
"""Messages that are shown where nothing else is asked for."""

MOST = 10_000
"""Messages that may be asked for, short of all: the newest are held until all of them are there."""


def command(
    room: Annotated[str, typer.Argument(metavar="ROOM", help="A room, or @NAME for a person.", show_default=False)],
    limit: Annotated[
        str | None,
        typer.Option("--limit", metavar="N|all", help=f"How many. [default: {LIMIT}; all with --since]"),
    ] = None,
    before: Annotated[
        int | None, typer.Option("--before", min=1, metavar="SEQ", help="The last ones before that number.")
    ] = None,
    after: Annotated[
        int | None, typer.Option("--after", min=0, metavar="SEQ", help="The first ones after that number.")
    ] = None,
    around: Annotated[
        int | None, typer.Option("--around", min=1, metavar="SEQ", help="Half before that number, half from it on.")
    ] = None,
    since: Since = None,
    json: Json = False,
    name: Name = None,
    url: Url = None,
    identity: Identity = None,
    connect_timeout: Patience = 5.0,
) -> None:
    """Prints the last messages of a room as they are now.

    The oldest of them first: edited ones with their newest text, deleted ones without. Private messages with @NAME are
    those of --name, ZCHAT_NAME, or your login name. With both --before and --after: what lies between.
    """
    from zchat.cli import output
    from zchat.cli.times import parse
    from zchat.client.events import Gap
    from zchat.messages import History, Page

    if around is not None and any(given is not None for given in (before, after, since)):
        raise typer.BadParameter("it stands alone: leave --before, --after and --since out", param_hint="--around")
    if around is not None and limit == "all":
        raise typer.BadParameter("it takes a number where --around is given", param_hint="--limit")
    if before is not None and after is not None and before - after < 2:
        raise typer.BadParameter(f"nothing lies after {after} and before {before}", param_hint="--before")
    wanted = _Wanted(
        _limit(limit, since),
        _number(before) or 0,
        _number(after),
        _number(around) or 0,
        None if since is None else parse(since),
    )
    with visitor(url, connect_timeout, identity, person=known_person(name, url)) as client:
        page = client.ask(partial(History, room=room, limit=1), Page)
        label = output.label(page.room, room)
        lowest, pages = _find(client, room, wanted, page.head)
        last = min(page.first, wanted.before or page.first) - 1
        if since is None and lowest <= last:
            gap = Gap(label, lowest, last)
            if json:  # for programs it is data, lest it be skipped silently
                output.out(output.gap_json(gap))
            else:
                output.say(output.gap_line(gap))
        for message in chain.from_iterable(pages):
            output.out(output.message_json(label, message) if json else output.history_line(message))


def _number(given: int | None) -> int | None:
    """A number as it fits into a request."""
    return None if given is None else min(given, 2**63 - 1)


def _limit(given: str | None, since: str | None) -> int | None:
    """How many messages; None for all."""
    if given is None:
        return LIMIT if since is None else None
    if given == "all":
        return None
    if not (given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= MOST and len(given) < 9):
        raise typer.BadParameter(f"{given!r} is neither a number from 1 to {MOST} nor all", param_hint="--limit")
    return int(given)


class _Wanted(NamedTuple):
    """What is asked for; see `command`."""

    limit: int | None
    before: int
    after: int | None
    around: int
    since: datetime | None


def _find(client: Client, room: str, wanted: _Wanted, head: int) -> tuple[int, Iterable[Sequence[Message]]]:
    """The lowest number that was asked for, and the messages, oldest first, page by page.

    Args:
        head: the room's last number: what comes after it now is left out where all are asked for.
    """
    if wanted.around:
        limit = wanted.limit or LIMIT
        return max(wanted.around - limit // 2, 1), [_around(client, room, wanted.around, limit)]
    if wanted.limit is None or wanted.after is not None:
        after, before = wanted.after or 0, wanted.before or head + 1
        return after + 1, client.pages(room, wanted.limit, after=after, before=before, since=wanted.since)
    found = client.history(room, wanted.limit, before=wanted.before, since=wanted.since)
    return found[0].seq if len(found) == wanted.limit else 1, [found]


def _around(client: Client, room: str, seq: int, limit: int) -> list[Message]:
    """Messages on both sides of a number; where one side has too few, more of the other."""
    older = client.history(room, limit // 2, before=seq)
    newer = client.history(room, limit - len(older), after=seq - 1)
    if len(newer) < limit - limit // 2:
        older = client.history(room, limit - len(newer), before=seq)
    return [*older, *newer]
