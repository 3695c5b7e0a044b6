"""A broker on real sockets in a thread, honest clients of raw ZeroMQ sockets, and peers that speak TCP alone."""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import zmq

from zchat import codec
from zchat.address import Address
from zchat.broker import http, sockets
from zchat.broker.admission import Door, Mode
from zchat.broker.entrance import Entrance
from zchat.broker.inputs import Input, Shutdown
from zchat.broker.keys import broker_keys
from zchat.broker.logs import RateLimit
from zchat.broker.server import Server
from zchat.broker.settings import Settings
from zchat.keyfiles import Keypair
from zchat.messages import (
    VERSION,
    Ack,
    Fenced,
    Hello,
    Join,
    Joined,
    Message,
    Published,
    Reply,
    Request,
    Send,
    Welcome,
)
from zchat.store.base import Store
from zchat.store.memory import MemoryStore

PATIENCE = 20.0
"""Seconds until a wait is given up: generous, for it ends at once unless something is broken."""

T = TypeVar("T")
Context = zmq.Context[zmq.Socket[bytes]]


def eventually(found: Callable[[], T | None], what: str) -> T:
    """Waits until something is found that is neither None nor False."""
    deadline = time.monotonic() + PATIENCE
    while True:
        result = found()
        if result is not None and result is not False:
            return result
        assert time.monotonic() < deadline, what
        select.select([], [], [], 0.002)


@contextmanager
def context() -> Iterator[Context]:
    """A context that must end by itself once its sockets are closed."""
    made: Context = zmq.Context()
    try:
        yield made
    finally:
        terminate(made)


