"""Lines out of a descriptor, without waiting for more than is there."""

from __future__ import annotations

import os

LONGEST = 1 << 20
"""Bytes of a line at most; what is beyond is a line of its own, and too long to be said anyway."""


class Lines:
    """Lines from a descriptor that something else watches.

    Attributes:
        fd: the descriptor.
        ended: whether its input is over; the last line needs no newline.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.ended = False
        self._rest = b""

    def read(self) -> list[str]:
        """The lines that are there; call it when there is something to read."""
        try:
            data = os.read(self.fd, 1 << 16)
        except BlockingIOError:
            return []
        except OSError:  # a terminal that is gone
            data = b""
        self.ended = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST or (self.ended and self._rest):
            lines, self._rest = [*lines, self._rest], b""
        return [line.removesuffix(b"\r").decode(errors="replace") for line in lines]
