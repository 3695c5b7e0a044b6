"""What stands before a broker: real sockets with their keys, who is let in, and just enough of a broker behind them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import TypeVar

import zmq
from wires import PATIENCE, terminate
from zmq.utils import z85

from zchat import codec
from zchat.address import Address
from zchat.client.sync import Client
from zchat.links import Link
from zchat.messages import (
    Beat,
    Fenced,
    Heartbeat,
    Hello,
    Join,
    Joined,
    Message,
    Reply,
    Request,
    Stamp,
    Welcome,
)

T = TypeVar("T")

STAMP = Stamp(b"one life", 1)


def keypair() -> tuple[bytes, bytes]:
    """A public key and its secret one, 32 bytes each."""
    public, secret = zmq.curve_keypair()
    return z85.decode(public), z85.decode(secret)


class Gate:
    """Sockets that a client connects to. Nothing happens but in `turn`.

    Args:
        secret: its secret key; None for plaintext.
        statuses: what ZAP answers: each in turn, the last one from then on.
        port: of the ROUTER; 0 for any.

    Attributes:
        keys: which keys asked to be let in.
        hellos: that were said.
        topics: what is subscribed, in the order in which it was.
        answers: what it says to whatever else it is asked.
    """

    def __init__(self, secret: bytes | None, *statuses: bytes, port: int = 0) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._secret = secret
        self._statuses = list(statuses) or [b"200"]
        self._zap = self._context.socket(zmq.ROUTER)
        self._zap.bind("inproc://zeromq.zap.01")
        self._router, self.address = self._bound(zmq.ROUTER, port)
        self._xpub, self._pub = self._bound(zmq.XPUB, 0)
        self.keys: list[bytes] = []
        self.hellos: list[Hello] = []
        self.topics: list[bytes] = []
        self.answers: Callable[[Request], list[Reply]] = lambda _: []
        self._peer = b""  # who spoke last

    def link(self, key: bytes, invite: bytes | None = None) -> str:
        return str(Link(self.address, "lobby", key, invite))

    def turn(self) -> None:
        """Does all that there is to do."""
        while self._zap.poll(0):
            back, _, _, request, _, _, _, mechanism, *keys = self._zap.recv_multipart()
            assert mechanism == b"CURVE"
            self.keys += keys
            status = self._statuses.pop(0) if len(self._statuses) > 1 else self._statuses[0]
            self._zap.send_multipart([back, b"", b"1.0", request, status, b"", b"", b""])
        while self._router.poll(0):
            self._peer, frame = self._router.recv_multipart()
            for asked in codec.decode_requests(frame):
                assert not isinstance(asked, codec.Malformed)
                for answer in self._answers(asked):
                    self._answer(answer)
        while self._xpub.poll(0):
            topic = self._xpub.recv()
            fence = codec.parse_fence(topic[1:])
            if topic[:1] == b"\1":
                self.topics.append(topic[1:])
                if fence is not None:
                    self._answer(Fenced(fence[1]))

    def say(self, seq: int, text: str) -> None:
        event = codec.encode_event(Message(seq, 0, "bob", b"somebody", seq, text))
        for frame in codec.encode_published("lobby", STAMP, [event], ()):
            self._xpub.send(frame)

    def until(self, client: Client, found: Callable[[], T | None]) -> T:
        """Has both go on until something is found that is neither None nor False."""
        deadline = time.monotonic() + PATIENCE
        while not (result := found()):
            assert time.monotonic() < deadline
            client.poll(0.005)
            self.turn()
        return result

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serves by itself, for clients that are programs of their own; nothing else may use it meanwhile."""
        ended = Event()
        thread = Thread(target=self._serve, args=(ended,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def _serve(self, ended: Event) -> None:
        poller = zmq.Poller()
        for one in (self._zap, self._router, self._xpub):
            poller.register(one, zmq.POLLIN)
        while not ended.is_set():
            poller.poll(20)
            self.turn()

    def close(self) -> None:
        for one in (self._router, self._xpub, self._zap):
            one.close(0)
        terminate(self._context)

    def _bound(self, kind: int, port: int) -> tuple[zmq.Socket[bytes], Address]:
        one = self._context.socket(kind)
        one.linger = 0
        if self._secret is not None:
            one.curve_server = True
            one.curve_secretkey = self._secret
            one.zap_domain = b"test"
        one.bind(f"tcp://127.0.0.1:{port or '*'}")
        return one, Address("127.0.0.1", int(str(one.get_string(zmq.LAST_ENDPOINT)).rpartition(":")[2]))

    def _answer(self, item: Reply) -> None:
        for frame in codec.encode_replies(STAMP, [item]):
            self._router.send_multipart([self._peer, frame])

    def _answers(self, asked: Request) -> list[Reply]:
        match asked:
            case Hello():
                self.hellos.append(asked)
                port = self._pub.port
                return [
                    Welcome(
                        asked.q, b"S" * 16, b"annspipe", asked.name, port, 100, 1000, 60.0, 0, True, False, role="owner"
                    )
                ]
            case Join():
                return [Joined(asked.q, asked.room, 0, 1, 1, ("ann",))]
            case Heartbeat():
                return [Beat(asked.q, 60.0, ())]
        return self.answers(asked)
