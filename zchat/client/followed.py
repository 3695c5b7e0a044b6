"""What a client knows of a room that it follows, or is about to. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from zchat.client.positions import HEAD, Begin, Stream
from zchat.messages import Event


@dataclass(slots=True, eq=False)
class Tail:
    """The last messages of a room when it was entered.

    Attributes:
        head: the number of the last event then: the room goes on after it.
        q: the number of the question for them; 0 while they are not asked for.
        until: the newest head that a join told.
        found: those that are there, without deleted ones.
    """

    head: int
    q: int = 0
    until: int = 0
    found: tuple[Event, ...] = ()


@dataclass(slots=True, eq=False)
class Followed:
    """A room that is followed, or that is about to be.

    Attributes:
        k: the fence that proves its subscription; 0 if it is not subscribed.
        q: the number of the join that is not answered yet.
        again: whether to join once more when it is.
        joined: whether the broker answered a join over this connection.
        entered: whether the user was told.
        renamed: whether the broker has called it otherwise than the user.
        names: who is in it, if that is told.
        begin: where to begin in it.
        tail: the last messages with which it begins, while they are still to come.
        caught_at: the number with which all that was missed has been told; None if nothing was missed.
        read_at: when to read what is missing; None if nothing is known to be.
    """

    name: str
    quiet: bool
    begin: Begin = HEAD
    tail: Tail | None = None
    caught_at: int | None = None
    stream: Stream = field(default_factory=Stream)
    k: int = 0
    q: int | None = None
    again: bool = False
    joined: bool = False
    entered: bool = False
    renamed: bool = False
    names: set[str] | None = None
    count: int = 0
    version: int = 0
    read_at: float | None = None


@dataclass(slots=True, eq=False)
class PrivateRoom:
    """A private room."""

    name: str
    peer: str
    stream: Stream
    caught_at: int | None = None
    read_at: float | None = None

    @property
    def label(self) -> str:
        return f"@{self.peer}"
