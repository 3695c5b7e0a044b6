"""Frames to messages and back: the only file that knows bytes.

Every frame is a batch. Decoding fails in one way, `errors.Undecodable`, whatever was raised underneath; one item
of a batch that cannot be read is reported or skipped alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec

from zchat import errors
from zchat.messages import (
    VERSION,
    Event,
    Number,
    Numbered,
    Page,
    Private,
    Published,
    Replies,
    Reply,
    Request,
    Stamp,
    State,
    Unreadable,
    Value,
)

ROUTING_ID = 16
"""Bytes of a client's routing id at least."""

FRAME = 64 * 1024
"""Bytes in a frame at most, in both directions: batches are split here, and the broker's sockets take no longer one.
What cannot be split goes alone: a long list of rooms to a client may be longer, within CLIENT_FRAME.
"""

CLIENT_FRAME = 1024 * 1024
"""Bytes that a client's sockets take: generous, since a socket goes deaf for ever after a longer frame."""

T = TypeVar("T")

_UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError, TypeError)

_encode = msgspec.msgpack.Encoder().encode
_raws = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_requests = msgspec.msgpack.Decoder(list[Request]).decode
_request: Callable[[msgspec.Raw], Request] = msgspec.msgpack.Decoder(Request).decode
_replies = msgspec.msgpack.Decoder(Replies).decode
_published = msgspec.msgpack.Decoder(Published).decode
_reply: Callable[[msgspec.Raw], Reply] = msgspec.msgpack.Decoder(Reply).decode
_event: Callable[[msgspec.Raw], Event] = msgspec.msgpack.Decoder(Event).decode
_state: Callable[[msgspec.Raw], State] = msgspec.msgpack.Decoder(State).decode
_any = msgspec.msgpack.Decoder().decode


class _Loose(Value, frozen=True):
    """A frame to a client with its items still encoded."""

    stamp: Stamp
    items: list[msgspec.Raw]
    states: tuple[msgspec.Raw, ...] = ()


class _LoosePage(Value, frozen=True, tag="page"):
    q: Number
    room: str
    first: Number
    head: Number
    events: list[msgspec.Raw]
    more: bool = False
    edge: Number = 0


class _LoosePrivate(Value, frozen=True, tag="private"):
    room: str
    label: str
    events: list[msgspec.Raw]
    states: tuple[msgspec.Raw, ...] = ()


_loose = msgspec.msgpack.Decoder(_Loose).decode
_loose_reply = msgspec.msgpack.Decoder(_LoosePage | _LoosePrivate).decode


class Malformed(Value, frozen=True):
    """A request that could not be read: its number if that much could be, else 0, and why."""

    q: int
    problem: errors.Refusal


# Topics: a subscription matches by prefix, so each must not be a prefix of another ----------------------------------


def routing_id(random: bytes) -> bytes:
    """What a client's DEALER calls itself: random, so that nobody else can, and not what libzmq makes up for who does
    not, which can be guessed.

    Args:
        random: `ROUTING_ID` - 1 bytes.
    """
    return b"z" + random


def room_topic(room: str) -> bytes:
    """The topic of a room. It ends in NUL, which no name holds: `room1` is a prefix of `room10`."""
    return b"r." + room.encode() + b"\0"


def fence_topic(fence: bytes, k: int) -> bytes:
    """The k-th fence topic. `~` sorts after `r.`: a SUB that reconnects sends its topics sorted, so the fence
    comes last.
    """
    return b"~" + fence.hex().encode() + b"." + str(k).encode()


def parse_fence(topic: bytes) -> tuple[bytes, int] | None:
    """What a topic says if it is a fence topic: the client's random token and k; else None."""
    if not topic.startswith(b"~") or len(topic) > 100:
        return None
    token, _, k = topic[1:].partition(b".")
    try:
        fence, number = bytes.fromhex(token.decode("ascii")), int(k)
    except ValueError:
        return None
    return (fence, number) if 0 <= number < 2**63 and fence_topic(fence, number) == topic else None


