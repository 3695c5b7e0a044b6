"""What happens to a hub, as values: the shell makes them, `Hub.handle` takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zchat.codec import Malformed
from zchat.messages import Request


@dataclass(slots=True, frozen=True)
class Now:
    """The time of a turn, as data.

    Attributes:
        clock: monotonic, in seconds: when things fall due.
        ms: milliseconds since 1970 UTC: only shown, never compared.
    """

    clock: float
    ms: int


@dataclass(slots=True, frozen=True)
class Received:
    """A frame of requests came from a peer."""

    peer: bytes
    requests: Sequence[Request | Malformed]


@dataclass(slots=True, frozen=True)
class FenceMoved:
    """A fence topic was subscribed (up), or the connection over which it was has ended."""

    fence: bytes
    k: int
    up: bool


@dataclass(slots=True, frozen=True)
class Gone:
    """A peer's connection ended."""

    peer: bytes


@dataclass(slots=True, frozen=True)
class Announce:
    """The operator says something to everybody."""

    text: str


@dataclass(slots=True, frozen=True)
class Shutdown:
    """The broker is about to stop."""

    text: str


Input = Received | FenceMoved | Gone | Announce | Shutdown
