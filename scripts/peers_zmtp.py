"""What zchat's clients say, over ZMTP 3.1 on raw sockets, so that no client library is measured."""

from __future__ import annotations

import os
import struct
from collections.abc import Generator, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Any

import msgspec

from scripts.chaos_process import Failed
from scripts.peers_curve import Handshake, pair
from scripts.peers_load import TEXT, Conn, Load, Setup
from scripts.peers_wire import Member
from zchat import codec
from zchat.messages import Heartbeat, Hello, Join, Replies, Request, Send, Stamp, Welcome

SIGNATURE = b"\xff" + bytes(8) + b"\x7f\x03\x01"
GREETING, CURVE_GREETING = (SIGNATURE + name.ljust(20, b"\0") + bytes(32) for name in (b"NULL", b"CURVE"))

ROOMY = 0xFFFFFFFF
"""A number that msgpack writes in the five bytes in which every send number is written here."""

_decode: Any = msgspec.msgpack.Decoder().decode


def frame(body: bytes, flags: int = 0) -> bytes:
    """A ZMTP frame: flags 4 for a command, 0 for a message of one part."""
    if len(body) < 256:
        return bytes((flags, len(body))) + body
    return struct.pack(">BQ", flags | 2, len(body)) + body


def metadata(kind: bytes) -> bytes:
    """What a socket of a kind tells of itself."""
    own = b"\x08Identity" + struct.pack(">I", 16) + b"z" + os.urandom(15) if kind == b"DEALER" else b""
    return b"\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind + own


def opened(load: Load, conn: Conn, kind: bytes, number: int = 0) -> Setup:
    """The steps of opening a connection as a socket of a kind.

    libzmq ends a connection whose first message comes before it has sent its own READY, so that is waited for.

    Args:
        load: the load.
        conn: the connection.
        kind: of the socket.
        number: the member's whose keys are used, where there are any.
    """
    curve = load.secrets.curve
    if curve is None:
        load.send(conn, GREETING + frame(b"\x05READY" + metadata(kind), 4))
        yield from _greeted(conn)
        yield from _command(conn)
        return
    shaken = Handshake(curve, keys(number), metadata(kind))
    load.send(conn, CURVE_GREETING)
    yield from _greeted(conn)
    load.send(conn, frame(shaken.hello(), 4))
    load.send(conn, frame(shaken.initiate((yield from _command(conn))), 4))
    load.seal(conn, shaken.agreed((yield from _command(conn))))


def _greeted(conn: Conn) -> Setup:
    while conn.take(len(GREETING)) is None:
        yield conn


def _command(conn: Conn) -> Generator[Conn, None, bytes]:
    """The body of the next command, which is short."""
    while len(conn.data) < 2 or (whole := conn.take(2 + conn.data[1])) is None:
        yield conn
    return whole[2:]


@lru_cache(maxsize=20_000)
def keys(number: int) -> tuple[bytes, bytes]:
    """A member's public key and secret one: each is a person of its own."""
    return pair(b"bench %d" % number)


def messages(conn: Conn) -> list[bytes]:
    """The messages that are wholly there on a connection that is open; takes them."""
    data, at, found = conn.data, 0, list[bytes]()
    while len(data) >= at + 2:
        flags, size, body = data[at], data[at + 1], at + 2
        if flags & 2:
            if len(data) < at + 9:
                break
            size, body = int.from_bytes(data[at + 1 : at + 9], "big"), at + 9
        if len(data) < body + size:
            break
        at = body + size
        if not flags & 4:
            found.append(bytes(data[body:at]))
    del data[:at]
    return found


def secret(what: str, number: int) -> bytes:
    """A member's secret of a kind."""
    return sha256(f"{what} {number}".encode()).digest()[:16]


