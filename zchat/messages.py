"""Everything that is said on the wire, as frozen values.

On the wire each is a MessagePack array whose first element is its tag; fields follow in the order given here.
Fields may be added at
the end, never moved: a reader ignores what it does not know. `docs/PROTOCOL.md` is the contract, this file its
first source.

Requests carry a number chosen by the client as their first field, and the answer repeats it. Durable events carry
their sequence number as their first field, so that a reader can step over an event that it does not know.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from msgspec import Meta, Struct, structs

VERSION = 1
"""Protocol version, named in hello."""

DEFAULT_PORT = 5555

LATEST_MS = 253_402_300_799_999
"""The end of the year 9999 UTC: a later time cannot be shown."""

LOBBY = "lobby"
"""The room that is always there."""

Number = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""What every counter on the wire fits in."""

Secret = Annotated[bytes, Meta(min_length=16, max_length=32)]
"""128 to 256 random bits."""


class Value(Struct, frozen=True, array_like=True, gc=False):
    """Compared by content, never changed: so none can be part of a cycle, and the garbage collector need not look."""


class Stamp(Value, frozen=True):
    """Which moment of which life of a store a frame tells of.

    Attributes:
        run: random, new at every start of a store. Compared for equality only.
        turn: rises with every transaction of that run.
    """

    run: Annotated[bytes, Meta(min_length=8, max_length=16)]
    turn: Number


# Requests: client to broker, over DEALER ----------------------------------------------------------------------------


class Hello(Value, frozen=True, tag="hello"):
    """Opens, resumes or takes over a session. Nothing else is executed for a connection before it.

    Attributes:
        version: of the protocol.
        name: whom the session speaks as; None for one who only looks.
        person: who owns the name; a secret, never shown to others. Under CURVE it means nothing: there the key of the
            connection says who it is.
        client: whose send numbers these are; a secret, never shown to others.
        fence: random; the client subscribes to the topic made of it (see codec.fence_topic).
        resume: the token of the session to resume, if there was one.
        stamp: the newest stamp seen; None for a client that saw none.
        invite: the secret of a link, which lets the key of this connection in. Under CURVE only.
    """

    q: Number
    version: Number
    name: str | None
    person: Secret
    client: Secret
    fence: Secret
    resume: Secret | None = None
    stamp: Stamp | None = None
    invite: Secret | None = None


class Join(Value, frozen=True, tag="join"):
    """Enters a room, made if it is not there. Asking again is harmless and tells the head anew.

    Attributes:
        quiet: follow the room without being in its roster.
    """

    q: Number
    room: str
    quiet: bool = False


class Leave(Value, frozen=True, tag="leave"):
    q: Number
    room: str


class Send(Value, frozen=True, tag="send"):
    """Says something in a room, or to a person.

    Attributes:
        n: the client's send number: exactly one more than the last that was not refused retryably.
        room: a room, `+NAME` for a private one, `@NAME` for a person, or the id of a private room.
        text: up to the limit that welcome names, in bytes of UTF-8; newline and tab are the only control
            characters allowed.
        action: `/me`: said of oneself.
        reply: the number of the message that it answers; 0 for none.
    """

    n: Number
    room: str
    text: str
    action: bool = False
    reply: Number = 0


class Read(Value, frozen=True, tag="read"):
    """Asks for up to `limit` events of a room after a number, oldest first. One at a time."""

    q: Number
    room: str
    after: Number
    limit: Number


class Edit(Value, frozen=True, tag="edit"):
    """Says a message of one's own anew. Uses up a send number, as `send` does.

    Attributes:
        seq: the message's number; 0 for the person's last in that room.
        text: what it says from now on.
    """

    n: Number
    room: str
    seq: Number
    text: str


class Delete(Value, frozen=True, tag="delete"):
    """Takes a message of one's own back: its number stays, its text and that of its edits are gone. Uses up a send
    number.

    Attributes:
        seq: the message's number; 0 for the person's last in that room.
    """

    n: Number
    room: str
    seq: Number


