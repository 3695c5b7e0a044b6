"""A client that sends mutated requests, as many as the credit allows, and hears what comes of them."""

from __future__ import annotations

import os
import secrets
from collections import Counter
from random import Random

import zmq

from scripts import chaos_hostile_mutate as mutate
from scripts.chaos_hostile_keys import connect
from scripts.chaos_hostile_seeds import requests
from zchat import codec
from zchat.errors import OutOfOrder
from zchat.messages import VERSION, Bye, Failed, Hello, Ping, Pong, Refused, Request, Welcome

ANSWERED = 20.0
"""Seconds that an answer may take."""

SYNC = 1 << 40
"""Numbers from here on are those that are waited for."""

ENDING = 0.002
"""The share of requests that end or replace the session."""

STRANGER = 0.1
"""The share of batches that come before any hello."""


class NoAnswer(Exception):
    """The broker says nothing any more."""


class Fuzzer:
    """A connection that is made anew when it is cut.

    Attributes:
        sent: frames; cuts: how often the broker hung up; answers: what it answered, by code.
    """

    def __init__(self, url: str, random: Random) -> None:
        self.sent = 0
        self.cuts = 0
        self.answers: Counter[str] = Counter()
        self._url = url
        self._keys = zmq.curve_keypair()
        self._random = random
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._person, self._client = secrets.token_bytes(16), secrets.token_bytes(16)
        self._n = 0
        self._sync = SYNC
        kinds = requests()
        self._ending = [one for one in kinds if isinstance(one, Hello | Bye)]
        self._plain: list[Request] = [one for one in kinds if not isinstance(one, Hello | Bye)]
        self._open()

    def _open(self) -> None:
        self._dealer = self._context.socket(zmq.DEALER)
        self._dealer.routing_id = codec.routing_id(os.urandom(15))
        self._dealer.linger = 0
        self._dealer.rcvhwm = self._dealer.sndhwm = 0
        self._monitor = self._dealer.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        connect(self._dealer, self._url, self._keys)

    def _reopen(self) -> None:
        self._dealer.disable_monitor()
        self._monitor.close(0)
        self._dealer.close(0)
        self._open()

    def close(self) -> None:
        """Hangs up."""
        self._dealer.disable_monitor()
        self._context.destroy(linger=0)

    def batch(self, count: int) -> None:
        """Sends so many frames, and waits until they are answered or the connection is cut."""
        random = self._random
        if random.random() < STRANGER:
            self._reopen()
        else:
            fence = secrets.token_bytes(16)
            self._say(Hello(1, VERSION, f"eve-{self._client.hex()[:8]}", self._person, self._client, fence))
        asked = 2
        while count and asked < 900:
            several = [self._one() for _ in range(random.choice((1, 1, 1, 1, 2, 5)))]
            self._dealer.send(mutate.frame(random, several))
            asked += len(several)
            count -= 1
            self.sent += 1
        self._sync += 1
        self._say(Ping(self._sync))
        if not self._synced():
            self.cuts += 1
            self._reopen()

    def _one(self) -> bytes:
        random = self._random
        good = random.choice(self._ending if random.random() < ENDING else self._plain)
        self._n += 1
        return mutate.request(random, good, self._n)

    def _say(self, *asked: Request) -> None:
        for one in codec.encode_requests(asked):
            self._dealer.send(one)

    def _synced(self) -> bool:
        """Whether all was answered; if not, the connection was cut."""
        poller = zmq.Poller()
        poller.register(self._dealer, zmq.POLLIN)
        poller.register(self._monitor, zmq.POLLIN)
        while ready := dict(poller.poll(int(ANSWERED * 1000))):
            if self._dealer in ready:
                for item in codec.decode_replies(self._dealer.recv()).items:
                    self.answers[getattr(item, "code", type(item).__name__.lower())] += 1
                    if isinstance(item, Pong | Failed) and item.q == self._sync:
                        return True
                    if isinstance(item, Welcome):
                        self._n = item.last
                    if isinstance(item, Refused) and item.code == OutOfOrder.code:
                        self._n = item.expected - 1
            elif self._monitor in ready:
                return False
        raise NoAnswer(f"no answer within {ANSWERED:g} s")
