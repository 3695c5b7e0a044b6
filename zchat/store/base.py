"""The seam between the hub and what keeps its rooms.

Only the store numbers events. The hub plans a turn's `Work`; the store does it as one transaction and says the
`Outcome`. What the hub keeps of it is a cache.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from msgspec import Struct, structs

from zchat.errors import QuotaReached
from zchat.messages import Ack, Acted, Deleted, Edited, Event, Message, Refused, Send, Stamp, Value

LOOKBACK = 200
"""How many of a room's last events are looked through for a person's last message."""


def is_private(room: str) -> bool:
    """Whether a room of that name is read by some alone: such a name is an id, which no other room can have."""
    return room.startswith("@")


@dataclass(slots=True, frozen=True)
class Member:
    """One of the two persons of a room of two, and the name that it was last known by."""

    person: bytes
    name: str


@dataclass(slots=True, frozen=True)
class NewRoom:
    """A room to be made if it is not there. A room of two has two members; if it is there, their names are noted.

    Attributes:
        founder: the person who makes it; empty for nobody. Of a room that is there it stays what it was.
    """

    room: str
    members: tuple[Member, ...] = ()
    founder: bytes = b""


class Append(Struct, frozen=True):
    """Messages of one client to be numbered and kept, one after the other, with the send numbers that they use up.

    Attributes:
        said: their sends, one at least, with consecutive numbers. Where they ask to be said is not looked at.
    """

    room: str
    client: bytes
    ms: int
    name: str
    sender: bytes
    person: bytes
    said: list[Send]

    @property
    def n(self) -> int:
        """The first number."""
        return self.said[0].n

    @property
    def last(self) -> int:
        """The last number."""
        return self.said[-1].n


class Amend(Struct, frozen=True):
    """A message of the person's own is edited or deleted, by an event that is numbered and kept.

    It is refused with `no-such-message`, which uses the send number up too, if the person did not write such a message
    or it is deleted. A deletion is kept whatever the quotas.

    Attributes:
        target: the message's number; 0 for the person's last that is not deleted, among the room's `LOOKBACK` last
            events.
        text: what it says from now on; None deletes it: its text and that of its edits become empty for good.
    """

    room: str
    client: bytes
    ms: int
    name: str
    sender: bytes
    person: bytes
    n: int
    target: int
    text: str | None

    @property
    def last(self) -> int:
        """The last number."""
        return self.n


class Deed(Struct, frozen=True):
    """Something done in a room, by an event that is numbered and kept. Quotas do not hold it up.

    Attributes:
        client: whose send number it uses up; empty for nobody's.
        act: as it is kept, but for its number in the room.
    """

    room: str
    client: bytes
    person: bytes
    act: Acted

    @property
    def n(self) -> int:
        """The number."""
        return self.act.n

    @property
    def last(self) -> int:
        """The last number."""
        return self.act.n

    @property
    def ms(self) -> int:
        """When it is done, milliseconds since 1970 UTC."""
        return self.act.ms


class Refusal(Struct, frozen=True):
    """A send that was refused for good, and the send number that it uses up."""

    client: bytes
    answer: Refused

    @property
    def n(self) -> int:
        """The number."""
        return self.answer.n

    @property
    def last(self) -> int:
        """The last number."""
        return self.answer.n


Sending = Append | Amend | Deed | Refusal


@dataclass(slots=True, frozen=True)
class Greeting:
    """Who says hello: what is known of its sends and read marks is asked for, and whether its stamp can be vouched
    for.
    """

    client: bytes
    stamp: Stamp | None
    person: bytes = b""


@dataclass(slots=True, frozen=True)
class ReadMark:
    """A person has read a room up to a number. It only rises."""

    person: bytes
    room: str
    seq: int


@dataclass(slots=True, frozen=True)
class KnownName:
    """Whose a name is.

    Attributes:
        key: what is the same for all forms of the name.
        name: as it is shown.
        until: if the person goes by another name now, when it gets free, in milliseconds since 1970 UTC; else 0.
        seen: when its person was here last, in milliseconds since 1970 UTC.
    """

    key: str
    name: str
    person: bytes
    until: int = 0
    seen: int = 0


class Account(Value, frozen=True, tag="account"):
    """A person who was let in.

    Attributes:
        role: `owner`, `moderator` or `member`.
        revoked: since when the person is not let in any more, in milliseconds since 1970 UTC; else 0.
        answers: of a bot the person who answers for it; else empty.
    """

    person: bytes
    role: str
    revoked: int = 0
    answers: bytes = b""


class Device(Value, frozen=True, tag="device"):
    """A key of 32 bytes, and whose it is."""

    key: bytes
    person: bytes


class Invite(Value, frozen=True, tag="invite"):
    """A link that lets somebody in. Its secret is not kept, only what follows from it.

    Attributes:
        id: what follows from its secret.
        room, role: see messages.Link.
        uses: how often it may still be used, one at least.
        ms: until when it holds, in milliseconds since 1970 UTC.
        by: who made it; empty for the broker itself.
        person: whose account gets another key by it; empty for a link that makes an account.
    """

    id: bytes
    room: str
    role: str
    uses: int
    ms: int
    by: bytes = b""
    person: bytes = b""


class Membership(Value, frozen=True, tag="member"):
    """Somebody belongs to a private room, or is a moderator of any.

    Attributes:
        room: its name; of a private one its id.
        role: `member` or `moderator`.
        ms: since when, in milliseconds since 1970 UTC.
    """

    room: str
    person: bytes
    role: str
    ms: int


class Sanction(Value, frozen=True, tag="sanction"):
    """Somebody is banned or muted.

    Attributes:
        room: where; empty for everywhere.
        verb: `ban` or `mute`.
        name: of the person, when it was done.
        until: milliseconds since 1970 UTC; 0 for good.
        by, ms: the name of who did it, and when.
        reason: why; may be empty.
    """

    room: str
    person: bytes
    verb: str
    name: str
    until: int
    by: str
    ms: int
    reason: str


class Terms(Value, frozen=True, tag="terms"):
    """How things are in a room.

    Attributes:
        room: its name; of a private one its id.
        title: what a private room is called, with its `+`; empty for another.
        topic, topic_by, topic_ms: what it is about, who said so, and when.
        readonly: whether only moderators may speak.
        slow: seconds between two messages of one person.
        pins: numbers of pinned messages, the last pinned last.
    """

    room: str
    title: str = ""
    topic: str = ""
    topic_by: str = ""
    topic_ms: int = 0
    readonly: bool = False
    slow: int = 0
    pins: tuple[int, ...] = ()

    def changed(self, **changes: object) -> Terms:
        """The same but for some fields."""
        return structs.replace(self, **changes)


class Block(Value, frozen=True, tag="block"):
    """A person takes nothing private from another."""

    person: bytes
    other: bytes


Record = Account | Device | Invite | Membership | Sanction | Terms | Block
"""What is kept of who may do what. One of each identity is kept: a new one replaces it."""


def identity(record: Record) -> tuple[str, bytes]:
    """What of a record is the same for all that replace one another: its kind, and whose or which it is."""
    match record:
        case Account():
            return "account", record.person
        case Device():
            return "device", record.key
        case Invite():
            return "invite", record.id
        case Membership():
            return "member", record.room.encode() + b"\0" + record.person
        case Sanction():
            return record.verb, record.room.encode() + b"\0" + record.person
        case Terms():
            return "terms", record.room.encode()
        case Block():
            # Persons are of different lengths, and of any bytes.
            return "block", bytes((len(record.person),)) + record.person + record.other


@dataclass(slots=True, frozen=True)
class Quotas:
    """How much is kept. What goes beyond is refused with `quota-reached`, which uses the send number up.

    Attributes:
        person: bytes of events of one author, as they are kept: encoded, without what a store adds.
        room: bytes of events of one room.
    """

    person: int = 1 << 62
    room: int = 1 << 62

    def refusal(self, n: int, person: int, room: int) -> Refused | None:
        """Why a send is not kept with which author and room would have so many bytes; None if it may be.

        Args:
            n: its number.
        """
        if person > self.person:
            return Refused(n, QuotaReached.code, _PERSON_FULL.format(self.person))
        if room > self.room:
            return Refused(n, QuotaReached.code, _ROOM_FULL.format(self.room))
        return None


_PERSON_FULL = (
    "the broker keeps {:,} bytes of what one person says: delete some of your messages, or ask the operator for more"
)
_ROOM_FULL = (
    "the broker keeps {:,} bytes of one room: have messages deleted in it, use another, or ask the operator for more"
)


@dataclass(slots=True)
class Work:
    """What a turn asks of the store. Sends of one client are in the order of their numbers.

    Attributes:
        freed: keys of names that are nobody's any more, unless `names` has them.
        dropped: what has the identity of one of these is no more, also if `records` has it.
    """

    rooms: list[NewRoom] = field(default_factory=list)
    sends: list[Sending] = field(default_factory=list)
    greetings: list[Greeting] = field(default_factory=list)
    marks: list[ReadMark] = field(default_factory=list)
    names: list[KnownName] = field(default_factory=list)
    freed: list[str] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    dropped: list[Record] = field(default_factory=list)

    @property
    def writes(self) -> bool:
        """Whether there is anything to be kept."""
        return bool(self.sends or self.rooms or self.marks or self.names or self.asides)

    @property
    def asides(self) -> bool:
        """Whether any of what is seldom in a turn is to be kept."""
        return bool(self.freed or self.records or self.dropped)


@dataclass(slots=True)
class ClientRecord:
    """What the store knows of a client's sends.

    Attributes:
        last: the highest send number used up, 0 if none.
        outcomes: how the last of them ended, with rising numbers. An ack may be that of several.
    """

    last: int = 0
    outcomes: list[Ack | Refused] = field(default_factory=list)

    def used(self, answer: Ack | Refused, window: int) -> None:
        """The next numbers are used up.

        Args:
            window: how many numbers are remembered at least.
        """
        outcomes = self.outcomes
        self.last = last_number(answer)
        outcomes.append(answer)
        while last_number(outcomes[0]) <= self.last - window:
            del outcomes[0]

    def outcome(self, n: int) -> Ack | Refused | None:
        """How the send of a number ended; None if that is not known any more."""
        index = bisect_right(self.outcomes, n, key=lambda answer: answer.n) - 1
        answer = self.outcomes[index] if index >= 0 else None
        if isinstance(answer, Ack):
            behind = n - answer.n
            return Ack(n, answer.room, answer.seq + behind, answer.ms) if behind < answer.count else None
        return answer if answer is not None and answer.n == n else None


@dataclass(slots=True, frozen=True)
class Greeted:
    """The answer to a greeting.

    Attributes:
        marks: the person's read marks, by room.
    """

    record: ClientRecord
    vouched: bool
    marks: dict[str, int] = field(default_factory=dict)


def last_number(answer: Ack | Refused) -> int:
    """The highest send number that an answer is about."""
    return answer.n + answer.count - 1 if isinstance(answer, Ack) else answer.n


class Kept(Struct, frozen=True):
    """Events of one room that were kept.

    Attributes:
        seq: the number of the first.
        events: one or more, in order, encoded as they go over the wire.
        full: whether more is kept of their author by now than `Quotas` say: a deed is kept nevertheless.
    """

    seq: int
    events: list[bytes]
    full: bool = False


@dataclass(slots=True, frozen=True)
class Outcome:
    """What became of a turn's work.

    Attributes:
        sends: for each send of the work, in order, what is kept of it, or why it is not, in the order of its numbers.
            Where only a part of the work could be done (see `store.apart`) some are missing, and may be tried again.
        greeted: for each greeting of the work, in order, the answer; None where it was not done.
    """

    sends: Sequence[Sequence[Kept | Refused]]
    greeted: Sequence[Greeted | None]


@dataclass(slots=True, frozen=True)
class RoomRecord:
    """A room that is kept.

    Attributes:
        head: its last number, 0 if it has none. It outlives what was dropped.
        first: the number of the oldest event kept; head + 1 if none is.
        ms: when it last spoke, milliseconds since 1970 UTC; 0 if it never did.
        founder: the person who made it; empty if nobody did.
        size: bytes of its events, as `Quotas` counts them. Not compared: of the same events a store may keep more.
    """

    room: str
    head: int
    members: tuple[Member, ...] = ()
    first: int = 1
    ms: int = 0
    founder: bytes = b""
    size: int = field(default=0, compare=False)


@dataclass(slots=True, frozen=True)
class Slice:
    """Events of a room, oldest first.

    Attributes:
        first: the number of the oldest event kept; head + 1 if none is.
        head: the number of the last.
        more: of history: whether events are kept beyond `edge`, within what was asked for.
        edge: of history: the last number that was looked at: the highest, or if the newest were asked for the lowest.
    """

    first: int
    head: int
    events: tuple[Event, ...]
    more: bool = False
    edge: int = 0


@dataclass(slots=True, frozen=True)
class Span:
    """Which messages of a room's history are wanted. See `messages.History`.

    Attributes:
        limit: messages at most.
        after: the oldest above this number; None for the newest.
        before: only below this number; 0 for no bound.
        since: only what was said at that time or later.
        size: weight of all messages together at most; one at least is given.
    """

    limit: int
    after: int | None = None
    before: int = 0
    since: int = 0
    size: int = 1 << 62


@dataclass(slots=True, frozen=True)
class Query:
    """What is searched for. See `messages.Search`.

    Attributes:
        words: each must be in the message; a word is its letters and digits, whatever their case and accents; what
            stands between them in one word must stand together.
        rooms: only in these; None for all public rooms, and `private` ones.
        private: private rooms that may be searched.
        name: only what was said under it; empty for any.
    """

    words: tuple[str, ...]
    rooms: tuple[str, ...] | None = None
    private: tuple[str, ...] = ()
    name: str = ""
    since: int = 0
    limit: int = 20


def weight(event: Event) -> int:
    """Bytes that an event takes in a frame, at most and nearly."""
    match event:
        case Message():
            return 80 + len(event.name.encode()) + len(event.text.encode())
        case Edited():
            return 80 + len(event.name.encode()) + len(event.text.encode())
        case Deleted():
            return 80 + len(event.name.encode())
        case Acted():
            texts = (event.name, event.verb, event.whom, event.text, event.room)
            return 80 + sum(len(text.encode()) for text in texts)
    return 64


class Store(Protocol):
    """What keeps the rooms. Used by one thread. Whatever it is asked, it may raise

    errors.StoreUnavailable: not now; nothing was kept, and it may be tried again later.
    errors.StoreFailed: it can no longer be relied on, and must be closed.
    """

    quotas: Quotas
    """May be changed at any time: what is kept stays, what is said from then on is measured by it."""

    @property
    def stamp(self) -> Stamp:
        """The run that began when the store was opened, and its last turn."""

    def commit(self, work: Work) -> Outcome:
        """Does a turn's work, all of it or nothing: rooms, sends, marks, names, records, and then the greetings.

        Raises:
            errors.StoreRejected: it cannot keep that, though it works; nothing was kept.
        """

    def read(self, room: str, after: int, limit: int, size: int) -> Slice:
        """Events of a room with numbers above `after`, as they were said, but for what was deleted: at most `limit`,
        and beyond the first no more than have a `weight` of `size` together. A room that is not there has none.
        """

    def history(self, room: str, span: Span) -> Slice:
        """Messages of a room as they are now: with their newest text, edits and deletions left out."""

    def search(self, query: Query) -> list[tuple[str, Message]]:
        """Messages as they are now, newest first, each with its room. Deleted ones are not found.

        Raises:
            errors.TooSlow: it took too long.
        """

    def rooms(self) -> list[RoomRecord]:
        """Every room that is kept."""

    def names(self) -> list[KnownName]:
        """Whose each name is; the one that was noted longest ago first."""

    def records(self) -> list[Record]:
        """Who may do what."""

    def retain(self, keep_days: float | None, keep_messages: int | None) -> None:
        """Keeps from now on what is not older, and so many events of each room; `tidy` drops the others.

        Args:
            keep_days: None for ever.
            keep_messages: None for as many as the store was made for.
        """

    def tidy(self, ms: int, *, idle: bool) -> float:
        """Does a little of what can wait: drops what is too old, indexes, writes back. Takes some milliseconds.

        Args:
            ms: the time, milliseconds since 1970 UTC.
            idle: whether nothing else is to be done.

        Returns:
            Seconds until there is more to do when idle: 0 for at once, infinite for nothing until the next commit.
        """

    def close(self) -> None:
        """Lets go of what is held; nothing may be called after it."""
