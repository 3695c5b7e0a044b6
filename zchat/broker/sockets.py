"""The broker's two sockets: what they are set to, and how they take their ports."""

from __future__ import annotations

import errno
import os
import select
import struct
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import zmq

from zchat import errors
from zchat.address import Address, BadAddress, check_port
from zchat.broker.zap import REQUESTS, ROOMS, Zap
from zchat.codec import FRAME

ZERO_COPY_RECV = 10
"""ZMQ_ZERO_COPY_RECV of zmq.h, which pyzmq does not name: off, it saves 4 KiB a connection."""

RETRY = 0.25
"""Seconds between two tries of --bind-wait."""

RENEWAL = 0.5
"""Seconds for which a port that was let go of is waited for at once."""

SPARE = 16
"""Descriptors that must be free for that."""

SUBSCRIPTION = 1024
"""Bytes of a frame to the PUB port at most: a topic has some 260."""

_MONITORED = (
    zmq.EVENT_LISTENING
    | zmq.EVENT_ACCEPTED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)


def context() -> zmq.Context[zmq.Socket[bytes]]:
    """A context for a broker."""
    made: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    made.set(ZERO_COPY_RECV, 0)
    return made


@dataclass(slots=True)
class Sockets:
    """The bound pair, the monitors that tell whose connection began and ended, and under CURVE who is asked whom to
    let in.
    """

    router: zmq.Socket[bytes]
    xpub: zmq.Socket[bytes]
    router_monitor: zmq.Socket[bytes]
    xpub_monitor: zmq.Socket[bytes]
    address: Address
    pub_port: int
    zap: Zap | None = None
    _requests: str = ""  # where the router is to listen again, while it does not

    @property
    def renewed(self) -> bool:
        """Whether the port for requests is taken, as far as `renew` had to do with it."""
        return not self._requests

    def renew(self) -> None:
        """Takes the port for requests anew, which ends all connections to it. To be called again until `renewed`."""
        if not self._requests:
            endpoint: Any = self.router.get(zmq.LAST_ENDPOINT)
            self._requests = endpoint.rstrip(b"\0").decode()
            self.router.unbind(self._requests)
        deadline = time.monotonic() + RENEWAL
        while self._requests and time.monotonic() < deadline:
            try:
                _spare_descriptors()
                self.router.bind(self._requests)
            except (OSError, zmq.ZMQError):
                select.select([], [], [], 0.001)  # the I/O thread is about to close it
            else:
                self._requests = ""

    def close(self, linger: int) -> None:
        """Closes all; what is under way has `linger` milliseconds."""
        for one in (self.router, self.xpub):
            one.monitor(None, 0)
        for one in (self.router_monitor, self.xpub_monitor):
            one.close(0)
        self.router.close(linger)
        self.xpub.close(linger)
        if self.zap is not None:
            self.zap.close()


def bind(
    ctx: zmq.Context[zmq.Socket[bytes]],
    wanted: Address,
    pub_port: int | None,
    wait: float,
    *,
    insecure: bool = False,
    secret: bytes | None = None,
) -> Sockets:
    """Takes both ports.

    Args:
        ctx: of the broker.
        wanted: where ROUTER listens; port 0 takes one that is free.
        pub_port: where XPUB listens; None takes the next one, or any that is free if the first was 0.
        wait: seconds to try again for, while a port is taken.
        insecure: whether other machines may reach it, although nothing is encrypted.
        secret: the broker's secret key, 32 bytes: has both speak CURVE. None for plaintext.

    Raises:
        errors.BindFailed: one of them is not to be had; the message names it and says what to do.
    """
    pub_port = publishing_port(wanted, pub_port)
    try:
        host = wanted.resolve()[0].host
    except BadAddress as error:
        raise errors.BindFailed(str(error)) from None
    if secret is None and not (insecure or Address(host, 0).loopback):
        raise errors.BindFailed(
            f"{wanted} can be reached by other machines, and nothing is encrypted: anybody there could read and say"
            " everything; bind 127.0.0.1, or say --insecure if that is meant"
        )
    deadline = time.monotonic() + wait
    while True:
        with ExitStack() as undo:
            try:
                zap = None if secret is None else Zap(ctx)
                if zap is not None:
                    undo.callback(zap.close)
                router = undo.enter_context(_router(ctx, secret))
                address = _take(router, Address(host, wanted.port))
                xpub = undo.enter_context(_xpub(ctx, secret))
                published = _take(xpub, Address(host, pub_port))
            except _Taken as error:
                if time.monotonic() >= deadline:
                    raise errors.BindFailed(str(error)) from None
            else:
                undo.pop_all()
                return Sockets(
                    router,
                    xpub,
                    _monitor(ctx, router),
                    _monitor(ctx, xpub),
                    wanted.at(address.port),
                    published.port,
                    zap,
                )
        time.sleep(RETRY)  # noqa: TID251  # nothing tells when a port gets free, and nobody is served yet


def publishing_port(wanted: Address, pub_port: int | None) -> int:
    """The port that XPUB is to take; see `bind`.

    Raises:
        errors.BindFailed: it cannot be had.
    """
    if pub_port is None:
        pub_port = wanted.port + 1 if wanted.port else 0
        if pub_port > 65535:
            raise errors.BindFailed(f"the port after {wanted.port} is out of range: name another with --pub-port")
    elif pub_port == wanted.port != 0:
        raise errors.BindFailed(f"port {pub_port} cannot serve both: name another with --pub-port")
    try:
        check_port(pub_port)
    except BadAddress as error:
        raise errors.BindFailed(str(error)) from None
    return pub_port


