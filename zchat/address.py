"""Addresses as users write them, `tcp://HOST:PORT`, and what libzmq needs to be told of them."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from zchat.messages import DEFAULT_PORT

DEFAULT_URL = f"tcp://127.0.0.1:{DEFAULT_PORT}"

_FORM = re.compile(r"(?:tcp://)?(?:\[(?P<six>[^\]\s]+)\]|(?P<host>[^:\s/@\[\]*]+))(?::(?P<port>\d{1,9}))?/?")


class BadAddress(ValueError):
    """What was given is no address; the message says what to write."""


@dataclass(frozen=True, slots=True)
class Address:
    """A host, by name or number, and a port from 0 to 65535."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"tcp://[{self.host}]:{self.port}" if ":" in self.host else f"tcp://{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches it. A name is not: resolve it first."""
        number = self.number
        return number is not None and number.is_loopback

    @property
    def number(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The host's number: of version 4 where it is one in the clothes of version 6. None for a name."""
        try:
            found = ipaddress.ip_address(self.host)
        except ValueError:
            return None
        return getattr(found, "ipv4_mapped", None) or found

    @property
    def six(self) -> bool:
        """Whether it is a number of IP version 6."""
        return ":" in self.host

    def at(self, port: int) -> Address:
        """The same host at another port."""
        return Address(self.host, port)

    def resolve(self) -> list[Address]:
        """The numbers that the host stands for, version 4 first: a broker on `localhost` usually listens on that one.

        Raises:
            BadAddress: the name cannot be resolved.
        """
        try:
            return [Address(str(ipaddress.IPv4Address(self.host)), self.port)]
        except ValueError:
            import socket  # takes a while, and is for names
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        except (OSError, UnicodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not a host name"
            raise BadAddress(f"cannot resolve {self.host}: {why}; give a name or a number that exists") from None
        found.sort(key=lambda entry: entry[0] != socket.AF_INET)
        return list(dict.fromkeys(Address(str(entry[4][0]), self.port) for entry in found))


def parse(url: str) -> Address:
    """An address out of `tcp://HOST:PORT`; the scheme and the port may be left out.

    Raises:
        BadAddress: it is none.
    """
    match = _FORM.fullmatch(url.strip())
    if match is None:
        raise BadAddress(f"{url!r} is no address: write tcp://HOST:PORT, as in {DEFAULT_URL}")
    port = int(match["port"] or DEFAULT_PORT)
    check_port(port)
    return Address(match["six"] or match["host"], port)


def check_port(port: int) -> None:
    """Raises BadAddress unless a port lies from 0 to 65535: libzmq silently binds 99999 somewhere else."""
    if not 0 <= port <= 65535:
        raise BadAddress(f"port {port} is out of range: choose one from 1 to 65535")
