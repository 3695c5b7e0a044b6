"""What a client hears, as frozen values: what `Client.events` gives.

What comes by the thousand is a `Value`: a dataclass takes ten times as long to make. So is what holds no error: to
define a dataclass takes ten times as long as well, and every start of `zchat send` waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from zchat import messages
from zchat.errors import ZchatError
from zchat.messages import Message, Value


class Connected(Value, frozen=True):
    """The broker answered: at the start, and after every loss of the connection.

    Attributes:
        name: as it is shown; None for a visitor without one.
        banner: of the broker; not sanitised.
        again: whether there was a connection before.
    """

    name: str | None
    banner: str
    again: bool


class Disconnected(Value, frozen=True):
    """The connection is lost; the client tries to get it back by itself."""

    why: str


class Entered(Value, frozen=True):
    """A room was entered for the first time.

    Attributes:
        names: who is in it; empty for a crowd, of which only the count is told.
        topic, topic_by, topic_ms: what it is about, who said so, and when; see `messages.Joined`.
    """

    room: str
    names: tuple[str, ...]
    count: int
    topic: str = ""
    topic_by: str = ""
    topic_ms: int = 0


@dataclass(frozen=True, slots=True)
class NotEntered:
    """The broker refused a room; it is not followed."""

    room: str
    error: ZchatError


class Said(Value, frozen=True):
    """A message, in its place in the room.

    Attributes:
        room: the room; of a room of two `@` and the other's name, of another private one its name, with its `+`.
        message: what was said.
        mine: whether this very client said it.
        private: whether only its members can read it.
    """

    room: str
    message: Message
    mine: bool
    private: bool = False


class Edited(Value, frozen=True):
    """A message says something else from now on; see `Said`."""

    room: str
    edit: messages.Edited
    mine: bool
    private: bool = False


class Deleted(Value, frozen=True):
    """A message was taken back; see `Said`."""

    room: str
    deletion: messages.Deleted
    mine: bool
    private: bool = False


class Acted(Value, frozen=True):
    """Somebody did something in a room that is told to all who are in it; see `Said`."""

    room: str
    act: messages.Acted
    mine: bool
    private: bool = False


class Added(Value, frozen=True):
    """The person was let into a private room, or made it: what happens there is heard from now on."""

    room: str


class Removed(Value, frozen=True):
    """The person is in a room no longer, and nothing of it is heard any more. It is not joined again by itself.

    Attributes:
        verb: `kick`, `ban`, or `leave`: a private room was given up.
        name: who did it; empty if that is not known.
        seconds: how long a ban lasts, 0 for good.
        text: why; may be empty.
    """

    room: str
    verb: str
    name: str
    seconds: int = 0
    text: str = ""


class Missed(Value, frozen=True):
    """There is something in a room that came while we were away; it follows.

    Attributes:
        count: how many events.
    """

    room: str
    count: int


class UpToDate(Value, frozen=True):
    """All that was missed in a room has been told."""

    room: str


class Gap(Value, frozen=True):
    """Messages that can no longer be had.

    Attributes:
        first, last: their numbers; last is None where the broker's log began anew, so that nobody can tell.
    """

    room: str
    first: int
    last: int | None


@dataclass(frozen=True, slots=True)
class Presence:
    """A room's roster changed. Beyond the broker's limit of named members only the count is told."""

    room: str
    count: int
    joined: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()


class Notice(Value, frozen=True):
    """The operator speaks to everybody.

    Attributes:
        ms: milliseconds since 1970 UTC.
    """

    ms: int
    name: str
    text: str


class Closing(Value, frozen=True):
    """The broker says that it is shutting down."""

    text: str


class Sent(Value, frozen=True):
    """A message is stored.

    Attributes:
        ticket: what `send` returned.
        room: where; for a private message the id of its room.
        seq: its number there; 0 if it was stored before the connection was lost and the number is not known any more.
        ms: when, in milliseconds since 1970 UTC.
    """

    ticket: int
    room: str
    seq: int
    ms: int


@dataclass(frozen=True, slots=True)
class NotSent:
    """A message was refused for good, or (with errors.Unknown) it cannot be told whether it was stored."""

    ticket: int
    error: ZchatError


@dataclass(frozen=True, slots=True)
class Ended:
    """The session is over and does not come back."""

    error: ZchatError


Event = (
    Connected
    | Disconnected
    | Entered
    | NotEntered
    | Said
    | Edited
    | Deleted
    | Acted
    | Added
    | Removed
    | Missed
    | UpToDate
    | Gap
    | Presence
    | Notice
    | Closing
    | Sent
    | NotSent
    | Ended
)


def numbers(event: Event) -> tuple[int, int | None] | None:
    """The first and the last number in a room that an event stands for; None if it stands for none."""
    match event:
        case Said():
            return event.message.seq, event.message.seq
        case Edited():
            return event.edit.seq, event.edit.seq
        case Deleted():
            return event.deletion.seq, event.deletion.seq
        case Acted():
            return event.act.seq, event.act.seq
        case Gap():
            return event.first, event.last
    return None
