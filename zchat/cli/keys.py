"""`zchat keys`: who you are, and which brokers you know."""

from __future__ import annotations

from typing import Annotated

import typer

from zchat.cli.exits import FAILURE, OK
from zchat.cli.options import Identity, Json, Patience, Url, visitor


def command() -> None:
    """Your keys, and the brokers that are known by theirs.

    A key is made when it is first needed, and kept in zchat in your XDG config folder, where nobody else may read it.
    Who copies it is you.
    """


def show(identity: Identity = None) -> None:
    """Prints the public key that brokers know you by. It is no secret."""
    from zchat.cli.output import out
    from zchat.client.keys import own_keys
    from zchat.links import key_text

    out(key_text(own_keys(identity).public))


def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="What you call it: --identity NAME uses it.", show_default=False)
    ],
) -> None:
    """Makes another key, and prints the public one: with it you are somebody else."""
    from zchat.cli.output import out
    from zchat.client.keys import new_keys
    from zchat.links import key_text

    out(key_text(new_keys(name).public))


def listed(json: Json = False) -> int:
    """Your keys: the name of each, and the public key. Exit code 1 if one of them cannot be used."""
    from zchat.cli.output import json_line, out, say
    from zchat.client.keys import list_keys
    from zchat.errors import KeyUnusable
    from zchat.links import key_text

    code = OK
    for name, key in list_keys().items():
        if isinstance(key, KeyUnusable):
            say(str(key))
            code = FAILURE
        else:
            out(json_line("key", name=name, key=key_text(key)) if json else f"{name}\t{key_text(key)}")
    return code


def link(url: Url = None, identity: Identity = None, connect_timeout: Patience = 5.0) -> None:
    """Prints a link that lets another of your devices in as you, once, within the hour. Give it to nobody."""
    from zchat.cli.output import out
    from zchat.text import printable

    with visitor(url, connect_timeout, identity) as client:
        out(printable(client.add_device()))


def forget(
    where: Annotated[str, typer.Argument(metavar="HOST:PORT", help="Of the broker.", show_default=False)],
) -> int:
    """Forgets the key of a broker, which may have another then. Exit code 1 if it was not known."""
    from zchat.address import parse
    from zchat.cli.output import say
    from zchat.client.keys import forget as forgotten

    if forgotten(parse(where)):
        return OK
    say(f"no broker is known at {parse(where)}")
    return FAILURE


COMMANDS = {"show": show, "new": new, "list": listed, "link": link, "forget": forget}
"""What `zchat keys` can do; see commands._built."""