class _Taken(Exception):
    """The port is in use: it may get free."""


def _take(taker: zmq.Socket[bytes], at: Address) -> Address:
    taker.ipv6 = at.six
    where = str(at) if at.port else f"{str(at).rpartition(':')[0]}:*"
    try:
        taker.bind(where)
    except zmq.ZMQError as error:
        if error.errno == errno.EADDRINUSE:
            raise _Taken(
                f"port {at.port} on {at.host} is taken: stop what listens there, choose another with --bind or"
                " --pub-port, or wait for it with --bind-wait"
            ) from None
        if error.errno == errno.EACCES:
            raise errors.BindFailed(
                f"no permission to take port {at.port} on {at.host}: choose one from 1024 on"
            ) from None
        if error.errno in (errno.EADDRNOTAVAIL, errno.ENODEV):
            raise errors.BindFailed(
                f"cannot take port {at.port}: {at.host} is no address of this machine; bind one of its own"
            ) from None
        raise errors.BindFailed(f"cannot take port {at.port} on {at.host}: {error.strerror}") from None
    endpoint: Any = taker.get(zmq.LAST_ENDPOINT)
    return at.at(int(endpoint.rstrip(b"\0").rpartition(b":")[2]))


def _common(made: zmq.Socket[bytes], domain: bytes, secret: bytes | None) -> zmq.Socket[bytes]:
    made.linger = 0
    # Refuses ZMTP below 3, whose frames do not say over which descriptor they came; whatever begins with another
    # byte than FF is taken for that. On plaintext no ZAP handler is bound, so nobody else is asked or refused.
    made.zap_domain = domain
    if secret is not None:
        made.curve_server = True
        made.curve_secretkey = secret
        made.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # with nobody to ask, nobody is let in
    made.rcvhwm = 0  # a finite one lets a peer abort the process (libzmq #3937); bounded by credit and by cutting
    made.maxmsgsize = FRAME  # per frame, and before any handshake
    made.handshake_ivl = 2000
    made.backlog = 1024
    made.tcp_keepalive = 1
    made.tcp_keepalive_idle = 10
    made.tcp_keepalive_intvl = 5
    made.tcp_keepalive_cnt = 2
    if sys.platform == "linux":
        # Cuts who takes nothing in while there is something to take. Linux also ends a connection whose keepalive is
        # not answered only after this time: with the grace of 10 s, a dead host is noticed after some 30 s.
        made.tcp_maxrt = 20_000
    return made


def _router(ctx: zmq.Context[zmq.Socket[bytes]], secret: bytes | None) -> zmq.Socket[bytes]:
    router = _common(ctx.socket(zmq.ROUTER), REQUESTS, secret)
    router.router_mandatory = True
    # Without it, a connection that claims an id that is taken is kept for ever once it has ended (libzmq 4.3.5), 6 KiB
    # each. Nobody can take another's place, for whoever has an id that can be guessed is cut. With it, the connection
    # that loses its id is kept together with its descriptor, if it goes on to send: see `renew`.
    router.router_handover = True
    router.sndhwm = 64  # a peer that never reads pins no more than that; it is cut, its session kept
    return router


def _xpub(ctx: zmq.Context[zmq.Socket[bytes]], secret: bytes | None) -> zmq.Socket[bytes]:
    xpub = _common(ctx.socket(zmq.XPUB), ROOMS, secret)
    xpub.maxmsgsize = SUBSCRIPTION  # it takes libzmq 50 times as much to remember one
    xpub.sndhwm = 4096  # twice the rooms a client may follow, all of which may speak in one turn
    xpub.xpub_verbose = True  # for the fence: a half-open old connection must not hide a new subscription
    return xpub


def _spare_descriptors() -> None:
    """Makes sure that there are some: without one, libzmq ends the process when it is told to bind.

    Raises:
        OSError: there are none.
    """
    with ExitStack() as undo:
        for _ in range(SPARE):
            undo.callback(os.close, os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))


def _monitor(ctx: zmq.Context[zmq.Socket[bytes]], watched: zmq.Socket[bytes]) -> zmq.Socket[bytes]:
    """A socket that tells what happens to the connections of another."""
    where = f"inproc://monitor-{int(watched.get(zmq.FD))}"
    watched.monitor(where, _MONITORED)
    monitor = ctx.socket(zmq.PAIR)
    # With a limit, the I/O thread waits for it to be drained once very many end at once, and whoever would drain it for
    # a lock that the I/O thread holds.
    monitor.rcvhwm = 0
    monitor.connect(where)
    return monitor


def monitored(monitor: zmq.Socket[bytes]) -> list[tuple[int, int]]:
    """The events that wait on a monitor, as (event, value); of ACCEPTED and DISCONNECTED the value is the
    descriptor.
    """
    found: list[tuple[int, int]] = []
    while int(monitor.get(zmq.EVENTS)) & zmq.POLLIN:
        # What zmq.utils.monitor does; importing that would import asyncio.
        event, value = struct.unpack("=Hi", monitor.recv_multipart(zmq.NOBLOCK)[0])
        found.append((event, value))
    return found
