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
    _cut: set[bytes] = field(default_factory=set)
    _ended: list[bytes] = field(default_factory=list)

    def __contains__(self, peer: bytes) -> bool:
        return peer in self._by_peer

    def add(self, peer: bytes, fd: int) -> None:
        """A peer sent its first frame over a descriptor."""
        before = self._by_fd.pop(fd, None)
        if before is not None:  # its end was told before its first frame was read
            self._ended.append(before)
        self._by_peer[peer] = (fd, _address(fd))
        self._by_fd[fd] = peer

    def ended(self, fd: int) -> None:
        """The connection over that descriptor ended. What its peer sent before may still be read: it stays known
        until `take_ended`.
        """
        peer = self._by_fd.pop(fd, None)
        if peer is not None:
            self._ended.append(peer)

    def unreachable(self, peer: bytes) -> None:
        """A peer has no connection any more, though nobody said that it ended."""
        if peer in self._by_peer and self._by_fd.get(fd := self._by_peer[peer][0]) == peer:
            self.ended(fd)

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
        return self._by_peer[peer][1] if peer is not None and peer in self._by_peer else ""

    def cut(self, peer: bytes) -> None:
        """Ends a peer's connection, if it is still there."""
        if self._by_fd.get(fd := self._by_peer.get(peer, (-1, ""))[0]) == peer:
            self._cut.add(peer)
            cut(fd, self.address(peer))

    def is_cut(self, peer: bytes) -> bool:
        """Whether a peer was cut: what it sent before is read only to be thrown away."""
        return peer in self._cut


@dataclass(slots=True)
class Subscribers:
    """What the connections to the PUB port subscribe to, and whose they are, by descriptor.

    Args:
        limit: bytes of topics that one connection may subscribe to.
    """

    limit: int
    _bytes: dict[int, int] = field(default_factory=dict)
    _fences: dict[int, bytes] = field(default_factory=dict)
    _by_fence: dict[bytes, int] = field(default_factory=dict)
    _ended: set[int] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self._bytes)

    def subscribed(self, fd: int, size: int, *, fit: bool) -> bool:
        """Accounts for a subscription; says whether its connection must be cut.

        Args:
            size: of the topic in bytes.
            fit: whether it is a topic of this protocol.
        """
        taken = self._bytes.get(fd, 0)
        if taken > self.limit:
            return False  # cut already
        self._bytes[fd] = taken = taken + size if fit else self.limit + 1
        return taken > self.limit

    def unsubscribed(self, fd: int, size: int) -> None:
        """Accounts for the end of a subscription."""
        if 0 < self._bytes.get(fd, 0) <= self.limit:
            self._bytes[fd] = max(self._bytes[fd] - size, 0)

    def fenced(self, fd: int, fence: bytes) -> None:
        """A fence came over a connection, which so is its session's; one has one at a time."""
        before = self._fences.get(fd)
        if before is not None and self._by_fence.get(before) == fd:
            del self._by_fence[before]
        self._fences[fd] = fence
        self._by_fence[fence] = fd

    def ended(self, fd: int) -> None:
        """The connection over that descriptor ended. What it subscribed to before may still be read."""
        self._ended.add(fd)

    @property
    def ending(self) -> bool:
        """Whether there is something for `take_ended`."""
        return bool(self._ended)

    def take_ended(self) -> list[bytes]:
        """The fences of connections that ended, unless they came over another one since; call it when everything that
        was subscribed has been read. They are forgotten.
        """
        found = []
        for fd in self._ended:
            self._bytes.pop(fd, None)
            fence = self._fences.pop(fd, None)
            if fence is not None and self._by_fence.get(fence) == fd:
                del self._by_fence[fence]
                found.append(fence)
        self._ended.clear()
        return found


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
