"""`zchat join`: a person in a room."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from zchat.cli.exits import OK, code_of
from zchat.cli.options import Identity, Name, Patience, Resume, Room, Url, own_person, said

if TYPE_CHECKING:
    from pathlib import Path

    from zchat.cli.chat import Chat
    from zchat.client.sync import Client

TAIL = 50
"""Messages of a room that are shown on a terminal to who was never in it."""

_LATE = 30.0
"""Seconds that the end of input waits for what is not acknowledged."""


def command(
    context: typer.Context,
    room: Annotated[
        str | None,
        typer.Argument(
            metavar="[ROOM|LINK|-]",
            help="The room to enter, or a link to it; - reads the link from stdin. [default: lobby]",
            show_default=False,
        ),
    ] = None,
    name: Name = None,
    room_option: Room = None,
    tail: Annotated[
        int | None,
        typer.Option("--tail", min=0, metavar="N", help="Show the last N first. [default: 50, in a pipe 0]"),
    ] = None,
    resume: Resume = None,
    url: Url = None,
    identity: Identity = None,
    connect_timeout: Patience = 5.0,
) -> int:
    """Joins a room: what you type is said, what others say is shown. /help shows the commands.

    On a terminal it begins with what you missed in the room; if you were never there, with its last messages. For a
    bot it begins with what is said next.
    With stdin not a terminal, lines mean the same, and at the end of input it leaves once all is acknowledged.
    A link is needed once: from then on the broker is known by its address, and you by your key.
    """
    from zchat.cli.chat import Chat
    from zchat.cli.output import say
    from zchat.client.places import place
    from zchat.links import is_link
    from zchat.messages import LOBBY
    from zchat.names import is_bot

    if room == "-" or (room is not None and is_link(room)):
        if said(context, "url"):
            raise typer.BadParameter("the link says where the broker is: leave it out", param_hint="--url")
        url, room = room if room != "-" else _read_link(), None
        room_option = room_option if said(context, "room_option") else None  # else the link says it
    if room is not None and said(context, "room_option") and room_option != room:
        raise typer.BadParameter(f"name one room to begin with, not both {room} and {room_option}")
    first = room or room_option or place(url).room or LOBBY
    on_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    client = _connect(url, name, identity, connect_timeout, resume, missed=on_terminal)
    with client:
        say(f"connected to {client.address} as {client.name}")
        if tail is None:  # bots begin with what is said next
            tail = TAIL if on_terminal and not is_bot(client.name or "") else 0
        chat = Chat(client, tail, waits=not on_terminal)
        if on_terminal:
            _on_terminal(chat, first)
        else:
            _in_pipe(chat, first)
        if client.session.ended is not None:
            raise client.session.ended
        if client.session.waiting:
            say(f"{client.session.waiting} messages were not acknowledged: they may be stored or not")
    say("disconnected")
    return OK if sys.stdin.isatty() or not chat.failures else code_of(chat.failures[-1])


def _read_link() -> str:
    """A link from the first line of stdin, of which nothing more is taken."""
    from zchat.address import BadAddress
    from zchat.links import LONGEST, is_link

    if sys.stdin.isatty():
        sys.stderr.write("Link: ")
        sys.stderr.flush()
    line = b""
    while not line.endswith(b"\n") and len(line) <= LONGEST and (more := os.read(sys.stdin.fileno(), 1)):
        line += more
    link = line.decode(errors="replace").strip()
    if not is_link(link):
        raise BadAddress("the first line of stdin is no link: it begins with zchat://")
    return link


def _connect(
    url: str | None, name: str | None, identity: str | None, patience: float, resume: Path | None, *, missed: bool
) -> Client:
    """Connects; on a terminal asks for a name that is missing, taken or none."""
    from zchat import errors
    from zchat.cli.output import say
    from zchat.client.sync import connect

    asks = sys.stdin.isatty()
    while True:
        if name is None:
            if not asks:
                raise errors.NameInvalid("whom to speak as? give --name or set ZCHAT_NAME")
            name = _ask_name()
        try:
            person = own_person(name, url)
            return connect(
                url, name=name, person=person, identity=identity, resume=resume, missed=missed, timeout=patience
            )
        except (errors.NameTaken, errors.NameInvalid) as error:
            if not asks:
                raise
            say(str(error))
            name = None


def _ask_name() -> str:
    while True:
        sys.stderr.write("Your name: ")
        sys.stderr.flush()
        line = sys.stdin.readline()
        if not line:
            raise typer.Abort
        if line.strip():
            return line.strip()


def _on_terminal(chat: Chat, room: str) -> None:
    from zchat.cli.terminal.screen import END, Screen
    from zchat.text import block, printable

    client = chat.client
    with Screen(sys.stdin.fileno(), sys.stdout.fileno(), "> ") as screen:
        screen.show(block(client.banner, ""))
        chat.enter(room)
        while not chat.over and client.session.ended is None:
            if client.poll(None, *screen.fds):
                for line in screen.read():
                    if line is END:
                        chat.over = True
                    else:
                        chat.typed(line)
            chat.settle()
            if chat.lines:
                screen.show_many([line.text for line in chat.lines])
                chat.lines.clear()
                client.handled()
            prompt = f"{printable(chat.room or '')[:20]}> "
            if prompt != screen.prompt:
                screen.prompt = prompt


def _in_pipe(chat: Chat, room: str) -> None:
    from zchat.cli.lines import Lines

    client, lines = chat.client, Lines(sys.stdin.fileno())
    _tell_banner(client.banner)
    chat.enter(room)
    deadline = None
    while client.session.ended is None:
        watched = () if chat.full or lines.ended or chat.over else (lines.fd,)
        if client.poll(None if deadline is None else 1.0, *watched):
            for line in lines.read():
                chat.typed(line)
        chat.settle()
        _print(chat)
        if chat.over or lines.ended:
            deadline = deadline or time.monotonic() + _LATE
            if chat.idle or time.monotonic() > deadline:
                return


def _tell_banner(banner: str) -> None:
    from zchat.text import block

    sys.stderr.write(f"{block(banner, '')}\n")
    sys.stderr.flush()


def _print(chat: Chat) -> None:
    from zchat.cli.output import out

    for line in chat.lines:
        if line.data:
            out(line.text)
        else:
            sys.stderr.write(f"{line.text}\n")
            sys.stderr.flush()
    chat.lines.clear()
    chat.client.handled()