class Zchat:
    """zchat: DEALER and SUB.

    Args:
        batch: sends that go into one frame, as the client library does with what is waiting.
    """

    echoes = True
    connections = 2
    presence = b"\xa8presence"
    at_once = 100

    def __init__(self, batch: int = 64) -> None:
        self.interval = 30.0
        self._batch = batch
        self._made: dict[tuple[str, int], tuple[bytes, list[int]]] = {}

    # Coming in ------------------------------------------------------------------------------------------------------

    def ask(self, load: Load, member: Member, *requests: Request) -> None:
        """Sends requests of a member."""
        for one in codec.encode_requests(requests):
            load.send(member.talk, frame(one))

    def greet(self, load: Load, port: int, member: Member) -> Setup:
        """The steps of connecting and saying hello; with what the last session left behind it is resumed."""
        member.talk = member.hear = load.open(port)
        stamp = Stamp(member.run, member.turn) if member.run else None
        number = member.number
        hello = Hello(
            1,
            1,
            f"user{number}",
            secret("person", number),
            secret("client", number),
            secret("fence", number),
            member.token or None,
            stamp,
        )
        yield from opened(load, member.talk, b"DEALER", number)
        self.ask(load, member, hello)
        yield from self.until(member, "welcome")

    def enter(self, load: Load, port: int, member: Member) -> Setup:
        """Says hello; where it follows rooms, subscribes them, fences and joins."""
        yield from self.greet(load, port, member)
        if member.rooms:
            yield from self.follow(load, port + 1, member)

    def follow(self, load: Load, port: int, member: Member, k: int = 1) -> Setup:
        """The steps of subscribing a member's rooms, fencing and joining them."""
        fence = codec.fence_topic(secret("fence", member.number), k)
        topics = [*(codec.room_topic(room) for room in member.rooms), fence]
        member.hear = load.open(port)
        member.hear.mate, member.talk.mate = member.talk, member.hear
        yield from opened(load, member.hear, b"SUB", member.number)
        load.send(member.hear, b"".join(frame(b"\x01" + topic) for topic in topics))
        yield from self.until(member, "fenced")
        load.send(member.hear, frame(b"\0" + fence))
        for first in range(0, len(member.rooms), 500):
            some = member.rooms[first : first + 500]
            self.ask(load, member, *(Join(2 + first + i, room) for i, room in enumerate(some)))
            yield from self.until(member, "joined", len(some))

    def until(self, member: Member, tag: str, times: int = 1) -> Setup:
        """Waits until so many replies of a kind have come."""
        while True:
            for one in messages(member.talk):
                times -= self._take(member, one, tag)
            if times <= 0:
                return
            yield member.talk

    def _take(self, member: Member, body: bytes, tag: str) -> int:
        found: Replies = codec.decode_replies(body)
        for reply in found.items:
            kind = str(reply.__struct_config__.tag)
            if kind in ("failed", "refused", "closing"):
                raise Failed(f"zchat answered {reply}")
            if isinstance(reply, Welcome):
                member.token, member.sent = reply.session, reply.last
                self.interval = reply.heartbeat
        member.run, member.turn = found.stamp.run, found.stamp.turn
        return sum(reply.__struct_config__.tag == tag for reply in found.items)

    # Speaking -------------------------------------------------------------------------------------------------------

    def say(self, member: Member, room: str, times: int) -> bytearray:
        """Sends, a batch a frame, with the member's next numbers."""
        made = self._made.get((room, times))
        if made is None:
            made = self._made[room, times] = self._template(room, times)
        template, places = made
        filled = bytearray(template)
        sent = member.sent
        for place in places:
            sent += 1
            filled[place : place + 4] = sent.to_bytes(4, "big")
        member.sent = sent
        return filled

    def _template(self, room: str, times: int) -> tuple[bytes, list[int]]:
        text = TEXT.decode()
        frames = b"".join(
            frame(codec.encode_requests([Send(ROOMY, room, text)] * min(self._batch, times - done))[0])
            for done in range(0, times, self._batch)
        )
        return frames, _places(frames, times)

    def stay(self, member: Member) -> bytes:
        """A heartbeat."""
        return frame(codec.encode_requests([Heartbeat(1)])[0])

    def pong(self, came: bytes) -> bytes:
        """None is asked for."""
        return b""

    def answered(self, load: Load, conn: Conn) -> int:
        """Acks, each of which may stand for several sends."""
        came = load.chunk(conn)
        # One ack of one send, whole and alone, is recognised by its bytes, as the other servers' answers are.
        if (
            not conn.data
            and came[:1] == b"\0"
            and came[1] == len(came) - 2
            and came[-1] == 1
            and b"\x96\xa3ack" in came
        ):
            return 1
        conn.data += came
        return sum(_acked(_decode(one)[1]) for one in messages(conn))


def _places(frames: bytes, times: int) -> list[int]:
    """Where the send numbers stand."""
    wanted, places, at = b"\xce\xff\xff\xff\xff", list[int](), 0
    while (at := frames.find(wanted, at)) >= 0:
        places.append(at + 1)
        at += 5
    assert len(places) == times
    return places


def _acked(items: Sequence[Any]) -> int:
    found = 0
    for item in items:
        if item[0] == "ack":
            found += item[5] if len(item) > 5 else 1
        elif item[0] in ("refused", "failed", "closing"):
            raise Failed(f"zchat answered {item}")
    return found
