"""Links, by which people are let in: `zchat://HOST:PORT/ROOM?key=KEY&invite=SECRET`. Pure.

The key in a link is the broker's: whoever got the link from someone they trust needs to trust nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from zchat import address
from zchat.address import Address, BadAddress
from zchat.messages import LOBBY, Value
from zchat.text import printable

SCHEME = "zchat://"

KEY_SIZE = 32
"""Bytes of a public key of CURVE."""

INVITE_SIZE = 16
"""Bytes of the secret of an invitation."""

LONGEST = 4096
"""Characters of a link at most."""

_ROOM_LONGEST = 256  # before it is normalised; the broker says what a room may be called
_NO_ROOM = frozenset("/@#,:*?[")  # see names.room, whose tables take a while to load
_EXAMPLE = "a link reads zchat://HOST:PORT/ROOM?key=KEY&invite=SECRET"


class Link(Value, frozen=True):
    """What a link says. `str` gives the link itself, `repr` without what is secret in it.

    Attributes:
        address: of the broker.
        room: where it leads, without #.
        key: the broker's public key, 32 bytes.
        invite: 16 secret bytes that let their bearer in; None for one who is let in already.
    """

    address: Address
    room: str
    key: bytes
    invite: bytes | None = None

    def __repr__(self) -> str:
        return f"Link({self.address!r}, {self.room!r}, {self.key!r})"

    def __str__(self) -> str:
        from urllib.parse import quote  # takes a while, and is for links

        where = str(self.address).removeprefix("tcp://")
        invite = "" if self.invite is None else f"&invite={_text(self.invite)}"
        return f"{SCHEME}{where}/{quote(self.room, safe='')}?key={key_text(self.key)}{invite}"


def is_link(text: str) -> bool:
    """Whether a text is meant to be a link; it may be malformed all the same."""
    return text.lstrip()[:6].lower() == "zchat:"


def parse_link(text: str) -> Link:
    """What a link says. The port may be left out, and the room; parameters that are not known are ignored.

    Raises:
        BadAddress: it is none. The message does not repeat it: there is a secret in it.
    """
    text = text.strip()
    if text[: len(SCHEME)].lower() != SCHEME:
        raise BadAddress(f"that is no link: {_EXAMPLE}")
    if len(text) > LONGEST:
        raise BadAddress(f"that link is too long: one has {LONGEST} characters at most")
    if not (text.isascii() and text.isprintable()) or " " in text:
        raise BadAddress("that link has a character in it that belongs into none: copy it anew, in one piece")
    before, _, query = text[len(SCHEME) :].partition("?")
    host, _, room = before.partition("/")
    given = _parameters(query)
    if "key" not in given:
        raise BadAddress(f"that link has no key in it, so it is not all of it: {_EXAMPLE} (in quotes, on a shell)")
    try:
        where = address.parse(host)
    except BadAddress:
        raise BadAddress(f"that link has no host and port that one could connect to: {_EXAMPLE}") from None
    if where.port == 0:
        raise BadAddress("that link has port 0, which none listens on: ask for one with the broker's port")
    invite = _bytes(given["invite"], INVITE_SIZE, "invite") if "invite" in given else None
    return Link(where, _room(room), parse_key(given["key"]), invite)


def key_text(key: bytes) -> str:
    """A public key of 32 bytes as people pass it on: 52 characters of base32 (RFC 4648) in small letters."""
    return _text(key)


def parse_key(text: str) -> bytes:
    """The 32 bytes of a key out of what `key_text` gave, in small letters or capitals.

    Raises:
        BadAddress: it is none.
    """
    return _bytes(text.strip(), KEY_SIZE, "key")


def fingerprint(key: bytes) -> str:
    """A key in short, for two people to compare: six groups of four characters."""
    short = _text(hashlib.blake2b(key, digest_size=15).digest())
    return "-".join(short[i : i + 4] for i in range(0, len(short), 4))


def invite_id(secret: bytes) -> bytes:
    """What an invitation is known by to those who must not be able to use it: 10 bytes that follow from its secret."""
    return hashlib.blake2b(secret, digest_size=10, person=b"zchat-invite").digest()


def id_text(id: bytes) -> str:  # noqa: A002  # what it is called
    """The id of an invitation as people read and write it: 16 characters."""
    return _text(id)


def _parameters(query: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name in given and given[name] != value:
            raise BadAddress(f"that link has two of one parameter: {_EXAMPLE}")
        given[name] = value
    return given


def _room(quoted: str) -> str:
    from urllib.parse import unquote_to_bytes

    try:
        room = unquote_to_bytes(quoted.rstrip("/")).decode().removeprefix("#") or LOBBY
    except UnicodeDecodeError:
        room = ""
    if not 1 <= len(room) <= _ROOM_LONGEST or printable(room) != room or not _NO_ROOM.isdisjoint(room):
        raise BadAddress(f"what that link leads to cannot be a room's name: {_EXAMPLE}")
    return room


def _text(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=").lower()


def _bytes(text: str, size: int, what: str) -> bytes:
    padded = text.lower() + "=" * (-len(text) % 8)
    try:
        raw = base64.b32decode(padded, casefold=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != size or _text(raw) != text.lower():  # one key has one text: bits that say nothing are 0
        length = -(-size * 8 // 5)
        raise BadAddress(f"that is no {what}: one has {length} letters a to z and digits 2 to 7; copy it anew")
    return raw
