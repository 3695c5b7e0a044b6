"""A hostile broker: whatever it is asked, it answers with what a terminal would obey."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import msgspec
import zmq

from scripts.chaos_hostile_escapes import CORPUS, ENDS, FIN, INVALID
from zchat import codec, messages
from zchat.errors import Undecodable
from zchat.messages import Reply, Request, Stamp

MODES = ("answers", "refuses", "turns away", "garbles")
"""It lets one in and answers all; lets one in and refuses all else; lets nobody in; answers in no UTF-8."""

TICK_MS = 50

_encode = msgspec.msgpack.Encoder().encode

EVIL = "".join(CORPUS.values()) + FIN
"""All of them at once."""

BANNER = ENDS.sub("", EVIL)
"""The same in one line."""

_PLACE = "@" * 48 + "\u0416"
"""Stands where no UTF-8 is to be; as long as that, to which it is padded."""


class EvilBroker(threading.Thread):
    """Serves until it is closed.

    Args:
        mode: one of MODES.

    Attributes:
        port: of requests; the next that is told publishes.
    """

    def __init__(self, mode: str) -> None:
        super().__init__(name="evil broker", daemon=True)
        self._mode = mode
        self._stamp = Stamp(b"evilrun!", 1)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._router = self._context.socket(zmq.ROUTER)
        self._xpub = self._context.socket(zmq.XPUB)
        self._xpub.xpub_verbose = True
        self.port = self._router.bind_to_random_port("tcp://127.0.0.1")
        self._pub_port = self._xpub.bind_to_random_port("tcp://127.0.0.1")
        self._fences: dict[bytes, bytes] = {}
        self._over = threading.Event()

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Ends it."""
        self._over.set()
        self.join()
        self._context.destroy(linger=0)

    def run(self) -> None:
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._xpub, zmq.POLLIN)
        while not self._over.is_set():
            for ready, _ in poller.poll(TICK_MS):
                if ready is self._router:
                    peer, frame = self._router.recv_multipart()
                    self._asked(peer, frame)
                else:
                    self._subscribed(self._xpub.recv())

    def _subscribed(self, body: bytes) -> None:
        fence = codec.parse_fence(body[1:]) if body[:1] == b"\1" else None
        if fence is not None and fence[0] in self._fences:
            self._say(self._fences[fence[0]], messages.Fenced(fence[1]))

    def _asked(self, peer: bytes, frame: bytes) -> None:
        try:
            asked = codec.decode_requests(frame)
        except Undecodable:
            return
        for request in asked:
            if not isinstance(request, codec.Malformed):
                self._answer(peer, request)

    def _say(self, peer: bytes, *items: Any) -> None:
        frame = _encode((self._stamp, items))
        if self._mode == "garbles":
            frame = frame.replace(_PLACE.encode(), INVALID.ljust(len(_PLACE.encode()), b"\xff"))
        self._router.send_multipart([peer, frame])

    def _answer(self, peer: bytes, request: Request) -> None:
        if isinstance(request, messages.Hello):
            self._fences[request.fence] = peer
            if self._mode == "turns away":
                self._say(peer, messages.Failed(request.q, EVIL, EVIL))
            else:
                self._say(peer, self._welcome(request))
        elif isinstance(request, messages.Heartbeat):
            self._say(peer, messages.Beat(request.q, 30.0, ()))
        elif self._mode == "refuses":
            if isinstance(request, messages.Numbered):
                self._say(peer, messages.Refused(request.n, EVIL, EVIL))
            else:
                self._say(peer, messages.Failed(request.q, EVIL, EVIL))
        else:
            self._say(peer, *_replies(request, self._texts()))
            if isinstance(request, messages.Join):
                self._publish(peer, request.room)

    def _welcome(self, hello: messages.Hello) -> messages.Welcome:
        banner = BANNER if self._mode != "garbles" else f"{CORPUS['OSC 52']}{FIN}"  # else nobody would come in
        private = (messages.PrivateRoom(f"@{EVIL}", EVIL, 1),)
        name = None if hello.name is None else EVIL
        values = (hello.q, bytes(16), bytes(8), name, self._pub_port, 1024, 16_384, 30.0, 0, True, False)
        return messages.Welcome(*values, banner, private, EVIL)

    def _texts(self) -> list[str]:
        return [_PLACE] * 3 if self._mode == "garbles" else [*CORPUS.values(), EVIL]

    def _publish(self, peer: bytes, room: str) -> None:
        texts = self._texts()
        events = list(_events(texts))
        states = [messages.Presence(1, 2, (text,), (text,), (text,), ((text, text),)) for text in texts]
        frame = codec.room_topic(room) + _encode((self._stamp, events, states))
        if self._mode == "garbles":
            frame = frame.replace(_PLACE.encode(), INVALID.ljust(len(_PLACE.encode()), b"\xff"))
        self._xpub.send(frame)
        self._say(peer, messages.Private(f"@{EVIL}", EVIL, tuple(events), tuple(states)))
        self._say(peer, *(messages.Added(f"@{text}", text, 1) for text in texts))
        self._say(peer, *(messages.Removed(text, text, text, 1, text) for text in texts))
        self._say(peer, *(messages.Notice(0, text, text) for text in texts))


