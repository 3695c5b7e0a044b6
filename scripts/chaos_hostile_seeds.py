"""Good streams and good frames, as clients send them: what the fuzzers make bad ones of."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from scripts.peers_zmtp import GREETING, frame
from zchat import codec
from zchat.messages import (
    VERSION,
    About,
    Act,
    Admin,
    Ask,
    Bot,
    Bye,
    Delete,
    Device,
    Edit,
    Heartbeat,
    Hello,
    History,
    Join,
    Leave,
    Link,
    Links,
    List,
    Mark,
    Nick,
    Ping,
    Read,
    Request,
    Revoke,
    Rooms,
    Search,
    Send,
    Stamp,
    Who,
)

MORE, LONG, COMMAND = 1, 2, 4
"""Flags of a ZMTP frame."""

SECRET = b"0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Stream:
    """What a client sends over one connection.

    Attributes:
        port: "router" or "xpub".
        opening: up to the end of the handshake; rest: what comes after the broker's own READY.
    """

    port: str
    opening: bytes
    rest: bytes

    @property
    def whole(self) -> bytes:
        """All of it."""
        return self.opening + self.rest


def metadata(**properties: bytes) -> bytes:
    """Properties as a READY has them."""
    return b"".join(
        bytes([len(name)]) + name.encode() + struct.pack(">I", len(value)) + value
        for name, value in ((name.replace("_", "-"), value) for name, value in properties.items())
    )


def ready(kind: bytes, more: bytes = b"") -> bytes:
    """The command that ends a handshake without keys."""
    if kind == b"DEALER" and b"Identity" not in more:
        more += metadata(Identity=codec.routing_id(os.urandom(15)))
    return frame(b"\x05READY" + metadata(Socket_Type=kind) + more, COMMAND)


def requests() -> list[Request]:
    """One of each kind at least."""
    hello = Hello(1, VERSION, "eve", SECRET, SECRET[::-1], SECRET * 2)
    return [
        hello,
        Hello(1, VERSION, None, SECRET, SECRET, SECRET, resume=SECRET, stamp=Stamp(bytes(8), 1), invite=SECRET),
        Join(2, "lobby"),
        Join(3, "den", quiet=True),
        Leave(4, "den"),
        Send(1, "lobby", "hello, everybody"),
        Send(2, "@eve", "to myself", action=True),
        Edit(3, "lobby", 0, "hello again"),
        Delete(4, "lobby", 1),
        Read(5, "lobby", 0, 100),
        History(6, "lobby", 20, after=0, before=9, since=1),
        Search(7, "hello again", "lobby", "eve", 1, 5),
        Mark(8, "lobby", 1),
        Who(9, "lobby"),
        Who(10, "", "a", away=True),
        Rooms(11, "a"),
        Nick(12, "mallory"),
        Ask(13, "time", utc=True),
        Ping(14),
        Heartbeat(15),
        Link(16, "lobby", 3, 60, "owner"),
        Device(17),
        Links(18, "a"),
        Revoke(19, "abc", "eve", undo=True),
        Act(5, "create", "+den", text="plans"),
        Act(6, "invite", "+den", "eve"),
        Act(7, "ban", "lobby", "eve", seconds=60, text="why"),
        Act(8, "react", "lobby", target=1, text=":thumbsup:"),
        Act(9, "readonly", "lobby", on=False),
        Admin(21, "ban", "eve", 60, "why"),
        Admin(22, "block", "eve"),
        About(23, "+den"),
        List(24, "bans", "lobby", "a"),
        List(25, "blocks"),
        Bot(26, SECRET * 2, "helper"),
        Bye(20),
    ]


def _good(*asked: Request) -> bytes:
    return b"".join(frame(one) for one in codec.encode_requests(asked))


def streams() -> dict[str, Stream]:
    """Streams by what is in them; all without keys."""
    named = dict(_streams())
    return {name: Stream(*fields) for name, fields in named.items()}


def _streams() -> Iterator[tuple[str, tuple[str, bytes, bytes]]]:
    dealer, sub = GREETING + ready(b"DEALER"), GREETING + ready(b"SUB")
    hello = requests()[0]
    every = b"".join(_good(one) for one in requests())
    ping = frame(b"\x04PING\x00\x0acontext", COMMAND)
    topics = [codec.room_topic("lobby"), codec.room_topic("den"), codec.fence_topic(SECRET * 2, 1)]
    yield "greeting", ("router", GREETING[:10], GREETING[10:])
    yield "handshake", ("router", dealer, b"")
    yield "identity", ("router", GREETING + ready(b"DEALER", metadata(Identity=b"squatter")), _good(hello))
    odd = metadata(Identity=b"\0abcd", Resource=b"x" * 200, X_Odd=b"", Socket_Type=b"REQ")
    yield "odd metadata", ("router", GREETING + ready(b"DEALER", odd), _good(hello))
    yield "hello", ("router", dealer, _good(hello))
    yield "every request", ("router", dealer, every)
    yield "one batch", ("router", dealer, _good(hello, *requests()[2:]))
    yield "ping", ("router", dealer, ping + _good(hello) + ping * 20)
    yield "multipart", ("router", dealer, frame(b"", MORE) + frame(b"x" * 300, MORE) + _good(hello))
    yield "burst", ("router", dealer, _good(hello) + _good(Ping(1)) * 1200 + ping + _good(Ping(2)) * 300)
    yield "error", ("router", GREETING, frame(b"\x05ERROR\x03bad", COMMAND))
    subscriptions = b"".join(frame(b"\1" + topic) for topic in topics)
    commands = b"".join(frame(b"\x09SUBSCRIBE" + topic, COMMAND) for topic in topics)
    cancels = b"".join(frame(b"\x06CANCEL" + topic, COMMAND) for topic in topics)
    yield "subscriptions", ("xpub", sub, subscriptions + b"".join(frame(b"\0" + topic) for topic in topics))
    yield "subscribe commands", ("xpub", sub, commands + cancels + ping)
    yield "sub ping", ("xpub", sub, ping * 5 + subscriptions + ping)
    yield "sub multipart", ("xpub", sub, frame(b"\1r.a\0", MORE) + frame(b"\1r.b\0"))
    yield "sub burst", ("xpub", sub, frame(b"\1r.x\0") * 1500 + ping + frame(b"\0r.x\0") * 1500)
    yield "dealer at the pub port", ("xpub", dealer, _good(hello))
    for mechanism in (b"CURVE", b"PLAIN", b"GSSAPI"):
        greeting = GREETING.replace(b"NULL".ljust(20, b"\0"), mechanism.ljust(20, b"\0"))
        curve = frame(b"\x05HELLO\x01\x00" + bytes(72) + SECRET * 2 + bytes(8) + b"\x5a" * 80, COMMAND)
        initiate = frame(b"\x08INITIATE" + b"\x5a" * 96 + bytes(8) + b"\xa5" * 144, COMMAND)
        for port in ("router", "xpub"):
            yield f"{mechanism.decode()} at {port}", (port, greeting, curve + initiate + frame(b"\x07MESSAGE" + SECRET))
