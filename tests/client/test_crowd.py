"""Many clients under one poller, with a real broker."""

from __future__ import annotations

import signal
from contextlib import ExitStack

from support import World, eventually

import zchat
from zchat.client.crowd import Crowd
from zchat.client.events import Said
from zchat.client.sync import Client


def _hear(crowd: Crowd, clients: list[Client], wanted: str) -> None:
    """Waits until each has heard a text."""
    missing = set(clients)

    def listen(timeout: float) -> None:
        for client in crowd.poll(timeout):
            if any(isinstance(event, Said) and event.message.text == wanted for event in client.drain()):
                missing.discard(client)

    eventually(lambda: not missing, f"all hear {wanted!r}", listen)


def test_all_hear_also_after_the_broker_was_killed(world: World) -> None:
    broker = world.broker()
    with ExitStack() as stack:
        clients = [stack.enter_context(zchat.connect(world.url, name=f"n{number}")) for number in range(3)]
        for client in clients:
            client.join("lobby")
        crowd = Crowd(clients)
        clients[0].post("lobby", "before")
        _hear(crowd, clients, "before")
        broker.signal(signal.SIGKILL)
        broker.ends()
        world.broker("--bind-wait", "30", bind=world.url)
        clients[1].post("lobby", "after")
        _hear(crowd, clients, "after")


def test_what_is_posted_in_a_row_leaves_before_it_waits(world: World) -> None:
    world.broker("--memory")
    with zchat.connect(world.url, name="one") as client:
        crowd = Crowd([client])
        crowd.poll(0.0)
        for number in range(50):
            client.post("lobby", str(number))
        crowd.poll(0.0)
        assert list(client.session.commands()) == []


def test_nothing_that_happens_takes_no_longer_than_asked(world: World) -> None:
    world.broker("--memory")
    with zchat.connect(world.url) as client:
        crowd = Crowd([client])
        crowd.poll(0.0)
        client.drain()
        eventually(lambda: crowd.poll(0.01) == [], "nothing happens")