class Act(Value, frozen=True, tag="act"):
    """Does something in a room that its members are told of. Uses up a send number, as `send` does. What there is to be
    done, by whom and with what stands in `verbs.ACTS`.

    Attributes:
        verb: what.
        room: a room, or `+NAME` for a private one.
        name: to whom, if to anybody.
        target: the message's number, if it is about one.
        seconds: for how long, 0 for good; with `slow` between two messages of one person.
        text: a topic, a reason, or a reaction.
        on: whether it is to be so, with `readonly`.
    """

    n: Number
    verb: str
    room: str
    name: str = ""
    target: Number = 0
    seconds: Number = 0
    text: str = ""
    on: bool = True


class History(Value, frozen=True, tag="history"):
    """Asks for messages as they are now: with their newest text, and without the edits and deletions that made it so.

    Attributes:
        limit: of messages.
        after: only what has a higher number; then the oldest of these are told.
        before: only what has a lower number, 0 for no bound; the newest of these are told, unless `after` is given.
        since: only what was said at that time or later: milliseconds since 1970 UTC.
    """

    q: Number
    room: str
    limit: Number = 50
    after: Number | None = None
    before: Number = 0
    since: Number = 0


class Search(Value, frozen=True, tag="search"):
    """Asks for messages that hold all of these words, newest first.

    Attributes:
        words: separated by spaces; none of them means anything but itself.
        room: only there; empty for all rooms that the person may read.
        name: only what was said under it.
        since: only what was said at that time or later: milliseconds since 1970 UTC.
    """

    q: Number
    words: str
    room: str = ""
    name: str = ""
    since: Number = 0
    limit: Number = 20


class Mark(Value, frozen=True, tag="mark"):
    """Says that the person has read a room up to a number. It only rises."""

    q: Number
    room: str
    seq: Number


class Who(Value, frozen=True, tag="who"):
    """Asks who is in a room, or with an empty room who is here at all; names after `after`, in order.

    Attributes:
        away: also who is not here now, with when they were. Only with an empty room.
    """

    q: Number
    room: str = ""
    after: str = ""
    away: bool = False


class Rooms(Value, frozen=True, tag="rooms"):
    """Asks which rooms there are; names after `after`, in order."""

    q: Number
    after: str = ""


class Nick(Value, frozen=True, tag="nick"):
    q: Number
    name: str


class Ask(Value, frozen=True, tag="ask"):
    """Asks for `day`, `date` or `time`, in the broker's zone or UTC."""

    q: Number
    word: str
    utc: bool = False


class Ping(Value, frozen=True, tag="ping"):
    q: Number


class Heartbeat(Value, frozen=True, tag="heartbeat"):
    """Says that the client is there; answered with the rooms that moved since the last one."""

    q: Number


class Bye(Value, frozen=True, tag="bye"):
    """Ends the session at once: its person leaves, and is not lost."""

    q: Number


class Link(Value, frozen=True, tag="link"):
    """Asks for a link that lets others in.

    Attributes:
        room: where it leads.
        uses: how many may come in by it, one at least.
        seconds: how long it holds.
        role: of who comes in by it: `member`, `moderator` or `owner`.
    """

    q: Number
    room: str = LOBBY
    uses: Number = 1
    seconds: Number = 7 * 86400
    role: str = "member"


class Device(Value, frozen=True, tag="device"):
    """Asks for a link that lets one more key in as this same person, once, within the hour."""

    q: Number


class Links(Value, frozen=True, tag="links"):
    """Asks which links may still be used; those after `after`, by their id."""

    q: Number
    after: str = ""


class Revoke(Value, frozen=True, tag="revoke"):
    """Has a link let nobody in any more, or a person: all keys of that person, at once.

    Attributes:
        link: its id, as `links` tells it; empty for a person.
        name: of the person; empty for a link.
        undo: lets the person in again.
    """

    q: Number
    link: str = ""
    name: str = ""
    undo: bool = False