def terminate(ended: Context) -> None:
    """Ends a context, and fails if it hangs."""
    thread = Thread(target=ended.term, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "a context hangs: some socket was not closed"


class _Lines(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines = lines
        self.addFilter(RateLimit())

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.getMessage()}")


class Broker:
    """A broker in a thread.

    Args:
        folder: where its keys are: has it speak CURVE.

    Attributes:
        key: its public key; empty on plaintext.
        owner_link: by which the first owner comes in.
        lines: what it logged.
        crash: what ended it, if anything did.
        heard: what its console would show.
        monitor: what answers over HTTP, if it was made `monitored`.
    """

    def __init__(
        self,
        store: Store | None = None,
        bind: str = "127.0.0.1",
        folder: Path | None = None,
        mode: Mode = Mode.INVITE,
        authorized: Mapping[bytes, str] | None = None,
        **settings: Any,
    ) -> None:
        self.lines: list[str] = []
        self.crash: BaseException | None = None
        self.heard: list[tuple[str, str]] = []
        self._context = sockets.context()
        keys = broker_keys(folder / "keys") if folder is not None else None
        at, monitored = settings.pop("port", 0), settings.pop("monitored", False)
        secret = keys.secret if keys is not None else None
        self._sockets = sockets.bind(self._context, Address(bind, at), None, PATIENCE, secret=secret)
        self.address = self._sockets.address
        self.pub_port = self._sockets.pub_port
        self.key = keys.public if keys is not None else b""
        entrance = None
        if folder is not None:
            door = Door(self.address, self.key, mode, authorized or {})
            entrance = Entrance(door, folder / "keys", folder)
        made = Settings(**{"pub_port": self.pub_port, **settings})
        self.server = Server(
            made,
            store or MemoryStore(),
            self._sockets,
            lambda room, message: self.heard.append((room, message.text)),
            entrance=entrance,
        )
        admission = self.server.hub.admission
        self.owner_link = entrance.owner_link(admission) if entrance is not None and admission is not None else None
        self._given: deque[Input] = deque()
        self._woken, self._wake = os.pipe()
        self.server.watch(self._woken, self._take)
        self.monitor = http.Monitor(self.server, http.listen(Address(bind, 0)), folder) if monitored else None
        if self.monitor is not None:
            self.server.look_with(self.monitor.look)
        self._handler = _Lines(self.lines)
        log = logging.getLogger("zchat.broker")
        log.setLevel(logging.INFO)
        log.addHandler(self._handler)
        self._thread = Thread(target=self._run, name="broker")
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it still turns."""
        return self._thread.is_alive()

    def give(self, item: Input) -> None:
        """Hands it an input from this thread."""
        self._given.append(item)
        os.write(self._wake, b"x")

    def logged(self, part: str) -> bool:
        """Whether some line has this in it."""
        return any(part in line for line in list(self.lines))

    def close(self) -> None:
        """Stops it; fails if it crashed or hangs."""
        self.give(Shutdown("the test is over"))
        self._thread.join(PATIENCE)
        logging.getLogger("zchat.broker").removeHandler(self._handler)
        os.close(self._wake)
        os.close(self._woken)
        assert not self.alive, "the broker hangs"
        if self.monitor is not None:
            self.monitor.close()
        self.server.close(0)
        terminate(self._context)
        if self.crash is not None:
            raise self.crash

    def _take(self) -> list[Input]:
        os.read(self._woken, 4096)
        given = list(self._given)
        self._given.clear()
        return given

    def _run(self) -> None:
        try:
            while not self.server.stopping:
                self.server.turn()
        except BaseException as error:
            self.crash = error


class Client:
    """An honest client on raw ZeroMQ sockets.

    Args:
        keys: of its own, if the broker speaks CURVE.
    """

    def __init__(self, made: Context, broker: Broker, name: str | None, keys: Keypair | None = None) -> None:
        self.keys = keys
        self.broker = broker
        self.name = name
        self.person, self.client, self.fence = (secrets.token_bytes(16) for _ in range(3))
        self.token: bytes | None = None
        self.items: deque[Reply] = deque()
        self.published: deque[tuple[str, Published]] = deque()
        self.k = 0
        self.n = 0
        self.sub_waits = True  # whether SUB is opened anew with each hello
        self._context = made
        self._unique = count()
        self.dealer = self._socket(zmq.DEALER, broker.address)
        self.sub = self._socket(zmq.SUB, broker.address.at(broker.pub_port))

    def _socket(self, kind: int, address: Address) -> zmq.Socket[bytes]:
        made = self._context.socket(kind)
        made.linger = 0
        made.ipv6 = address.six
        made.rcvhwm = made.sndhwm = 0
        made.reconnect_ivl = 20
        if kind == zmq.DEALER:
            made.routing_id = codec.routing_id(secrets.token_bytes(15))
        if self.keys is not None:
            made.curve_serverkey = self.broker.key
            made.curve_publickey, made.curve_secretkey = self.keys.public, self.keys.secret
        made.connect(str(address))
        return made

    def close(self) -> None:
        """Closes both sockets without a word."""
        self.dealer.close(0)
        self.sub.close(0)

    def reconnects(self) -> None:
        """Closes both sockets and opens new ones."""
        self.close()
        self.dealer = self._socket(zmq.DEALER, self.broker.address)
        self.sub = self._socket(zmq.SUB, self.broker.address.at(self.broker.pub_port))
        self.items.clear()

    def asks(self, *requests: Request) -> None:
        """Sends these in frames."""
        for frame in codec.encode_requests(requests):
            self.dealer.send(frame)

    def hears(self, kind: type[T]) -> T:
        """The next reply of a kind; others are passed over."""
        deadline = time.monotonic() + PATIENCE
        while True:
            while self.items:
                item = self.items.popleft()
                if isinstance(item, kind):
                    return item
            while not self.dealer.poll(50):
                assert time.monotonic() < deadline, f"no {kind.__name__}"
                self.sub.get(zmq.EVENTS)  # a SUB that reconnected subscribes only when it is looked at
            self.items += codec.decode_replies(self.dealer.recv()).items

    def reads(self, text: str) -> str:
        """Waits until a text is published; gives the room."""
        while True:
            assert self.sub.poll(int(PATIENCE * 1000)), f"{text} is not published"
            room, frame = codec.decode_published(self.sub.recv())
            self.published.append((room, frame))
            if any(isinstance(event, Message) and event.text == text for event in frame.events):
                return room

    def hello(self, **changes: Any) -> Welcome:
        """Says hello, and is welcomed."""
        fields: dict[str, Any] = {
            "q": 1,
            "version": VERSION,
            "name": self.name,
            "person": self.person,
            "client": self.client,
            "fence": self.fence,
            "resume": self.token,
            **changes,
        }
        self.asks(Hello(**fields))
        welcome = self.hears(Welcome)
        self.token = welcome.session
        if self.keys is not None and self.sub_waits:  # what was told to stay out never tries again
            self.sub.close(0)
            self.sub = self._socket(zmq.SUB, self.broker.address.at(self.broker.pub_port))
        return welcome

    def joins(self, room: str = "lobby") -> Joined:
        """Subscribes, waits for the fence, and joins."""
        self.sub.subscribe(codec.room_topic(room))
        self.fences()
        self.asks(Join(2, room))
        return self.hears(Joined)

    def fences(self) -> None:
        """Waits until what was subscribed is live."""
        self.k += 1
        self.sub.subscribe(codec.fence_topic(self.fence, self.k))
        while self.hears(Fenced).k != self.k:
            pass

    def says(self, text: str, room: str = "lobby") -> Ack:
        """Says something, and waits until it is acknowledged."""
        self.n += 1
        self.asks(Send(self.n, room, text))
        ack = self.hears(Ack)
        assert ack.n == self.n
        return ack

    def chats(self) -> None:
        """All is well for it: what it says is stored, and read by itself."""
        text = f"{self.name} {next(self._unique)}"
        self.says(text)
        self.reads(text)


GREETING = b"\xff" + b"\0" * 8 + b"\x7f\x03\x01NULL" + b"\0" * 16 + b"\0" + b"\0" * 31
"""ZMTP 3.1, mechanism NULL (RFC 37)."""


def frame(body: bytes, *, more: bool = False, command: bool = False, size: int | None = None) -> bytes:
    """A ZMTP frame; `size` is what it says of its size, where it lies."""
    length = len(body) if size is None else size
    flags = more | command << 2
    if length > 255:
        return bytes([flags | 2]) + struct.pack(">Q", length) + body
    return bytes([flags, length]) + body


def ready(kind: str, claimed: bytes | None = None) -> bytes:
    """The handshake's command.

    Args:
        claimed: the routing id; None for a good one, empty for none.
    """
    socket_type = b"\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind.encode()
    if claimed is None:
        claimed = codec.routing_id(secrets.token_bytes(15))
    own = b"\x08Identity" + struct.pack(">I", len(claimed)) + claimed if kind == "DEALER" and claimed else b""
    return frame(b"\x05READY" + socket_type + own, command=True)


class Raw:
    """A peer that speaks TCP alone.

    Args:
        address: of a port of the broker.
        receive: bytes that its receive buffer holds; None for the usual.
    """

    def __init__(self, address: Address, receive: int | None = None) -> None:
        with socket.socket(socket.AF_INET6 if address.six else socket.AF_INET) as low:
            # The broker is in this process: the low descriptors, which it may use again, are left to it.
            self.tcp = socket.socket(fileno=fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 400))
        if receive is not None:
            self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        self.tcp.settimeout(PATIENCE)
        self.tcp.connect((address.host, address.port))
        self._data = b""

    def sends(self, data: bytes) -> None:
        """Sends bytes; that the broker has hung up meanwhile is no error."""
        try:
            self.tcp.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def handshake(self, kind: str) -> None:
        """Becomes a ZeroMQ socket of a kind."""
        self.sends(GREETING + ready(kind))
        self.waits_for_ready()

    def waits_for_ready(self) -> None:
        """Takes the other's part of the handshake."""
        self._take(64)
        flags, body = self.receives()
        assert flags & 4, "a command"
        assert body.startswith(b"\x05READY")

    def requests(self, *requests: Request) -> None:
        """Sends requests, as a DEALER does."""
        for one in codec.encode_requests(requests):
            self.sends(frame(one))

    def receives(self) -> tuple[int, bytes]:
        """The next frame: its flags and its body."""
        flags, size = self._take(2)
        if flags & 2:
            (size,) = struct.unpack(">Q", bytes([size]) + self._take(7))
        return flags, self._take(size)

    def replies(self) -> tuple[Reply, ...]:
        """The next frame of replies."""
        return codec.decode_replies(self.receives()[1]).items

    def _take(self, size: int) -> bytes:
        while len(self._data) < size:
            data = self.tcp.recv(1 << 16)
            assert data, "the broker hung up"
            self._data += data
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    def is_cut(self) -> None:
        """Waits until the broker hangs up."""
        try:
            while self.tcp.recv(1 << 16):
                pass
        except ConnectionResetError:
            pass

    def resets(self) -> None:
        """Ends the connection with an RST."""
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.tcp.close()

    def close(self) -> None:
        """Ends the connection."""
        self.tcp.close()


class Wires:
    """Everything that a test connects, closed with it."""

    def __init__(self, made: Context) -> None:
        self._context = made
        self._open: list[Broker | Client | Raw] = []

    def broker(self, store: Store | None = None, bind: str = "127.0.0.1", **settings: Any) -> Broker:
        """Starts a broker; see `Broker`."""
        made = Broker(store, bind, **settings)
        self._open.append(made)
        return made

    def stranger(self, broker: Broker, name: str | None = None, keys: Keypair | None = None) -> Client:
        """A client that has said nothing yet."""
        made = Client(self._context, broker, name, keys)
        self._open.append(made)
        return made

    def client(self, broker: Broker, name: str, room: str = "lobby") -> Client:
        """A client in a room."""
        made = self.stranger(broker, name)
        made.hello()
        made.joins(room)
        return made

    def raw(self, broker: Broker, port: str = "router", receive: int | None = None) -> Raw:
        """A TCP connection to one of the two ports."""
        made = Raw(broker.address.at(broker.pub_port) if port == "xpub" else broker.address, receive)
        self._open.append(made)
        return made

    def close(self) -> None:
        """Closes everything, brokers last."""
        brokers = [one for one in self._open if isinstance(one, Broker)]
        for one in self._open:
            if not isinstance(one, Broker):
                one.close()
        for broker in brokers:
            broker.close()
