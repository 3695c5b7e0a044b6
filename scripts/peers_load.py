"""The load on a server: raw connections of one process under one epoll, and arrivals that are counted, not parsed.

Every text holds MARK, which occurs nowhere else in what any of the servers sends. So the load costs each server's
connections the same, whatever their protocol.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import islice

from scripts.chaos_process import Failed
from scripts.peers_curve import LONGEST
from scripts.peers_sealed import SLACK, Seal, Secrets, Space

MARK = b"Q~Zx"
"""Occurs once in every text, and nowhere else."""

TEXT = (MARK + b"the quick brown fox jumps over the lazy dog " * 3)[:100]
"""What everybody says: 100 bytes of ASCII."""

CHUNK = 256 * 1024
"""Bytes that are read from a connection at once, at most."""

PATIENCE = 20.0
"""Seconds without anything arriving after which a server is given up."""


class Cut(Failed):
    """The server, or the system, ended a connection."""


class Conn:
    """A connection.

    Attributes:
        port: at which the server listens.
        pending: bytes that the system did not take yet.
        data: what came and was not taken yet, during set-up.
        tail: the end of what came, since a mark may be cut in two.
        group: whose arrivals these are: the room of who hears, the number of who is answered.
        mate: the other connection of the same client, where it has two.
        seal: its encryption, once it is agreed on; None where there is none.
    """

    __slots__ = ("data", "fd", "group", "mate", "pending", "port", "seal", "sock", "tail")

    def __init__(self, port: int) -> None:
        self.port = port
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.fd = self.sock.fileno()
        self.pending = bytearray()
        self.data = bytearray()
        self.tail = b""
        self.group = 0
        self.mate: Conn | None = None
        self.seal: Seal | None = None
        self.sock.connect_ex(("127.0.0.1", port))

    def take(self, size: int) -> bytes | None:
        """The next bytes of what came; None while they are not all there."""
        if len(self.data) < size:
            return None
        found = bytes(self.data[:size])
        del self.data[:size]
        return found

    def line(self) -> bytes | None:
        """The next line of what came, without its end; None while it is not all there."""
        found = self.take(self.data.find(b"\n") + 1)
        return found.rstrip(b"\r\n") if found else None


Setup = Generator[Conn, None, None]
"""Steps of which each is taken once more has come on the connection that the one before named."""


class Load:
    """All connections of a load, and what has come on them.

    Args:
        mark: what is counted.
        secrets: what the server is known by, where it encrypts.

    Attributes:
        secrets: the same.
    """

    def __init__(self, mark: bytes = MARK, secrets: Secrets | None = None) -> None:
        self.conns: dict[int, Conn] = {}
        self.secrets = secrets or Secrets()
        self._epoll = select.epoll()
        # Whatever came on a connection before and was no whole piece yet goes before what comes next.
        self._raw, self._plain = (Space(LONGEST + CHUNK + 128) for _ in range(2))
        self._buffer, self._view = self._plain.data, self._plain.view
        self._mark = mark
        self._keep = len(mark) - 1

    def close(self) -> None:
        """Cuts all connections."""
        for conn in list(self.conns.values()):
            self.cut(conn)
        self._epoll.close()

    def open(self, port: int) -> Conn:
        """A new connection to a server on this machine."""
        conn = Conn(port)
        self.conns[conn.fd] = conn
        self._epoll.register(conn.fd, select.EPOLLIN)
        return conn

    def cut(self, conn: Conn) -> None:
        """Ends a connection."""
        del self.conns[conn.fd]
        self._epoll.unregister(conn.fd)
        conn.sock.close()

    def send(self, conn: Conn, data: bytes | bytearray) -> None:
        """Sends, now or as soon as the system takes it."""
        if conn.seal is not None:
            data = conn.seal.close(data)
        if conn.pending:
            conn.pending += data
            return
        try:
            sent = conn.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise Cut(f"a connection to port {conn.port} was cut: {error.strerror}") from None
        if sent < len(data):
            conn.pending += data[sent:]
            self._epoll.modify(conn.fd, select.EPOLLIN | select.EPOLLOUT)

    def _flush(self, conn: Conn) -> None:
        try:
            sent = conn.sock.send(conn.pending)
        except BlockingIOError:
            return
        except OSError as error:
            raise Cut(f"a connection to port {conn.port} was cut: {error.strerror}") from None
        del conn.pending[:sent]
        if not conn.pending:
            self._epoll.modify(conn.fd, select.EPOLLIN)

    def ready(self, wait: float = PATIENCE) -> Iterator[Conn]:
        """The connections on which something came; none if nothing came within so many seconds."""
        conns = self.conns
        for fd, mask in self._epoll.poll(wait):
            conn = conns.get(fd)
            if conn is None:
                continue
            if mask & select.EPOLLOUT:
                self._flush(conn)
            if mask & ~select.EPOLLOUT:
                yield conn

    def count(self, conn: Conn) -> int:
        """How many marks came on a connection that is ready."""
        buffer, tail = self._buffer, conn.tail
        start = len(tail)
        buffer[:start] = tail
        end = start + self._receive(conn, start)
        conn.tail = bytes(buffer[max(end - self._keep, 0) : end])
        return buffer.count(self._mark, 0, end)

    def chunk(self, conn: Conn) -> bytes:
        """What came on a connection that is ready."""
        return bytes(self._buffer[: self._receive(conn, 0)])

    def take(self, conn: Conn) -> int:
        """As `count`, but what came is kept for a set-up."""
        start = len(conn.tail)
        got = self._receive(conn, start)
        buffer, end = self._buffer, start + got
        buffer[:start] = conn.tail
        conn.data += buffer[start:end]
        conn.tail = bytes(buffer[max(end - self._keep, 0) : end])
        return buffer.count(self._mark, 0, end)

    def seal(self, conn: Conn, seal: Seal) -> None:
        """Encrypts a connection from here on, and what came of it so far."""
        stop = SLACK + len(conn.data)
        self._raw.data[SLACK:stop] = conn.data
        got = seal.open(self._raw, stop, self._plain, 0)
        conn.seal, conn.data, conn.tail = seal, self._buffer[:got], b""

    def _receive(self, conn: Conn, start: int) -> int:
        seal = conn.seal
        if seal is None:
            return self._take_in(conn, self._view[start:])
        stop = SLACK
        if seal.kept:
            stop += len(seal.kept)
            self._raw.data[SLACK:stop] = seal.kept
        got = self._take_in(conn, self._raw.view[stop:])
        return seal.open(self._raw, stop + got, self._plain, start) if got else 0

    def _take_in(self, conn: Conn, into: memoryview) -> int:
        try:
            got = conn.sock.recv_into(into, CHUNK)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise Cut(f"a connection to port {conn.port} was cut: {error.strerror}") from None
        if not got:
            raise Cut(f"the server at port {conn.port} ended a connection")
        return got

    def run(self, setups: Iterable[Setup], at_once: int = 100, longest: float = 120.0) -> int:
        """Takes the steps of set-ups, several side by side, until all are through; gives how many marks came meanwhile.

        A set-up whose connection is cut may catch `Cut`.

        Args:
            setups: one for each member.
            at_once: how many of them are under way.
            longest: seconds that all of it may take.

        Raises:
            Failed: nothing came for PATIENCE, or it took too long.
        """
        more = iter(setups)
        waiting: dict[int, Setup] = {}
        found = 0
        begin = last = time.monotonic()

        def step(setup: Setup, cut: Cut | None = None) -> None:
            try:
                conn = next(setup) if cut is None else setup.throw(cut)
            except StopIteration:
                return
            waiting[conn.fd] = setup

        while True:
            for setup in islice(more, at_once - len(waiting)):
                step(setup)
            if not waiting:
                return found
            for conn in self.ready(1.0):
                waiter = waiting.pop(conn.fd, None)
                try:
                    found += self.count(conn) if waiter is None else self.take(conn)
                except Cut as error:
                    if waiter is None and conn.mate is not None:
                        waiter = waiting.pop(conn.mate.fd, None)
                    if waiter is None:
                        raise
                    step(waiter, error)
                else:
                    if waiter is not None:
                        last = time.monotonic()
                        step(waiter)
            now = time.monotonic()
            if now - last > PATIENCE:
                some = self.conns[next(iter(waiting))]
                raise Failed(f"setting up: nothing came for {PATIENCE:.0f} s; last was {bytes(some.data[-200:])!r}")
            if now - begin > longest:
                raise Failed(f"setting up took more than {longest:.0f} s")


class Gauge:
    """Decides when a part is over: when the server has used so much processor time, within bounds.

    Args:
        cpu: gives the server's processor time in seconds.
        enough: seconds of it to be spent.
        least: messages to be done anyway.
        longest: seconds on the clock after which it is over in any case.
        before: what was done before it began.

    Attributes:
        spent, seconds, done: processor time, time on the clock, and what was done, all at the last look.
    """

    LOOK = 0.02
    """Seconds between two looks."""

    def __init__(
        self, cpu: Callable[[], float], enough: float, least: int = 0, longest: float = 10.0, before: int = 0
    ) -> None:
        self._cpu, self._enough, self._least, self._longest, self._before = cpu, enough, least, longest, before
        self.spent = self.seconds = 0.0
        self.done = 0
        self._cpu_begin = cpu()
        self._begin = time.perf_counter()
        self._next = self._begin + self.LOOK

    def over(self, done: int) -> bool:
        """Whether it is, after so many."""
        now = time.perf_counter()
        if now < self._next:
            return False
        self._next = now + self.LOOK
        self.spent = self._cpu() - self._cpu_begin
        self.seconds = now - self._begin
        self.done = done - self._before
        return (self.spent >= self._enough and self.done >= self._least) or self.seconds > self._longest

    @property
    def cost(self) -> float:
        """Microseconds of processor time for each that was done."""
        return self.spent / max(self.done, 1) * 1e6

    @property
    def rate(self) -> float:
        """Done in a second."""
        return self.done / max(self.seconds, 1e-9)
