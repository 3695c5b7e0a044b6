"""What the hub wants done: the shell does it, in this order, after the turn's commit: publish, reply, cut."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field

from zchat.messages import Reply, State
from zchat.store.base import Invite, Store


class Level(enum.IntEnum):
    """How much a line of the log matters; the numbers are those of the logging module."""

    DEBUG = 10
    INFO = 20
    WARNING = 30


@dataclass(slots=True, frozen=True)
class Log:
    """A line for the operator. The shell adds the peer's address; names in it are not yet sanitised."""

    level: Level
    text: str
    peer: bytes | None = None


@dataclass(slots=True, frozen=True)
class Lookup:
    """Something to be looked up in the store for a peer.

    Attributes:
        q: the number of its request.
        answer: makes the answer; it may raise any `errors.Refusal`, and what the store raises.
    """

    peer: bytes
    q: int
    answer: Callable[[Store], Reply]


@dataclass(slots=True)
class Publication:
    """What goes to one room's topic this turn: its events are encoded already.

    Attributes:
        followers: sessions that follow the room.
    """

    followers: int = 0
    events: list[bytes] = field(default_factory=list)
    states: list[State] = field(default_factory=list)


@dataclass(slots=True)
class Effects:
    """Everything a turn leads to.

    Attributes:
        published: by room.
        replies: by peer, in order.
        told: events of private rooms in these, each as often as it goes to somebody.
        lookups: what is to be looked up and sent.
        cuts: peers whose connection is to be cut.
        shut: keys of which every connection to the PUB port is to be cut.
        over: peers that have no session any more, and for how many seconds their connection may last without.
        used: ids of links that somebody came in by.
        given: links of the broker's folder that are kept now.
        console: lines for the operator who gave an order at the console, not sanitised.
        log: lines for the operator.
    """

    published: dict[str, Publication] = field(default_factory=dict)
    replies: dict[bytes, list[Reply]] = field(default_factory=dict)
    told: int = 0
    lookups: list[Lookup] = field(default_factory=list)
    cuts: list[bytes] = field(default_factory=list)
    shut: list[bytes] = field(default_factory=list)
    over: list[tuple[bytes, float]] = field(default_factory=list)
    used: list[bytes] = field(default_factory=list)
    given: list[Invite] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    log: list[Log] = field(default_factory=list)

    def reply(self, peer: bytes | None, item: Reply) -> None:
        """Adds a reply, if there is anywhere to send it."""
        if peer is not None:
            self.replies.setdefault(peer, []).append(item)

    def publication(self, room: str, followers: int) -> Publication:
        """What goes to that room, to be added to."""
        found = self.published.get(room)
        if found is None:
            found = self.published[room] = Publication(followers)
        return found
