"""What each server's clients say, byte for byte: how a member comes in, and how it says something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from scripts.chaos_process import Failed
from scripts.peers_load import TEXT, Conn, Load, Setup
from scripts.peers_sealed import Tls


@dataclass(slots=True, eq=False)
class Member:
    """A client of a server.

    Attributes:
        number: from 0; its name is made of it.
        rooms: which it follows.
        talk: where it speaks.
        hear: where it hears, which may be the same.
        sent: how many sends it has made.
        token, run, turn: what resumes its session, where there is such a thing.
        position: the number that it read up to, where there is one.
    """

    number: int
    rooms: Sequence[str] = ()
    talk: Conn = field(init=False)
    hear: Conn = field(init=False)
    sent: int = 0
    token: bytes = b""
    run: bytes = b""
    turn: int = 0
    position: int = 0


class Wire(Protocol):
    """A server's own protocol.

    Attributes:
        echoes: whether who says something hears it, too.
        connections: that a member who hears and speaks needs.
        presence: occurs once in every frame that tells who came or went; NOTHING where nobody is told.
        interval: seconds between two of a client's signs of life; 0 where it owes none.
        at_once: how many may come in side by side: more would wait for seconds where the server's backlog is short.
    """

    echoes: bool
    connections: int
    presence: bytes
    interval: float
    at_once: int

    def enter(self, load: Load, port: int, member: Member) -> Setup:
        """The steps of coming in and following the member's rooms."""
        ...

    def say(self, member: Member, room: str, times: int) -> bytes | bytearray:
        """The bytes of so many messages of a member."""
        ...

    def answered(self, load: Load, conn: Conn) -> int:
        """How many of the member's messages are answered by what came on a connection that is ready.

        Raises:
            Failed: one of them was refused.
        """
        ...

    def stay(self, member: Member) -> bytes:
        """A sign of life."""
        ...

    def pong(self, came: bytes) -> bytes:
        """The answer to the server's ping."""
        ...


def expect(conn: Conn, wanted: bytes) -> Setup:
    """Waits until something has come on a connection, and takes all up to its end."""
    while (at := conn.data.find(wanted)) < 0:
        yield conn
    del conn.data[: at + len(wanted)]


def encrypted(load: Load, conn: Conn) -> Setup:
    """The steps of agreeing on TLS, where that is what the server speaks."""
    if load.secrets.tls is None:
        return
    tls = Tls(load.secrets.tls)
    said, agreed = tls.agree(b"")
    while not agreed:
        load.send(conn, said)
        yield conn
        said, agreed = tls.agree(conn.data)
        conn.data.clear()
    load.send(conn, said)
    load.seal(conn, tls)


NOTHING = b"\xff\xff\xff\xff"
"""What no server sends."""


class Silent:
    """A protocol that answers no message, asks for no sign of life, and tells nobody who comes."""

    presence = NOTHING
    interval = 0.0
    at_once = 100

    def stay(self, member: Member) -> bytes:
        """None is owed."""
        return b""

    def pong(self, came: bytes) -> bytes:
        """None is asked for."""
        return b""

    def answered(self, load: Load, conn: Conn) -> int:
        """None is."""
        load.count(conn)
        return 0


@lru_cache(maxsize=4096)
def _publish(room: str) -> bytes:
    return b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(room), room.encode(), len(TEXT), TEXT)


class Redis(Silent):
    """Redis, publish and subscribe: who subscribes over RESP2 may not publish, so a member has two connections."""

    echoes = True
    connections = 2

    def enter(self, load: Load, port: int, member: Member) -> Setup:
        """Subscribes on one connection, and opens the other."""
        member.talk = member.hear = load.open(port)
        yield from encrypted(load, member.talk)
        if member.rooms:
            member.hear = load.open(port)
            yield from encrypted(load, member.hear)
            for room in member.rooms:
                load.send(member.hear, b"*2\r\n$9\r\nSUBSCRIBE\r\n$%d\r\n%b\r\n" % (len(room), room.encode()))
            for count in range(len(member.rooms)):
                yield from expect(member.hear, b":%d\r\n" % (count + 1))
        load.send(member.talk, b"*1\r\n$4\r\nPING\r\n")
        yield from expect(member.talk, b"+PONG\r\n")

    def say(self, member: Member, room: str, times: int) -> bytes:
        """PUBLISH."""
        return _publish(room) * times


