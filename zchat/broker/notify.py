"""Tells the supervisor how a broker is: the datagrams of sd_notify(3), which others than systemd understand as well."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import MutableMapping


class Notifier:
    """Speaks to whoever is named in the environment, if anybody is.

    Args:
        environ: is asked for NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, which are taken out of it: what this
            process starts shall not speak in its name.

    Attributes:
        pause: seconds between two beats at most; infinite if nobody waits for any.
    """

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        where = environ.pop("NOTIFY_SOCKET", "")
        span, who = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        self.pause = float("inf")
        self._where = f"\0{where[1:]}" if where.startswith("@") else where
        self._socket: socket.socket | None = None
        self._beat_at = 0.0
        if where[:1] in ("/", "@"):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
            if span.isdecimal() and int(span) and who in ("", str(os.getpid())):
                self.pause = int(span) / 2_000_000

    def tell(self, *lines: str) -> None:
        """Sends one datagram of these lines; harmless if nobody takes it."""
        if self._socket is not None:
            try:
                self._socket.sendto("\n".join(lines).encode(), self._where)
            except OSError:
                pass  # a supervisor that does not listen now is no reason to stop

    def ready(self, status: str) -> None:
        """Clients are served."""
        self.tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """The configuration is read anew; `ready` follows."""
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}", "STATUS=re-reading the configuration")

    def stopping(self, status: str) -> None:
        """It is about to end."""
        self.tell("STOPPING=1", f"STATUS={status}")

    def beat(self) -> None:
        """A turn is over. Only the loop that serves may call this: what hangs shall be missed."""
        now = time.monotonic()
        if now >= self._beat_at and self.pause != float("inf"):
            self._beat_at = now + self.pause / 2
            self.tell("WATCHDOG=1")

    def close(self) -> None:
        """Tells nothing more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