class Admin(Value, frozen=True, tag="admin"):
    """Does something to the whole broker, or for oneself alone. What there is to be done and by whom stands in
    `verbs.ADMIN`.

    Attributes:
        verb: what.
        name: to whom, if to anybody.
        seconds: for how long, 0 for good.
        text: a reason, or what is to be announced.
    """

    q: Number
    verb: str
    name: str = ""
    seconds: Number = 0
    text: str = ""


class About(Value, frozen=True, tag="about"):
    """Asks how things are in a room."""

    q: Number
    room: str


class List(Value, frozen=True, tag="list"):
    """Asks for a list; rows after the key `after`, in order of their keys.

    Attributes:
        what: `bans`, of a room or with an empty room of the broker, with who is muted; of the broker: `rooms`,
            `people`, `sessions`; one's own `blocks` and `bots`.
    """

    q: Number
    what: str
    room: str = ""
    after: str = ""


class Bot(Value, frozen=True, tag="bot"):
    """Lets a key in as a bot for which this person answers.

    Attributes:
        key: 32 bytes, public.
        name: what it is called; the broker adds the mark of bots.
    """

    q: Number
    key: bytes
    name: str


Request = (
    Hello
    | Join
    | Leave
    | Send
    | Edit
    | Delete
    | Read
    | History
    | Search
    | Mark
    | Who
    | Rooms
    | Nick
    | Ask
    | Ping
    | Heartbeat
    | Bye
    | Link
    | Device
    | Links
    | Revoke
    | Act
    | Admin
    | About
    | List
    | Bot
)


Numbered = Send | Edit | Delete | Act
"""The requests whose number is a send number."""


def renumbered(request: Numbered, n: int) -> Numbered:
    """The same under another send number."""
    return structs.replace(request, n=n)


# Durable events: in a room's log, published to its members ----------------------------------------------------------


class Message(Value, frozen=True, tag="message"):
    """Something said.

    Attributes:
        seq: its number in the room, from 1, dense.
        ms: when the broker took it, milliseconds since 1970 UTC; for display, never for order.
        name: whom it was said as.
        sender: which client said it: 8 bytes, public; with `n` it tells a client its own.
        n: that client's send number.
        edited: where history shows its newest text: the number of the last edit, 0 if there is none.
        deleted: the number of the deletion that left the text empty, 0 if there is none.
        reply: the number of the message that it answers, 0 if it answers none.
    """

    seq: Number
    ms: Number
    name: str
    sender: bytes
    n: Number
    text: str
    action: bool = False
    edited: Number = 0
    deleted: Number = 0
    reply: Number = 0

    @property
    def time(self) -> datetime:
        """When the broker took it, in UTC."""
        return datetime.fromtimestamp(min(self.ms, LATEST_MS) / 1000, UTC)


class Edited(Value, frozen=True, tag="edited"):
    """A message says something else from now on.

    Attributes:
        target: its number.
        text: what it says; empty once the message is deleted.
    """

    seq: Number
    ms: Number
    name: str
    sender: bytes
    n: Number
    target: Number
    text: str


class Deleted(Value, frozen=True, tag="deleted"):
    """A message was taken back.

    Attributes:
        target: its number.
    """

    seq: Number
    ms: Number
    name: str
    sender: bytes
    n: Number
    target: Number


class Acted(Value, frozen=True, tag="acted"):
    """Somebody did something in the room; see `Act`.

    Attributes:
        name: who did it.
        whom: to whom, if to anybody.
        room: in the log of what was done in all rooms: where, as that is called; else empty.
    """

    seq: Number
    ms: Number
    name: str
    sender: bytes
    n: Number
    verb: str
    whom: str = ""
    target: Number = 0
    seconds: Number = 0
    text: str = ""
    on: bool = True
    room: str = ""


class Unreadable(Value, frozen=True, tag="?"):
    """Stands in a reader for an event that its version does not know. Never sent."""

    seq: Number


Event = Message | Edited | Deleted | Acted | Unreadable


# States: published to a room's members, not kept --------------------------------------------------------------------


