"""CURVE, as ZMTP has it, for connections of raw bytes: RFC 26, with libsodium for the boxes.

What is said and heard is ZMTP frames as they are without CURVE: each goes into a box, and comes out of one, by itself.
"""

from __future__ import annotations

import ctypes
import os
from ctypes.util import find_library
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import zmq

from scripts.chaos_process import Failed
from scripts.peers_sealed import SLACK, Space

MAC = 16
"""Bytes by which a box is longer than what is in it."""

LONGEST = 256 * 1024
"""Bytes of a frame, at most."""

HEAD = b"\x07MESSAGE"
INSIDE = len(HEAD) + 8
"""Where the box begins in the body of a message."""

SHORTEST = INSIDE + MAC + 1
"""Bytes of a message's body in which nothing is said."""

TO_SERVER, TO_CLIENT = b"CurveZMQMESSAGEC", b"CurveZMQMESSAGES"


@lru_cache(maxsize=1)
def sodium() -> ctypes.PyDLL | None:
    """libsodium: the one that comes with pyzmq, or else the system's; None if there is none.

    It keeps the interpreter's lock, since calls take a microsecond or two and the load has one thread.
    """
    beside = Path(zmq.__file__).parent.parent / "pyzmq.libs"
    for path in (*map(str, sorted(beside.glob("libsodium*"))), find_library("sodium")):
        if not path:
            continue
        try:
            found = ctypes.PyDLL(path)
        except OSError:
            continue
        for name in ("crypto_box_easy_afternm", "crypto_box_open_easy_afternm"):
            pointer = ctypes.c_void_p
            getattr(found, name).argtypes = (pointer, pointer, ctypes.c_ulonglong, pointer, pointer)
        return found if found.sodium_init() >= 0 else None
    return None


def _sodium() -> ctypes.PyDLL:
    found = sodium()
    if found is None:
        raise Failed("no libsodium here")
    return found


def pair(seed: bytes | None = None) -> tuple[bytes, bytes]:
    """A public key and its secret one: random ones, or those of a seed, which are always the same."""
    public, secret = ctypes.create_string_buffer(32), ctypes.create_string_buffer(32)
    seed = os.urandom(32) if seed is None else sha256(seed).digest()
    _sodium().crypto_box_seed_keypair(public, secret, seed)
    return public.raw, secret.raw


def _shared(public: bytes, secret: bytes) -> bytes:
    """What two sides encrypt with, made of one's public key and the other's secret one."""
    found = ctypes.create_string_buffer(32)
    if _sodium().crypto_box_beforenm(found, public, secret):
        raise Failed("CURVE: that is no key")
    return found.raw


def _box(plain: bytes, nonce: bytes, shared: bytes) -> bytes:
    made = ctypes.create_string_buffer(len(plain) + MAC)
    _sodium().crypto_box_easy_afternm(made, plain, len(plain), nonce, shared)
    return made.raw


def _unbox(box: bytes, nonce: bytes, shared: bytes) -> bytes:
    made = ctypes.create_string_buffer(max(len(box) - MAC, 1))
    if len(box) < MAC or _sodium().crypto_box_open_easy_afternm(made, box, len(box), nonce, shared):
        raise Failed("CURVE: a box does not open")
    return made.raw[: len(box) - MAC]