class RedisStream(Redis):
    """Redis, a stream that is appended to: each XADD is answered once it is in the log."""

    XADD = b"*5\r\n$4\r\nXADD\r\n$5\r\nbench\r\n$1\r\n*\r\n$1\r\nt\r\n$%d\r\n%b\r\n" % (len(TEXT), TEXT)

    def say(self, member: Member, room: str, times: int) -> bytes:
        """XADD to the one stream there is."""
        return self.XADD * times

    def answered(self, load: Load, conn: Conn) -> int:
        """Each answer is a bulk string, the number that the entry got."""
        came = load.chunk(conn)
        if b"-" in came and any(line.startswith(b"-") for line in came.split(b"\n")):
            raise Failed(f"redis refused: {came[:200]!r}")
        return came.count(b"$")


class RedisStored(Redis):
    """Redis, each message appended to a stream and published in one transaction."""

    def say(self, member: Member, room: str, times: int) -> bytes:
        """MULTI, XADD, PUBLISH, EXEC in one piece."""
        return (b"*1\r\n$5\r\nMULTI\r\n" + RedisStream.XADD + _publish(room) + b"*1\r\n$4\r\nEXEC\r\n") * times


class Nats(Silent):
    """NATS: one connection for both. Client and server ping each other every two minutes."""

    echoes = True
    connections = 1
    interval = 60.0

    def enter(self, load: Load, port: int, member: Member) -> Setup:
        """Connects, subscribes, and has it confirmed by a pong. What the server tells of itself comes before TLS."""
        member.talk = member.hear = load.open(port)
        if load.secrets.tls:
            yield from expect(member.talk, b"\r\n")
            yield from encrypted(load, member.talk)
        wanted = b"".join(b"SUB %b %d\r\n" % (room.encode(), sid) for sid, room in enumerate(member.rooms, 1))
        load.send(member.talk, b'CONNECT {"verbose":false,"pedantic":false,"protocol":1}\r\n' + wanted + b"PING\r\n")
        yield from expect(member.talk, b"PONG\r\n")

    def say(self, member: Member, room: str, times: int) -> bytes:
        """PUB."""
        return b"PUB %b %d\r\n%b\r\n" % (room.encode(), len(TEXT), TEXT) * times

    def stay(self, member: Member) -> bytes:
        """PING."""
        return b"PING\r\n"

    def pong(self, came: bytes) -> bytes:
        """PONG."""
        return b"PONG\r\n"


class JetStream(Nats):
    """NATS with a stream on disk: each message names where its acknowledgement goes."""

    CREATE = b'{"name":"BENCH","subjects":["bench"],"storage":"file","retention":"limits","num_replicas":1}'
    SAY = b"PUB bench _INBOX.me %d\r\n%b\r\n" % (len(TEXT), TEXT)

    def __init__(self, counter: bytes = b'"seq"') -> None:
        self._counter = counter

    def enter(self, load: Load, port: int, member: Member) -> Setup:
        """Subscribes an inbox of its own; the first makes the stream."""
        member.rooms = [f"_INBOX.{member.number}"]
        yield from super().enter(load, port, member)
        if member.number == 0:
            subject = b"PUB $JS.API.STREAM.CREATE.BENCH _INBOX.0 %d\r\n%b\r\n" % (len(self.CREATE), self.CREATE)
            load.send(member.talk, subject)
            yield from expect(member.talk, b'"did_create":true')
            yield from expect(member.talk, b"\r\n")

    def say(self, member: Member, room: str, times: int) -> bytes:
        """PUB with a reply subject."""
        return self.SAY.replace(b".me", b".%d" % member.number) * times

    def answered(self, load: Load, conn: Conn) -> int:
        """Each acknowledgement names the number that the message got."""
        conn.data += load.chunk(conn)
        if b'"error"' in conn.data or b"-ERR" in conn.data:
            raise Failed(f"nats-server refused: {bytes(conn.data[:200])!r}")
        found = conn.data.count(self._counter)
        del conn.data[: max(conn.data.rfind(b"}"), 0)]
        return found


