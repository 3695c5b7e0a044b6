"""The subcommands, as typer sees them. Only the one that is called is imported and built."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from zchat import __version__
from zchat.cli.options import ClientCommand

SUMMARIES = {
    "broker": "Runs a broker until exit, Ctrl-C or SIGTERM.",
    "join": "Joins a room: what you type is said, what others say is shown.",
    "send": "Says TEXT, or every line of stdin, in a room.",
    "tail": "Prints what is said in rooms, from now on.",
    "history": "Prints the last messages of a room as they are now.",
    "search": "Prints messages that hold all of WORDS, newest first.",
    "who": "Who is in a room, or here at all: a name a line.",
    "rooms": (
        "The rooms: name, people in it, the number of its last message, when that was, and how many you have not read."
    ),
    "link": "Makes a link that lets others in, and prints it.",
    "links": "The links that may still be used: id, role, room, uses left, until when, and who made it.",
    "revoke": "Has a link, or a person, let in no more.",
    "keys": "Your keys, and the brokers that are known by theirs.",
    "do": "Does something in a room: what moderators do, and everybody may.",
    "admin": "What those do who run a broker, or moderate all of it.",
    "ask": "Asks the broker for the day, date or time.",
    "ping": "Round trip times to the broker.",
    "top": "What goes on: rooms with people in them or just spoken in, the busiest first, with messages a second.",
    "doctor": "Looks at all that zchat needs here, and says what is wrong and what to do.",
    "bench": "Measures a broker: what it gets through, and how long a message takes.",
    "export": "Writes rooms as they are now, oldest message first.",
    "import": "Puts the messages of a file into their rooms.",
    "backup": "Copies all that a broker keeps into FILE; also while it runs.",
    "restore": "Puts a backup in the place of what a broker keeps.",
    "check": "Verifies all that a broker keeps; also while it runs.",
    "context": "Names for brokers, and for who you are there: --context NAME uses one, `use` makes it the usual one.",
    "config": "Your settings, and where they come from; a configuration for a broker.",
    "completion": "Prints what has a shell complete the commands of zchat, with its rooms and people.",
    "systemd": "Prints a unit that has systemd run the broker.",
}
"""The subcommands in the order of the help, and how the docstring of each begins."""


def module(name: str) -> str:
    """Where a subcommand is."""
    return "zchat.cli.import_" if name == "import" else f"zchat.cli.{name}"


class _Group(TyperGroup):
    """Knows of its commands no more than the help tells, until one is called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {name: TyperCommand(name, help=summary) for name, summary in SUMMARIES.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and _built(str(command.name)), rest


def _built(name: str) -> Any:
    found = import_module(module(name))
    only = typer.Typer(add_completion=False, rich_markup_mode=None)
    commands = getattr(found, "COMMANDS", None)
    if commands is None:
        settings = getattr(found, "SETTINGS", None)
        only.command(name, cls=ClientCommand, context_settings=settings)(found.command)
    else:  # has commands of its own
        only.callback(no_args_is_help=True)(found.command)
        for sub, command in commands.items():
            only.command(sub, cls=ClientCommand)(command)
    return typer.main.get_command(only)


app = typer.Typer(
    name="zchat",
    cls=_Group,
    help="Chat and pub/sub on ZeroMQ: numbered rooms, nothing missed, people and scripts as equals.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"zchat {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    pass
