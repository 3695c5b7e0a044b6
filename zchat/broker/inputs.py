"""What happens to a hub, as values: the shell makes them, `Hub.handle` takes them."""

from __future__ import annotations

from collections.abc import Sequence

from zchat.codec import Malformed
from zchat.messages import Request, Value

GOODBYE = "the broker is shutting down"
"""What everybody is told when it stops, where nothing else is said."""


class Now(Value, frozen=True):
    """The time of a turn, as data.

    Attributes:
        clock: monotonic, in seconds: when things fall due.
        ms: milliseconds since 1970 UTC: only shown, never compared.
    """

    clock: float
    ms: int


class Met(Value, frozen=True):
    """A peer came whose connection has shown that it has a key."""

    peer: bytes
    key: bytes


class Received(Value, frozen=True):
    """A frame of requests came from a peer."""

    peer: bytes
    requests: Sequence[Request | Malformed]


class FenceMoved(Value, frozen=True):
    """A fence topic was subscribed (up), or the connection over which it was has ended."""

    fence: bytes
    k: int
    up: bool


class Gone(Value, frozen=True):
    """A peer's connection ended."""

    peer: bytes


class Announce(Value, frozen=True):
    """The operator says something to everybody."""

    text: str


class Ordered(Value, frozen=True):
    """The operator gives an order at the console: a word of `verbs.ADMIN` or `verbs.LISTS`; see `messages.Admin`."""

    verb: str
    name: str = ""
    seconds: int = 0
    text: str = ""
    after: str = ""


class Shutdown(Value, frozen=True):
    """The broker is about to stop."""

    text: str


Input = Met | Received | FenceMoved | Gone | Announce | Ordered | Shutdown
