"""Where a broker is, and what is needed to talk to it: out of an address or a link, and what is remembered."""

from __future__ import annotations

import os

from zchat import address, links
from zchat.address import Address, BadAddress
from zchat.client import keys
from zchat.messages import Value


class Place(Value, frozen=True):
    """Where a broker is.

    Attributes:
        address: of it.
        key: its public key, for CURVE; None for plaintext.
        room: where the link leads; None if there was none.
        invite: what the link lets in with, if there was one.
    """

    address: Address
    key: bytes | None = None
    room: str | None = None
    invite: bytes | None = None

    def __repr__(self) -> str:
        return f"Place({self.address!r}, {self.key!r}, {self.room!r})"


def default_url() -> str:
    """The broker's address where none is given: `ZCHAT_URL`, else this machine."""
    return os.environ.get("ZCHAT_URL") or address.DEFAULT_URL


def place(url: str | None = None) -> Place:
    """Where a broker is.

    Args:
        url: a link, or `tcp://HOST:PORT`: if that broker was joined before it is known by its key, and else spoken to
            in plaintext. By default `ZCHAT_URL`, else this machine.

    Raises:
        address.BadAddress: it is neither.
        errors.BrokerChanged: the link has another key than the broker that was joined there.
        errors.KeyUnusable: what is remembered cannot be trusted.
    """
    given = url or default_url()
    if links.is_link(given):
        link = links.parse_link(given)
        keys.check(link.address, link.key)
        return Place(link.address, link.key, link.room, link.invite)
    where = address.parse(given)
    if where.port == 0:
        raise BadAddress(f"{where} has no port to connect to: write the broker's, as it prints it")
    return Place(where, keys.remembered(where))