class Presence(Value, frozen=True, tag="presence"):
    """A room's roster changed.

    Attributes:
        version: of the roster, rising by one with every presence; a reader that missed one asks who.
        count: people in the room now.
        joined, left, lost: names; all empty beyond the broker's limit of named members, when only the count is told.
        renamed: pairs of the old and the new name.
    """

    version: Number
    count: Number
    joined: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()


class Head(Value, frozen=True, tag="head"):
    """The number of a room's last event, said once more when the room goes quiet, so that a lost tail is noticed."""

    seq: Number


State = Presence | Head


class Published(Value, frozen=True):
    """What a PUB frame holds after its topic."""

    stamp: Stamp
    events: tuple[Event, ...]
    states: tuple[State, ...]


# Replies: broker to client, over ROUTER -----------------------------------------------------------------------------


class PrivateRoom(Value, frozen=True):
    """A private room: of two, or of those who were invited.

    Attributes:
        room: its id.
        label: what this person calls it: `@NAME` after the other of two, `+NAME` if it has a name.
        head: the number of its last event.
        mark: up to where this person has read it.
    """

    room: str
    label: str
    head: Number
    mark: Number = 0


class Welcome(Value, frozen=True, tag="welcome"):
    """The answer to hello.

    Attributes:
        session: the secret with which a later hello resumes this session.
        sender: this client's public id, as its messages carry it.
        name: as it will be shown; None for a visitor without one.
        pub_port: of the PUB socket, at the host that was dialled.
        credit: unanswered requests allowed.
        text_limit: bytes of UTF-8 in one message.
        heartbeat: seconds between heartbeats.
        last: the last send number that the store knows of this client.
        vouched: whether the store vouches for the stamp that hello named; if not, numbers may have been used again.
        resumed: whether this is the session of before, its rooms joined still.
        private: this person's private rooms.
        role: under CURVE what this person may do: `owner`, `moderator` or `member`; else empty.
    """

    q: Number
    session: bytes
    sender: bytes
    name: str | None
    pub_port: Number
    credit: Number
    text_limit: Number
    heartbeat: float
    last: Number
    vouched: bool
    resumed: bool
    banner: str = ""
    private: tuple[PrivateRoom, ...] = ()
    role: str = ""


class Fenced(Value, frozen=True, tag="fenced"):
    """The k-th fence topic is subscribed, and so is everything that was subscribed before it."""

    k: Number


class Unfenced(Value, frozen=True, tag="unfenced"):
    """The connection over which the last fence came has ended: what was published since may be missing."""


class Joined(Value, frozen=True, tag="joined"):
    """The answer to join.

    Attributes:
        room: the room's canonical name, of a private one its id. Where a public one is not the one asked for, the
            client follows that topic instead, and joins again.
        head: the number of its last event, 0 if it has none.
        version, count, names: its roster; names are left out beyond the broker's limit of named members.
        mark: up to where this person has read it; None for one who never marked it.
        topic: of the room; empty if it has none.
        topic_by, topic_ms: who set it, and when: milliseconds since 1970 UTC.
    """

    q: Number
    room: str
    head: Number
    version: Number
    count: Number
    names: tuple[str, ...]
    mark: Number | None = None
    topic: str = ""
    topic_by: str = ""
    topic_ms: Number = 0


class Done(Value, frozen=True, tag="done"):
    """The answer to leave, mark, revoke, admin and bye."""

    q: Number


class Named(Value, frozen=True, tag="named"):
    """The answer to nick and bot: the name as it will be shown."""

    q: Number
    name: str


class Ack(Value, frozen=True, tag="ack"):
    """Sends are stored: that of a number, and as many as follow it.

    Attributes:
        room: where: the canonical name, or a private room's id.
        seq: its number there, that of the next send being the next. 0 for a repeat whose number is no longer at hand;
            the message's own copy carries it.
        count: how many sends, one at least.
    """

    n: Number
    room: str
    seq: Number
    ms: Number
    count: Number = 1


class Refused(Value, frozen=True, tag="refused"):
    """A send is not stored.

    Attributes:
        expected: with `out-of-order` the number that was expected.
        retry_ms: how long to wait before a retry, where one may succeed.
    """

    n: Number
    code: str
    detail: str
    expected: Number = 0
    retry_ms: Number = 0


