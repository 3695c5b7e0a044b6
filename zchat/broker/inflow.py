"""Finds connections over which very much came that was never shown: a message of endless parts.

libzmq shows a message once its last part has come. What it holds until then shows nowhere but in the memory of the
process, and in what the kernel counted for the connection. So if the memory grew, connections are looked at: soon those
that have no session, which send little, and all of them at more.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Callable, Mapping

GROWTH = 8 * 1024 * 1024
"""Bytes by which the process has to grow before all connections are looked at."""

STRANGERS_GROWTH = 2 * 1024 * 1024
"""Bytes by which it has to grow before those are looked at that have no session."""

STRANGERS_LIMIT = 256 * 1024
"""Bytes that may have come without having been shown over a connection that has no session."""

_BYTES_RECEIVED = 128  # where it is in struct tcp_info of linux/tcp.h
_SIZE = _BYTES_RECEIVED + 8
_ESTABLISHED = 1  # of the states that its first byte tells


class _Level:
    """What has to be risen above by so many bytes."""

    def __init__(self, step: int, now: int) -> None:
        self._step = step
        self._least = now

    def passed(self, now: int) -> bool:
        """Whether it was; from then on, what is now counts."""
        if now < self._least + self._step:
            self._least = min(self._least, now)
            return False
        self._least = now
        return True


class Inflow:
    """Looks when the process has grown. Elsewhere than on Linux it finds nothing.

    Args:
        limit: bytes that may have come over one connection without having been shown.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC) if sys.platform == "linux" else -1
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._all = _Level(GROWTH, self._resident())
        self._strangers = _Level(STRANGERS_GROWTH, self._resident())

    def _resident(self) -> int:
        """Bytes of memory that the process has."""
        if self._statm < 0:
            return 0
        return int(os.pread(self._statm, 128, 0).split()[1]) * self._page

    def grew(self) -> bool:
        """Whether the process has grown since all connections were looked at last."""
        return self._all.passed(self._resident())

    def grew_little(self) -> bool:
        """Whether it has grown since those without a session were looked at last."""
        return self._strangers.passed(self._resident())

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
    info = _info(fd)
    return int(struct.unpack_from("=Q", info, _BYTES_RECEIVED)[0]) if len(info) >= _SIZE else 0


def is_over(fd: int) -> bool:
    """Whether a connection is established no more, though there is a descriptor; False if that is not to be had."""
    info = _info(fd)
    return bool(info) and info[0] != _ESTABLISHED


def _info(fd: int) -> bytes:
    """What the kernel tells of a connection; empty if that is not to be had."""
    if sys.platform != "linux":
        return b""
    try:
        looked = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=fd)
    except OSError:
        return b""
    try:
        return looked.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _SIZE)
    except OSError:
        return b""
    finally:
        looked.detach()  # it is libzmq's
