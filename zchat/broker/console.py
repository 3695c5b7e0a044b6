"""The operator's prompt: what is typed on the broker's terminal, everybody reads; `exit` stops the broker."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from zchat.broker.inputs import Announce, Input, Shutdown

LINE = 16 * 1024
"""Bytes of a line at most; what is beyond is a line of its own."""

GOODBYE = "the broker is shutting down"


@dataclass(slots=True)
class Console:
    """Lines from a descriptor.

    Args:
        fd: where the operator types; a pipe or a terminal.

    Attributes:
        closed: whether its input has ended; that closes the console, not the broker.
    """

    fd: int
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
        return [_input(line) for line in lines if line.strip()]


def _input(line: bytes) -> Input:
    text = line.decode(errors="replace").strip()
    return Shutdown(GOODBYE) if text.lower() in ("exit", "quit") else Announce(text[:LINE])
