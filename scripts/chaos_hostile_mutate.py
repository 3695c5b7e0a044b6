"""Makes bad streams and bad frames of good ones. All by the chance that is given: the same seed gives the same."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec

from scripts.chaos_hostile_seeds import Stream
from zchat import codec
from zchat.messages import Numbered, Request

LONGEST = 200_000
"""Bytes of a mutated stream at most."""

_encode = msgspec.msgpack.Encoder().encode
_decode: Any = msgspec.msgpack.Decoder().decode

SIZES = [0, 1, 255, 256, 65_535, 65_536, 65_537, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1]

NAMES = [
    *(
        "",
        "lobby",
        "LOBBY",
        "#lobby",
        "@eve",
        "@",
        "@honest-ann",
        "honest",
        "+den",
        "+",
        "@:audit",
        "@" + "0" * 24,
        "den",
        "r.lobby",
        "a b",
    ),
    *("operator", "Operator\u0430", "x" * 64, "x" * 65, "y" * 5000, "\x00", "\x1b[2J", "\u202eevil", "e\u0301" * 40),
    *("\u0130" * 30, "\ufdfa" * 20, "\u1e9e", "../../etc/passwd", "'; DROP TABLE rooms; --", 'a" OR b*', "NEAR(a b)"),
]

ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 1.5, float("nan"), float("inf"), -0.0),
    *(2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1, -(2**63)),
    *(b"", b"x", bytes(15), bytes(16), bytes(32), bytes(33), b"\xff" * 200, bytes(60_000)),
    *([], [[]], {}, {"a": 1}, {1: [2]}, [None] * 100, ["send", 1, "lobby", "x"], "x" * 17_000, "\n" * 500),
    *NAMES,
]


def bytes_of(random: Random, data: bytes) -> bytes:
    """Bytes that are damaged once."""
    at = random.randrange(len(data) + 1)
    end = min(at + random.choice((1, 2, 4, 16, 300)), len(data))
    match random.randrange(9):
        case 0 | 1 if data:
            flipped = bytearray(data)
            for _ in range(random.choice((1, 1, 1, 4, 20))):
                flipped[random.randrange(len(data))] ^= 1 << random.randrange(8)
            return bytes(flipped)
        case 2:
            return data[:at]
        case 3:
            return data[:at] + data[end:]
        case 4:
            return data[:at] + data[at:end] * random.choice((2, 2, 3, 50)) + data[end:]
        case 5:
            return data[:at] + random.randbytes(end - at or 1) + data[end:]
        case 6:
            return data[:at] + random.choice((b"\0", b"\xff")) * random.choice((1, 8, 64, 1000)) + data[at:]
        case 7:
            size = random.choice(SIZES).to_bytes(8)
            return data[:at] + size[-random.choice((1, 2, 4, 8)) :] + data[at:]
        case _:
            return data + data


def stream(random: Random, good: Stream, other: Stream) -> Stream:
    """A stream that is damaged in one place or several.

    Args:
        other: what may be put in.
    """
    opening, rest = good.opening, good.rest
    for _ in range(random.choice((1, 1, 2, 4))):
        match random.randrange(10):
            case 0 | 1 | 2:
                opening = bytes_of(random, opening)
            case 3 | 4 | 5 | 6:
                rest = bytes_of(random, rest)
            case 7:
                rest = rest + other.rest
            case 8:  # a frame that says it is longer or shorter than it is
                at = random.randrange(len(rest) + 1)
                giant = bytes([random.choice((2, 3, 6, 7, 0x82))]) + random.choice(SIZES).to_bytes(8)
                rest = rest[:at] + giant + rest[at:]
            case _:
                opening, rest = opening + rest[:100], rest[100:]
    return Stream(good.port, opening[:LONGEST], rest[:LONGEST])


def request(random: Random, good: Request, n: int) -> bytes:
    """A request with a few odd fields, encoded.

    Args:
        n: the send number that is due: a request with another one is hardly looked at.
    """
    fields: list[Any] = _decode(_encode(good))
    if isinstance(good, Numbered):
        fields[1] = n
    for _ in range(random.choice((0, 1, 1, 1, 2, 3))):
        at = random.randrange(len(fields))
        match random.randrange(8):
            case 0:
                del fields[at:]
                fields = fields or [None]
            case 1:
                fields.insert(at, random.choice(ODD))
            case 2:
                fields[at] = random.choice(NAMES)
            case 3:
                fields.append(random.choice(ODD))
            case _:
                at = at if random.random() < 0.1 else max(at, min(2, len(fields) - 1))
                fields[at] = random.choice(ODD)
    return _encode(fields)


def frame(random: Random, several: list[bytes]) -> bytes:
    """A frame with these requests, which may be damaged as a whole."""
    count = len(several)
    begin = bytes([0x90 | count]) if count < 16 else b"\xdc" + count.to_bytes(2)
    whole = begin + b"".join(several)
    whole = bytes_of(random, whole) if random.random() < 0.4 else whole
    # A longer one ends the connection, and with it what is on its way.
    return whole if random.random() < 0.0005 else whole[: codec.FRAME]
