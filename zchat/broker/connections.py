"""Which peer is reached over which descriptor, what its address is, and how one is cut."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field


@dataclass(slots=True)
class Connections:
    """The peers that sent something, by routing id and by descriptor.

    libzmq owns the descriptors: they are looked at through duplicates, never closed. One may be used again for
    another connection, so the address is compared before anything is cut.
    """

    _by_peer: dict[bytes, tuple[int, str]] = field(default_factory=dict)
    _by_fd: dict[int, bytes] = field(default_factory=dict)

    def __contains__(self, peer: bytes) -> bool:
        return peer in self._by_peer

    def add(self, peer: bytes, fd: int) -> None:
        """A peer sent its first frame over a descriptor."""
        self._by_peer[peer] = (fd, _address(fd))
        self._by_fd[fd] = peer

    def ended(self, fd: int) -> bytes | None:
        """A connection over that descriptor ended: whose it was, if it ever sent anything."""
        peer = self._by_fd.pop(fd, None)
        if peer is not None:
            del self._by_peer[peer]
        return peer

    def address(self, peer: bytes | None) -> str:
        """Where a peer connects from, for the log."""
        return self._by_peer[peer][1] if peer is not None and peer in self._by_peer else ""

    def cut(self, peer: bytes) -> None:
        """Ends a peer's connection, if it is still there."""
        if peer in self._by_peer:
            fd, address = self._by_peer[peer]
            cut(fd, address)


def cut(fd: int, address: str | None = None) -> str:
    """Shuts a connection of libzmq's down, in under a millisecond.

    Args:
        fd: the descriptor, from a frame's SRCFD.
        address: whom it must still belong to; None for whomever.

    Returns:
        Whose it was; empty if it was gone.
    """
    try:
        with socket.socket(fileno=os.dup(fd)) as copy:
            found = _name(copy)
            if address in (None, found):
                copy.shutdown(socket.SHUT_RDWR)
            return found
    except OSError:
        return ""


def _address(fd: int) -> str:
    try:
        with socket.socket(fileno=os.dup(fd)) as copy:
            return _name(copy)
    except OSError:
        return ""


def _name(connected: socket.socket) -> str:
    host, port, *_ = connected.getpeername()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
