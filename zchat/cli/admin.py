"""`zchat admin`: what those do who run a broker, or moderate all of it; its commands come from the table of verbs."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zchat import grammar, verbs
from zchat.cli.options import Identity, Json, Name, Patience, Url, visitor
from zchat.verbs import Kind, Rank, Verb

if TYPE_CHECKING:
    from zchat.client.sync import Client
    from zchat.messages import Acted

LIMIT = 50
"""Lines of the audit log that are shown where nothing else is asked for."""

MOST = 100_000
"""Of them at most: the newest are held until all of them are there."""

PAGE = 500
"""Lines asked for at a time."""


def command() -> None:
    """What those do who run a broker, or moderate all of it.

    The same orders are typed on the broker's own terminal, after a slash. For a single room: zchat do.
    """


# Orders and lists -----------------------------------------------------------------------------------------------------

_PLACES: dict[Kind, tuple[str, Any]] = {
    Kind.PERSON: ("whom", Annotated[str, typer.Argument(metavar="NAME", help="The person.", show_default=False)]),
    Kind.TIME: (
        "span",
        Annotated[str | None, typer.Option("--for", metavar="1h", help="For how long. [default: for good]")],
    ),
    Kind.REASON: ("words", Annotated[list[str] | None, typer.Argument(metavar="[REASON]...", show_default=False)]),
    Kind.TEXT: ("words", Annotated[list[str], typer.Argument(metavar="TEXT...", show_default=False)]),
}
"""What typer is told of an argument, by its kind: its name, and what it is."""


def _order(verb: Verb) -> Callable[..., None]:
    """The command that gives an order."""

    def run(
        url: str | None,
        identity: str | None,
        name: str | None,
        connect_timeout: float,
        whom: str = "",
        span: str | None = None,
        words: list[str] | None = None,
    ) -> None:
        from zchat.cli.acted import phrase
        from zchat.cli.output import say
        from zchat.messages import Acted, Admin, Done

        # Through the same door as what is typed elsewhere, so that the same is right and wrong.
        options = ["--for", span] if span is not None else []
        given = grammar.parse(verb, " ".join([whom, *options, *(words or [])]), before="zchat admin ")
        with visitor(url, connect_timeout, identity, name=name) as client:
            asked = partial(Admin, verb=verb.name, name=given.name, seconds=given.seconds, text=given.text)
            client.ask(asked, Done)
        say(phrase(Acted(0, 0, "you", b"", 0, verb.name, given.name, 0, given.seconds, given.text)))

    places = [_PLACES[arg.kind] for arg in verb.args]
    needed = [(name, kind, inspect.Parameter.empty) for name, kind in places[:1] if verb.args[0].needed]
    others = [(name, kind, None) for name, kind in places[len(needed) :]]
    return _shaped(run, verb, [*needed, *others], json=False)


def _list(verb: Verb) -> Callable[..., None]:
    """The command that prints a list."""

    def run(url: str | None, identity: str | None, name: str | None, connect_timeout: float, *, json: bool) -> None:
        from zchat.cli import rows

        with visitor(url, connect_timeout, identity, name=name) as client:
            rows.show(client, verb.name, json=json)

    return _shaped(run, verb, [], json=True)


def _shaped(
    run: Callable[..., None], verb: Verb, own: list[tuple[str, Any, Any]], *, json: bool
) -> Callable[..., None]:
    """Tells typer what a command takes.

    Args:
        own: names, kinds and defaults of its own arguments.
        json: whether it prints data.
    """
    both = [*own, *([("json", Json, False)] if json else [])]
    both += [("name", Name, None), ("url", Url, None), ("identity", Identity, None), ("connect_timeout", Patience, 5.0)]
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    places = [inspect.Parameter(name, kind, default=default, annotation=what) for name, what, default in both]
    run.__signature__ = inspect.Signature(places)  # type: ignore[attr-defined]
    run.__annotations__ = {place.name: place.annotation for place in places}
    run.__doc__ = f"{verb.does[0].upper()}{verb.does[1:]}."
    run.__name__ = verb.name
    return run


# The audit log --------------------------------------------------------------------------------------------------------


def audit(
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="1h|TIME", help="Only from then on: 90s, 15m, 1h, 2d, 1w, 09:30 or ISO 8601."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, max=MOST, metavar="N", help=f"The last N. [default: {LIMIT}]")
    ] = None,
    json: Json = False,
    name: Name = None,
    url: Url = None,
    identity: Identity = None,
    connect_timeout: Patience = 5.0,
) -> None:
    """The last of what was done: when, in which room or - for the whole broker, by whom, to whom, and why.

    With --since all since then.
    """
    from zchat.cli import acted
    from zchat.cli.output import out
    from zchat.cli.times import parse

    moment = 0 if since is None else int(parse(since).timestamp() * 1000)
    most = limit or (LIMIT if since is None else MOST)
    with visitor(url, connect_timeout, identity, name=name) as client:
        found = _audited(client, moment, most)
    for act in found:
        out(acted.acted_json(act.room, act) if json else acted.audit_line(act))


def _audited(client: Client, since: int, most: int) -> list[Acted]:
    """The newest lines of the audit log, oldest first.

    Args:
        since: only of that time or later, in milliseconds since 1970 UTC.
        most: how many at most.
    """
    from zchat import errors
    from zchat.messages import Page, Read

    try:
        until = client.ask(partial(Read, room=verbs.AUDIT, after=0, limit=1), Page).head
    except errors.NoSuchRoom:
        raise errors.NotAllowed("the audit log is for owners and moderators of the broker") from None
    found: list[Acted] = []
    while until > 0 and len(found) < most:
        after = max(until - PAGE, 0)
        page = client.acts(verbs.AUDIT, after, until)
        found = [act for act in page if act.ms >= since] + found
        if not page or page[0].ms < since:
            break
        until = after
    return found[-most:]


COMMANDS: dict[str, Callable[..., None]] = {
    **{name: _order(verb) for name, verb in verbs.ADMIN.items() if verb.rank > Rank.MEMBER},
    **{name: _list(verb) for name, verb in verbs.LISTS.items() if verb.rank > Rank.MEMBER},
    "audit": audit,
}
