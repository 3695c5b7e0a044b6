"""A client that says what a terminal would obey wherever it may say anything."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from typing import Any

import msgspec
import zmq

from scripts.chaos_hostile_escapes import CORPUS, FIN, INVALID
from scripts.chaos_hostile_evil import EVIL
from zchat import address, codec, messages
from zchat.messages import VERSION, Hello, Request


class Hostile:
    """Such a client.

    Attributes:
        sent: requests.
    """

    def __init__(self, url: str) -> None:
        self.sent = 0
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._url = str(address.parse(url))

    def close(self) -> None:
        """Hangs up."""
        self._context.destroy(linger=0)

    def _hello(self, name: str | None) -> tuple[zmq.Socket[bytes], Any]:
        dealer = self._context.socket(zmq.DEALER)
        dealer.routing_id = codec.routing_id(os.urandom(15))
        dealer.linger = 0
        dealer.connect(self._url)
        person, client, fence = (secrets.token_bytes(16) for _ in range(3))
        return dealer, self._ask(dealer, Hello(1, VERSION, name, person, client, fence))[0]

    def _ask(self, dealer: zmq.Socket[bytes], *requests: Request) -> list[Any]:
        """What is answered to requests, until the last of them is."""
        self.sent += len(requests)
        dealer.send(codec.encode_requests(requests)[0])
        dealer.send(codec.encode_requests([messages.Ping(999_999)])[0])
        heard: list[Any] = []
        while dealer.poll(10_000):
            heard += codec.decode_replies(dealer.recv()).items
            if any(getattr(one, "q", 0) == 999_999 for one in heard):
                break
        return heard

    def attacks(self) -> None:
        """Tries every field with every text."""
        for text in CORPUS.values():
            dealer, _ = self._hello(text)
            dealer.close(0)
        dealer, _ = self._hello("eve")
        n = 0
        for request in _everywhere():
            for answer in self._ask(dealer, _numbered(request, n + 1)):
                n = max(n, answer.n) if isinstance(answer, messages.Ack) else n
                if isinstance(answer, messages.Refused) and answer.code != "out-of-order":
                    n = max(n, answer.n)
        for raw in ([b"send", n + 1, b"lobby"], ["send", n + 1, "lobby"]):  # no UTF-8 in a string
            body = msgspec.msgpack.encode([[*raw, "@" * len(INVALID)]]).replace(b"@" * len(INVALID), INVALID)
            dealer.send(body)
        self._ask(dealer, messages.Send(n + 1, "lobby", FIN), messages.Ask(5, CORPUS["CSI colour"]))
        dealer.close(0)


def _numbered(request: Any, n: int) -> Any:
    return msgspec.structs.replace(request, n=n) if hasattr(request, "n") else request


def _everywhere() -> Iterator[Request]:
    """Requests with every text in every field."""
    for text in [*CORPUS.values(), EVIL]:
        yield messages.Send(0, "lobby", text)
        yield messages.Send(0, "lobby", text, action=True)
        yield messages.Send(0, text, "x")
        yield messages.Send(0, f"@{text}", "x")
        yield messages.Send(0, "@viewer", text)
        yield messages.Edit(0, "lobby", 0, text)
        yield messages.Join(2, text)
        yield messages.Leave(2, text)
        yield messages.Nick(3, text)
        yield messages.Who(4, text, text)
        yield messages.Rooms(4, text)
        yield messages.Search(4, text, "", text)
        yield messages.Read(4, text, 0, 1)
        yield messages.Ask(4, text)
        yield messages.Mark(4, text, 1)
    for letter in ("e\u0301" * 4, "ж", "eve\u0301\u0302\u0323\u0331"):  # what may be a name
        yield messages.Nick(3, letter)
        yield messages.Send(0, letter, CORPUS["combining flood"])
