"""`zchat ask`: the classic questions."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from zchat.cli.exits import OK, code_of
from zchat.cli.options import Identity, Patience, Url, visitor

if TYPE_CHECKING:
    from zchat.client.sync import Client


def command(
    word: Annotated[str, typer.Argument(metavar="[day|date|time]", show_default=False)] = "",
    utc: Annotated[bool, typer.Option("--utc", help="In UTC instead of the broker's zone.")] = False,
    url: Url = None,
    identity: Identity = None,
    connect_timeout: Patience = 5.0,
) -> int:
    """Asks the broker for the day, date or time. Without a word it prompts until quit or exit."""
    from zchat.cli.output import out
    from zchat.text import printable

    with visitor(url, connect_timeout, identity) as client:
        if word:
            out(printable(client.day(word, utc=utc)))
            return OK
        return _prompt(client, utc=utc)


def _prompt(client: Client, *, utc: bool) -> int:
    """Answers line by line; gives the exit code: in a pipe an unknown word counts."""
    from zchat.cli.output import out, say
    from zchat.errors import UnknownWord
    from zchat.text import block, printable

    sys.stderr.write(f"{block(client.banner, '')}\n")
    code = OK
    while True:
        if sys.stdin.isatty():
            sys.stderr.write("day, date, time or quit> ")
            sys.stderr.flush()
        line = sys.stdin.readline()
        word = line.strip()
        if not line or word.lower() in ("quit", "exit"):
            return code
        if not word:
            continue
        try:
            out(printable(client.day(word, utc=utc)))
        except UnknownWord as error:
            say(f"{error}, quit")
            code = OK if sys.stdin.isatty() else code_of(error)
