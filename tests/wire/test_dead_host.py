"""A host that dies without a word: nobody closes its connections, so the broker's keepalive must find out."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from support import World

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None,
    reason="network namespaces need root, and the ip command (say: apt-get install iproute2)",
)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=20)


@pytest.fixture(name="hosts")
def _hosts() -> Iterator[tuple[str, str]]:
    """Two network namespaces with a cable between them: 10.99.0.1 and 10.99.0.2."""
    tag = secrets.token_hex(3)
    here, there = f"zh{tag}", f"zt{tag}"
    made: list[str] = []
    try:
        for name in (here, there):
            _ip("netns", "add", name)
            made.append(name)
        _ip("link", "add", "cable", "netns", here, "type", "veth", "peer", "name", "cable", "netns", there)
        for number, name in enumerate((here, there), 1):
            _ip("-n", name, "addr", "add", f"10.99.0.{number}/24", "dev", "cable")
            _ip("-n", name, "link", "set", "cable", "up")
            _ip("-n", name, "link", "set", "lo", "up")
        yield here, there
    finally:
        for name in made:
            _ip("netns", "del", name)


@pytest.mark.timeout(120)
def test_people_on_a_dead_host_are_lost(world: World, hosts: tuple[str, str]) -> None:
    here, there = hosts
    inside, outside = ["ip", "netns", "exec", here], ["ip", "netns", "exec", there]
    world.broker("--insecure", bind="tcp://10.99.0.1:0", within=inside)
    alice = world.start("join", "--name", "alice", stdin=True, within=inside)
    alice.wait_err("you are in lobby")
    world.start("join", "--name", "bob", stdin=True, within=outside)
    alice.wait_err("-- bob joined")
    _ip("-n", there, "link", "set", "cable", "down")
    alice.wait_err("-- bob was lost")  # after 10 s of keepalive's patience, 2 x 5 s of its probes, and 10 s of grace
