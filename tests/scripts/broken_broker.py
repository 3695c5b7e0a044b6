"""A broker whose store is broken on purpose, in ways that no number shows. For tests.

    python broken_broker.py {nothing|lost|doubled|swapped}

Its first line says where it listens; it ends with its standard input.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from zchat import address
from zchat.broker.inputs import Input
from zchat.broker.server import Server
from zchat.broker.settings import Settings
from zchat.broker.sockets import bind, context
from zchat.messages import Event, Message, Refused
from zchat.store.base import Append, Outcome, Sending, Work
from zchat.store.memory import MemoryStore

NTH = 50
"""One in so many messages is mistreated."""


class Store(MemoryStore):
    """A memory store, as it should be."""

    appended = 0

    def _send(self, send: Sending) -> Event | Refused:
        if not isinstance(send, Append):
            return super()._send(send)
        self.appended += 1
        return self._mistreat(send) if self.appended % NTH == 0 else super()._send(send)

    def _mistreat(self, send: Append) -> Event | Refused:
        return super()._send(send)


class Losing(Store):
    """Says that it kept a message under the number of the one before, and keeps nothing."""

    def _mistreat(self, send: Append) -> Event | Refused:
        kept = self._rooms[send.room]
        return Message(kept.head, send.ms, send.name, send.sender, send.n, send.text, send.action)


class Doubling(Store):
    """Keeps a message twice, under two numbers."""

    def _mistreat(self, send: Append) -> Event | Refused:
        first = super()._mistreat(send)
        super()._mistreat(send)
        return first


class Swapping(Store):
    """Keeps what one client says in one turn the other way round."""

    def commit(self, work: Work) -> Outcome:
        said: dict[bytes, list[int]] = {}
        for index, send in enumerate(work.sends):
            if isinstance(send, Append):
                said.setdefault(send.client, []).append(index)
        texts = {index: send.text for index, send in enumerate(work.sends) if isinstance(send, Append)}
        for places in said.values():
            for index, other in zip(places, reversed(places), strict=True):
                send = work.sends[index]
                if isinstance(send, Append):
                    work.sends[index] = replace(send, text=texts[other])
        return super().commit(work)


STORES = {"nothing": Store, "lost": Losing, "doubled": Doubling, "swapped": Swapping}


def main() -> None:
    """Serves until standard input ends."""
    ctx = context()
    sockets = bind(ctx, address.parse("tcp://127.0.0.1:0"), None, 0)
    server = Server(Settings(pub_port=sockets.pub_port), STORES[sys.argv[1]](), sockets)
    ended: list[bool] = []

    def read() -> list[Input]:
        ended.append(True)
        return []

    server.watch(sys.stdin.fileno(), read)
    print(f"zchat broker listening on {sockets.address}", flush=True)
    while not ended:
        server.turn()
    server.close(0)
    ctx.destroy(linger=0)


if __name__ == "__main__":
    main()
