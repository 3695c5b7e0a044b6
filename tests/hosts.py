"""Two hosts, as far as a network goes: namespaces with a cable between them."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

needs_namespaces = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None,
    reason="network namespaces need root, and the ip command (say: apt-get install iproute2)",
)


@dataclass(frozen=True, slots=True)
class Host:
    """One of them.

    Attributes:
        name: of its namespace.
        address: its number.
    """

    name: str
    address: str

    @property
    def within(self) -> list[str]:
        """The command that runs another there."""
        return ["ip", "netns", "exec", self.name]

    def unplugs(self) -> None:
        """Its cable leads nowhere any more."""
        _ip("-n", self.name, "link", "set", "cable", "down")


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Two hosts: 10.99.0.1 and 10.99.0.2."""
    tag = secrets.token_hex(3)
    here, there = Host(f"zh{tag}", "10.99.0.1"), Host(f"zt{tag}", "10.99.0.2")
    made: list[Host] = []
    try:
        for host in (here, there):
            _ip("netns", "add", host.name)
            made.append(host)
        _ip("link", "add", "cable", "netns", here.name, "type", "veth", "peer", "name", "cable", "netns", there.name)
        for host in (here, there):
            _ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", "cable")
            _ip("-n", host.name, "link", "set", "cable", "up")
            _ip("-n", host.name, "link", "set", "lo", "up")
        yield here, there
    finally:
        for host in made:
            _ip("netns", "del", host.name)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=20)