# Requests -----------------------------------------------------------------------------------------------------------


def encode_requests(requests: Sequence[Request]) -> list[bytes]:
    """Frames that hold these requests, in order."""
    whole = _encode(requests)
    return [whole] if len(whole) <= FRAME else [_encode(part) for part in _split(requests)]


def decode_requests(frame: bytes, most: int = FRAME) -> Sequence[Request | Malformed]:
    """What a client asks.

    Args:
        frame: as it came.
        most: how many requests of a faulty batch are looked at; looking at each alone takes far longer.

    Raises:
        errors.Undecodable: the frame is no batch at all.
    """
    try:
        return _requests(frame)
    except _UNDECODABLE:
        pass
    try:
        raws = _raws(frame)
    except _UNDECODABLE as error:
        raise errors.Undecodable(f"not a batch of requests: {error}") from None
    return [_one_request(raw) for raw in raws[:most]]


def _one_request(raw: msgspec.Raw) -> Request | Malformed:
    try:
        return _request(raw)
    except _UNDECODABLE as error:
        return _malformed(raw, str(error))


def _malformed(raw: msgspec.Raw, why: str) -> Malformed:
    try:
        fields = _any(raw)
    except _UNDECODABLE:
        return Malformed(0, errors.BadRequest())
    if not isinstance(fields, list) or not fields or not isinstance(fields[0], str):
        return Malformed(0, errors.BadRequest("a request is an array that begins with its tag and its number"))
    tag, q = fields[0], fields[1] if len(fields) > 1 else 0
    if not isinstance(q, int) or isinstance(q, bool) or not 0 <= q < 2**63:
        return Malformed(0, errors.BadRequest("the number of a request lies from 0 to 2^63 - 1"))
    if tag not in _TAGS:
        return Malformed(q, errors.UnknownRequest())
    if tag == "hello" and len(fields) > 2 and isinstance(fields[2], int) and fields[2] != VERSION:
        return Malformed(q, errors.WrongVersion())
    if tag in _NUMBERED:  # its number is a send number, and would be taken for that of another request
        q = 0
    return Malformed(q, errors.BadRequest(f"{tag}: {why}"))


_TAGS = {kind.__struct_config__.tag for kind in Request.__args__}
_NUMBERED = {kind.__struct_config__.tag for kind in Numbered.__args__}


# Frames to clients --------------------------------------------------------------------------------------------------


def encode_replies(stamp: Stamp, items: Sequence[Reply]) -> list[bytes]:
    """Frames that hold these replies to one client, in order."""
    whole = _encode((stamp, items))
    if len(whole) <= FRAME:
        return [whole]
    return [_encode((stamp, part)) for part in _split(items)]


def decode_replies(frame: bytes) -> Replies:
    """What the broker replies; items that this version does not know are left out.

    Raises:
        errors.Undecodable: the frame is none of the broker's.
    """
    try:
        return _replies(frame)
    except _UNDECODABLE:
        loose = _decode_loose(frame)
    return Replies(loose.stamp, tuple(_known(_reply_or_events, loose.items)))


def encode_event(event: Event) -> bytes:
    """An event as it is in frames, and as stores keep it: encoded once, for all who hear it."""
    return _encode(event)


decode_event: Callable[[bytes], Event] = msgspec.msgpack.Decoder(Event).decode
"""An event that was encoded here."""


def as_encoded(events: Iterable[bytes]) -> tuple[Event, ...]:
    """Events that are encoded already, for a reply that is to be encoded: nothing else can be done with them."""
    return tuple(map(msgspec.Raw, events))  # type: ignore[arg-type]


def encoded_reply(reply: Reply) -> Reply:
    """The same, encoded once for all to whom it goes: nothing else can be done with it than to encode it."""
    return msgspec.Raw(_encode(reply))  # type: ignore[return-value]


