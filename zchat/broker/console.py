"""The operator's prompt: what is typed on the broker's terminal, everybody reads; `exit` stops the broker.

A line that begins with a slash is an order, a word of `verbs.CONSOLE`; with two, a line that begins with one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from zchat import errors, grammar, verbs
from zchat.broker.inputs import Announce, Input, Ordered, Shutdown

LINE = 16 * 1024
"""Bytes of a line at most; what is beyond is a line of its own."""

GOODBYE = "the broker is shutting down"


@dataclass(slots=True)
class Console:
    """Lines from a descriptor.

    Args:
        fd: where the operator types; a pipe or a terminal.
        tell: takes lines for the operator, which it must make harmless.
        audit: gives the last lines of the audit log.

    Attributes:
        closed: whether its input has ended; that closes the console, not the broker.
    """

    fd: int
    tell: Callable[[list[str]], None]
    audit: Callable[[], list[str]]
    closed: bool = False
    _rest: bytes = field(default=b"", init=False)

    def usable(self) -> bool:
        """Whether it may be read now: a terminal only by the process group in its foreground."""
        if self.closed:
            return False
        if not os.isatty(self.fd):
            return True
        try:
            return os.tcgetpgrp(self.fd) == os.getpgrp()
        except OSError:
            return False

    def read(self) -> list[Input]:
        """What was typed; call it when there is something."""
        if not self.usable():
            return []
        try:
            data = os.read(self.fd, 4096)
        except BlockingIOError:
            return []
        except OSError:  # a terminal that is gone, or that went to the background this moment
            data = b""
        self.closed = not data
        self._rest += data or b"\n"
        *lines, self._rest = self._rest.split(b"\n")
        if len(self._rest) > LINE:
            lines, self._rest = [*lines, self._rest], b""
        found = [self._input(line) for line in lines if line.strip()]
        return [one for one in found if one is not None]

    def _input(self, line: bytes) -> Input | None:
        """What a line wants; None if it is done already."""
        text = line.decode(errors="replace").strip()[:LINE]
        if text.lower() in ("exit", "quit", "/exit", "/quit"):
            return Shutdown(GOODBYE)
        if text.startswith("//"):
            return Announce(text[1:])
        return self._order(text) if text.startswith("/") else Announce(text)

    def _order(self, text: str) -> Input | None:
        try:
            verb, given = grammar.typed(text, verbs.CONSOLE)
            if verb.name == "help":
                self.tell([*grammar.guide(verbs.CONSOLE, given.text), "anything else is said to everybody; exit stops"])
            elif verb.name == "audit":
                self.tell(self.audit())
            else:
                return Ordered(verb.name, given.name, given.seconds, given.text)
        except errors.UnknownWord as error:
            self.tell([str(error)])
        return None
