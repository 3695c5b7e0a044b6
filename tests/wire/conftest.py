"""Fixtures for the tests that use real sockets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from wires import Broker, Client, Context, Wires, context


@pytest.fixture(name="zmq_context")
def _zmq_context() -> Iterator[Context]:
    """A context that must not hang at the end."""
    with context() as made:
        yield made


@pytest.fixture(name="wires")
def _wires(zmq_context: Context) -> Iterator[Wires]:
    """Connects brokers and clients."""
    made = Wires(zmq_context)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(name="broker")
def _broker(wires: Wires) -> Broker:
    """A broker with the default settings."""
    return wires.broker()


@pytest.fixture(name="honest")
def _honest(wires: Wires, broker: Broker) -> Iterator[Client]:
    """Somebody in the lobby, for whom all must be well until the end."""
    client = wires.client(broker, "honest")
    client.chats()
    yield client
    client.chats()
    assert broker.alive
    assert len(broker.lines) < 150, broker.lines
    assert not broker.logged("Traceback")
    assert all(line.isprintable() for line in broker.lines)
