"""`zchat context`: names for brokers, and for who one is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from zchat.cli.options import Json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zchat.cli.settings import Value

_Which = Annotated[str, typer.Argument(metavar="CONTEXT", help="Its name.", show_default=False)]


def command() -> None:
    """Names for brokers, and for who you are there: --context NAME uses one, `use` makes it the usual one.

    They are kept in contexts.toml in zchat in your XDG config folder. What options say goes before a context; so does
    the environment, unless --context names it; and a context goes before what zchat config set says.
    """


def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What you call it.", show_default=False)],
    url: Annotated[
        str, typer.Option("--url", metavar="URL|LINK", help="The broker. An invite is not kept.", show_default=False)
    ],
    identity: Annotated[str | None, typer.Option("--identity", metavar="NAME", help="Which of your keys.")] = None,
    speaker: Annotated[str | None, typer.Option("--name", metavar="NAME", help="Whom to speak as.")] = None,
    room: Annotated[str | None, typer.Option("--room", metavar="ROOM", help="The room that zchat join enters.")] = None,
    connect_timeout: Annotated[
        float | None,
        typer.Option("--connect-timeout", min=0.0, metavar="SECONDS", help="How long to wait for the broker."),
    ] = None,
    use: Annotated[bool, typer.Option("--use", help="Make it the usual one.")] = False,
) -> None:
    """Adds a context."""
    from zchat import links
    from zchat.cli.output import say
    from zchat.cli.stored import change_contexts, checked

    given = {"url": url, "identity": identity, "name": speaker, "room": room, "connect-timeout": connect_timeout}
    said = {key: checked(key, value) for key, value in given.items() if value is not None}
    change_contexts(add=(name, said), use=name if use else None)
    if links.is_link(url) and links.parse_link(url).invite is not None:
        say("the invite in that link was not kept: zchat join LINK comes in by it, once; then the context will do")


def use(
    name: Annotated[str, typer.Argument(metavar="CONTEXT|-", help="Its name; - for none.", show_default=False)],
) -> None:
    """Makes a context the usual one, or with - none."""
    from zchat.cli.stored import change_contexts

    if name == "-":
        change_contexts(use_none=True)
    else:
        change_contexts(use=name)


def listed(json: Json = False) -> None:
    """The contexts: * for the one in use or else -, name, broker, and whom you speak as there."""
    from zchat.cli.output import json_line, out
    from zchat.cli.stored import contexts
    from zchat.text import printable

    found = contexts()
    for name, said in sorted(found.all.items()):
        if json:
            out(json_line("context", context=name, used=name == found.used, **_fields(said)))
        else:
            cells = ("*" if name == found.used else "-", name, str(said.get("url", "-")), str(said.get("name", "-")))
            out("\t".join(map(printable, cells)))


def show(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[CONTEXT]", help="Its name. [default: the one in use]", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """What a context says: a setting a line, and after a tab its value."""
    from zchat.cli.output import json_line, out
    from zchat.cli.settings import shown
    from zchat.cli.stored import contexts
    from zchat.errors import BadConfig
    from zchat.text import printable

    found = contexts()
    name = name or found.used
    if name is None:
        raise BadConfig("no context is in use: zchat context use NAME, or name one here")
    said = found.get(name)
    if json:
        out(json_line("context", context=name, used=name == found.used, **_fields(said)))
        return
    for key, value in said.items():
        out(f"{key}\t{printable(shown(value))}")


def _fields(said: Mapping[str, Value]) -> dict[str, Value]:
    return {key.replace("-", "_"): value for key, value in said.items()}


def rm(name: _Which) -> None:
    """Removes a context. Keys, and what is known of brokers, stay."""
    from zchat.cli.stored import change_contexts

    change_contexts(remove=name)


COMMANDS = {"add": add, "use": use, "list": listed, "show": show, "rm": rm}
"""What `zchat context` can do; see commands._built."""
