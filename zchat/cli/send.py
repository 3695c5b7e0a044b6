"""`zchat send`: says something, from a command line or a pipe."""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING, Annotated

import typer

from zchat.cli.exits import OK, code_of
from zchat.cli.lines import Lines
from zchat.cli.options import Identity, Name, Patience, Url, login_name, visitor

if TYPE_CHECKING:
    from zchat.client.sync import Client


def command(
    room: Annotated[str, typer.Argument(metavar="ROOM", help="A room, or @NAME for a person.", show_default=False)],
    text: Annotated[list[str] | None, typer.Argument(metavar="[TEXT]...", show_default=False)] = None,
    name: Name = None,
    url: Url = None,
    identity: Identity = None,
    connect_timeout: Patience = 5.0,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.0, metavar="SECONDS", help="How long to wait for the last ack.")
    ] = 30.0,
) -> int:
    """Says TEXT, or every line of stdin, in a room. Ends with 0 when every line is stored."""
    with visitor(url, connect_timeout, identity, name=name or login_name()) as client:
        if text:
            client.send(room, " ".join(text), timeout=timeout)
            return OK
        return _Pipe(client, room).run(timeout)


class _Pipe:
    """Lines of stdin on their way into a room."""

    def __init__(self, client: Client, room: str) -> None:
        self._client = client
        self._room = room
        self._tickets: dict[int, int] = {}  # ticket: line
        self._read = 0
        self._stored = 0
        self._code = OK

    def run(self, timeout: float) -> int:
        """Sends until the end of input, and waits for what is not acknowledged; gives the exit code."""
        from zchat import errors

        lines = Lines(sys.stdin.fileno())
        backlog: deque[str] = deque()
        try:
            while backlog or not lines.ended:
                while backlog and self._client.session.sendable:
                    self._read += 1
                    self._tickets[self._client.post(self._room, backlog.popleft())] = self._read
                if backlog or lines.ended:
                    self._client.poll(1.0)
                elif self._client.poll(None, lines.fd):
                    backlog += lines.read()
                self._settle()
            late = errors.TimedOut("the broker did not acknowledge the rest in time")
            self._client.wait(lambda: True if self._settle() == 0 else None, timeout, late)
        except (errors.ZchatError, KeyboardInterrupt):
            self._tell()
            raise
        if self._stored < self._read:
            self._tell()
        return self._code

    def _settle(self) -> int:
        """Takes in what was answered; gives how many are not."""
        from zchat.cli.output import say
        from zchat.client.events import NotSent

        self._client.drain()
        for ticket, line in list(self._tickets.items()):
            outcome = self._client.outcome(ticket)
            if outcome is None:
                break  # they are answered in order
            del self._tickets[ticket]
            if isinstance(outcome, NotSent):
                say(f"line {line}: {outcome.error}")
                self._code = code_of(outcome.error)
            else:
                self._stored += 1
        return len(self._tickets)

    def _tell(self) -> None:
        from zchat.cli.output import say

        say(f"{self._stored} of {self._read} lines were stored")
