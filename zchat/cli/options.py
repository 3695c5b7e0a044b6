"""Options that several subcommands have."""

from __future__ import annotations

import getpass
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zchat.cli.settings import Found
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
    typer.Option(
        "--connect-timeout",
        envvar="ZCHAT_CONNECT_TIMEOUT",
        min=0.0,
        metavar="SECONDS",
        help="How long to wait for the broker.",
    ),
]
Room = Annotated[
    str | None, typer.Option("--room", envvar="ZCHAT_ROOM", metavar="ROOM", help="The room to enter. [default: lobby]")
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


_SETTABLE = ("ZCHAT_URL", "ZCHAT_IDENTITY")
"""A command with an option that one of these may say takes what contexts and the client's configuration say, too."""


class ClientCommand(TyperCommand):
    """A command whose options need not be said each time: what else may say them, see `zchat.cli.settings`.

    Every command is made as one; those that neither connect nor use a key stay as they are.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        at = next((n for n, one in enumerate(self.params) if one.envvar in _SETTABLE), None)
        if at is not None:
            self.params.insert(
                at,
                TyperOption(
                    param_decls=["--context", _CONTEXT],
                    envvar="ZCHAT_CONTEXT",
                    metavar="CONTEXT",
                    help="Which of your contexts; - for none. [default: the one in use]",
                    show_envvar=True,
                ),
            )

    def invoke(self, ctx: Any) -> Any:
        if _CONTEXT in ctx.params:
            settle(ctx)
            del ctx.params[_CONTEXT]  # no command has such a parameter
        return super().invoke(ctx)


_CONTEXT = "context_name"


_SETTLED = "zchat.settings"


def settled(context: typer.Context) -> dict[str, Found]:
    """The settings as they hold for a command that runs, whichever of them it has itself."""
    found: dict[str, Found] = context.meta[_SETTLED]
    return found


def settle(context: typer.Context) -> None:
    """Puts what a context or the client's configuration says in the place of what no option and no variable says.

    Raises:
        errors.BadConfig: one of the files cannot be used, or there is no such context.
    """
    from zchat.cli.settings import SETTINGS, Origin

    context.meta[_SETTLED] = _settled(context)
    for key, found in settled(context).items():
        parameter = SETTINGS[key].parameter
        if parameter in context.params and found.origin in (Origin.CONTEXT, Origin.CONFIG):
            context.params[parameter] = found.value


def _settled(context: typer.Context) -> dict[str, Found]:
    from zchat.cli import stored
    from zchat.cli.settings import SETTINGS, decide

    flag: dict[str, Any] = {}
    environment: dict[str, Any] = {}
    for key, (parameter, variable, *_) in SETTINGS.items():
        if said(context, parameter):
            flag[key] = context.params[parameter]
        # An option that is given as the empty text says nothing, and hides the variable from click.
        environment[key] = context.params.get(parameter) if _from(context, parameter) else os.environ.get(variable)
    name = context.params.get(_CONTEXT)
    return decide(
        flag=flag,
        environment=environment,
        context=_context(name),
        config=stored.config(),
        named=bool(name) and said(context, _CONTEXT),
    )


def _context(name: str | None) -> Mapping[str, Any]:
    """What a context says: that one, or the one in use."""
    from zchat.cli.stored import contexts

    if name == "-":
        return {}
    found = contexts()
    name = name or found.used
    return {} if name is None else found.get(name)


def said(context: typer.Context, parameter: str) -> bool:
    """Whether the command line says it."""
    return getattr(context.get_parameter_source(parameter), "name", "") == "COMMANDLINE"


def _from(context: typer.Context, parameter: str) -> bool:
    return getattr(context.get_parameter_source(parameter), "name", "") == "ENVIRONMENT"


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
