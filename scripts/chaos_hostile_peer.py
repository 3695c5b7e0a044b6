"""A hostile process's connections: many at once, of TCP alone, under one selector."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from scripts.chaos_hostile_fuzz import source


@dataclass(slots=True, eq=False)
class Peer:
    """A connection.

    Attributes:
        began: when it was made.
        ended: when the broker hung up; None while it did not.
        heard: bytes that came.
        due: when `drips` is to go on.
        drips: what is still to be sent, a byte a second.
        kind: what it is.
    """

    tcp: socket.socket
    kind: str
    began: float
    ended: float | None = None
    heard: int = 0
    due: float = 0.0
    drips: bytes = b""
    reply: Callable[[Peer], None] | None = None

    @property
    def open(self) -> bool:
        """Whether the broker has not hung up."""
        return self.ended is None

    def say(self, data: bytes) -> None:
        """Sends what goes into the buffers at once."""
        try:
            self.tcp.send(data)
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            pass


@dataclass(slots=True)
class Peers:
    """Many of them.

    Args:
        port: of requests; the next one publishes.
    """

    port: int
    random: Random
    all: list[Peer] = field(default_factory=list)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    def open(self, kind: str, xpub: bool = False, first: bytes = b"", drips: bytes = b"") -> Peer | None:
        """Connects; None if nobody takes it.

        Args:
            first: what is sent at once.
            drips: what is sent a byte a second.
        """
        tcp = socket.socket()
        try:
            tcp.bind(source(self.random))
            tcp.settimeout(2.0)
            tcp.connect(("127.0.0.1", self.port + xpub))
            tcp.settimeout(0.0)
        except OSError:
            tcp.close()
            return None
        now = time.monotonic()
        peer = Peer(tcp, kind, now, due=now + 1.0, drips=drips)
        peer.say(first)
        self._selector.register(tcp, selectors.EVENT_READ, peer)
        self.all.append(peer)
        return peer

    def look(self, wait: float) -> None:
        """Hears who was hung up on, and lets those drip that do."""
        for key, _ in self._selector.select(wait):
            peer: Peer = key.data
            try:
                data = peer.tcp.recv(1 << 16)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if data:
                peer.heard += len(data)
                if peer.reply is not None:
                    peer.reply(peer)
            else:
                self._end(peer)
        now = time.monotonic()
        for peer in self.all:
            if peer.drips and peer.open and now >= peer.due:
                peer.say(peer.drips[:1])
                peer.drips, peer.due = peer.drips[1:], now + 1.0

    def _end(self, peer: Peer) -> None:
        peer.ended = time.monotonic()
        self._selector.unregister(peer.tcp)
        peer.tcp.close()

    def forget_ended(self) -> int:
        """Drops those that were hung up on; says how many are left."""
        self.all = [one for one in self.all if one.open]
        return len(self.all)

    def close(self) -> None:
        """Hangs up on all."""
        for peer in self.all:
            if peer.open:
                self._end(peer)
