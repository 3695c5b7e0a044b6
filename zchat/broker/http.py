"""Monitoring over HTTP, in the broker's thread and under its poller: /healthz, /readyz and /metrics, for this machine
alone.

What is open here is bounded in number, size and time; nobody is waited for.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from stat import S_ISREG
from typing import Protocol

import zmq

from zchat import __version__, errors
from zchat.address import Address
from zchat.broker import metrics, web
from zchat.broker.inputs import Input
from zchat.broker.metrics import Counts, Process, Seen, Standing

CONNECTIONS = 32
"""Connections at a time; of more the oldest is ended."""

AT_ONCE = 4
"""Connections that are accepted in one turn."""

PATIENCE = 5.0
"""Seconds that a connection may last."""

PIECE = 4096
"""Bytes read at a time."""

UNREAD = 64 * 1024
"""Bytes that may still come after the answer."""


class Watched(Protocol):
    """The broker, as far as it is seen from here."""

    counts: Counts

    def watch(self, fd: int, read: Callable[[], list[Input]], *, urgent: bool = ..., writing: bool = ...) -> None:
        """Has a descriptor watched; see `Server.watch`."""

    def unwatch(self, fd: int) -> None:
        """Undoes it."""

    def standing(self) -> Standing:
        """How it is."""

    def ready(self) -> str:
        """Why nobody should come now; empty if all is well."""


def listen(wanted: Address) -> socket.socket:
    """Takes the port.

    Args:
        wanted: that only this machine reaches; port 0 takes one that is free.

    Raises:
        errors.BindFailed: it is not to be had.
    """
    family = socket.AF_INET6 if wanted.six else socket.AF_INET
    try:
        made = socket.create_server((wanted.host, wanted.port), family=family, backlog=4 * CONNECTIONS)
    except OSError as error:
        where = str(wanted).replace("tcp://", "http://")
        raise errors.BindFailed(
            f"cannot listen on {where}: {os.strerror(error.errno or 0)}; choose another address with --http"
        ) from None
    made.setblocking(False)
    return made


class Monitor:
    """Answers over HTTP.

    Args:
        broker: that is told of, and that watches the sockets.
        listener: of `listen`; closed with this.
        folder: where the broker keeps its files; None if it keeps none.
    """

    def __init__(self, broker: Watched, listener: socket.socket, folder: Path | None) -> None:
        self._broker, self._listener, self._folder = broker, listener, folder
        self._began = time.time()
        self._open: dict[int, _Connection] = {}  # the oldest first
        self._accepting = False
        self._accept_from_now_on()

    @property
    def url(self) -> str:
        """Where it is."""
        host, port, *_ = self._listener.getsockname()
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def look(self) -> None:
        """Ends what lasts too long. To be called several times a second."""
        now = time.monotonic()
        for one in [one for one in self._open.values() if one.until <= now]:
            self._end(one)
        if not self._accepting:
            self._accept_from_now_on()

    def close(self) -> None:
        """Ends all, and gives the port back."""
        for one in list(self._open.values()):
            self._end(one)
        self._broker.unwatch(self._listener.fileno())
        self._listener.close()

    # Connections ------------------------------------------------------------------------------------------------------

    def _accept_from_now_on(self) -> None:
        self._accepting = True
        # Not urgent: who looks on is not let in before those who talk.
        self._broker.watch(self._listener.fileno(), self._accept, urgent=False)

    def _accept(self) -> list[Input]:
        for _ in range(AT_ONCE):
            try:
                made, _ = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError, InterruptedError):
                break
            except OSError:
                # No descriptor is left, most likely. It would be told of again and again: the next look tries anew.
                self._accepting = False
                self._broker.unwatch(self._listener.fileno())
                break
            made.setblocking(False)
            one = _Connection(made, time.monotonic() + PATIENCE)
            if len(self._open) >= CONNECTIONS:
                self._end(next(iter(self._open.values())))
            self._open[one.fd] = one
            self._watch(one, writing=False)
            self._read(one)  # mostly it is there already
        return []

    def _watch(self, one: _Connection, *, writing: bool) -> None:
        def go_on() -> list[Input]:
            if self._open.get(one.fd) is one:  # its number may be another's by now
                self._write(one) if writing else self._read(one)
            return []

        self._broker.watch(one.fd, go_on, urgent=False, writing=writing)

    def _end(self, one: _Connection) -> None:
        del self._open[one.fd]
        self._broker.unwatch(one.fd)
        one.socket.close()

    def _read(self, one: _Connection) -> None:
        try:
            data = one.socket.recv(PIECE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._end(one)
        elif one.answered:
            one.unread -= len(data)
            if one.unread < 0:
                self._end(one)
        else:
            one.data += data
            answer = self._answer(one.data)
            if answer is not None:
                one.answered, one.left = True, answer
                self._write(one)

    def _write(self, one: _Connection) -> None:
        while one.left:
            try:
                one.left = one.left[one.socket.send(one.left) :]
            except (BlockingIOError, InterruptedError):
                self._watch(one, writing=True)
                return
            except OSError:
                self._end(one)
                return
        try:
            # Ended at once while something is unread, the answer could be lost on its way (RFC 9112, 9.6).
            one.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._end(one)
            return
        self._watch(one, writing=False)

    # Answers ----------------------------------------------------------------------------------------------------------

    def _answer(self, data: bytes) -> bytes | None:
        """The answer to what came; None if more has to come."""
        asked = web.understood(data)
        if isinstance(asked, web.Asked):
            page = _PAGES.get(asked.path)
            answer = web.Answer(404, f"there is {', '.join(_PAGES)}\n") if page is None else page(self)
            return web.rendered(answer, bare=asked.bare)
        return None if asked is None else web.rendered(asked)

    def _health(self) -> web.Answer:
        return web.Answer(200, "ok\n")  # who answers turns

    def _readiness(self) -> web.Answer:
        why = self._broker.ready()
        return web.Answer(503, f"{why}\n") if why else web.Answer(200, "ok\n")

    def _metrics(self) -> web.Answer:
        seen = Seen(self._broker.counts, self._broker.standing(), process(self._began, self._folder))
        return web.Answer(200, metrics.exposition(seen), metrics.KIND)


_PAGES: dict[str, Callable[[Monitor], web.Answer]] = {
    "/healthz": Monitor._health,
    "/readyz": Monitor._readiness,
    "/metrics": Monitor._metrics,
}


class _Connection:
    """One that was accepted.

    Attributes:
        until: when it is over, at the latest.
        data: that came so far.
        left: of the answer, to be sent.
        unread: bytes that may still come once it is answered.
    """

    __slots__ = ("answered", "data", "fd", "left", "socket", "unread", "until")

    def __init__(self, made: socket.socket, until: float) -> None:
        self.socket, self.fd, self.until = made, made.fileno(), until
        self.data = self.left = b""
        self.answered = False
        self.unread = UNREAD


# The machine ----------------------------------------------------------------------------------------------------------


def process(began: float, folder: Path | None) -> Process:
    """What the machine says of this process.

    Args:
        began: when it was started, in seconds since 1970 UTC.
        folder: where it keeps its files; None if it keeps none.
    """
    size, free = (None, None) if folder is None else (_size(folder), _free(folder))
    return Process(
        __version__, platform.python_version(), zmq.zmq_version(), began, time.process_time(), _memory(), size, free
    )


def _size(folder: Path) -> int | None:
    """Bytes of the files right in a folder."""
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    found = entry.stat(follow_symlinks=False)
                except OSError:
                    continue  # gone meanwhile
                total += found.st_size if S_ISREG(found.st_mode) else 0
    except OSError:
        return None
    return total


def _free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _memory() -> int | None:
    if sys.platform != "linux":
        return None
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123  # in half the time
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None
