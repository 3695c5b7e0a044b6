"""Options that several subcommands have."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from zchat.client.sync import Client

Url = Annotated[
    str | None,
    typer.Option(
        "--url", envvar="ZCHAT_URL", metavar="URL", help="The broker, or a link to it. [default: tcp://127.0.0.1:5555]"
    ),
]
Identity = Annotated[
    str | None,
    typer.Option("--identity", envvar="ZCHAT_IDENTITY", metavar="NAME", help="Which of your keys. [default: default]"),
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
Resume = Annotated[
    Path | None,
    typer.Option("--resume", metavar="FILE", help="Keep the place in FILE, and go on from there. One program a file."),
]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="The broker's folder. [default: zchat in your XDG data folder]"),
]


def data_folder(given: Path | None) -> Path:
    """The broker's folder: the one that was given, else `$XDG_DATA_HOME/zchat`, or `~/.local/share/zchat`.

    Raises:
        errors.DataUnusable: none was given, and there is no home folder.
    """
    if given is not None:
        return given
    base = os.environ.get("XDG_DATA_HOME", "")
    try:
        # The specification has relative ones ignored.
        return (Path(base) if base.startswith("/") else Path.home() / ".local" / "share") / "zchat"
    except RuntimeError:
        from zchat.errors import DataUnusable

        raise DataUnusable("there is no home folder to keep the log in: name one with --data DIR") from None


def visitor(
    url: str | None,
    patience: float,
    identity: str | None = None,
    *,
    name: str | None = None,
    person: bytes | None = None,
    resume: Path | None = None,
) -> Client:
    """A client that is in no room's roster."""
    from zchat.client.sync import connect

    if name is not None:
        person = own_person(name, url)
    return connect(url, name=name, person=person, identity=identity, resume=resume, timeout=patience)


def known_person(name: str | None, url: str | None) -> bytes | None:
    """The secret of who looks, if there is one: to read what is theirs takes no name in the broker. None where the
    user's key says it.
    """
    from zchat.client import identity
    from zchat.client.places import place
    from zchat.errors import NameInvalid

    if place(url).key is not None:
        return None
    try:
        return identity.known_person(name or login_name())
    except NameInvalid:
        return None


def own_person(name: str, url: str | None) -> bytes | None:
    """The secret that owns a name for this user; says so if none can be kept. None where the user's key owns it."""
    from zchat.cli.output import say
    from zchat.client import identity
    from zchat.client.places import place

    if place(url).key is not None:
        return None
    try:
        return identity.kept_person(name)
    except OSError as error:
        say(f"cannot keep what makes the name {name} yours ({error.strerror or error}): it is, until this ends")
        return os.urandom(identity.SIZE)


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