class Failed(Value, frozen=True, tag="failed"):
    """Another request was refused. q is 0 where the request could not be read.

    Attributes:
        retry_ms: how long to wait before a retry, where one may succeed.
    """

    q: Number
    code: str
    detail: str
    retry_ms: Number = 0


class Page(Value, frozen=True, tag="page"):
    """The answer to read and history.

    Attributes:
        first: the number of the oldest event kept; what lies before it can no longer be had.
        head: the number of the last.
        more: for history: whether what lies beyond `edge` may hold more of what was asked for.
        edge: for history: the last number that was looked at. Ask on with it as `after`, or as `before`.
    """

    q: Number
    room: str
    first: Number
    head: Number
    events: tuple[Event, ...]
    more: bool = False
    edge: Number = 0


class Hit(Value, frozen=True):
    """A message that was searched for.

    Attributes:
        room: where; a private room's id.
        label: what this person calls it if it is private, else empty; see `PrivateRoom`.
    """

    room: str
    label: str
    message: Message


class Found(Value, frozen=True, tag="found"):
    """The answer to search: newest first."""

    q: Number
    hits: tuple[Hit, ...]


class People(Value, frozen=True, tag="people"):
    """The answer to who. `more`: ask on after the last name.

    Attributes:
        seen: if it was asked who is away as well: for each name when that person was here last, milliseconds since 1970
            UTC, and 0 for who is here now.
    """

    q: Number
    room: str
    version: Number
    count: Number
    names: tuple[str, ...]
    more: bool
    seen: tuple[Number, ...] = ()


class RoomInfo(Value, frozen=True):
    """A room, as a list of rooms has it.

    Attributes:
        room: its name; of a private one what this person calls it, see `PrivateRoom`.
        ms: when it last spoke, milliseconds since 1970 UTC; 0 if it never did.
        unread: events beyond the person's mark; None where the person has none.
    """

    room: str
    people: Number
    head: Number
    ms: Number = 0
    unread: Number | None = None


class RoomList(Value, frozen=True, tag="roomlist"):
    """The answer to rooms. `more`: ask on after the last name."""

    q: Number
    rooms: tuple[RoomInfo, ...]
    more: bool


class Linked(Value, frozen=True, tag="linked"):
    """The answer to link and device: `zchat://HOST:PORT/ROOM?key=KEY&invite=SECRET`."""

    q: Number
    link: str


class LinkInfo(Value, frozen=True):
    """A link that may still be used. Its secret is not kept.

    Attributes:
        id: what revokes it.
        uses: how many may still come in by it.
        ms: until when it holds, milliseconds since 1970 UTC.
        by: who made it; empty for the broker itself.
        device: whether it adds a key to the person who made it.
    """

    id: str
    room: str
    role: str
    uses: Number
    ms: Number
    by: str
    device: bool = False


class LinkList(Value, frozen=True, tag="linklist"):
    """The answer to links. `more`: ask on after the last id."""

    q: Number
    links: tuple[LinkInfo, ...]
    more: bool


class Told(Value, frozen=True, tag="told"):
    """The answer to ask."""

    q: Number
    text: str


class Pong(Value, frozen=True, tag="pong"):
    q: Number


class Moved(Value, frozen=True):
    """A room whose head or roster changed since the last heartbeat."""

    room: str
    head: Number
    version: Number


class Beat(Value, frozen=True, tag="beat"):
    """The answer to heartbeat. `interval`: seconds until the next."""

    q: Number
    interval: float
    moved: tuple[Moved, ...]


class Private(Value, frozen=True, tag="private"):
    """Events and states of a private room, as `Published` has them of others; see `PrivateRoom`."""

    room: str
    label: str
    events: tuple[Event, ...]
    states: tuple[State, ...] = ()


class Added(Value, frozen=True, tag="added"):
    """A private room is this person's from now on; see `PrivateRoom`."""

    room: str
    label: str
    head: Number


