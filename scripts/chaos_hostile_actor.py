"""Somebody who says exactly what is wanted, and hears all that comes of it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import msgspec
import zmq

from scripts.chaos_hostile_keys import Keys, connect
from zchat import codec
from zchat.messages import VERSION, Failed, Hello, Ping, Pong, Reply, Request, Welcome

ANSWERED_MS = 10_000

SYNC = 1 << 41


class Actor:
    """A connection for requests.

    Args:
        url: of the broker.
        name: whom it speaks as, once it says hello.
        routing_id: that it asks for; empty for none.
        keys: its own under CURVE; new ones if None.
        given: person, client and fence, where they are not to be new.

    Attributes:
        heard: everything that came.
        lost: whether an answer did not come in time.
        patience: milliseconds in which it must come.
    """

    def __init__(
        self, url: str, name: str | None = None, routing_id: bytes = b"", keys: Keys | None = None, **given: bytes
    ) -> None:
        self.name = name
        self.person, self.client, self.fence = (
            given.get(field) or secrets.token_bytes(16) for field in ("person", "client", "fence")
        )
        self.token: bytes | None = None
        self.sender = b""
        self.heard: list[Reply] = []
        self.lost = False
        self.patience = ANSWERED_MS
        self.n = 0
        self._sync = SYNC
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._dealer = self._context.socket(zmq.DEALER)
        self._dealer.routing_id = codec.routing_id(os.urandom(15))
        self._dealer.linger = 0
        if routing_id:
            self._dealer.routing_id = routing_id
        connect(self._dealer, url, keys)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hangs up."""
        self._context.destroy(linger=0)

    def greeting(self, **changes: Any) -> Hello:
        """Its hello."""
        fields = {"q": 1, "version": VERSION, "name": self.name, "person": self.person, "client": self.client}
        return Hello(**{**fields, "fence": self.fence, "resume": self.token, **changes})

    def hello(self, **changes: Any) -> Reply | None:
        """Says hello; gives the answer, None if there was none."""
        for item in self.asks(self.greeting(**changes)):
            if isinstance(item, Welcome):
                self.token, self.sender, self.n = item.session, item.sender, item.last
                return item
            if isinstance(item, Failed) and item.q == 1:
                return item
        return None

    def asks(self, *requests: Request) -> Sequence[Reply]:
        """What comes until these are answered."""
        return self.sends(*codec.encode_requests(requests))

    def raw(self, *requests: object) -> Sequence[Reply]:
        """The same of what may be no request."""
        return self.sends(msgspec.msgpack.encode(requests))

    def sends(self, *frames: bytes) -> Sequence[Reply]:
        """What comes until these frames are answered."""
        self._sync += 1
        for frame in (*frames, *codec.encode_requests([Ping(self._sync)])):
            self._dealer.send(frame)
        heard: list[Reply] = []
        while not any(isinstance(one, Pong | Failed) and one.q == self._sync for one in heard):
            if not self._dealer.poll(0 if self.lost else self.patience):
                self.lost = True
                break
            heard += codec.decode_replies(self._dealer.recv()).items
        self.heard += heard
        return heard

    def waits(self, milliseconds: int) -> Sequence[Reply]:
        """What comes without being asked for, in so much time."""
        heard: list[Reply] = []
        while self._dealer.poll(milliseconds):
            heard += codec.decode_replies(self._dealer.recv()).items
        self.heard += heard
        return heard