class Handshake:
    """A client's half of agreeing on a connection's keys.

    Args:
        server: the server's public key.
        own: the client's keys, public and secret.
        metadata: what is told of the client's socket.
    """

    def __init__(self, server: bytes, own: tuple[bytes, bytes], metadata: bytes) -> None:
        self._server, self._own, self._metadata = server, own, metadata
        self._public, self._secret = pair()
        self._with_server = _shared(server, self._secret)
        self._shared = b""

    def hello(self) -> bytes:
        """The body of the first command."""
        short = (1).to_bytes(8, "big")
        box = _box(bytes(64), b"CurveZMQHELLO---" + short, self._with_server)
        return b"\x05HELLO\x01\x00" + bytes(72) + self._public + short + box

    def initiate(self, welcome: bytes) -> bytes:
        """The body of the second command.

        Args:
            welcome: the body of the server's answer to the first.
        """
        if welcome[:8] != b"\x07WELCOME":
            raise Failed(f"CURVE: refused: {welcome[:60]!r}")
        said = _unbox(welcome[24:], b"WELCOME-" + welcome[8:24], self._with_server)
        fleeting, cookie = said[:32], said[32:]
        public, secret = self._own
        random = os.urandom(16)
        vouch = random + _box(self._public + self._server, b"VOUCH---" + random, _shared(fleeting, secret))
        self._shared = _shared(fleeting, self._secret)
        short = (2).to_bytes(8, "big")
        box = _box(public + vouch + self._metadata, b"CurveZMQINITIATE" + short, self._shared)
        return b"\x08INITIATE" + cookie + short + box

    def agreed(self, ready: bytes) -> Curve:
        """The connection's encryption.

        Args:
            ready: the body of the server's answer to the second command.
        """
        if ready[:6] != b"\x05READY":
            raise Failed(f"CURVE: refused: {ready[:60]!r}")
        _unbox(ready[14:], b"CurveZMQREADY---" + ready[6:14], self._shared)
        return Curve(self._shared)


class Curve:
    """The encryption of a connection on whose keys both sides have agreed.

    Args:
        shared: what both encrypt with.
        prefix: of the nonces of what is said: a client's by default.
    """

    __slots__ = ("_count", "_prefix", "_shared", "_unbox", "kept")

    def __init__(self, shared: bytes, prefix: bytes = TO_SERVER) -> None:
        self._shared, self._prefix = shared, prefix
        self._unbox = _sodium().crypto_box_open_easy_afternm
        self._count = 2
        self.kept = b""

    def close(self, plain: bytes | bytearray) -> bytes:
        """A message for each frame of it."""
        said, shared, prefix, count = bytes(plain), self._shared, self._prefix, self._count
        parts: list[bytes] = []
        at, end = 0, len(said)
        while at < end:
            flags = said[at]
            if flags & 2:
                size, at = int.from_bytes(said[at + 1 : at + 9], "big"), at + 9
            else:
                size, at = said[at + 1], at + 2
            count += 1
            short = count.to_bytes(8, "big")
            box = _box(_FLAGS[flags] + said[at : at + size], prefix + short, shared)
            whole = SHORTEST + size
            head = bytes((0, whole)) if whole < 256 else b"\x02" + whole.to_bytes(8, "big")
            parts += (head, HEAD, short, box)
            at += size
        self._count = count
        return b"".join(parts)

    def open(self, raw: Space, stop: int, into: Space, start: int) -> int:
        """The frames of the messages that are wholly there; the rest is kept."""
        data, here, there, made = raw.data, raw.address, into.address, into.data
        unbox, shared = self._unbox, self._shared
        at, end, last = SLACK, start, stop - 2
        while at <= last:
            if data[at] & 2:
                if stop < at + 9:
                    break
                length, box = int.from_bytes(data[at + 1 : at + 9], "big"), at + 9 + INSIDE
                if length > LONGEST:
                    raise Failed(f"CURVE: a message of {length} bytes came")
            else:
                length, box = data[at + 1], at + 2 + INSIDE
            after = box - INSIDE + length
            if stop < after:
                break
            inside = length - SHORTEST
            if inside < 0:
                raise Failed(f"CURVE: that is no message: {bytes(data[at:after])!r}")
            # What is said before the short nonce is not needed any more: the rest of the nonce may have its place.
            data[box - 24 : box - 8] = TO_CLIENT
            # The flags that stand before what was said make way for the head of its frame.
            said = end + (2 if inside < 256 else 9)
            if unbox(there + said - 1, here + box, length - INSIDE, here + box - 24, shared):
                raise Failed("CURVE: a message does not open")
            flags = made[said - 1]
            flags = flags & 1 | (flags & 2) << 1
            if inside < 256:
                made[end], made[end + 1] = flags, inside
            else:
                made[end] = flags | 2
                made[end + 1 : end + 9] = inside.to_bytes(8, "big")
            end = said + inside
            at = after
        self.kept = bytes(data[at:stop]) if at < stop else b""
        return end - start


_FLAGS = {wire: bytes((wire & 1 | (wire & 4) >> 1,)) for wire in range(8)}
"""The flags of a frame as they are inside a box: whether more follows, whether it is a command."""
