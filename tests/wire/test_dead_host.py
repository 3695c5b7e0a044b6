"""A host that dies without a word: nobody closes its connections, so the broker's keepalive must find out."""

from __future__ import annotations

import pytest
from hosts import needs_namespaces, two_hosts
from support import World


@needs_namespaces
@pytest.mark.timeout(120)
def test_people_on_a_dead_host_are_lost(world: World) -> None:
    with two_hosts() as (here, there):
        world.broker("--insecure", bind="tcp://10.99.0.1:0", within=here.within)
        world.env["ZCHAT_URL"] = world.url.replace("tcp://", "plain://")
        alice = world.start("join", "--name", "alice", stdin=True, within=here.within)
        alice.wait_err("you are in lobby")
        world.start("join", "--name", "bob", stdin=True, within=there.within)
        alice.wait_err("-- bob joined")
        there.unplugs()
        # After 10 s of keepalive's patience, 2 x 5 s of its probes, and 10 s of grace:
        alice.wait_err("-- bob was lost")
