"""The sockets under a session: a DEALER and a SUB, opened, closed and fed as the session says. No waiting is done
here.
"""

from __future__ import annotations

import os
import random
import signal
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import zmq

from zchat import codec, errors
from zchat.address import Address, BadAddress
from zchat.client.channel import OpenSub, Reopen, Subscribe, Transmit, Unsubscribe
from zchat.client.session import Session
from zchat.keyfiles import Keypair

DRAIN = 20
"""Frames taken from one socket at a time at most: up to 64 KiB each, so the program can bound what it has not
looked at.
"""

LAST = 1000
"""Frames taken from a socket before it is closed at most."""

PAUSE = (0.05, 2.0)
"""Seconds between opening sockets anew: the first time, and at most."""

STEADY = 10.0
"""Seconds that a connection must last for the next loss to be nothing special."""

_EVENTS = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_DISCONNECTED
)

_DENIED = 400
"""What ZAP (ZeroMQ RFC 27) answers to who is not let in; libzmq does not try again after it."""

Socket = zmq.Socket[bytes]


class Curve(NamedTuple):
    """What encrypts a connection: the broker's key, and one's own."""

    broker: bytes
    own: Keypair


class Link:
    """Connects one session to a broker.

    Args:
        context: whose sockets these are.
        address: of the broker's ROUTER.
        session: what is connected; the link does its commands.
        curve: what encrypts it; None for plaintext.
        anywhere: whether plaintext is spoken to other machines as well: else to none, whatever the name of the host
            stands for by then.

    Attributes:
        sockets: what to poll for reading. They change whenever the connection is opened anew, and `generation`
            with them.
        trouble: what is likely wrong if the last handshake failed, as a hint for people; else empty.
        mismatch: whether the other side said that it speaks plaintext and this one does not, or the other way round.
    """

    def __init__(
        self,
        context: zmq.Context[Socket],
        address: Address,
        session: Session,
        curve: Curve | None = None,
        *,
        anywhere: bool = False,
    ) -> None:
        self.session = session
        self.generation = 0
        self.trouble = ""
        self.mismatch = False
        self._curve = curve
        self._here = curve is None and not anywhere
        self._context = context
        self._address = address
        self._tried = 0
        self._host: Address | None = None
        self._dealer: Socket | None = None
        self._monitor: Socket | None = None
        self._sub: Socket | None = None
        self._pause = PAUSE[0]
        self._connected_at = 0.0
        self._open_at: float | None = 0.0

    def sockets(self, *, hear: bool = True) -> list[Socket]:
        """What to poll for reading.

        Args:
            hear: whether published frames are wanted; what is not taken waits, and what overflows is read again later.
        """
        return [one for one in (self._monitor, self._dealer, self._sub if hear else None) if one is not None]

    def due(self) -> float:
        """When `tick` must be called next."""
        return min(self.session.due(), float("inf") if self._open_at is None else self._open_at)

    def tick(self, now: float) -> None:
        """Time passed: opens what is due to be opened, and does what the session wants."""
        if self._open_at is not None and self._open_at <= now:
            self._open(now)
        self.session.tick(now)
        self.obey(now)

    def receive(self, ready: set[Socket], now: float) -> None:
        """Takes what has come to the sockets that have something."""
        if self._monitor in ready:
            self._watch(now)
        if self._dealer in ready:
            self._hear_replies(now, DRAIN)
        if self._sub in ready:
            self._hear_rooms(now, DRAIN)
        if self.session.open and now - self._connected_at > STEADY:
            self._pause = PAUSE[0]
        self.obey(now)

    def obey(self, now: float) -> None:
        """Does what the session wants done."""
        for command in self.session.commands():
            match command:
                case Transmit(requests):
                    self._transmit(codec.encode_requests(requests))
                case OpenSub(port):
                    self._open_sub(port)
                case Subscribe(topic):
                    if self._sub is not None:
                        self._sub.subscribe(topic)
                case Unsubscribe(topic):
                    if self._sub is not None:
                        self._sub.unsubscribe(topic)
                case Reopen():
                    self._lost("the broker does not answer", now)
                    return

    def close(self, linger: int = 0) -> None:
        """Closes the sockets; what is under way has `linger` milliseconds."""
        self._open_at = None
        self._shut(linger)

    # Sockets ----------------------------------------------------------------------------------------------------------

    def _open(self, now: float) -> None:
        self._open_at = None
        hosts = self._hosts()
        if not hosts:
            self._later(now)
            return
        self._host = hosts[self._tried % len(hosts)]
        self._tried += 1
        with _uninterrupted():
            dealer = self._dealer = self._context.socket(zmq.DEALER)
            _common(dealer, self._host, self._curve)
            dealer.rcvhwm = dealer.sndhwm = 0  # bounded by the credit
            dealer.routing_id = codec.routing_id(os.urandom(codec.ROUTING_ID - 1))
            self._monitor = dealer.get_monitor_socket(_EVENTS)
            dealer.connect(str(self._host))
        self.generation += 1

    def _hosts(self) -> list[Address]:
        """What may be connected to; nothing as long as that cannot be told."""
        try:
            hosts = self._address.resolve()
        except BadAddress:
            # libzmq tries again and again; the name may be known by then, but not what it stands for.
            return [] if self._here else [self._address]
        if self._here and not all(host.loopback for host in hosts):
            self.trouble = _MOVED
            return []
        return hosts

    def _open_sub(self, port: int) -> None:
        if self._host is None:
            return
        with _uninterrupted():
            if self._sub is not None:
                self._sub.close(0)
            self._sub = self._context.socket(zmq.SUB)
            _common(self._sub, self._host, self._curve)
            self._sub.sndhwm = 0  # else subscriptions above it are dropped on reconnection (libzmq #2258)
            self._sub.connect(str(self._host.at(port)))
        self.generation += 1

    def _shut(self, linger: int) -> None:
        with _uninterrupted():
            if self._dealer is not None:
                self._dealer.disable_monitor()
                self._dealer.close(linger)
            for one in (self._monitor, self._sub):
                if one is not None:
                    one.close(0)
            self._dealer = self._monitor = self._sub = None
        self.generation += 1

    def _lost(self, why: str, now: float) -> None:
        # Both are closed: what was queued in the old DEALER would else go out before the new hello.
        self._shut(0)
        self.session.disconnected(why, now)
        self._later(now)

    def _later(self, now: float) -> None:
        # Not all at once, where a broker that has thousands of clients was started anew.
        self._open_at = now + self._pause * random.uniform(0.5, 1.5)  # noqa: S311  # nobody gains by guessing it
        self._pause = min(self._pause * 2, PAUSE[1])

    def _watch(self, now: float) -> None:
        monitor = self._monitor
        while monitor is not None and monitor is self._monitor and int(monitor.get(zmq.EVENTS)) & zmq.POLLIN:
            # What zmq.utils.monitor does; importing that would import asyncio.
            event, value = struct.unpack("=Hi", monitor.recv_multipart(zmq.NOBLOCK)[0])
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._connected_at = now
                self.trouble, self.mismatch = "", False
                self.session.connected(now)
            elif event == zmq.EVENT_HANDSHAKE_FAILED_AUTH and value == _DENIED:
                self._shut(0)
                self.session.disconnected("the broker does not let us in", now)
                self.session.end(errors.NotAdmitted())
            elif event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
                self.trouble = _NO_CURVE if self._curve else _NO_LINK
                self.mismatch = value == zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH
            elif event == zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
                # The other side may notice first that its protocol is another, and then just be gone.
                self.trouble = self.trouble or (_OTHER_KEY if self._curve else _NO_WORD)
            elif event == zmq.EVENT_DISCONNECTED:
                # What came before the end is heard first: it may be why.
                self._hear_rooms(now, LAST)
                self._hear_replies(now, LAST)
                self._lost("the connection to the broker is lost", now)

    def _hear_replies(self, now: float, most: int) -> None:
        for frame in _frames(self._dealer, most):
            try:
                self.session.replied(codec.decode_replies(frame), now)
            except errors.Undecodable:
                continue  # a frame of another protocol: its sender does not know better

    def _hear_rooms(self, now: float, most: int) -> None:
        for frame in _frames(self._sub, most):
            try:
                self.session.published(*codec.decode_published(frame), now)
            except errors.Undecodable:
                continue

    def _transmit(self, frames: list[bytes]) -> None:
        if self._dealer is None:
            return
        for frame in frames:
            try:
                self._dealer.send(frame, zmq.NOBLOCK)
            except zmq.Again:
                return  # there is no connection: the monitor tells, and all is asked again


