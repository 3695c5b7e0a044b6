"""What a client knows of a room that it follows, or is about to. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from zchat.client.positions import HEAD, Begin, Stream
from zchat.messages import Event


@dataclass(slots=True, eq=False)
class Tail:
    """The last messages of a room when it was entered.

    Attributes:
        head: the number of the last event then, of a private room of the last that was told: the room goes on after
            it.
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
    """A room that is followed, or that is about to be. What happens in a public one comes over SUB; what happens in a
    private one comes over DEALER, whether the user is in it or not.

    Attributes:
        name: as the broker calls it: of a private room its id. Before that is known, as the user calls it.
        label: what the user hears it called.
        quiet: whether to be in it without being in its roster.
        private: whether it is a private one.
        inside: whether the user wants to be in it, as always in public ones.
        k: the fence that proves its subscription; 0 if it is not subscribed.
        q: the number of the join that is not answered yet.
        again: whether to join once more when it is.
        joined: whether the broker answered a join over this connection.
        entered: whether the user was told.
        renamed: whether the broker has called it otherwise than the user.
        names: who is in it, if that is told.
        begin: where to begin in it.
        began: the head of a private room where nothing else said where to begin; else None.
        tail: the last messages with which it begins, while they are still to come.
        caught_at: the number with which all that was missed has been told; None if nothing was missed.
        read_at: when to read what is missing; None if nothing is known to be.
    """

    name: str
    label: str
    quiet: bool = False
    private: bool = False
    inside: bool = True
    begin: Begin = HEAD
    began: int | None = None
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

    @property
    def nameless(self) -> bool:
        """Whether it is a private room whose id was not told yet."""
        return self.private and self.name == self.label

    @property
    def place(self) -> int | None:
        """Up to where the user has been told of everything; None while that is not known."""
        if self.private and self.tail is not None:
            return self.tail.head
        return self.stream.position
