"""Many clients of one process under one Poller."""

from __future__ import annotations

import time
from collections.abc import Iterable
from math import ceil
from typing import Any

import zmq

from zchat.client.link import Socket
from zchat.client.sync import Client

ROUND = 1.0
"""Seconds between two looks at every client's clock: heartbeats and what is tried again are not due more often."""


class Crowd:
    """Waits for any of many clients, as `Client.poll` waits for one.

    Args:
        clients: whom to wait for, each open; use them from this thread only.
    """

    def __init__(self, clients: Iterable[Client]) -> None:
        self._clients = list(clients)
        self._generations: list[int] = []
        self._poller = zmq.Poller()
        self._whose: dict[Socket, Client] = {}
        self._round_at = 0.0

    def poll(self, timeout: float) -> list[Client]:
        """Waits once for something to happen to any of them, and takes it in.

        Args:
            timeout: seconds to wait at most, no longer than `ROUND`.

        Returns:
            To whom something may have happened.
        """
        for client in self._clients:
            client.flush()
        generations = [client.generation for client in self._clients]
        if generations != self._generations:
            self._watch(generations)
        ready: dict[Client, set[Socket]] = {}
        polled: Any = self._poller.poll(ceil(min(max(timeout, 0.0), ROUND) * 1000))
        for one, _ in polled:
            ready.setdefault(self._whose[one], set()).add(one)
        for client, sockets in ready.items():
            client.take(sockets)
        now = time.monotonic()
        if now < self._round_at:
            return list(ready)
        self._round_at = now + ROUND
        for client in self._clients:
            client.poll(0.0)
        return self._clients

    def _watch(self, generations: list[int]) -> None:
        self._generations = generations
        self._poller = zmq.Poller()
        self._whose = {one: client for client in self._clients for one in client.sockets()}
        for one in self._whose:
            self._poller.register(one, zmq.POLLIN)