def frame_fuls(events: Sequence[bytes]) -> Iterator[list[bytes]]:
    """Encoded events in runs of which each fits a frame."""
    return _runs(events, len)


def encode_published(room: str, stamp: Stamp, events: Sequence[bytes], states: Sequence[State]) -> list[bytes]:
    """Frames for the room's topic that hold these events and states, in order.

    Args:
        events: encoded.
    """
    begin = room_topic(room) + _THREE + _encode(stamp)
    whole = b"".join((begin, _array(len(events)), *events, _encode(states)))
    if len(whole) <= FRAME:
        return [whole]
    parts = [b"".join((begin, _array(len(part)), *part, _NONE)) for part in frame_fuls(events)]
    return parts + [b"".join((begin, _NONE, _encode(part))) for part in _split(states)]


_NONE, _THREE = _encode(()), _encode((None, None, None))[:1]
"""An empty array, and how one of three begins."""


def _array(size: int) -> bytes:
    """How an array of so many begins."""
    if size < 16:
        return bytes((0x90 | size,))
    return b"\xdc" + size.to_bytes(2) if size < 1 << 16 else b"\xdd" + size.to_bytes(4)


def decode_published(frame: bytes) -> tuple[str, Published]:
    """A room and what was published to it. An event of an unknown kind becomes `Unreadable`, an unknown state is
    left out.

    Raises:
        errors.Undecodable: the frame is none of the broker's.
    """
    topic, _, body = frame.partition(b"\0")
    try:
        room = topic.decode()
    except UnicodeDecodeError as error:
        raise errors.Undecodable(f"not a room's topic: {error}") from None
    if not room.startswith("r."):
        raise errors.Undecodable("not a room's topic")
    room = room.removeprefix("r.")
    try:
        return room, _published(body)
    except _UNDECODABLE:
        loose = _decode_loose(body)
    return room, Published(loose.stamp, _events(loose.items), tuple(_known(_state, loose.states)))


def _decode_loose(frame: bytes) -> _Loose:
    try:
        return _loose(frame)
    except _UNDECODABLE as error:
        raise errors.Undecodable(f"not a frame of a broker: {error}") from None


def _known(decode: Any, raws: Iterable[msgspec.Raw]) -> Iterator[Any]:
    for raw in raws:
        try:
            yield decode(raw)
        except _UNDECODABLE:
            continue


def _reply_or_events(raw: msgspec.Raw) -> Reply:
    try:
        return _reply(raw)
    except _UNDECODABLE:
        loose = _loose_reply(raw)  # a page is not lost for one event in it
    if isinstance(loose, _LoosePage):
        return Page(loose.q, loose.room, loose.first, loose.head, _events(loose.events), loose.more, loose.edge)
    return Private(loose.room, loose.label, _events(loose.events), tuple(_known(_state, loose.states)))


def _events(raws: list[msgspec.Raw]) -> tuple[Event, ...]:
    return tuple(event for raw in raws if (event := _event_or_number(raw)) is not None)


def _event_or_number(raw: msgspec.Raw) -> Event | None:
    try:
        return _event(raw)
    except _UNDECODABLE:
        pass
    try:
        _tag, seq, *_rest = _any(raw)
    except _UNDECODABLE:
        return None
    return Unreadable(seq) if isinstance(seq, int) and 0 <= seq < 2**63 else None


def _split(items: Sequence[T]) -> Iterator[list[T]]:
    """The items in runs of which each fits a frame, if its items do."""
    return _runs(items, lambda item: len(_encode(item)))


def _runs(items: Sequence[T], length: Callable[[T], int]) -> Iterator[list[T]]:
    run: list[T] = []
    room = FRAME - 512  # for the topic, the stamp and the array headers
    for item in items:
        size = length(item)
        if run and size > room:
            yield run
            run, room = [], FRAME - 512
        run.append(item)
        room -= size
    if run:
        yield run
