"""The seam between the hub and what keeps its rooms.

Only the store numbers events. The hub plans a turn's `Work`; the store does it as one transaction and says the
`Outcome`. What the hub keeps of it is a cache.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from zchat.messages import Ack, Event, Message, Refused, Stamp


@dataclass(slots=True, frozen=True)
class NewRoom:
    """A room to be made if it is not there; `members` are the two persons of a private one."""

    room: str
    members: tuple[bytes, ...] = ()


@dataclass(slots=True, frozen=True)
class Append:
    """A message to be numbered and kept, with the send number that it uses up."""

    room: str
    client: bytes
    n: int
    ms: int
    name: str
    sender: bytes
    text: str
    action: bool


@dataclass(slots=True, frozen=True)
class Refusal:
    """A send that was refused for good, and the send number that it uses up."""

    client: bytes
    answer: Refused


@dataclass(slots=True, frozen=True)
class Greeting:
    """Who says hello: what is known of its sends is asked for, and whether its stamp can be vouched for."""

    client: bytes
    stamp: Stamp | None


@dataclass(slots=True)
class Work:
    """What a turn asks of the store. Sends of one client are in the order of their numbers."""

    rooms: list[NewRoom] = field(default_factory=list)
    sends: list[Append | Refusal] = field(default_factory=list)
    greetings: list[Greeting] = field(default_factory=list)


@dataclass(slots=True)
class ClientRecord:
    """What the store knows of a client's sends.

    Attributes:
        last: the highest send number used up, 0 if none.
        outcomes: how the last of them ended, by number; bounded by the store.
    """

    last: int = 0
    outcomes: dict[int, Ack | Refused] = field(default_factory=dict)


@dataclass(slots=True, frozen=True)
class Greeted:
    """The answer to a greeting."""

    record: ClientRecord
    vouched: bool


@dataclass(slots=True, frozen=True)
class Outcome:
    """What became of a turn's work.

    Attributes:
        sends: for each send of the work, in order, the event as it is kept; None for a refusal.
        greeted: for each greeting of the work, in order, the answer.
    """

    sends: list[Event | None]
    greeted: list[Greeted]


@dataclass(slots=True, frozen=True)
class RoomRecord:
    """A room that is kept: its last number, 0 if it has none."""

    room: str
    head: int
    members: tuple[bytes, ...] = ()


@dataclass(slots=True, frozen=True)
class Slice:
    """Events of a room, oldest first.

    Attributes:
        first: the number of the oldest event kept; head + 1 if none is.
        head: the number of the last.
    """

    first: int
    head: int
    events: tuple[Event, ...]


def weight(event: Event) -> int:
    """Bytes that an event takes in a frame, at most and nearly."""
    return 64 + len(event.name.encode()) + len(event.text.encode()) if isinstance(event, Message) else 64


class Store(Protocol):
    """What keeps the rooms. Used by one thread."""

    @property
    def stamp(self) -> Stamp:
        """The run that began when the store was opened, and its last turn."""

    def commit(self, work: Work) -> Outcome:
        """Does a turn's work, all of it or nothing: first the rooms, then the sends, then the greetings.

        Raises:
            errors.StoreUnavailable: nothing was kept; it may be tried again later.
        """

    def read(self, room: str, after: int, limit: int, size: int) -> Slice:
        """Events of a room with numbers above `after`: at most `limit`, and beyond the first no more than have a
        `weight` of `size` together. A room that is not there has none.

        Raises:
            errors.StoreUnavailable: it cannot be read now.
        """

    def rooms(self) -> list[RoomRecord]:
        """Every room that is kept."""

    def close(self) -> None:
        """Lets go of what is held; nothing may be called after it."""
