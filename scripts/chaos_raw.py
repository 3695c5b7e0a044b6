"""A client of frames alone, who trusts no session: for reading rooms at the end, and for looking at single answers."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

import zmq

from scripts.checker import Event, Log
from zchat import address, codec, messages
from zchat.messages import VERSION, Failed, Hello, Page, Read, Reply, Request, Stamp, Welcome

PAGE = 500
"""Events asked for at a time."""

T = TypeVar("T")


class NoAnswer(Exception):
    """The broker did not answer in time, or refused."""


class Raw:
    """A connection, welcomed.

    Args:
        url: of the broker.
        person: whose private rooms it may read.
        name: whom it speaks as; None for one who only looks.
        timeout: seconds that each answer may take.

    Attributes:
        welcome: what the broker answered to hello.
        stamp: the newest that it told.
        took: seconds until it had.

    Raises:
        NoAnswer: nobody there.
    """

    def __init__(self, url: str, person: bytes | None = None, name: str | None = None, timeout: float = 10.0) -> None:
        begin = time.monotonic()
        self._timeout = timeout
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.routing_id = codec.routing_id(os.urandom(15))
        self._socket.linger = 0
        self._socket.reconnect_ivl = 20
        self._q = 1
        self.stamp = Stamp(bytes(8), 0)
        try:
            self._socket.connect(str(address.parse(url)))
            client, fence = secrets.token_bytes(16), secrets.token_bytes(16)
            self.send(Hello(1, VERSION, name, person or secrets.token_bytes(16), client, fence))
            self.welcome = self.hear(lambda item: item if isinstance(item, Welcome) else None)
        except BaseException:
            self.close()
            raise
        self.took = time.monotonic() - begin

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hangs up."""
        self._context.destroy(linger=0)

    def send(self, *requests: Request) -> None:
        """Sends these in frames."""
        for frame in codec.encode_requests(requests):
            self._socket.send(frame)

    def hear(self, wanted: Callable[[Reply], T | None]) -> T:
        """The next answer in which something is found that is wanted; others are passed over.

        Raises:
            NoAnswer: it did not come, or a request was refused.
        """
        deadline = time.monotonic() + self._timeout
        while (left := deadline - time.monotonic()) > 0:
            if not self._socket.poll(max(int(left * 1000), 1)):
                break
            for item in self._items():
                found = wanted(item)
                if found is not None:
                    return found
                if isinstance(item, Failed):
                    raise NoAnswer(f"{item.code}: {item.detail}")
        raise NoAnswer(f"no answer within {self._timeout:g} s")

    def _items(self) -> tuple[Reply, ...]:
        frame = codec.decode_replies(self._socket.recv())
        self.stamp = frame.stamp
        return tuple(frame.items)

    def read(self, room: str, label: str | None = None) -> Log:
        """A room from its first number to its head.

        Args:
            room: its name, or the id of a private one.
            label: what it is called in the notes; by default its name.

        Raises:
            NoAnswer: it cannot be read.
        """
        log: Log | None = None
        after = 0
        while log is None or after < log.head:
            self._q += 1
            self.send(Read(self._q, room, after, PAGE))
            page = self.hear(lambda item: item if isinstance(item, Page) and item.q == self._q else None)
            log = log or Log(page.first, page.head, [])
            if not page.events:
                break
            log.head = page.head
            log.events += [event(label or room, one) for one in page.events]
            after = page.events[-1].seq
        return log


def event(room: str, told: messages.Event) -> Event:
    """An event of the broker's as the checker knows it.

    Args:
        room: what the room is called in the notes.
    """
    if isinstance(told, messages.Unreadable):
        return Event(told.seq, "?", "?")
    if isinstance(told, messages.Acted):
        said = " ".join(filter(None, (told.verb, told.whom, told.text, told.room)))
        whom = told.name if told.verb in ("create", "leave") else told.whom
        return Event(told.seq, _deed(room, told), said, told.target, True, told.verb, whom, told.name)
    identity = f"{told.sender.hex()} {told.n}"
    if isinstance(told, messages.Edited):
        return Event(told.seq, identity, told.text, told.target, by=told.name)
    if isinstance(told, messages.Deleted):
        return Event(told.seq, identity, deletion(room, told.target), told.target, by=told.name)
    return Event(told.seq, identity, told.text, by=told.name)


def _deed(room: str, told: messages.Acted) -> str:
    """What tells a deed from every other event: the broker's own have no number, and it logs others a second time."""
    return f"{told.sender.hex()} {told.n}" if told.n and not told.room else f"deed {room} {told.seq}"


def deletion(room: str, target: int) -> str:
    """What a deletion is called in the notes: it has no text of its own, and is sent once for each message."""
    return f"delete {room} {target}"
