"""The sockets of a client, and the keys on them."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from client.gate import Gate, keypair
from wires import eventually

from zchat import errors
from zchat.address import Address
from zchat.client import keys
from zchat.client.events import Disconnected, Said
from zchat.client.sync import Client
from zchat.codec import room_topic
from zchat.links import Link

PUBLIC, SECRET = keypair()
INVITE = b"a secret of 16 b"

Make = Callable[..., Gate]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.delenv("ZCHAT_IDENTITY", raising=False)


@pytest.fixture(name="gate")
def _gate() -> Iterator[Make]:
    made: list[Gate] = []

    def make(secret: bytes | None = SECRET, *statuses: bytes, port: int = 0) -> Gate:
        made.append(Gate(secret, *statuses, port=port))
        return made[-1]

    yield make
    for one in made:
        one.close()


def arrive(gate: Gate, client: Client) -> None:
    gate.until(client, lambda: client.session.open)
    client.open(0)


def hear(gate: Gate, client: Client, seq: int) -> None:
    """Follows the lobby, and hears what is said there."""
    gate.until(client, lambda: "lobby" in client._entered)
    gate.say(seq, f"text {seq}")
    found = gate.until(client, lambda: [event for event in client.drain() if isinstance(event, Said)])
    assert [event.message.text for event in found] == [f"text {seq}"]


def test_both_sockets_use_the_keys_and_the_broker_is_remembered(gate: Make, tmp_path: Path) -> None:
    broker = gate()
    with closing(Client(broker.link(PUBLIC, INVITE), name="ann")) as client:
        assert keys.remembered(broker.address) is None  # it has proved nothing yet
        arrive(broker, client)
        own = keys.own_keys().public
        assert [(hello.invite, hello.person) for hello in broker.hellos] == [(INVITE, own)]
        assert client.role == "owner"
        client.enter("lobby")
        hear(broker, client, 1)
        assert set(broker.keys) == {own}
        assert len(broker.keys) == 2
        client.close(0)
    with closing(Client(str(broker.address), name="ann", identity="other")) as client:
        arrive(broker, client)  # the address is enough from now on
        assert broker.keys[-1] == keys.own_keys("other").public
        assert broker.hellos[-1].invite is None
        client.close(0)
    assert not list(tmp_path.rglob("persons"))


def test_after_a_restart_hello_comes_first_and_a_new_sub_after_it(gate: Make) -> None:
    before = gate()
    with closing(Client(before.link(PUBLIC, INVITE), name="ann")) as client:
        arrive(before, client)
        client.enter("lobby")
        hear(before, client, 1)
        before.close()
        eventually(lambda: (client.poll(0.01), not client.session.open)[1], "the loss is noticed")
        assert any(isinstance(event, Disconnected) for event in client.drain())
        after = gate(port=before.address.port)
        after.until(client, lambda: after.hellos)
        assert after.topics == []
        assert after.hellos[0].invite == INVITE
        after.until(client, lambda: room_topic("lobby") in after.topics)
        assert len(set(after.keys)) == 1
        client.close(0)


def test_who_is_not_let_in_is_told_so_and_does_not_try_again(gate: Make) -> None:
    broker = gate(SECRET, b"400")
    with closing(Client(broker.link(PUBLIC), name="ann")) as client:
        broker.until(client, lambda: client.session.ended)
        with pytest.raises(errors.NotAdmitted, match="ask who runs the broker for a link"):
            client.open(5)
        assert len(broker.keys) == 1
        assert client._link.sockets() == []
        assert client._link.due() == float("inf")
    assert keys.remembered(broker.address) is None


def test_who_was_let_in_and_is_no_more_is_told_so(gate: Make) -> None:
    before = gate()
    with closing(Client(before.link(PUBLIC), name="ann")) as client:
        arrive(before, client)
        before.close()
        after = gate(SECRET, b"400", port=before.address.port)
        after.until(client, lambda: client.session.ended)
        assert isinstance(client.session.ended, errors.NotAdmitted)


@pytest.mark.parametrize(
    ("secret", "given", "hint"),
    [
        (None, True, "whose key is known|to the key that is known"),  # by which side notices first
        (SECRET, False, "ask who runs the broker for a link"),
        (keypair()[1], True, "does not answer to the key"),
    ],
    ids=["keys meet plaintext", "plaintext meets keys", "another key"],
)
def test_who_speaks_otherwise_than_the_broker_is_told_what_is_likely_wrong(
    gate: Make, secret: bytes | None, given: bool, hint: str
) -> None:
    broker = gate(secret)
    url = broker.link(PUBLIC) if given else str(broker.address)
    with closing(Client(url, name="ann")) as client:
        broker.until(client, lambda: client._link.trouble)
        with pytest.raises(errors.Unreachable, match=hint):
            client.open(0)
    assert not broker.hellos
    assert keys.remembered(broker.address) is None


def test_who_is_told_that_the_other_side_speaks_plaintext_does_not_wait() -> None:
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)  # ZMTP 3.1
    with socket.create_server(("127.0.0.1", 0)) as server:
        where = Address("127.0.0.1", server.getsockname()[1])
        with closing(Client(str(Link(where, "lobby", PUBLIC)), name="ann")) as client:
            client.poll(0)
            connection, _ = server.accept()
            with connection:
                connection.sendall(greeting)
                with pytest.raises(errors.Unreachable, match="speaks plaintext"):
                    client.open(1e6)


def test_nothing_is_sent_to_a_broker_that_has_another_key_than_before(gate: Make) -> None:
    broker = gate()
    keys.remember(broker.address, bytes(32))
    with pytest.raises(errors.BrokerChanged):
        Client(broker.link(PUBLIC, INVITE), name="ann")


def test_where_nothing_can_be_kept_a_link_is_enough(gate: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = gate()
    keys.own_keys()
    (keys.config_folder() / "brokers.lock").mkdir()  # so that it cannot be opened
    with closing(Client(broker.link(PUBLIC), name="ann")) as client:
        arrive(broker, client)
        client.close(0)
    assert keys.remembered(broker.address) is None


def test_a_broker_is_remembered_as_it_was_joined_alone(gate: Make) -> None:
    broker = gate()
    joined = Address("localhost", broker.address.port)
    keys.remember(joined, PUBLIC)
    with closing(Client(str(broker.address), name="ann")) as client:
        arrive(broker, client)
        client.close(0)
    assert keys.remembered(broker.address) is None  # so that to forget the one is to forget it
    assert broker.keys


def test_a_name_that_comes_to_stand_for_another_machine_is_told_nothing(
    gate: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = gate(None)
    numbers = ["127.0.0.1"]
    ask = socket.getaddrinfo

    def asked(host: str, port: int, **given: Any) -> list[Any]:
        found = numbers if host == "moves.example.org" else [host]
        return [entry for number in found for entry in ask(number, port, **given)]

    monkeypatch.setattr(socket, "getaddrinfo", asked)
    with closing(Client(f"tcp://moves.example.org:{before.address.port}", name="ann")) as client:
        arrive(before, client)
        numbers.append("192.0.2.7")
        before.close()
        after = gate(None, port=before.address.port)
        after.until(client, lambda: client._link.trouble)
        assert not client._link.sockets()
        with pytest.raises(errors.Unreachable, match="stands for another machine now"):
            client.open(0)
        assert not after.hellos
        numbers.pop()
        after.until(client, lambda: client.session.open)