def _mqtt(kind: int, body: bytes) -> bytes:
    size, length = bytearray(), len(body)
    while True:
        length, low = divmod(length, 128)
        size.append(low | 0x80 if length else low)
        if not length:
            return bytes((kind,)) + bytes(size) + body


def _string(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()


class Mqtt(Silent):
    """MQTT 3.1.1, QoS 0: one connection for both. The client pings every minute."""

    echoes = True
    connections = 1
    interval = 60.0

    def enter(self, load: Load, port: int, member: Member) -> Setup:
        """CONNECT with a clean session, then SUBSCRIBE."""
        member.talk = member.hear = load.open(port)
        load.send(member.talk, _mqtt(0x10, _string("MQTT") + b"\x04\x02\x00\x3c" + _string(f"user{member.number}")))
        yield from expect(member.talk, b"\x20\x02\x00\x00")
        for first in range(0, len(member.rooms), 50):
            some = member.rooms[first : first + 50]
            load.send(member.talk, _mqtt(0x82, b"\x00\x01" + b"".join(_string(room) + b"\x00" for room in some)))
            yield from expect(member.talk, _mqtt(0x90, b"\x00\x01" + bytes(len(some))))

    def say(self, member: Member, room: str, times: int) -> bytes:
        """PUBLISH."""
        return _mqtt(0x30, _string(room) + TEXT) * times

    def stay(self, member: Member) -> bytes:
        """PINGREQ."""
        return b"\xc0\x00"


class Irc(Silent):
    """IRC: one connection for both; who says something does not hear it. The server pings every two minutes; here the
    client does, which costs as much and can be spread.
    """

    echoes = False
    connections = 1
    presence = b" JOIN :"
    interval = 120.0
    at_once = 8

    def enter(self, load: Load, port: int, member: Member) -> Setup:
        """NICK, USER, and JOIN once welcomed. A speaker joins, too, since channels take no messages from outside."""
        member.talk = member.hear = load.open(port)
        name = b"u%d" % member.number
        load.send(member.talk, b"NICK %b\r\nUSER %b 0 * :%b\r\n" % (name, name, name))
        while b" 376 " not in member.talk.data and b" 422 " not in member.talk.data:
            yield member.talk
        for room in member.rooms or ("bench",):
            load.send(member.talk, b"JOIN #%b\r\n" % room.encode())
            yield from expect(member.talk, b" 366 ")
            yield from expect(member.talk, b"\r\n")
        member.talk.data.clear()

    def say(self, member: Member, room: str, times: int) -> bytes:
        """PRIVMSG."""
        return b"PRIVMSG #%b :%b\r\n" % (room.encode(), TEXT) * times

    def stay(self, member: Member) -> bytes:
        """PING."""
        return b"PING :here\r\n"

    def pong(self, came: bytes) -> bytes:
        """PONG."""
        return b"PONG :here\r\n" if b"\nPING " in b"\n" + came else b""


class Lines(Silent):
    """The thread-per-client server: lines, one room; who says something does not hear it."""

    echoes = False
    connections = 1

    def enter(self, load: Load, port: int, member: Member) -> Setup:
        """Says its name, and is welcomed."""
        member.talk = member.hear = load.open(port)
        load.send(member.talk, b"user%d\n" % member.number)
        yield from expect(member.talk, b"welcome\n")

    def say(self, member: Member, room: str, times: int) -> bytes:
        """A line."""
        return (TEXT + b"\n") * times
