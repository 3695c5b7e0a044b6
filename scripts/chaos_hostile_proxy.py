"""Real clients with keys, whose streams are damaged on their way: past the handshake nobody else gets."""

from __future__ import annotations

import os
import select
import socket
import time
from dataclasses import dataclass, field
from random import Random
from typing import Any

import zmq

from scripts import chaos_hostile_mutate as mutate
from scripts.chaos_hostile_actor import Actor
from scripts.chaos_hostile_fuzz import GONE, source
from zchat import codec, links
from zchat.messages import Join, Ping, Rooms, Send

LATE = 0.15
"""Seconds after which a client whose stream was damaged is given up."""

TOGETHER = 8
"""Clients at once."""

HARMED = (1, 2, 3, 3, 4, 4, 5, 5)
"""Which piece of what a client sends is damaged: greeting, hello, initiate, and messages."""


@dataclass(eq=False)
class Way:
    """From a client to the broker, and back.

    Attributes:
        pieces: that went to the broker; harm: the number of that which is damaged.
    """

    client: socket.socket
    broker: socket.socket
    harm: int
    pieces: int = 0

    def close(self) -> None:
        """Ends it at both ends."""
        self.client.close()
        self.broker.close()


@dataclass
class Proxy:
    """Between clients and one port of the broker.

    Args:
        port: of the broker.
    """

    port: int
    random: Random
    harmed: int = 0
    accepted: int = 0
    ways: list[Way] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.listener.setblocking(False)
        self.at = self.listener.getsockname()[1]

    def look(self, wait: float) -> None:
        """Passes on what came."""
        ends = {way.client: (way, way.broker) for way in self.ways} | {
            way.broker: (way, way.client) for way in self.ways
        }
        for ready in select.select([self.listener, *ends], [], [], wait)[0]:
            if ready is self.listener:
                self._accept()
                continue
            way, other = ends[ready]
            if way not in self.ways:
                continue
            try:
                data = ready.recv(1 << 16)
                if ready is way.client:
                    data = self._passed(way, data)
                if not data:
                    raise ConnectionResetError
                other.sendall(data)
            except GONE:
                way.close()
                self.ways.remove(way)

    def _passed(self, way: Way, data: bytes) -> bytes:
        way.pieces += 1
        if not data or way.pieces != way.harm:
            return data
        self.harmed += 1
        return mutate.bytes_of(self.random, data)[: mutate.LONGEST]

    def _accept(self) -> None:
        client, _ = self.listener.accept()
        self.accepted += 1
        broker = socket.socket()
        broker.bind(source(self.random))
        broker.connect(("127.0.0.1", self.port))
        for one in (client, broker):
            one.settimeout(2.0)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.ways.append(Way(client, broker, self.random.choice(HARMED)))

    def close(self) -> None:
        """Ends all."""
        for way in self.ways:
            way.close()
        self.listener.close()


def proxied_attack(url: str, count: int, seed: int) -> dict[str, Any]:
    """So many clients whose streams are damaged, at both ports by turns."""
    random = Random(seed)
    to = links.parse_link(url)
    proxies = [Proxy(to.address.port + port, random) for port in (0, 1)]
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    keys = [zmq.curve_keypair() for _ in range(20)]
    # The port for rooms lets in only who has a session.
    known = [Actor(url, None, keys=pair) for pair in keys]
    for one in known:
        one.hello()
    sent = 0
    while sent < count:
        opened = [_client(context, to.key, random.choice(keys), proxies, number) for number in range(TOGETHER)]
        deadline = time.monotonic() + LATE
        while time.monotonic() < deadline and _under_way(proxies, sent + TOGETHER):
            for proxy in proxies:
                proxy.look(0.002)
        for socket_ in opened:
            socket_.close(0)
        sent += TOGETHER
    for proxy in proxies:
        proxy.close()
    for one in known:
        one.close()
    context.destroy(linger=0)
    return {"sent": sum(proxy.harmed for proxy in proxies), "tried": sent}


def _under_way(proxies: list[Proxy], clients: int) -> bool:
    """Whether some stream is still to be damaged.

    Args:
        clients: so far.
    """
    waiting = any(way.pieces < way.harm for proxy in proxies for way in proxy.ways)
    return waiting or sum(proxy.accepted for proxy in proxies) < clients


def _client(
    context: zmq.Context[zmq.Socket[bytes]],
    server: bytes,
    keys: tuple[bytes, bytes],
    proxies: list[Proxy],
    number: int,
) -> zmq.Socket[bytes]:
    """A client that says all it can at once."""
    sub = number % 2
    made = context.socket(zmq.SUB if sub else zmq.DEALER)
    if not sub:
        made.routing_id = codec.routing_id(os.urandom(15))
    made.linger = 0
    made.reconnect_ivl = -1
    made.curve_serverkey = server
    made.curve_publickey, made.curve_secretkey = keys
    if sub:
        for room in ("lobby", "den", "honest"):
            made.subscribe(codec.room_topic(room))
    made.connect(f"tcp://127.0.0.1:{proxies[sub].at}")
    if not sub:
        for frame in codec.encode_requests([Join(1, "lobby"), Send(1, "lobby", "x" * 300), Rooms(2), Ping(3)]):
            made.send(frame)
    return made
