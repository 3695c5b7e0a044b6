"""Which peer is reached over which descriptor, what its address is, and how one is cut.

libzmq owns the descriptors: they are looked at through duplicates, never closed. One may be used again for another
connection, so the address is compared before anything is cut.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Connection:
    """One to the port for requests, over which something came.

    Attributes:
        fd: its descriptor.
        address: where it comes from, for the log.
        key: that it has shown; empty on plaintext.
        heard: bytes of what came over it, at least.
        ended: whether it is known to have ended: what comes in its peer's name may be of another one, which claims the
            same routing id.
    """

    fd: int
    address: str
    key: bytes = b""
    heard: int = 0
    ended: bool = False


@dataclass(slots=True)
class Connections:
    """The peers that sent something, by routing id and by descriptor."""

    _by_peer: dict[bytes, Connection] = field(default_factory=dict)
    _by_fd: dict[int, bytes] = field(default_factory=dict)
    _cut: set[bytes] = field(default_factory=set)
    _ended: list[bytes] = field(default_factory=list)

    def get(self, peer: bytes) -> Connection | None:
        """A peer's connection, if it sent something before."""
        return self._by_peer.get(peer)

    def add(self, peer: bytes, fd: int, key: bytes = b"") -> Connection:
        """A peer sent its first frame over a descriptor.

        Args:
            key: that the connection has shown.
        """
        self.ended(fd)  # whoever had it: the end was told before the first frame was read
        made = self._by_peer[peer] = Connection(fd, address_of(fd), key)
        self._by_fd[fd] = peer
        return made

    def at(self, fd: int) -> bytes | None:
        """The peer that is reached over a descriptor."""
        return self._by_fd.get(fd)

    def heard(self, fd: int) -> int:
        """Bytes of what came over a descriptor."""
        peer = self._by_fd.get(fd)
        return self._by_peer[peer].heard if peer is not None else 0

    def ended(self, fd: int) -> None:
        """The connection over that descriptor ended. What its peer sent before may still be read: it stays known
        until `take_ended`.
        """
        peer = self._by_fd.pop(fd, None)
        if peer is not None:
            self._by_peer[peer].ended = True
            self._ended.append(peer)

    def unreachable(self, peer: bytes) -> None:
        """A peer has no connection any more, though nobody said that it ended."""
        known = self._by_peer.get(peer)
        if known is not None and self._by_fd.get(known.fd) == peer:
            self.ended(known.fd)

    @property
    def ending(self) -> bool:
        """Whether there is something for `take_ended`."""
        return bool(self._ended)

    def take_ended(self) -> list[bytes]:
        """Whose connections ended; call it when everything that they sent has been read. They are forgotten."""
        ended, self._ended = self._ended, []
        for peer in ended:
            del self._by_peer[peer]
        self._cut.difference_update(ended)
        return ended

    def address(self, peer: bytes | None) -> str:
        """Where a peer connects from, for the log."""
        known = self._by_peer.get(peer) if peer is not None else None
        return known.address if known is not None else ""

    def cut(self, peer: bytes) -> None:
        """Ends a peer's connection, if it is still there."""
        known = self._by_peer.get(peer)
        if known is not None and self._by_fd.get(known.fd) == peer:
            self._cut.add(peer)
            cut(known.fd, known.address)

    def is_cut(self, peer: bytes) -> bool:
        """Whether a peer was cut: what it sent before is read only to be thrown away."""
        return peer in self._cut


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


def address_of(fd: int) -> str:
    """Where a connection comes from; empty if it is gone."""
    try:
        with socket.socket(fileno=os.dup(fd)) as copy:
            return _name(copy)
    except OSError:
        return ""


def _name(connected: socket.socket) -> str:
    host, port, *_ = connected.getpeername()
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
