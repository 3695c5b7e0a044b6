"""Finds connections over which very much came that was never shown: a message of endless parts.

libzmq shows a message once its last part has come. What it holds until then shows nowhere but in the memory of the
process, and in what the kernel counted for the connection. So if the memory grew, all connections are looked at.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Callable, Mapping

GROWTH = 8 * 1024 * 1024
"""Bytes by which the process has to grow before connections are looked at."""

STRANGERS_LIMIT = 256 * 1024
"""Bytes that may have come without having been shown over a connection that has no session."""

_BYTES_RECEIVED = 128  # where it is in struct tcp_info of linux/tcp.h
_SIZE = _BYTES_RECEIVED + 8


class Inflow:
    """Looks when the process has grown. Elsewhere than on Linux it finds nothing.

    Args:
        limit: bytes that may have come over one connection without having been shown.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC) if sys.platform == "linux" else -1
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._least = self._resident()

    def _resident(self) -> int:
        """Bytes of memory that the process has."""
        if self._statm < 0:
            return 0
        return int(os.pread(self._statm, 128, 0).split()[1]) * self._page

    def grew(self) -> bool:
        """Whether the process has grown since connections were looked at last."""
        now = self._resident()
        if now < self._least + GROWTH:
            self._least = min(self._least, now)
            return False
        self._least = now
        return True

    def excessive(self, heard: Mapping[int, int], known: Callable[[int], bool]) -> list[int]:
        """Over which descriptors far more came than was shown.

        Args:
            heard: bytes that were shown, by descriptor.
            known: whether one has a session; others have hardly anything to say.
        """
        return [
            fd for fd, shown in heard.items() if _received(fd) - shown > (self.limit if known(fd) else STRANGERS_LIMIT)
        ]

    def close(self) -> None:
        """Looks no more."""
        if self._statm >= 0:
            os.close(self._statm)
            self._statm = -1


def _received(fd: int) -> int:
    """Bytes that came over a connection since it was made; 0 if that is not to be had."""
    try:
        looked = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=fd)
    except OSError:
        return 0
    try:
        info = looked.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SIZE)
    except OSError:
        return 0
    finally:
        looked.detach()  # it is libzmq's
    return int(struct.unpack_from("=Q", info, _BYTES_RECEIVED)[0]) if len(info) >= _SIZE else 0