def _events(texts: list[str]) -> Iterator[messages.Event]:
    seq = 0
    for text in texts:
        for action in (False, True):
            seq += 1
            yield messages.Message(seq, 0, text, bytes(8), seq, text, action)
        yield messages.Edited(seq + 1, 0, text, bytes(8), seq + 1, seq, text)
        yield messages.Deleted(seq + 2, 0, text, bytes(8), seq + 2, seq)
        yield messages.Acted(seq + 3, 0, text, bytes(8), seq + 3, text, text, seq, 1, text, True, text)
        seq += 3


def _replies(request: Request, texts: list[str]) -> Iterator[Reply]:
    """What a request is answered with."""
    events = tuple(_events(texts))
    last, spoken = len(events), [one for one in events if isinstance(one, messages.Message)]
    match request:
        case messages.Join(q, room):
            yield messages.Joined(q, room, 0, 0, len(texts), tuple(texts), None, texts[-1], texts[-1], 1)
        case messages.Send(n) | messages.Edit(n) | messages.Delete(n) | messages.Act(n):
            yield messages.Ack(n, texts[-1], n, 0)
        case messages.Read(q, room):
            yield messages.Page(q, room, 1, last, events, False, 1)
        case messages.History(q, room):
            yield messages.Page(q, texts[-1], 1, last, tuple(spoken), False, 1)
        case messages.Search(q):
            hits = tuple(messages.Hit(one.name, peer, one) for one in spoken for peer in (one.name, ""))
            yield messages.Found(q, hits)
        case messages.Who(q):
            yield messages.People(q, texts[-1], 1, len(texts), tuple(texts), False, tuple(1 for _ in texts))
        case messages.Rooms(q):
            yield messages.RoomList(q, tuple(messages.RoomInfo(text, 1, 1, 1, 1) for text in texts), False)
        case messages.Nick(q) | messages.Bot(q):
            yield messages.Named(q, texts[-1])
        case messages.About(q):
            yield messages.RoomState(q, texts[-1], texts[-1], texts[-1], 1, texts[-1], tuple(texts), tuple(texts))
        case messages.List(q):
            yield messages.Listed(q, tuple(row for text in texts for row in _rows(text)), False)
        case messages.Ask(q):
            yield messages.Told(q, texts[-1])
        case messages.Link(q) | messages.Device(q):
            yield messages.Linked(q, texts[-1])
        case messages.Links(q):
            infos = tuple(messages.LinkInfo(text, text, text, 1, 1, text) for text in texts)
            yield messages.LinkList(q, infos, False)
        case messages.Ping(q):
            yield messages.Pong(q)
        case messages.Leave(q) | messages.Mark(q) | messages.Revoke(q) | messages.Admin(q) | messages.Bye(q):
            yield messages.Done(q)
        case _:
            yield messages.Failed(request.q, texts[-1], texts[-1])


def _rows(text: str) -> Iterator[messages.Row]:
    """A row of every kind."""
    yield messages.BanRow(text, text, text, 1, text, 1, text)
    yield messages.PersonRow(text, text, 1, 1, text)
    yield messages.SessionRow(text, text, 1, True, 1, text)
    yield messages.RoomRow(text, text, 1, 1, 1, 1, text)
    yield messages.NameRow(text)
