"""Who may connect, as libzmq asks it: ZAP (rfc.zeromq.org/spec/27), in the broker's own poller."""

from __future__ import annotations

from collections.abc import Callable

import zmq

from zchat.broker.admission import Answer

ENDPOINT = "inproc://zeromq.zap.01"

REQUESTS, ROOMS = b"requests", b"rooms"
"""The domains of the two ports."""

_SAYS = {Answer.YES: b"OK", Answer.LATER: b"say hello first", Answer.NO: b"no"}

Decide = Callable[[bytes, bytes], Answer]
"""Given the domain and a key of 32 bytes: whether it may connect there."""


class Zap:
    """The one who is asked. It must be there before the sockets that ask, and is asked of each connection after its
    handshake; whoever is not answered, or not well, is not let in.

    Args:
        ctx: the context of the sockets.
    """

    def __init__(self, ctx: zmq.Context[zmq.Socket[bytes]]) -> None:
        self._socket = ctx.socket(zmq.REP)
        self._socket.linger = 0
        self._socket.bind(ENDPOINT)
        self.fd = int(self._socket.get(zmq.FD))

    def answer(self, decide: Decide) -> None:
        """Answers all that was asked."""
        while int(self._socket.get(zmq.EVENTS)) & zmq.POLLIN:
            self._socket.send_multipart(_reply(self._socket.recv_multipart(zmq.NOBLOCK), decide))

    def close(self) -> None:
        """Nobody is let in any more."""
        self._socket.close(0)


def _reply(request: list[bytes], decide: Decide) -> list[bytes]:
    match request:
        case [b"1.0", number, domain, _address, _id, b"CURVE", key] if len(key) == 32:
            answer = decide(domain, key)
            # The key is what every frame of the connection will say of it.
            user = key.hex().encode() if answer is Answer.YES else b""
            return [b"1.0", number, answer.value.encode(), _SAYS[answer], user, b""]
        case [_, number, *_]:
            return [b"1.0", number, b"400", b"a key is needed", b"", b""]
    return [b"1.0", b"", b"500", b"that is no request", b"", b""]
