"""Where a broker is, and what is needed to talk to it: out of an address or a link, and what is remembered."""

from __future__ import annotations

import os

from zchat import address, links
from zchat.address import Address, BadAddress
from zchat.client import keys
from zchat.errors import BrokerChanged, BrokerUnknown, Unreachable
from zchat.messages import Value

PLAIN = "plain://"
"""What an address begins with where plaintext is meant, whatever machine it is on."""


class Place(Value, frozen=True):
    """Where a broker is.

    Attributes:
        address: of it.
        key: its public key, for CURVE; None for plaintext.
        room: where the link leads; None if there was none.
        invite: what the link lets in with, if there was one.
        plain: whether plaintext is meant wherever it is; else it is for this machine alone.
    """

    address: Address
    key: bytes | None = None
    room: str | None = None
    invite: bytes | None = None
    plain: bool = False

    def __repr__(self) -> str:
        return f"Place({self.address!r}, {self.key!r}, {self.room!r})"


def default_url() -> str:
    """The broker's address where none is given: `ZCHAT_URL`, else this machine."""
    return os.environ.get("ZCHAT_URL") or address.DEFAULT_URL


def place(url: str | None = None) -> Place:
    """Where a broker is.

    Args:
        url: a link; `tcp://HOST:PORT` of a broker that was joined before, which is known by its key, or of one on this
            machine, which is else spoken to in plaintext; or `plain://HOST:PORT`, which is plaintext anywhere. By
            default `ZCHAT_URL`, else this machine.

    Raises:
        address.BadAddress: it is none of these.
        errors.BrokerChanged: the link has another key than the broker that was joined there; or plaintext is meant, and
            that broker has a key.
        errors.BrokerUnknown: it is on another machine, and was not joined before.
        errors.KeyUnusable: what is remembered cannot be trusted.
        errors.Unreachable: it was not joined before, and which machine it is on cannot be told.
    """
    given = (url or default_url()).strip()
    if links.is_link(given):
        link = links.parse_link(given)
        keys.check(link.address, link.key)
        return Place(link.address, link.key, link.room, link.invite)
    plain = given[: len(PLAIN)].lower() == PLAIN
    where = _address(given, plain=plain)
    known = keys.known(where)
    if known is None:
        if not plain:
            _check_here(where)
        return Place(where, plain=plain)
    at, key = known
    if plain:
        raise BrokerChanged(
            f"the broker at {at} has the key {links.fingerprint(key)}, so nothing is said to it in plaintext: write "
            f"tcp://{at}; or, if who runs it confirms that it has none any more, `zchat keys forget {at}` and try again"
        )
    return Place(where, key)


def _address(given: str, *, plain: bool) -> Address:
    rest = given[len(PLAIN) :] if plain else given
    if plain and "://" in rest:
        raise BadAddress(f"{given!r} is no address: write {PLAIN}HOST:PORT")
    where = address.parse(rest)
    if where.port == 0:
        raise BadAddress(f"{where} has no port to connect to: write the broker's, as it prints it")
    return where


def _check_here(where: Address) -> None:
    """Stops who is about to tell another machine in plaintext who they are."""
    try:
        here = all(number.loopback for number in where.resolve())
    except BadAddress as error:
        raise Unreachable(f"cannot reach a broker at {where}: {error}") from None
    if not here:
        raise BrokerUnknown(
            f"nothing is known of the broker at {where}: ask who runs it for a link (`zchat join LINK`); or, if it is "
            f"plaintext on purpose, write {PLAIN}{str(where).removeprefix('tcp://')}"
        )
