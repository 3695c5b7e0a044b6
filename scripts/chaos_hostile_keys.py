"""CURVE for those who play a part: a broker that lets in whoever has a key, and sockets that have one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import zmq

from scripts.chaos_process import STARTING, Broker, Failed, Process
from zchat import address, keyfiles, links

OPEN = ["--curve", "--admission", "open", "--advertise", "127.0.0.1"]
"""Anybody may come in: what somebody with a key may do is what is tried."""

Keys = tuple[bytes, bytes]
"""Public and secret."""


def link(url: str, data: Path) -> str:
    """What leads to a broker under CURVE.

    Args:
        url: where it listens.
        data: its folder.

    Raises:
        Failed: it has no key there.
    """
    keys = keyfiles.read_keys(data / "keys" / "broker.key")
    if keys is None:
        raise Failed("the broker has made no key")
    return str(links.Link(address.parse(url), "lobby", keys.public))


def connect(socket: zmq.Socket[bytes], url: str, keys: Keys | None = None) -> None:
    """Connects a socket to where a link or an address leads.

    Args:
        keys: its own; new ones if None, where they are needed.
    """
    if not links.is_link(url):
        socket.connect(str(address.parse(url)))
        return
    to = links.parse_link(url)
    socket.curve_serverkey = to.key
    socket.curve_publickey, socket.curve_secretkey = keys or zmq.curve_keypair()
    socket.connect(str(to.address))


class CurveBroker(Broker):
    """A broker under CURVE, open to every key."""

    def __init__(self, folder: Path, script: Path | None, arguments: Sequence[str], within: Sequence[str]) -> None:
        super().__init__(folder, script, [*arguments, *OPEN], within=within)
        self._plain = self.url

    def start(self) -> None:
        """Starts it, and waits until it listens.

        Raises:
            Failed: it does not start.
        """
        begin = time.monotonic()
        self.process = Process(self._command, self.errors, self._env)
        line = self.process.hear(STARTING)
        while line is not None and "listening on" not in line:
            line = self.process.hear(STARTING)
        if line is None:
            raise Failed(f"the broker did not start: {self.last_words()}")
        self.started.append((time.monotonic() - begin,) * 2)
        self.url = link(self._plain, self.data)
