"""A broker that is broken on purpose: its store, in ways that no number shows, or what it tells to whom. For tests.

    python broken_broker.py {nothing|lost|doubled|swapped|published|opened|pushed}

Its first line says where it listens; it ends with its standard input.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence

from msgspec.structs import replace

from zchat import address
from zchat.broker.hub import Hub
from zchat.broker.inputs import Input
from zchat.broker.rights import Rights
from zchat.broker.rooms import Room, Rooms
from zchat.broker.server import Server
from zchat.broker.settings import Settings
from zchat.broker.sockets import bind, context
from zchat.codec import decode_event, encode_event
from zchat.messages import Message, Private, Refused
from zchat.store.base import Append, Kept, Outcome, Sending, Work
from zchat.store.memory import MemoryStore

NTH = 50
"""One in so many messages is mistreated."""


class Store(MemoryStore):
    """A memory store, as it should be."""

    appended = 0

    def commit(self, work: Work) -> Outcome:
        outcome = super().commit(dataclasses.replace(work, sends=[]))
        sends: list[Sequence[Kept | Refused]] = []
        for send in work.sends:
            singles = [replace(send, said=[said]) for said in send.said] if isinstance(send, Append) else [send]
            sends.append([each for single in singles for each in self._one(single)])
        return Outcome(sends, outcome.greeted)

    def _one(self, send: Sending) -> Sequence[Kept | Refused]:
        if not isinstance(send, Append):
            return self._send(send)
        self.appended += 1
        return self._mistreat(send) if self.appended % NTH == 0 else self._send(send)

    def _mistreat(self, send: Append) -> Sequence[Kept | Refused]:
        return self._send(send)


class Losing(Store):
    """Says that it kept a message under the number of the one before, and keeps nothing."""

    def _mistreat(self, send: Append) -> Sequence[Kept | Refused]:
        (said,) = send.said
        head = self._rooms[send.room].head
        return [Kept(head, [encode_event(Message(head, send.ms, send.name, send.sender, said.n, said.text))])]


class Doubling(Store):
    """Keeps a message twice, under two numbers."""

    def _mistreat(self, send: Append) -> Sequence[Kept | Refused]:
        first = super()._mistreat(send)
        super()._mistreat(send)
        return first


class Swapping(Store):
    """Keeps what one client says in one turn the other way round."""

    def commit(self, work: Work) -> Outcome:
        for index, send in enumerate(work.sends):
            if isinstance(send, Append):
                texts = [said.text for said in reversed(send.said)]
                turned = [replace(said, text=text) for said, text in zip(send.said, texts, strict=True)]
                work.sends[index] = replace(send, said=turned)
        return super().commit(work)


def _publish() -> None:
    """What happens in private rooms is published like everything else."""
    spoke = Rooms.spoke

    def published(self: Rooms, room: Room, kept: Kept) -> None:
        spoke(self, room, kept)
        if room.private:
            self._turn.effects.publication(room.name, 0).events.extend(kept.events)

    setattr(Rooms, "spoke", published)  # noqa: B010  # mypy lets no method be assigned


def _open() -> None:
    """Whoever knows the id of a private room may read it."""
    readable = Rights.readable

    def opened(self: Rights, person: bytes, wanted: str) -> Room:
        return self._rooms.by_name.get(wanted) or readable(self, person, wanted)

    setattr(Rights, "readable", opened)  # noqa: B010


def _push() -> None:
    """What happens in private rooms is told to everybody who is here."""

    def pushed(self: Hub, room: Room, kept: Kept) -> None:
        for session in self.sessions.all():
            self.sessions.reply(session, Private(room.name, room.title, tuple(map(decode_event, kept.events))))

    setattr(Hub, "_tell_members", pushed)  # noqa: B010


LEAKS = {"published": _publish, "opened": _open, "pushed": _push}
STORES = {"nothing": Store, "lost": Losing, "doubled": Doubling, "swapped": Swapping}


def main() -> None:
    """Serves until standard input ends."""
    ctx = context()
    sockets = bind(ctx, address.parse("tcp://127.0.0.1:0"), None, 0)
    broken = sys.argv[1]
    if broken in LEAKS:
        LEAKS[broken]()
    server = Server(Settings(pub_port=sockets.pub_port), STORES.get(broken, Store)(), sockets)
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