class Removed(Value, frozen=True, tag="removed"):
    """This person is in a room no longer, by somebody's doing or its own.

    Attributes:
        room: its canonical name; of a private one its id.
        verb: `kick`, `ban` or `leave`.
        name: who did it.
        seconds: how long a ban lasts, 0 for good.
        text: why.
    """

    room: str
    verb: str
    name: str = ""
    seconds: Number = 0
    text: str = ""


class RoomState(Value, frozen=True, tag="roomstate"):
    """The answer to about.

    Attributes:
        room: as this person calls it.
        topic, topic_by, topic_ms: see `Joined`.
        founder: the name of who made it; empty if nobody knows.
        moderators: names.
        members: names of those who belong to it, of a private room.
        readonly: whether only moderators may speak in it.
        slow: seconds between two messages of one person.
        pins: the numbers of pinned messages, the last pinned last.
        rank: what this person is in it; see `verbs.Rank`.
    """

    q: Number
    room: str
    topic: str = ""
    topic_by: str = ""
    topic_ms: Number = 0
    founder: str = ""
    moderators: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    readonly: bool = False
    slow: Number = 0
    pins: tuple[Number, ...] = ()
    rank: Number = 1


class BanRow(Value, frozen=True, tag="ban"):
    """Somebody who was banned or muted.

    Attributes:
        key: what it is sorted by.
        verb: `ban` or `mute`.
        until: milliseconds since 1970 UTC; 0 for good.
        by, ms: who did it, and when.
        reason: why.
    """

    key: str
    name: str
    verb: str
    until: Number
    by: str
    ms: Number
    reason: str


class PersonRow(Value, frozen=True, tag="person"):
    """Somebody whom the broker knows.

    Attributes:
        key: the name, by which it is sorted.
        role: with the broker: `owner`, `moderator` or `member`; empty on plaintext.
        sessions: how many are here now.
        seen: when one was here last, milliseconds since 1970 UTC.
        answers: of a bot the name of who answers for it.
    """

    key: str
    role: str
    sessions: Number
    seen: Number
    answers: str = ""


class SessionRow(Value, frozen=True, tag="session"):
    """A program that is connected, or was a moment ago.

    Attributes:
        key: what it is sorted by.
        name: whom it speaks as; empty for a visitor.
        rooms: how many it follows.
        here: whether it is connected.
        ms: since when it has its session, milliseconds since 1970 UTC.
        fingerprint: of the key of its connection; empty on plaintext.
    """

    key: str
    name: str
    rooms: Number
    here: bool
    ms: Number
    fingerprint: str = ""


class RoomRow(Value, frozen=True, tag="room"):
    """A room.

    Attributes:
        key: its name, by which it is sorted; of a private one its id.
        label: its name.
        people: who is in it now.
        members: of a private one how many belong to it.
        head: the number of its last event; ms: when that was.
        founder: the name of who made it; empty if nobody knows.
    """

    key: str
    label: str
    people: Number
    members: Number
    head: Number
    ms: Number
    founder: str


class NameRow(Value, frozen=True, tag="name"):
    """A name: of who is blocked, or of a bot."""

    key: str


Row = BanRow | PersonRow | SessionRow | RoomRow | NameRow


class Listed(Value, frozen=True, tag="listed"):
    """The answer to list. `more`: ask on after the last key."""

    q: Number
    rows: tuple[Row, ...]
    more: bool


class Notice(Value, frozen=True, tag="notice"):
    """The operator speaks to everybody."""

    ms: Number
    name: str
    text: str


class Closing(Value, frozen=True, tag="closing"):
    """The broker is shutting down."""

    text: str


Reply = (
    Welcome
    | Fenced
    | Unfenced
    | Joined
    | Done
    | Named
    | Ack
    | Refused
    | Failed
    | Page
    | Found
    | People
    | RoomList
    | Linked
    | LinkList
    | Told
    | Pong
    | Beat
    | Private
    | Added
    | Removed
    | RoomState
    | Listed
    | Notice
    | Closing
)


class Replies(Value, frozen=True):
    """What a ROUTER frame to a client holds."""

    stamp: Stamp
    items: tuple[Reply, ...]
