"""The Python API and a broker under CURVE: who comes in, by what, and who does not any more."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support import World, eventually
from wires import Broker, Wires, context

import zchat
from zchat import errors
from zchat.client import keys
from zchat.client.crowd import Crowd
from zchat.client.events import Said
from zchat.client.sync import Client

CROWD = 100

Connect = Callable[..., Client]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("ZCHAT_IDENTITY", raising=False)


@pytest.fixture(name="wires")
def _wires() -> Iterator[Wires]:
    with context() as made:
        wires = Wires(made)
        try:
            yield wires
        finally:
            wires.close()


@pytest.fixture(name="connect")
def _connect(wires: Wires) -> Iterator[Connect]:  # so that clients end before their broker
    with ExitStack() as stack:
        yield lambda url, name, **options: stack.enter_context(
            zchat.connect(url, name=name, identity=name, timeout=30, **options)
        )


@pytest.fixture(name="broker")
def _broker(wires: Wires, tmp_path: Path) -> Broker:
    return wires.broker(folder=tmp_path / "broker")


@pytest.fixture(name="olga")
def _olga(broker: Broker, connect: Connect) -> Client:
    """The owner."""
    assert broker.owner_link is not None
    return connect(broker.owner_link, "olga")


def test_the_owner_lets_others_in_by_links_and_those_come_back_by_the_address(
    broker: Broker, olga: Client, connect: Connect
) -> None:
    assert olga.role == "owner"
    link = olga.link("dev", uses=1)
    assert [(info.room, info.uses, info.role, info.by) for info in olga.links()] == [("dev", 1, "member", "olga")]
    bob = connect(link, "bob")
    assert bob.role == "member"
    assert olga.links() == []
    with pytest.raises(errors.NotAllowed):
        bob.link()
    bob.join("dev").send("hi")
    bob.close()
    # The link is used up, and so lets in nobody but who came in by it.
    for url in (link, str(broker.address)):
        connect(url, "bob").close()
    with pytest.raises(errors.NotAdmitted):
        connect(link, "eve")


def test_another_device_is_the_same_person(olga: Client, connect: Connect) -> None:
    phone = zchat.connect(olga.add_device(), name="olga", identity="phone", timeout=30)
    with phone:
        assert (phone.name, phone.role) == ("olga", "owner")
        for client in (olga, phone):
            client.join("lobby")
        assert olga.who("lobby") == ["olga"]
    assert set(keys.list_keys()) == {"olga", "phone"}


def test_a_link_that_was_revoked_lets_nobody_in(olga: Client, connect: Connect) -> None:
    one, other = olga.link(), olga.link(uses=9)
    olga.revoke(link=one)
    (left,) = olga.links()
    olga.revoke(link=left.id)
    for link in (one, other):
        with pytest.raises(errors.NotAdmitted):
            connect(link, "bob")


def test_who_is_revoked_is_told_so_and_may_be_let_in_again(broker: Broker, olga: Client, connect: Connect) -> None:
    link = olga.link(uses=2)
    bob = connect(link, "bob")
    bob.join("lobby")
    olga.revoke(name="bob")
    with pytest.raises(errors.NotAdmitted):
        list(bob.events(timeout=30))
    with pytest.raises(errors.NotAdmitted):
        connect(link, "bob")
    olga.revoke(name="bob", undo=True)
    assert connect(str(broker.address), "bob").name == "bob"


def test_all_hear_again_after_the_broker_was_killed(world: World, connect: Connect) -> None:
    options = ("--curve", "--admission", "open", "--advertise", "127.0.0.1")
    broker = world.broker(*options)
    link = broker.wait_out(r"zchat join '(\S+)'").group(1)
    clients = [connect(link, f"n{number}") for number in range(CROWD)]
    crowd = Crowd(clients)
    for client in clients:
        client.enter("lobby", after=0)
    hear(crowd, clients, "before")
    broker.signal(signal.SIGKILL)
    broker.ends()
    world.broker(*options, "--bind-wait", "30", bind=world.url)
    hear(crowd, clients, "after")


def hear(crowd: Crowd, clients: list[Client], wanted: str) -> None:
    """The first says something, and waits until each has heard it."""
    clients[0].post("lobby", wanted)
    missing = set(clients)

    def listen(timeout: float) -> None:
        for client in crowd.poll(timeout):
            if any(isinstance(event, Said) and event.message.text == wanted for event in client.drain()):
                missing.discard(client)

    eventually(lambda: not missing, f"all hear {wanted!r}", listen)