_MOVED = "the name stands for another machine now, and plaintext is for this one alone"
_NO_CURVE = "what answers there speaks plaintext, so it is not the broker whose key is known"
_OTHER_KEY = "it does not answer to the key that is known of it: was the broker set up anew? ask for a new link"
_NO_LINK = "it does not speak plaintext: ask who runs the broker for a link, and `zchat join LINK`"
_NO_WORD = "what answers there ends the connection at once: ask who runs the broker for a link, and `zchat join LINK`"


def _frames(socket: Socket | None, most: int) -> Iterator[bytes]:
    """What has come to a socket, up to so many frames."""
    if socket is None:
        return
    for _ in range(most):
        try:
            yield socket.recv(zmq.NOBLOCK)
        except zmq.Again:
            return


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Keeps ^C and the like until the block has ended: a socket that is half made is known to nobody, and a
    context that has one waits for it for ever.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _common(made: Socket, host: Address, curve: Curve | None) -> None:
    made.linger = 0
    if curve is not None:
        made.curve_serverkey, made.curve_publickey, made.curve_secretkey = (
            curve.broker,
            curve.own.public,
            curve.own.secret,
        )
    made.ipv6 = host.six
    made.maxmsgsize = codec.CLIENT_FRAME
    made.reconnect_ivl = 100
    made.reconnect_ivl_max = 1000
    made.connect_timeout = 2000
    made.handshake_ivl = 5000
    made.tcp_keepalive = 1
    # In a partition TCP waits longer and longer before it tries again: a connection on which nothing came through for
    # some seconds is given up instead, and made anew as soon as the broker can be reached.
    made.tcp_keepalive_idle = 3
    made.tcp_keepalive_intvl = 1
    made.tcp_keepalive_cnt = 3
    made.setsockopt(zmq.TCP_MAXRT, 5000)
