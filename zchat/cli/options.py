"""Options that several subcommands have."""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from zchat.client.sync import Client

Url = Annotated[
    str | None,
    typer.Option("--url", envvar="ZCHAT_URL", metavar="URL", help="The broker. [default: tcp://127.0.0.1:5555]"),
]
Name = Annotated[
    str | None,
    typer.Option("--name", envvar="ZCHAT_NAME", metavar="NAME", help="Whom to speak as."),
]
Patience = Annotated[
    float,
    typer.Option("--connect-timeout", min=0.0, metavar="SECONDS", help="How long to wait for the broker."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


def visitor(url: str | None, patience: float, *, name: str | None = None) -> Client:
    """A client that is in no room's roster."""
    from zchat.client.sync import connect

    return connect(url, name=name, person=None if name is None else own_person(name), timeout=patience)


def own_person(name: str) -> bytes:
    """The secret that owns a name for this user; says so if none can be kept."""
    import secrets

    from zchat.cli.output import say
    from zchat.client import identity

    try:
        return identity.kept_person(name)
    except OSError as error:
        say(f"cannot keep what makes the name {name} yours ({error.strerror or error}): it is, until this ends")
        return secrets.token_bytes(identity.SIZE)


def login_name() -> str:
    """The login name, for who gave no other.

    Raises:
        errors.NameInvalid: there is none.
    """
    from zchat.errors import NameInvalid

    try:
        return os.environ.get("ZCHAT_NAME") or getpass.getuser()
    except (OSError, KeyError):
        raise NameInvalid("nobody is logged in here: give --name or set ZCHAT_NAME") from None
